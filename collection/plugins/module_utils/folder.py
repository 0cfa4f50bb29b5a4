# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The builder's disk: an application's folder, and the small build context of the last layers."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_detection import MOMENTS, Folder, Script
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput

READ = 1 << 20
LONG_AGO = 315532800  # 1980: the same files give the same layer, and zip can still write it
DECADES = 1_000_000_000  # seconds


def text_of(path: str) -> str:
    """The beginning of a text file, '' if there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            return file.read(READ)
    except FileNotFoundError:
        return ""
    except IsADirectoryError as error:
        raise BadInput(f"{path} is a folder where a file is needed") from error


def is_folder(path: str) -> bool:
    """Whether there is such a folder."""
    return os.path.isdir(path)


def is_file(path: str) -> bool:
    """Whether there is such a file."""
    return os.path.isfile(path)


def callbacks(path: str) -> Folder | None:
    """The callbacks folder at this path, None if there is none."""
    if not os.path.isdir(path):
        return None
    found = {name: _script(path, f"{name}.sh") for name in MOMENTS}
    return Folder(os.path.basename(path), **found)


def _script(folder: str, name: str) -> Script | None:
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        return None
    return Script(name, text_of(path), bool(os.stat(path).st_mode & stat.S_IXUSR))


@contextmanager
def temporary() -> Iterator[str]:
    """A folder that only its owner may enter, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="stackswap-") as path:
        yield path


@contextmanager
def staged(path: str | None, files: Mapping[str, str]) -> Iterator[str]:
    """A build context: the callbacks folder, if any, as artifakt/, its scripts executable; these files."""
    with temporary() as top:
        if path:
            shutil.copytree(path, os.path.join(top, "artifakt"), symlinks=True, ignore=_irregular)
        for name, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(top, name)), exist_ok=True)
            with open(os.path.join(top, name), "w", encoding="utf-8") as file:
                file.write(text)
        _level(top)
        yield top


def _irregular(folder: str, names: list[str]) -> list[str]:
    """Sockets, pipes and devices, which cannot be in an image."""
    modes = {name: os.lstat(os.path.join(folder, name)).st_mode for name in names}
    return [n for n, m in modes.items() if not (stat.S_ISREG(m) or stat.S_ISDIR(m) or stat.S_ISLNK(m))]


def _level(top: str) -> None:
    """Modes and times that do not depend on the checkout, on its umask or its day.

    The time of a file depends on its content: the builder takes one of equal size and time for the one it has.
    """
    for folder, folders, files in os.walk(top, topdown=False):
        for name in files + folders:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            if not stat.S_ISLNK(mode):
                os.chmod(path, 0o755 if stat.S_ISDIR(mode) or _runs(top, path, mode) else 0o644)
            when = LONG_AGO + (_number(path) % DECADES if stat.S_ISREG(mode) else 0)
            os.utime(path, (when, when), follow_symlinks=False)


def _number(path: str) -> int:
    """A number that belongs to the content of a file."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            found.update(piece)
    return int.from_bytes(found.digest()[:8], "big")


def _runs(top: str, path: str, mode: int) -> bool:
    ours = (*(f"artifakt/{name}.sh" for name in MOMENTS), "build/run", "persist/run", "entrypoint")
    return bool(mode & stat.S_IXUSR) or os.path.relpath(path, top) in ours


def key(folder: str | None = None) -> bytes:
    """This builder's own random key, made when it is first needed; it never leaves the builder."""
    home = folder or os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    path = os.path.join(home, "stackswap", "build.key")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor, made = tempfile.mkstemp(dir=os.path.dirname(path))
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(made, path)
        except FileExistsError:
            pass  # another build made one at the same moment: its key is the key
        finally:
            os.unlink(made)
    with open(path, "rb") as file:
        return file.read()
