# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code of an application on the builder, and all that can be refused about it before it is built.

Takes its tools as arguments and knows none of them: tests give others.
"""

from __future__ import annotations

import functools
import math
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (
    custom_build_args,
    dockerfile,
    runtimes,
    source,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_detection import Folder
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_scripts import environment
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import Code, Source

NAME = re.compile(r"[a-z0-9.-]+(:[0-9]+)?(/?[a-z0-9]+([._-]+[a-z0-9]+)*)*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


TIMEOUT = 3600.0  # seconds for a build, from its code to its image


@dataclass(frozen=True)
class Wanted:
    """An image to build. request is a Request of buildx that lacks what is read in the code."""

    service: str
    version: str
    tag: str
    source: Source
    request: Any
    dockerfile: str = "Dockerfile"
    code_root: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    callbacks: Mapping[str, str] = field(default_factory=dict)
    callbacks_folder: str = ".artifakt"
    runtime: str | None = None
    persistent: tuple[str, ...] | None = None
    environment: str = ""
    criticality: str = "critical"
    builder: str = ""
    image_limit: str = "10g"
    timeout: float = TIMEOUT
    cache_limit: str | None = None


class Disk(Protocol):
    """The builder's disk."""

    def text_of(self, path: str) -> str: ...
    def is_folder(self, path: str) -> bool: ...
    def is_file(self, path: str) -> bool: ...
    def callbacks(self, path: str) -> Folder | None: ...
    def temporary(self) -> AbstractContextManager[str]: ...
    def staged(self, path: str | None, files: Mapping[str, str]) -> AbstractContextManager[str]: ...
    def key(self) -> bytes: ...


class Git(Protocol):
    """The builder's git."""

    def resolve(self, source: Source) -> str: ...
    def clone(self, source: Source, commit: str, folder: str) -> Code: ...
    def known(self, path: str, folder: str = "", limit: str | None = None) -> Code: ...
    def content(self, folder: str) -> str: ...


@dataclass(frozen=True)
class Tools:
    """All that a build works with. token makes the name of the image in between its own.

    Without a clock a build may take as long as it does.
    """

    buildx: Any
    images: Any
    disk: Disk
    git: Git
    tell: Callable[[str], None] = lambda line: None
    stop: Callable[[], bool] = lambda: False
    token: str = "between"
    clock: Callable[[], float] = lambda: math.inf


@dataclass(frozen=True)
class Project:
    """The code as it lies on the builder: what is built, by which Dockerfile and callbacks.

    code_root: the code below the folder. persistent: what its runtime keeps in /data. made: the files of a
    Dockerfile that a runtime made, where there is none of the user's.
    """

    code: Code
    folder: str
    dockerfile: str
    text: str
    callbacks: Folder | None
    callbacks_path: str
    notes: tuple[str, ...]
    code_root: str = "."
    persistent: tuple[str, ...] = ()
    made: Mapping[str, str] = field(default_factory=dict)


def check(wanted: Wanted) -> None:
    """Refuse what can be refused before the code is looked at."""
    if not NAME.fullmatch(wanted.tag):
        raise BadInput(f"{wanted.tag!r} cannot be an image's name: lower case letters, then a colon and a tag")
    environment(wanted.env, wanted.secrets)
    for name, value in wanted.request.args.items():
        if not isinstance(value, str):
            raise BadInput(f"args.{name} is not text: write it in quotes")


def logins(given: Mapping[str, Any]) -> dict[str, Mapping[str, str]]:
    """The logins to registries, or a refusal of what is none."""
    for host, one in given.items():
        words = ("username", "password")
        if not isinstance(one, Mapping) or not all(isinstance(one.get(word), str) for word in words):
            raise BadInput(f"registries.{host}: give username and password, both as text")
    return dict(given)


@contextmanager
def project(wanted: Wanted, tools: Tools) -> Iterator[Project]:
    """The code with all that can be refused about it, before anything is built."""
    if wanted.source.git:
        commit = tools.git.resolve(wanted.source)
        with tools.disk.temporary() as path:
            named = f"{source.shown(wanted.source.git)} {wanted.source.ref or ''}".rstrip()
            tools.tell(f"fetch {named} at commit {commit[:12]}")
            found = look(wanted, tools.disk, tools.git.clone(wanted.source, commit, path))
            with ExitStack() as stack:
                yield _at_hand(found, tools.disk, stack)
    else:
        path = wanted.source.path or ""
        if not tools.disk.is_folder(path):
            raise BadInput(f"source.path: there is no folder {path} on the builder")
        found = look(wanted, tools.disk, tools.git.known(path, wanted.source.folder, wanted.source.limit))
        with ExitStack() as stack:
            yield _at_hand(found, tools.disk, stack)


def look(wanted: Wanted, disk: Disk, code: Code) -> Project:
    """What lies in the code."""
    folder = posixpath.join(code.path, wanted.source.folder) if wanted.source.folder else code.path
    if not disk.is_folder(folder):
        raise BadInput(f"source.folder: there is no folder {wanted.source.folder} in the source")
    context, code_root = _context(wanted, disk, code, folder)
    path = posixpath.join(context, wanted.dockerfile)
    made = None if disk.is_file(path) else _made(wanted, disk, context)
    places = (posixpath.join(place, wanted.callbacks_folder) for place in (folder, code.path))
    callbacks_path = next((place for place in places if disk.is_folder(place)), "")
    callbacks = disk.callbacks(callbacks_path) if callbacks_path else None
    notes = source.notes(code) + (dockerfile.check(callbacks) if callbacks else ())
    if made:
        files = made.files(disk.text_of(posixpath.join(context, ".dockerignore")))
        rest = (callbacks, callbacks_path, notes + made.notes, code_root, made.template.persistent, files)
        return Project(code, context, "", made.template.text, *rest)
    if wanted.runtime:
        notes += (f"there is a {wanted.dockerfile}: the runtime {wanted.runtime} has nothing to do",)
    return Project(code, context, path, disk.text_of(path), callbacks, callbacks_path, notes, code_root)


def _made(wanted: Wanted, disk: Disk, folder: str) -> runtimes.Chosen:
    """The runtime that stands in for the missing Dockerfile; one that was named is missed."""
    if wanted.dockerfile != "Dockerfile":
        raise BadInput(f"there is no {wanted.dockerfile} in {wanted.source.folder or 'the source'}")
    at = functools.partial(posixpath.join, folder)
    return runtimes.of(
        lambda path: disk.is_file(at(path)) or disk.is_folder(at(path)),
        lambda path: disk.text_of(at(path)),
        wanted.runtime,
    )


def _at_hand(found: Project, disk: Disk, stack: ExitStack) -> Project:
    """The project with the Dockerfile that its runtime made, where it has none of its own."""
    if not found.made:
        return found
    folder = stack.enter_context(disk.staged(None, found.made))
    return replace(found, dockerfile=posixpath.join(folder, "Dockerfile"))


def _context(wanted: Wanted, disk: Disk, code: Code, folder: str) -> tuple[str, str]:
    """The folder; or all of the code, if the only Dockerfile is at its top and asks which folder to take."""
    top = posixpath.join(code.path, wanted.dockerfile)
    if folder == code.path or disk.is_file(posixpath.join(folder, wanted.dockerfile)) or not disk.is_file(top):
        return folder, "."
    asks = custom_build_args.declares(disk.text_of(top), custom_build_args.CODE_ROOT)
    return (code.path, wanted.source.folder) if asks else (folder, ".")
