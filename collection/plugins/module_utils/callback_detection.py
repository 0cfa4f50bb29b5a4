# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether somebody else runs a callback already, and what a script's first line asks for."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image

LABEL = "stackswap.callbacks"  # a base image says so: "entrypoint", "build", "build entrypoint"
PATHS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
MOMENTS = ("build", "entrypoint", "release", "verify", "after")
SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh")
HERE = re.compile(r"(?<![^\s\d])<<-?[\"']?([A-Za-z_]\w*)")  # not <<< and not a shift of bits

SET_E = re.compile(r"\s*set\s+(-\w+\s+|-o\s+\w+\s+)*(-\w*e\w*|-o\s+errexit)\b")


@dataclass(frozen=True)
class Script:
    """A callback as it lies in the folder. text is its beginning."""

    name: str
    text: str = ""
    executable: bool = True

    @property
    def shebang(self) -> str:
        """What its first line asks for, '' without one."""
        first = self.text.split("\n", 1)[0].rstrip()
        return first[2:].strip() if first.startswith("#!") else ""

    @property
    def crlf(self) -> bool:
        """Whether its first line ends as on Windows."""
        return self.text.split("\n", 1)[0].endswith("\r")

    @property
    def of_shell(self) -> bool:
        """Whether a shell runs it."""
        words = self.shebang.split() or [SHELLS[0]]
        named = words[1:] if posixpath.basename(words[0]) == "env" else words[:1]
        return any(posixpath.basename(word) in SHELLS for word in named)

    @property
    def stops(self) -> bool:
        """Whether it ends where a command of it fails."""
        flags = " ".join(word for word in self.shebang.split()[1:] if word.startswith("-"))
        lines = [flags and f"set {flags}", *self.text.splitlines()]
        return any(SET_E.match(line) for line in lines)


@dataclass(frozen=True)
class Folder:
    """The callbacks folder of an application: its name, and its scripts."""

    name: str = ".artifakt"
    build: Script | None = None
    entrypoint: Script | None = None
    release: Script | None = None
    verify: Script | None = None
    after: Script | None = None

    @property
    def scripts(self) -> tuple[Script, ...]:
        """Those that are there."""
        found = (getattr(self, moment) for moment in MOMENTS)
        return tuple(script for script in found if script)


def asks_for(script: Script) -> tuple[str, ...]:
    """Where the program of its first line may be in an image: one of these must be there."""
    words = script.shebang.split()
    if not words:
        return ("/bin/sh",)
    if posixpath.basename(words[0]) == "env" and len(words) > 1:
        named = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        return tuple(f"{path}/{named[0]}" for path in PATHS) if named else ()
    return (words[0],)


def built_by(dockerfile: str, image: Image) -> str:
    """Who runs build.sh already, in words for people; '' for nobody."""
    if "build" in _declared(image):
        return "the base image, which says so by its label"
    copied = False
    for verb, text in instructions(dockerfile):
        if verb in ("COPY", "ADD"):
            copied = copied or ".artifakt" in text
        elif verb == "RUN" and _runs(text, copied):
            return "the Dockerfile"
    return ""


def _runs(text: str, copied: bool) -> bool:
    inside = re.search(r"\.artifakt/+build\.sh", text)
    elsewhere = copied and re.search(r"(^|[\s/\"';&|])build\.sh\b", text)
    return bool(inside or elsewhere) and not re.match(r"\s*(chmod|ls|cat)\s[^;&|\n]*$", text)


def instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """The instructions of a Dockerfile: comments out, continued lines and here documents joined."""
    lines = iter([line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")])
    for line in lines:
        text = line
        while text.endswith("\\"):
            text = text[:-1] + " " + next(lines, "")
        for end in HERE.findall(text):
            for more in lines:
                if more.strip() == end:
                    break
                text += "\n" + more
        words = text.split(None, 1)
        if words:
            yield words[0].upper(), "".join(words[1:])


def started_by(image: Image, files: Mapping[str, str]) -> str:
    """Who runs entrypoint.sh already at each start, in words for people; '' for nobody."""
    if "entrypoint" in _declared(image):
        return "the base image, which says so by its label"
    if any(_names_it(word) for word in (*image.entrypoint, *image.command)):
        return "the image's own ENTRYPOINT or CMD"
    found = [path for path in entry_paths(image) if _names_it(files.get(path, ""))]
    return f"the image's own {found[0]}" if found else ""


def entry_paths(image: Image) -> tuple[str, ...]:
    """The files in an image that may be the scripts which start it."""
    words = [*image.entrypoint, *image.command][:8]
    named = [word for word in words if re.fullmatch(r"[\w./-]*[\w.]", word) and not _shell(word)]
    return tuple(dict.fromkeys(path for word in named for path in _places(word, image)))


def _places(word: str, image: Image) -> list[str]:
    if word.startswith("/"):
        return [] if word.startswith("/.stackswap/") else [word]
    if "/" in word or word.endswith(".sh"):
        here = posixpath.normpath(posixpath.join(image.working_dir or "/", word))
        return [here] if "/" in word else [here, *(f"{path}/{word}" for path in PATHS)]
    return [f"{path}/{word}" for path in PATHS] if "entry" in word else []


def in_shell_form(words: tuple[str, ...]) -> bool:
    """Whether an ENTRYPOINT or CMD was written as one line of shell."""
    return len(words) > 2 and _shell(words[0]) and words[1].startswith("-") and "c" in words[1]


def _shell(word: str) -> bool:
    return posixpath.basename(word) in SHELLS


def _names_it(text: str) -> bool:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return any(".artifakt/entrypoint.sh" in line for line in lines)


def _declared(image: Image) -> list[str]:
    return dict(image.labels).get(LABEL, "").split()
