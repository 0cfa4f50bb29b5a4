# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the zip file of a module, as one word: two that hold the same have the same, whenever they were packed."""

from __future__ import annotations

import hashlib
import io
from zipfile import ZipFile

ADDED = "sitecustomize.py"  # by Ansible, on the server
NAME_AT, HEADER = 26, 30  # where a file's header has the lengths of its name and of what follows it; how long it is


def fingerprint(packed: bytes) -> str:
    """The digest of names and contents, as they are packed; BadZipFile for what is none."""
    told = hashlib.sha256()
    with ZipFile(io.BytesIO(packed)) as archive:
        for one in sorted(archive.infolist(), key=lambda info: info.filename):
            if one.filename != ADDED:
                told.update(f"{one.filename}\0{one.compress_type}\0{one.compress_size}\0".encode())
                told.update(_content(packed, one.header_offset, one.compress_size))
    return told.hexdigest()


def _content(packed: bytes, at: int, size: int) -> bytes:
    """A file's bytes, as they are packed behind its header."""
    lengths = packed[at + NAME_AT : at + HEADER]
    begin = at + HEADER + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
    return packed[begin : begin + size]
