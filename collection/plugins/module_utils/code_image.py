# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a module from all its code, which an earlier job has left on this server, compiled: none of it is sent.

This file lies as it is in the folder of that code (code_keep.py), and needs nothing but Python. What Ansible would have
written into the module's program comes by standard input. The exit code is 5 where the code cannot be used here.
"""

from __future__ import annotations

import importlib
import json
import marshal
import os
import runpy
import sys
import zlib
from collections.abc import Mapping
from contextlib import suppress
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from typing import Any

NONE = 5
IMAGE, PROGRAM = "image", "start"  # the files of the folder
PYTHON = f"{sys.hexversion:x} {sys.flags.optimize}"  # code is of no use to another
BASIC = "ansible.module_utils.basic"

Kept = Mapping[str, tuple[str, bool, bytes, bytes]]


class Loader(InspectLoader):
    """Finds and loads modules. kept: by name, each one's file, whether it is a package, its code and its source."""

    def __init__(self, kept: Kept, folder: str) -> None:
        self._kept, self._folder = kept, folder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """As Python asks for it."""
        if name not in self._kept:
            return None
        file, package = self._kept[name][:2]
        inside: list[str] | None = [] if package else None
        return spec_from_file_location(name, f"{self._folder}/{file}", loader=self, submodule_search_locations=inside)

    def get_code(self, fullname: str) -> Any:
        """As it was compiled."""
        return marshal.loads(self._kept[fullname][2])

    def get_source(self, fullname: str) -> str:
        """For tracebacks, and for what is put on a server as it is."""
        return zlib.decompress(self._kept[fullname][3]).decode("utf-8")


def written(module: str, kept: Kept) -> bytes:
    """The image of a module's code: the module, and all that it is made of."""
    return marshal.dumps((PYTHON, module, dict(kept)))


def read(data: bytes) -> tuple[str, Kept] | None:
    """The module and its code; None where this Python cannot use it."""
    with suppress(ValueError, EOFError, TypeError):
        python, module, kept = marshal.loads(data)
        return (module, kept) if python == PYTHON and module in kept else None
    return None


def main(folder: str) -> None:
    """Run the module with what it is told, as Ansible itself would."""
    path = os.path.join(folder, IMAGE)
    try:
        with open(path, "rb") as file:
            found = read(file.read())
    except FileNotFoundError:
        raise SystemExit(NONE) from None
    if found is None:
        os.remove(path)
        raise SystemExit(NONE)
    os.utime(folder)
    module, kept = found
    sys.path = [place for place in sys.path if place != folder]
    sys.meta_path.insert(0, Loader(kept, folder))
    basic: Any = importlib.import_module(BASIC)
    basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = sys.stdin.buffer.read(), "legacy"
    runpy.run_module(module, {"_module_fqn": module, "_modlib_path": ""}, "__main__", alter_sys=True)


if __name__ == "__main__":
    try:
        main(os.path.dirname(os.path.abspath(__file__)))
    except Exception as error:
        sys.stdout.write(json.dumps({"failed": True, "changed": False, "msg": f"{type(error).__name__}: {error}"}))
        raise SystemExit(0) from error
