# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's call without its code, for a server that has kept it (module_utils/code_image.py).

Ansible sends a module as a program with a zip file of all its code in it, half a megabyte. Everything of it stays
but that: in its place is one with the few files that find the code on the server.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from ansible_collections.stackswap.bluegreen.plugins.module_utils.fingerprint import fingerprint

ARCHIVE = re.compile(rb"'(UEsDB[A-Za-z0-9+/=]+)'")  # how zip files begin, in base64
PACKAGE = "ansible_collections/stackswap/bluegreen/plugins/module_utils"
NAMES = ("code_image", "own_folder")  # what such a call needs to begin
BEGIN = f"from {PACKAGE.replace('/', '.')} import code_image\ncode_image.begin({{fingerprint!r}})\n"
ABSENT = "code_absent"  # in the result of a call whose code is not there


def executed(action: Any, args: Mapping[str, Any], variables: Any) -> dict[str, Any] | None:
    """The result of the action's module with these options, without its code being sent; None where it is not there."""
    configure = action._configure_module
    action._configure_module = lambda **asked: _without(configure(**asked))
    name = action._task.action
    try:
        told = dict(action._execute_module(module_name=name, module_args=dict(args), task_vars=variables))
    finally:
        del action._configure_module
    return None if told.get(ABSENT) else told


def _without(made: tuple[Any, ...]) -> tuple[Any, ...]:
    """What Ansible has made of a module, without its code."""
    if len(made) == 4:  # before ansible-core 2.19
        style, shebang, program, path = made
        return style, shebang, stubbed(program), path
    built, path = made
    return replace(built, b_module_data=stubbed(built.b_module_data)), path


def stubbed(program: bytes) -> bytes:
    """The program of a module without its code; as it is, where that is not in it as it is known to be."""
    found = ARCHIVE.findall(program)
    if len(found) != 1:
        return program
    packed = base64.b64decode(found[0])
    return program.replace(found[0], base64.b64encode(_stub(packed)))


def _stub(packed: bytes) -> bytes:
    """The zip file that finds the code of another."""
    small = io.BytesIO()
    with ZipFile(io.BytesIO(packed)) as all_of_it, ZipFile(small, "w", ZIP_DEFLATED) as archive:
        archive.writestr("ansible/__init__.py", BEGIN.format(fingerprint=fingerprint(packed)))
        for place in _places():
            archive.writestr(place, all_of_it.read(place))
    return small.getvalue()


def _places() -> list[str]:
    """The files that it takes from the other: the packages, and in them what begins."""
    folders = PACKAGE.split("/")
    packages = ["/".join(folders[:depth]) for depth in range(1, len(folders) + 1)]
    return [*(f"{package}/__init__.py" for package in packages), *(f"{PACKAGE}/{name}.py" for name in NAMES)]
