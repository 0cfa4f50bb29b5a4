# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a server compile the code of this collection once, where each call of a module would do it anew.

Ansible brings a module with all that it imports as source in a zip file. Out of such a file Python compiles what is
imported in each process, and twice. Whoever imports this first has the rest of the collection compiled and kept, by
what is in it, in a folder that is this user's alone. Where that cannot be, all is as without it.

A call that stays for others has all that came with it kept, what is Ansible's too (code_keep.py).
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
from contextlib import suppress
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from importlib.util import MAGIC_NUMBER, spec_from_file_location
from types import CodeType
from typing import Any
from zipimport import zipimporter

from ansible_collections.stackswap.bluegreen.plugins.module_utils.own_folder import made, own_folder

PACKAGE = "ansible_collections.stackswap.bluegreen."
MOST = 2000  # files: as many as a dozen versions of the collection have


class Finder:
    """Finds the collection's modules in the zip file that they came in."""

    def __init__(self, archive: zipimporter, folder: str) -> None:
        self._archive, self._folder = archive, folder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """As Python asks for it. None for what is not the collection's, or not there."""
        base = name.replace(".", "/")
        for place in (f"{base}.py", f"{base}/__init__.py") if name.startswith(PACKAGE) else ():
            with suppress(OSError):
                loader = Loader(self._archive.get_data(place), place, self._folder)
                inside: list[str] | None = [] if place.endswith("/__init__.py") else None
                where = f"{self._archive.archive}/{place}"
                return spec_from_file_location(name, where, loader=loader, submodule_search_locations=inside)
        return None


class Loader(InspectLoader):
    """Loads one module, compiled now or by an earlier call."""

    def __init__(self, source: bytes, place: str, folder: str) -> None:
        self._source, self._place = source, place
        self._kept = os.path.join(folder, hashlib.sha256(MAGIC_NUMBER + place.encode() + b"\0" + source).hexdigest())

    def get_source(self, fullname: str) -> str:
        """For tracebacks, and for what is put on a server as it is."""
        return self._source.decode("utf-8")

    def get_code(self, fullname: str) -> Any:
        """Out of the folder, else compiled and laid there."""
        with suppress(OSError, ValueError, EOFError, TypeError), open(self._kept, "rb") as file:
            kept = marshal.loads(file.read())
            if isinstance(kept, CodeType):
                return kept
        code = compile(self._source, self._place, "exec", dont_inherit=True)
        with suppress(OSError):
            keep(self._kept, marshal.dumps(code))
        return code


def keep(path: str, data: bytes) -> None:
    """Write a file that is there as a whole or not at all."""
    part = f"{path}.{os.getpid()}"
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    os.rename(part, path)


def leave_room(folder: str) -> None:
    """Empty a folder that has become too full of what earlier versions left."""
    names = os.listdir(folder)
    for name in names if len(names) > MOST else ():
        with suppress(OSError):
            os.remove(os.path.join(folder, name))


def folder() -> str:
    """Where code is kept, which is made if need be; OSError where it cannot be this user's alone."""
    path = os.path.join(own_folder(), "code")
    made(os.path.dirname(path))
    made(path)
    return path


def begin(archive: Any) -> Finder | None:
    """Have what is imported from now on come out of this archive, and be kept."""
    if not isinstance(archive, zipimporter):
        return None
    with suppress(OSError):
        kept = folder()
        leave_room(kept)
        finder = Finder(archive, kept)
        sys.meta_path.insert(0, finder)
        return finder
    return None


begin(globals().get("__loader__"))
