# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with callbacks, found in their text: told at each build, and by callbacks_lint.

An error keeps a callback from running; a warning is what it may come to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_detection import (
    Folder,
    Script,
    built_by,
    instructions,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image

ERROR, WARNING = "error", "warning"
SHELL_FORM = "signals may reach a shell, not the application; write it as a list"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a file."""

    level: str
    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file} {self.what}"


def of_folder(folder: Folder) -> tuple[Finding, ...]:
    """What is wrong with the scripts of a callbacks folder."""
    return tuple(found for script in folder.scripts for found in _of_script(f"{folder.name}/{script.name}", script))


def _of_script(file: str, script: Script) -> Iterator[Finding]:
    if script.crlf:
        yield Finding(
            ERROR,
            file,
            "has Windows line ends (CRLF), so its first line names no program: save it with Unix line ends",
        )
    elif "\r\n" in script.text:
        yield Finding(WARNING, file, "has Windows line ends (CRLF) in some lines: save it with Unix line ends")
    if not script.executable:
        yield Finding(WARNING, file, "is not executable: it is made so in the image")
    if not script.shebang:
        yield Finding(WARNING, file, "has no #! line: /bin/sh runs it")
    if script.of_shell and not script.stops:
        yield Finding(WARNING, file, "does not say `set -e`: it goes on after a command that failed")


def of_dockerfile(name: str, text: str, folder: Folder | None = None) -> tuple[Finding, ...]:
    """What is wrong with a Dockerfile for callbacks: its last ENTRYPOINT and CMD, and how it runs build.sh."""
    found = [Finding(WARNING, name, f"has {verb} in shell form: {SHELL_FORM}") for verb in _in_shell_form(text)]
    build = folder.build if folder else None
    if folder and build and not build.executable and built_by(text, Image("")):
        what = f"runs {folder.name}/build.sh, which is not executable: chmod +x it"
        found.append(Finding(ERROR, name, what))
    return tuple(found)


def _in_shell_form(text: str) -> list[str]:
    """Which of ENTRYPOINT and CMD, as the last stage has them last, are lines of shell."""
    last: dict[str, str] = {}
    for verb, rest in instructions(text):
        if verb == "FROM":
            last = {}
        elif verb in ("ENTRYPOINT", "CMD"):
            last[verb] = rest.strip()
    if last.get("ENTRYPOINT"):
        last.pop("CMD", None)
    return [verb for verb in sorted(last) if last[verb] and not last[verb].startswith("[")]
