# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's first call on a server that has kept its code (module_utils/code_image.py): none of it is sent.

Ansible's own way is half a megabyte to each server, which takes the control node's processor a while to put together.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import constants
from ansible.release import __version__

from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.forked import FOLDER, HOME, NONE, asked, encoded

START = HOME + '[ -e "$d"/code/whole-{key}/start ] || exit 5; {environment}{python} "$d"/code/whole-{key}/start'
ASKED = "auto"  # how the words begin that have a server asked for its Python


class KeptCode:
    """The code of an action's module, as a server may have it. key: by what it is found there; '' for nowhere."""

    def __init__(self, action: Any, variables: Any) -> None:
        self._action, self._variables = action, variables
        self._python = "" if action._task.delegate_to else _python(action, variables)
        self.key = _known(self._python) if self._python else ""

    def call(self, args: Mapping[str, Any], line: Mapping[str, Any]) -> tuple[int, str]:
        """The exit code, and the result or the folder in which it goes on."""
        if not self.key:
            return NONE, ""
        told = {**args, "_line": dict(line)}
        self._action._update_module_args(self._action._task.action, told, self._variables)
        environment = self._action._compute_environment_string().strip()
        words = {"key": self.key, "python": self._python, "environment": f"{environment} " if environment else ""}
        return asked(self._action, START.format(**words), encoded({"ANSIBLE_MODULE_ARGS": told}))


def _python(action: Any, variables: Any) -> str:
    """The Python that modules run in on the server; '' where it would be asked for one."""
    told = constants.config.get_config_value("INTERPRETER_PYTHON", variables=variables)
    python = str(action._templar.template(told) or ASKED).strip()
    return "" if python.startswith(ASKED) else python


def _known(python: str) -> str:
    """The key of what this run's modules are made of: the first call finds it out, for all servers."""
    place = Path(constants.DEFAULT_LOCAL_TMP, FOLDER, "code-" + hashlib.sha256(python.encode()).hexdigest())
    with suppress(FileNotFoundError):
        return place.read_text(encoding="utf-8")
    key = _key(python)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    part = place.with_suffix(f".{os.getpid()}")
    part.write_text(key, encoding="utf-8")
    part.rename(place)
    return key


def _key(python: str) -> str:
    """A digest of all code that may come to be sent, and of what it would run in."""
    told = hashlib.sha256(f"{__version__}\0{python}\0".encode())
    for path in _files():
        told.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
    return told.hexdigest()


def _files() -> Iterator[Path]:
    """The files of this collection's modules and of Ansible's own that modules are made of."""
    plugins = Path(__file__).parents[1]
    for folder in (plugins / "modules", plugins / "module_utils", Path(ansible.module_utils.__file__).parent):
        yield from sorted(folder.rglob("*.py"))
