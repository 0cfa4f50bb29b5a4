# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine itself has free: memory by its kernel, disk by its file systems."""

from __future__ import annotations

import os
import re
import shutil

MEMORY = "/proc/meminfo"


def available(path: str = MEMORY) -> int | None:
    """How many bytes of memory a new program may get without anybody being pushed out; None where that is not told."""
    try:
        with open(path) as file:
            found = re.search(r"^MemAvailable:\s+(\d+) kB", file.read(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def free(path: str) -> int | None:
    """How many bytes this user may still write there; None where there is no such folder."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def same(one: str, two: str) -> bool:
    """Whether two folders are on one file system."""
    try:
        return os.stat(one).st_dev == os.stat(two).st_dev
    except OSError:
        return False
