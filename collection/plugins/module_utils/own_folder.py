# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that calls of modules share on a server: this user's alone, and gone after a reboot."""

from __future__ import annotations

import os
import stat
import tempfile


def own_folder() -> str:
    """Where it is, whether or not it is there."""
    if os.geteuid() == 0:
        return "/run/stackswap"
    return os.path.join(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir(), f"stackswap-{os.geteuid()}")


def made(path: str) -> None:
    """Have this folder; PermissionError if somebody else can have made it, or can write into it."""
    os.makedirs(path, 0o700, exist_ok=True)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(f"{path} belongs to somebody else")
