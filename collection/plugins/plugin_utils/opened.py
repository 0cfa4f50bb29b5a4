# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that opens while the control node puts together what is to be sent over it.

Both take a while at the first call of a run: a server's answers the one, this machine's processor the other.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from ansible.utils.path import unfrackpath

KEPT = "ssh"  # the connection that stays open for the calls after it
TURN = 0.01  # seconds between two looks


def opened(action: Any, args: Mapping[str, Any], variables: Any) -> None:
    """Open the action's connection, and have its module ready in the cache of this run.

    What keeps the connection from opening is raised as the call itself would. A command opens it, whose end comes two
    round trips later and is not waited for.
    """
    connection, began = action._connection, time.time()
    if connection.transport != KEPT:
        return
    faults: list[BaseException] = []
    thread = threading.Thread(target=_open, args=(connection, faults), daemon=True)
    thread.start()
    try:
        action._configure_module(module_name=action._task.action, module_args=dict(args), task_vars=variables)
    finally:
        while thread.is_alive() and not _shared(connection, began):
            time.sleep(TURN)
    if faults:
        raise faults[0]


def _shared(connection: Any, since: float) -> bool:
    """Whether others may use the connection by now: its socket has been made since then.

    One with a password never: Ansible hands it to ssh in a place that a connection has once, until a command's end.
    """
    password = connection.get_option("password") or connection._play_context.password
    if password or not (connection.control_path and connection.control_path_dir):
        return False
    path = connection.control_path % {"directory": unfrackpath(connection.control_path_dir)}
    try:
        return os.stat(path).st_mtime >= since
    except OSError:
        return False


def _open(connection: Any, faults: list[BaseException]) -> None:
    try:
        connection.exec_command("true", sudoable=False)
    except BaseException as error:
        faults.append(error)
