# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps all the code that a module is made of on a server, compiled, with a program that starts it (code_image.py)."""

from __future__ import annotations

import inspect
import marshal
import os
import shutil
import sys
import zlib
from contextlib import suppress
from zipfile import ZipFile

from ansible_collections.stackswap.bluegreen.plugins.module_utils import code_image
from ansible_collections.stackswap.bluegreen.plugins.module_utils.compiled import folder, keep

BEGINS, MOST = "whole-", 3  # the folders with all of a module's code, of 2 MB each: how many are kept
INIT, ADDED = "/__init__.py", "sitecustomize.py"  # the latter by Ansible, on the server


def keep_whole(key: str) -> None:
    """Have all code of the module that runs by this key, and no more than a few of such folders."""
    main = vars(sys.modules["__main__"])
    archive, module = str(main.get("_modlib_path") or ""), str(main.get("_module_fqn") or "")  # where Ansible says so
    with suppress(OSError):
        whole = os.path.join(folder(), BEGINS + os.path.basename(key))
        if archive and not os.path.exists(os.path.join(whole, code_image.IMAGE)):
            os.nice(19)
            image, program = code_image.written(module, _all_of(archive)), inspect.getsource(code_image)
            os.makedirs(whole, 0o700, exist_ok=True)
            keep(os.path.join(whole, code_image.PROGRAM), program.encode())
            keep(os.path.join(whole, code_image.IMAGE), image)
            found = [entry for entry in os.scandir(os.path.dirname(whole)) if entry.name.startswith(BEGINS)]
            for entry in sorted(found, key=lambda one: one.stat().st_mtime)[:-MOST]:
                shutil.rmtree(entry.path)


def _all_of(archive: str) -> dict[str, tuple[str, bool, bytes, bytes]]:
    """By a module's name its file, whether it is a package, its code and its source."""
    kept = {}
    with ZipFile(archive) as opened:
        for place in opened.namelist():
            if place.endswith(".py") and place != ADDED:
                source, package = opened.read(place), place.endswith(INIT)
                code = marshal.dumps(compile(source, place, "exec", dont_inherit=True))
                name = place[: -len(INIT) if package else -len(".py")].replace("/", ".")
                kept[name] = (place, package, code, zlib.compress(source))
    return kept
