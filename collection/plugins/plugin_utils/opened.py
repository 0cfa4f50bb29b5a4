# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that opens while the control node puts together what is to be sent over it.

Both take a while at the first call of a run: a server's answers the one, this machine's processor the other.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

KEPT = "ssh"  # the connection that stays open for the calls after it


def opened(action: Any, args: Mapping[str, Any], variables: Any) -> None:
    """Open the action's connection, and have its module ready in the cache of this run.

    What keeps the connection from opening is raised as the call itself would.
    """
    if action._connection.transport != KEPT:
        return
    faults: list[BaseException] = []
    thread = threading.Thread(target=_open, args=(action._connection, faults), daemon=True)
    thread.start()
    try:
        action._configure_module(module_name=action._task.action, module_args=dict(args), task_vars=variables)
    finally:
        thread.join()
    if faults:
        raise faults[0]


def _open(connection: Any, faults: list[BaseException]) -> None:
    try:
        connection.exec_command("true", sudoable=False)
    except BaseException as error:
        faults.append(error)
