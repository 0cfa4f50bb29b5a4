# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated last layers of an image: the callbacks folder, build.sh run, the start wrapped.

The user's own Dockerfile is built first and stays as it is; these layers come FROM its image.
Decided here: which callbacks are ours to run, what is refused, what people are told, the text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.stackswap.bluegreen.plugins.module_utils import findings, persistent
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_detection import (
    Folder,
    Script,
    asks_for,
    built_by,
    in_shell_form,
    started_by,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_scripts import ENV_SECRET
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image

WRAPPER = "/.stackswap/entrypoint"
RUNNER = "/.stackswap/build/run"
SHELL = "/bin/sh"
AUTO, OURS, THEIRS, NONE = "auto", "ours", "theirs", "none"
ROOT_USERS = ("", "0", "root", "0:0", "root:root", "0:root", "root:0")


@dataclass(frozen=True)
class Choice:
    """Who runs which callback: ours, theirs (own Dockerfile, own entrypoint) or none."""

    build: str = NONE
    entrypoint: str = NONE
    notes: tuple[str, ...] = ()

    @property
    def ours(self) -> tuple[str, ...]:
        """The moments that are ours."""
        return tuple(m for m in ("build", "entrypoint") if getattr(self, m) == OURS)


@dataclass(frozen=True)
class Inside:
    """What was read in the user's image: paths that exist with their text, and ONBUILD lines."""

    files: Mapping[str, str] = field(default_factory=dict)
    onbuild: tuple[str, ...] = ()


def check(folder: Folder) -> tuple[str, ...]:
    """What to tell about the scripts themselves; one that could not run is refused."""
    found = findings.of_folder(folder)
    for finding in found:
        if finding.level == findings.ERROR:
            raise BadInput(str(finding))
    return tuple(str(finding) for finding in found)


def choose(folder: Folder, asked: Mapping[str, str], dockerfile: str, image: Image, inside: Inside) -> Choice:
    """Who runs which callback; under `auto` a callback that is run already is not run again."""
    notes: list[str] = []
    build = asked.get("build") or AUTO
    if folder.build is None:
        build = NONE
    elif build == AUTO:
        found = built_by(dockerfile, image)
        notes += [f"{folder.name}/build.sh is run by {found}: not run again"] if found else []
        build = THEIRS if found else OURS
    entrypoint = asked.get("entrypoint") or AUTO
    if folder.entrypoint is None:
        entrypoint = NONE
    elif entrypoint == AUTO:
        found = started_by(image, inside.files)
        notes += [f"{folder.name}/entrypoint.sh is run by {found}: not run again"] if found else []
        entrypoint = THEIRS if found else OURS
    return Choice(build, entrypoint, tuple(notes))


def refuse(folder: Folder, choice: Choice, inside: Inside, shared: tuple[str, ...] = ()) -> None:
    """Refuse an image in which a callback of ours, or the links of shared folders, could not be."""
    if SHELL not in inside.files:
        _refuse_without_shell(folder, choice, shared)
    if (choice.ours or shared) and inside.onbuild:
        raise BadInput(
            "the Dockerfile has ONBUILD lines, which would run in the layers for the callbacks: "
            "take them out, or say callbacks: {build: none, entrypoint: none}"
        )
    if choice.build == OURS and folder.build:
        _refuse_interpreter(folder, folder.build, inside)
    elif choice.entrypoint == OURS and folder.entrypoint:
        _refuse_interpreter(folder, folder.entrypoint, inside)


def _refuse_without_shell(folder: Folder, choice: Choice, shared: tuple[str, ...]) -> None:
    if choice.ours:
        names = " and ".join(f"{folder.name}/{moment}.sh" for moment in choice.ours)
        raise BadInput(
            f"the image has no {SHELL}, which {names} need: use a base image with a shell, "
            f"remove {names}, or say callbacks: {{build: none, entrypoint: none}}"
        )
    if shared:
        raise BadInput(
            f"the image has no {SHELL}, which the persistent folders need: "
            "use a base image with a shell, or say persistent: []"
        )


def _refuse_interpreter(folder: Folder, script: Script, inside: Inside) -> None:
    paths = asks_for(script)
    if paths and not any(path in inside.files for path in paths):
        raise BadInput(
            f"{folder.name}/{script.name} asks for {script.shebang}, which the image does not "
            f"have: install it in the Dockerfile, or begin the script with #!{SHELL}"
        )


def warn(image: Image) -> tuple[str, ...]:
    """What to tell about how an image starts, whether its start is wrapped or not."""
    started = own_entrypoint(image)
    if not started and not image.command:
        return ("the image has neither ENTRYPOINT nor CMD: the service must give a command",)
    if in_shell_form(started):
        return ("ENTRYPOINT is in shell form: signals reach a shell, not the application",)
    if not started and in_shell_form(image.command):
        return ("CMD is in shell form: signals may reach a shell, not the application",)
    return ()


def own_entrypoint(image: Image) -> tuple[str, ...]:
    """The image's entrypoint without a wrapper of ours that its base brought along."""
    return image.entrypoint[1:] if image.entrypoint[:1] == (WRAPPER,) else image.entrypoint


def code_root_of(image: Image, asked: str | None) -> str:
    """Where build.sh runs: as asked, else the image's working directory."""
    root = asked or image.working_dir or "/"
    if not root.startswith("/") or any(mark in root for mark in "\n\r\0<"):
        raise BadInput(f"code_root: {root!r} is not an absolute path in the image")
    return root


def layers(choice: Choice, image: Image, code_root: str, shared: tuple[str, ...] = (), copied: bool = True) -> str:
    """The Dockerfile of the last layers, for a context of artifakt/, build/, persist/ and entrypoint.

    shared: the persistent folders. copied: whether there is a callbacks folder to copy.
    """
    lines = ["FROM app"] + ["COPY artifakt/ /.artifakt/"] * copied
    steps = [_build(code_root)] * (choice.build == OURS)
    steps += [persistent.link(code_root, shared)] if shared else []
    lines += _as_root(steps, image.user)
    if choice.entrypoint == OURS or shared:
        lines.append(f"COPY entrypoint {WRAPPER}")
        lines.append(f"ENTRYPOINT {json.dumps([WRAPPER, *own_entrypoint(image)])}")
        lines.append(f"CMD {json.dumps(list(image.command))}")
    return "\n".join(lines) + "\n"


def _build(code_root: str) -> str:
    """In exec form, so that a SHELL line of the user's Dockerfile does not matter."""
    mounts = (
        f"--mount=type=bind,source=build,target={RUNNER.rsplit('/', 1)[0]}",
        f"--mount=type=secret,id={ENV_SECRET},required=true",
    )
    return f"RUN {' '.join(mounts)} {json.dumps([SHELL, RUNNER, code_root])}"


def _as_root(lines: list[str], user: str) -> list[str]:
    return lines if not lines or user in ROOT_USERS else ["USER 0:0", *lines, f"USER {user}"]
