# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all runtimes share: the code as they see it, what they make of it, and pieces of a Dockerfile."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput

PORT = 8080
CODE_ROOT = "/var/www/html"
USER = "www-data"
SHELL_MARKS = re.compile(r"[$&|;<>()`*?~#\n]|^\s*\w+=")


@dataclass(frozen=True)
class Tree:
    """The code: whether a file or folder is there, and a file's text, '' if there is none."""

    has: Callable[[str], bool]
    text: Callable[[str], str]

    def first(self, paths: Iterable[str]) -> str:
        """The first of the paths that is there, else ''."""
        return next((path for path in paths if self.has(path)), "")

    def json(self, path: str) -> dict[str, Any]:
        """A file of JSON, {} if there is none."""
        if not self.has(path):
            return {}
        try:
            read = json.loads(self.text(path))
        except ValueError as error:
            raise BadInput(f"{path} cannot be read as JSON: {error}") from None
        return read if isinstance(read, dict) else {}


@dataclass(frozen=True)
class Framework:
    """What is known of a framework.

    packages and files are its marks: one of the packages is required, or all of the files are there.
    root is the folder that is served; persistent folders are kept from release to release, writable
    ones are made for the application in the image. extensions: of PHP, which it does not run without.
    """

    name: str
    packages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    root: str = ""
    persistent: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """A Dockerfile made for code that has none, what stays out of its context, and what people are told."""

    text: str
    ignore: tuple[str, ...] = ()
    framework: Framework | None = None
    starts: str = ""
    notes: tuple[str, ...] = ()

    @property
    def persistent(self) -> tuple[str, ...]:
        """The folders that are kept from release to release."""
        return self.framework.persistent if self.framework else ()


def known(frameworks: Iterable[Framework], tree: Tree, packages: Iterable[str]) -> Framework | None:
    """The first framework whose marks are in the code."""
    required = set(packages)
    for one in frameworks:
        if required.intersection(one.packages) or (one.files and all(map(tree.has, one.files))):
            return one
    return None


def version_of(text: str, pattern: str, default: str) -> str:
    """The version that a text asks for, by a pattern with one group."""
    found = re.search(pattern, text)
    return found.group(1) if found else default


def procfile(tree: Tree) -> str:
    """The line that a Procfile has for web."""
    found = re.search(r"^web:[ \t]*(\S.*)$", tree.text("Procfile"), re.MULTILINE)
    return found.group(1).strip() if found else ""


def words_of(line: str) -> tuple[str, ...]:
    """A command line as the words of process 1: through a shell that gives way to it only where one is needed."""
    if not SHELL_MARKS.search(line):
        return tuple(shlex.split(line))
    first, also, last = line.rpartition("&&")
    run = "exec env" if re.match(r"\s*\w+=", last) else "exec"
    return ("/bin/sh", "-c", f"{first}{also} {run} {last.strip()}".strip())


def written(path: str, text: str) -> str:
    """A shell command that writes a file, for a RUN line that any version of BuildKit reads."""
    lines = " \\\n    ".join(shlex.quote(line) for line in text.strip().splitlines())
    return f"printf '%s\\n' {lines} > {path}"


def run(*commands: str, mounts: Iterable[str] = ()) -> str:
    """A RUN line of shell commands, each of which has to succeed."""
    flags = "".join(f"--mount={mount} " for mount in mounts)
    return f"RUN {flags}" + " \\\n && ".join(commands)


def cache(target: str) -> str:
    """A mount that outlives the build, for what was downloaded."""
    return f"type=cache,target={target}"


def secret(*names: str) -> tuple[list[str], list[str]]:
    """Mounts and commands that give one step those of the service's secrets which it has; none is in the image."""
    mounts = [f"type=secret,id={name}" for name in names]
    place = "/run/secrets/{0}"
    load = f'if [ -f {place} ]; then export {{0}}="$(cat {place})"; fi'
    return mounts, [load.format(name) for name in names]


def apt(packages: Iterable[str], unless: str = "false") -> str:
    """A shell command that installs Debian packages, unless another command finds them needless."""
    names = " ".join(packages)
    install = f"apt-get install -y --no-install-recommends {names} && rm -rf /var/lib/apt/lists/*"
    return f"{{ {unless} || {{ apt-get update && {install}; }}; }}"


def copy(paths: Iterable[str]) -> list[str]:
    """Lines that copy files to the same places below the code root, a line for each folder."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        folders.setdefault(path.rpartition("/")[0], []).append(path)
    return ["COPY " + json.dumps([*names, f"./{folder}/" if folder else "./"]) for folder, names in folders.items()]


def code() -> str:
    """The line that copies the code, which belongs to the application's user as on the platform."""
    return f"COPY --chown={USER}:{USER} . ."


def environment(values: Mapping[str, str]) -> str:
    """An ENV line."""
    return "ENV " + " ".join(f"{name}={json.dumps(value)}" for name, value in values.items())


def health(*words: str) -> str:
    """A health check of the image: any answer but the server's own error will do."""
    return "HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=6 CMD " + json.dumps(words)


def dockerfile(*lines: str) -> str:
    """The text of a Dockerfile; empty lines are left out."""
    return "\n".join(line for line in lines if line) + "\n"
