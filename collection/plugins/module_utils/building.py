# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a project to an image: the user's own Dockerfile, then the layers of the callbacks.

Takes its tools as arguments and knows none of them: tests give others.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (
    callback_scripts,
    custom_build_args,
    dockerfile,
    findings,
    persistent,
    platform_images,
    provenance,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_detection import (
    Folder,
    asks_for,
    entry_paths,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_scripts import (
    ENV_SECRET,
    RUN,
    environment,
    fingerprint,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.dockerfile import Choice, Inside
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image
from ansible_collections.stackswap.bluegreen.plugins.module_utils.project import Project, Tools, Wanted, check, project
from ansible_collections.stackswap.bluegreen.plugins.module_utils.rawjson import BuildFailed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.request import outer_caches
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import Code

INLINE = "a cache of type=inline has the layers of the callbacks alone: say type=registry for those of the Dockerfile"
NOT_EXECUTABLE = 126  # a shell's exit code for a file that may not be run


@dataclass(frozen=True)
class Result:
    """What a build came to. before and after are the image by this name."""

    before: Image | None
    after: Image
    made: Any
    code: Code
    choice: Choice
    notes: tuple[str, ...]


def build(wanted: Wanted, tools: Tools) -> Result:
    """Build the image; what it had before is there until the new one is."""
    check(wanted)
    tools.buildx.able(wanted.request)
    until = tools.clock() + wanted.timeout
    with project(wanted, tools) as found:
        before = tools.images.look(wanted.tag)
        identity = provenance.build_id(wanted, tools, found)
        wanted = provenance.informed(wanted, identity)
        labels = provenance.labels(wanted, tools, found, identity)
        hide = tuple(wanted.secrets.values())
        gone = platform_images.stand_ins(found.text, wanted.request.contexts)
        contexts = {**{name: f"docker-image://{one}" for name, one in gone.items()}, **wanted.request.contexts}
        limits = {"until": until, "within": wanted.timeout, "contexts": contexts}
        final = replace(wanted.request, tags=(wanted.tag,), labels=labels, hide=hide, **limits)
        layers = Layers(_callbacks(wanted, found), _shared(wanted, found))
        made, choice, notes = _made(wanted, tools, found, final, layers)
        after = tools.images.look(wanted.tag).image
        notes += (*platform_images.notes(gone), *dockerfile.warn(after))
    was = before.image if before else None
    provenance.refuse_large(wanted, tools, was, after)
    made, more = provenance.handed_on(wanted, tools, made)
    return Result(was, after, made, found.code, choice, (*found.notes, *notes, *more))


@dataclass(frozen=True)
class Layers:
    """What the last layers are for: a callbacks folder, persistent folders."""

    callbacks: Folder | None = None
    shared: tuple[str, ...] = ()


def _callbacks(wanted: Wanted, found: Project) -> Folder | None:
    """The callbacks folder, unless the service switched it off."""
    asked = [wanted.callbacks.get(moment) for moment in ("build", "entrypoint")]
    return None if asked == [dockerfile.NONE, dockerfile.NONE] else found.callbacks


def _shared(wanted: Wanted, found: Project) -> tuple[str, ...]:
    """The persistent folders."""
    return persistent.kept(wanted.persistent, found.persistent)


def _made(
    wanted: Wanted, tools: Tools, found: Project, final: Any, layers: Layers
) -> tuple[Any, Choice, tuple[str, ...]]:
    if not layers.callbacks and not layers.shared:
        with _own(wanted, tools, found, final) as request:
            return tools.buildx.build(request, tools.tell, tools.stop), Choice(), ()
    between = f"stackswap-build:{tools.token}"
    outer = outer_caches(final)
    first = replace(final, tags=(between,), labels={}, push=False, cache_to=outer)
    final = replace(final, cache_to=tuple(place for place in final.cache_to if place not in outer))
    with _own(wanted, tools, found, first) as request:
        _first(tools, found, request)
    try:
        made, choice, notes = _last(wanted, tools, found, final, layers, between)
        return made, choice, (*notes, *([INLINE] * bool(final.cache_to)))
    finally:
        tools.images.untag(between)


@contextmanager
def _own(wanted: Wanted, tools: Tools, found: Project, request: Any) -> Iterator[Any]:
    """The user's own Dockerfile, in its folder; all secrets may be mounted there by name.

    If it mounts the platform's file of build arguments, the builder gets a text that mounts ours.
    """
    secrets = {**wanted.secrets, ENV_SECRET: environment(wanted.env, wanted.secrets)}
    args = {**_known_args(found), **request.args}
    request = replace(request, folder=found.folder, dockerfile=found.dockerfile, secrets=secrets, args=args)
    text = custom_build_args.provide(found.text)
    if text == found.text:
        yield request
        return
    name = posixpath.basename(found.dockerfile)
    ignored = tools.disk.text_of(f"{found.dockerfile}.dockerignore")
    files = {name: text, **_inputs("inputs", wanted, tools)}
    with tools.disk.staged(None, {**files, **({f"{name}.dockerignore": ignored} if ignored else {})}) as folder:
        contexts = {**request.contexts, custom_build_args.CONTEXT: posixpath.join(folder, "inputs")}
        yield replace(request, dockerfile=posixpath.join(folder, name), contexts=contexts)


def _known_args(found: Project) -> dict[str, str]:
    """Build arguments of the platform that the Dockerfile declares."""
    named = custom_build_args.CODE_ROOT
    return {named: found.code_root} if custom_build_args.declares(found.text, named) else {}


def _first(tools: Tools, found: Project, request: Any) -> None:
    """Build the user's own; a callback that it could not run is told with the failure."""
    try:
        tools.buildx.build(request, tools.tell, tools.stop)
    except BuildFailed as failed:
        wrong = findings.of_dockerfile(posixpath.basename(found.dockerfile), found.text, found.callbacks)
        if failed.facts.get("exit_code") == NOT_EXECUTABLE:
            failed.facts["hint"] = next((str(f) for f in wrong if f.level == findings.ERROR), failed.facts["hint"])
        raise


def _last(
    wanted: Wanted, tools: Tools, found: Project, final: Any, layers: Layers, between: str
) -> tuple[Any, Choice, tuple[str, ...]]:
    """Build the last layers upon the user's own image."""
    built = tools.images.look(between)
    choice, notes = decide(wanted, tools, found.text, layers, built, between)
    root = dockerfile.code_root_of(built.image, wanted.code_root)
    text = dockerfile.layers(choice, built.image, root, layers.shared, bool(layers.callbacks))
    final = replace(final, labels={**final.labels, **provenance.seen_by_build(wanted, choice.build)})
    path = found.callbacks_path if layers.callbacks else None
    with tools.disk.staged(path, _files(wanted, tools, text, choice)) as folder:
        made = tools.buildx.build(_upon(wanted, final, folder, between), tools.tell, tools.stop)
    return made, choice, notes


def decide(
    wanted: Wanted, tools: Tools, text: str, layers: Layers, built: Any, name: str
) -> tuple[Choice, tuple[str, ...]]:
    """Who runs which callback, after a look into the image; refused is what could not run."""
    folder = layers.callbacks or Folder()
    paths = [dockerfile.SHELL, *(path for script in folder.scripts for path in asks_for(script))]
    paths += entry_paths(built.image) if folder.entrypoint else []
    texts = tools.images.peek(name, paths) if folder.scripts or layers.shared else {}
    inside = Inside(texts, built.onbuild)
    choice = dockerfile.choose(folder, wanted.callbacks, text, built.image, inside)
    dockerfile.refuse(folder, choice, inside, layers.shared)
    return choice, choice.notes


def _files(wanted: Wanted, tools: Tools, text: str, choice: Choice) -> dict[str, str]:
    """The context of the last layers."""
    return {
        "Dockerfile": text,
        "build/run": RUN,
        **_inputs("build", wanted, tools),
        "persist/run": persistent.LINK,
        "entrypoint": callback_scripts.entrypoint(choice.entrypoint == dockerfile.OURS),
    }


def _inputs(folder: str, wanted: Wanted, tools: Tools) -> dict[str, str]:
    """A file that is mounted where values are: in the cache key, in no layer."""
    return {f"{folder}/inputs": fingerprint(wanted.env, wanted.secrets, tools.disk.key())}


def _upon(wanted: Wanted, final: Any, folder: str, between: str) -> Any:
    return replace(
        final,
        folder=folder,
        dockerfile=posixpath.join(folder, "Dockerfile"),
        contexts={"app": f"docker-image://{between}"},
        secrets={ENV_SECRET: environment(wanted.env, wanted.secrets)},
        args={},
        target=None,
        ssh=False,
        pull=False,
        names={
            dockerfile.RUNNER: f"{wanted.callbacks_folder}/build.sh",
            persistent.LINKER: "links of persistent folders",
        },
    )
