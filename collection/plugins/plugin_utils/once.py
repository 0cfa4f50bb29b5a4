# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done once for all servers of a job, though each server's task runs in a process of its own.

The first process does it and the others wait for a lock. Answers and files lie in the job's own temporary folder,
which Ansible removes with the job; what killed jobs left is removed after a day.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from typing import Any

from ansible import constants

FOLDER = "stackswap-images"
DAY = 24 * 60 * 60


def once(what: Any, do: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """The answer to this, and the path of the file that may go with it.

    A failure counts for those who waited for it; who comes later tries again.
    """
    came, path = time.time(), os.path.join(_folder(), hashlib.sha256(repr(what).encode()).hexdigest()[:32])
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = _read(f"{path}.json", came)
        if told is None:
            told = {**do(f"{path}.tar"), "path": f"{path}.tar"}
            with open(f"{path}.json", "w") as file:
                json.dump(told, file, default=str)
        return told


def _read(path: str, came: float) -> dict[str, Any] | None:
    try:
        with open(path) as file:
            told: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        return None
    return None if told.get("failed") and os.path.getmtime(path) < came else told


def _folder() -> str:
    """The folder of this job."""
    folder = os.path.join(constants.DEFAULT_LOCAL_TMP, FOLDER)
    if not os.path.isdir(folder):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _sweep(os.path.dirname(constants.DEFAULT_LOCAL_TMP))
    return folder


def _sweep(base: str) -> None:
    for folder in glob.glob(os.path.join(glob.escape(base), "ansible-local-*", FOLDER)):
        if time.time() - os.path.getmtime(folder) > DAY:
            shutil.rmtree(folder, ignore_errors=True)
