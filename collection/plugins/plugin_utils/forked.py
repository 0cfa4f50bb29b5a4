# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls through the fork server that a module's first call of this run has left on a server.

There Python runs already, and all is imported (module_utils/forkserver.py): no module is sent, and none is started.
The options go through the connection's pipe and a pipe of that server's.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
from collections.abc import Mapping
from typing import Any

from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.common import json as codec

FOLDER = "stackswap-forked"
NONE, LOST = 5, 255  # the exit code where there is no fork server; and of ssh without a connection
# The same folder as own_folder's. What is run out of it is its owner's alone, or nothing is.
HOME = (
    'd=/run/stackswap; [ -O "$d" ] || d="${{XDG_RUNTIME_DIR:-${{TMPDIR:-/tmp}}}}/stackswap-$(id -u)"; '
    '[ -O "$d" ] && [ ! -h "$d" ] || exit 5; '
)
# The program that a fork server has put there (module_utils/forkcall.py), and the Python that it runs in.
CALL = HOME + (
    '{{ read -r python <"$d"/{server}/python; }} 2>/dev/null || exit 5; '
    'exec "$python" -IS "$d"/{server}/call {call} {grace}{stop}'
)


class Forked:
    """The fork server of an action's module on its server, in this run."""

    def __init__(self, action: Any, host: str) -> None:
        self._action = action
        what = (platform.node(), constants.DEFAULT_LOCAL_TMP, host, action._task.action)
        self.name = "server-" + hashlib.sha256(repr(what).encode()).hexdigest()[:32]
        self._mark = os.path.join(constants.DEFAULT_LOCAL_TMP, FOLDER, self.name)

    @property
    def able(self) -> bool:
        """Whether the options can go through a pipe."""
        return bool(self._action._is_pipelining_enabled("new"))

    def left(self) -> None:
        """Remember that there may be one."""
        os.makedirs(os.path.dirname(self._mark), mode=0o700, exist_ok=True)
        with open(self._mark, "w"):
            pass

    def call(self, args: Mapping[str, Any], line: Mapping[str, Any]) -> tuple[int, str]:
        """The exit code, and the result or the folder in which it goes on."""
        if not (self.able and os.path.exists(self._mark)):
            return NONE, ""
        told = {"name": line["name"], "rest": line["rest"], "args": {**args, "_line": dict(line)}}
        words = {"server": shlex.quote(self.name), "call": shlex.quote(str(line["name"])), "grace": line["grace"]}
        command = CALL.format(stop=" stop" if line["stop"] else "", **words)
        return asked(self._action, command, b"\n" + encoded(told))


def asked(action: Any, command: str, data: bytes) -> tuple[int, str]:
    """The exit code of a shell's command that is given data, and what it said."""
    return heard(action._low_level_execute_command(command, in_data=data))


def heard(got: Mapping[str, Any]) -> tuple[int, str]:
    """The exit code of a shell's command and what it said; AnsibleConnectionFailure where the connection was lost."""
    if got["rc"] == LOST:
        raise AnsibleConnectionFailure(got.get("stderr") or "the connection is lost")
    return int(got["rc"]), str(got["stdout"]).replace("\r", "")


def encoded(told: Mapping[str, Any]) -> bytes:
    """As Ansible itself encodes a module's options."""
    if hasattr(codec, "get_module_encoder"):
        return json.dumps(told, cls=codec.get_module_encoder("legacy", codec.Direction.CONTROLLER_TO_MODULE)).encode()
    return json.dumps(told, cls=codec.AnsibleJSONEncoder, vault_to_text=True).encode()  # before ansible-core 2.19
