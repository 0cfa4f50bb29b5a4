# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done on one server first, though each server's task runs in a process of its own, at the same time.

The first one's process holds a lock on a file until it is over, and writes there if it went well: the others wait for
that lock. Where the first has not begun they do not wait, for it may be waiting for one of their processes to end.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from typing import Any

from ansible import constants

from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.forked import FOLDER

DONE = "done"


class First:
    """What the first of all that do this does. what: of these words, the same for each, and for nothing else."""

    def __init__(self, *what: str) -> None:
        name = "first-" + hashlib.sha256(repr(what).encode()).hexdigest()[:32]
        self._path = os.path.join(constants.DEFAULT_LOCAL_TMP, FOLDER, name)
        self._parent = os.getppid()

    def lead(self, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do it as the first, with the others waiting; its result, on which they go on if it has not failed."""
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        with open(self._path, "w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            result = do()
            if not result.get("failed"):
                file.write(DONE)
            return result

    def begun(self) -> bool:
        """Whether the first is at it, or is over."""
        return os.path.exists(self._path)

    def over(self) -> bool:
        """Whether it went well already, without waiting."""
        return self.begun() and self._said(fcntl.LOCK_SH | fcntl.LOCK_NB)

    def done(self) -> bool:
        """Whether it went well, waiting for it to be over; not where it has not begun, or nobody runs this any more."""
        return self.begun() and self._said(fcntl.LOCK_SH) and os.getppid() == self._parent

    def _said(self, lock: int) -> bool:
        with open(self._path, encoding="utf-8") as file:
            try:
                fcntl.flock(file, lock)
            except BlockingIOError:
                return False
            return file.read() == DONE
