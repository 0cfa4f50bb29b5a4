# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive that comes to a server in pieces: a file named by its content, which goes on where it was cut off.

The folder is its owner's alone. What nobody went on with for a day is removed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.archive import PIECE, ArchiveDamaged

ROOTS, OTHERS = "/var/lib/stackswap/incoming", "~/.cache/stackswap/incoming"
DAY = 24 * 60 * 60


def waiting(folder: str | None = None) -> dict[str, Any]:
    """What is here already, its bytes by its digest, and how many bytes there is room for."""
    known = Incoming({"digest": "", "size": 0}, folder).folder
    here = {
        f"sha256:{name.partition('.')[0]}": os.path.getsize(os.path.join(known, name)) for name in os.listdir(known)
    }
    return {"received": here, "room": shutil.disk_usage(known).free}


class Incoming:
    """What is here of an archive of this digest and size."""

    def __init__(self, part: Mapping[str, Any], folder: str | None = None) -> None:
        self._digest, self._size = part["digest"], part["size"]
        self.folder = folder or os.path.expanduser(OTHERS if os.geteuid() else ROOTS)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        os.chmod(self.folder, 0o700)
        self._sweep()
        self.path = os.path.join(self.folder, f"{self._digest.rpartition(':')[2]}.tar")

    def received(self) -> int:
        """How many bytes are here."""
        try:
            return os.path.getsize(self.path)
        except FileNotFoundError:
            return 0

    def append(self, piece: str, offset: int) -> int:
        """Add a file's bytes if they are the next ones, and answer how many are here."""
        try:
            with open(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600), "ab") as whole:
                fcntl.flock(whole, fcntl.LOCK_EX)
                if os.fstat(whole.fileno()).st_size == offset:
                    with open(piece, "rb") as more:
                        shutil.copyfileobj(more, whole, PIECE)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self.remove()
            raise
        return self.received()

    def complete(self) -> bool:
        """Whether all of it is here; what is not what was sent is removed and refused."""
        if self.received() < self._size:
            return False
        found = _digest(self.path)
        if found != self._digest:
            self.remove()
            raise ArchiveDamaged(f"what came is {found}, and not the archive that was sent, {self._digest}")
        return True

    def remove(self) -> None:
        """Take it away; what is not there is fine."""
        with suppress(FileNotFoundError):
            os.unlink(self.path)

    def _sweep(self) -> None:
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            with suppress(FileNotFoundError):
                if time.time() - os.path.getmtime(path) > DAY:
                    os.unlink(path)


def _digest(path: str) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(PIECE), b""):
            found.update(piece)
    return f"sha256:{found.hexdigest()}"
