# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All the code that a module is made of, compiled and kept on a server: a later job need not send it again.

A module's call without its code (plugin_utils/stubbed.py) begins here. It imports what an earlier one has left
(compiled.py), or says that there is nothing.
"""

from __future__ import annotations

import json
import marshal
import os
import sys
import zlib
from collections.abc import Mapping
from contextlib import suppress
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.own_folder import made, own_folder

ROOT = "ansible"
ABSENT = "code_absent"  # in the result of a call whose code is not there
BEGINS = "whole-"


class Loader(InspectLoader):
    """Finds and loads modules. kept: by name, each one's file, whether it is a package, its code and its source."""

    def __init__(self, kept: Mapping[str, tuple[str, bool, bytes, bytes]], place: str) -> None:
        self._kept, self._place = kept, place

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """As Python asks for it."""
        if name not in self._kept:
            return None
        file, package = self._kept[name][:2]
        inside: list[str] | None = [] if package else None
        return spec_from_file_location(name, f"{self._place}/{file}", loader=self, submodule_search_locations=inside)

    def get_code(self, fullname: str) -> Any:
        """As it was compiled."""
        return marshal.loads(self._kept[fullname][2])

    def get_source(self, fullname: str) -> str:
        """For tracebacks, and for what is put on a server as it is."""
        return zlib.decompress(self._kept[fullname][3]).decode("utf-8")


def folder() -> str:
    """Where code is kept, which is made if need be; OSError where it cannot be this user's alone."""
    path = os.path.join(own_folder(), "code")
    made(os.path.dirname(path))
    made(path)
    return path


def place_of(fingerprint: str) -> str:
    """The file of the code with this fingerprint, for this Python."""
    return os.path.join(folder(), f"{BEGINS}{fingerprint}-{sys.hexversion:x}-{sys.flags.optimize}")


def begin(fingerprint: str) -> None:
    """Import from now on out of the code with this fingerprint; without it, say so and end."""
    loader = _loader(fingerprint)
    if loader is None:
        sys.stdout.write(json.dumps({"changed": False, ABSENT: True}))
        raise SystemExit(0)
    sys.meta_path.insert(0, loader)
    loader.exec_module(sys.modules[ROOT])


def _loader(fingerprint: str) -> Loader | None:
    """None where there is no such file, or none that can be read: that one goes, for it would stay so."""
    with suppress(OSError):
        path = place_of(fingerprint)
        with open(path, "rb") as file:
            kept = _read(file.read())
        if kept is None:
            os.remove(path)
            return None
        os.utime(path)
        return Loader(kept, os.path.dirname(path))
    return None


def _read(data: bytes) -> dict[str, tuple[str, bool, bytes, bytes]] | None:
    with suppress(ValueError, EOFError, TypeError):
        kept = marshal.loads(data)
        return kept if isinstance(kept, dict) and ROOT in kept else None
    return None
