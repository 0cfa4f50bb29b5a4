# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image is told to be made of, and whether it may stay: its build id, its labels, its size.

Takes its tools as arguments and knows none of them: tests give others.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import baked, persistent, source
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image
from ansible_collections.stackswap.bluegreen.plugins.module_utils.payload import size
from ansible_collections.stackswap.bluegreen.plugins.module_utils.project import Project, Tools, Wanted
from ansible_collections.stackswap.bluegreen.plugins.module_utils.rawjson import BuildFailed

SCRIPTS = "stackswap.scripts"  # not stackswap.callbacks: by that, a base image says that it runs them itself


def build_id(wanted: Wanted, tools: Tools, found: Project) -> str:
    """The id of this build: another one only where something that goes into it is other."""
    of = {
        "service": wanted.service,
        "environment": wanted.environment,
        "criticality": wanted.criticality,
        "tree": found.code.tree,
        "context": _context(wanted, tools, found),
        "callbacks": _callbacks(tools, found),
        "asked": dict(wanted.callbacks),
        "dockerfile": [wanted.dockerfile, found.text],
        "code_root": wanted.code_root,
        "persistent": persistent.kept(wanted.persistent, found.persistent),
        "args": dict(wanted.request.args),
        "base_images": dict(wanted.request.contexts),
        "target": wanted.request.target,
        "platforms": wanted.request.platforms,
    }
    return baked.build_id(of, wanted.env, wanted.secrets, tools.disk.key() if wanted.secrets else b"")


def _context(wanted: Wanted, tools: Tools, found: Project) -> str:
    """The content of what is given to the builder, where that is more than the code's own part."""
    own = posixpath.join(found.code.path, wanted.source.folder) if wanted.source.folder else found.code.path
    return "" if found.folder == own else tools.git.content(found.folder)


def _callbacks(tools: Tools, found: Project) -> str:
    """The content of a callbacks folder that is not in the code's own part."""
    inside = posixpath.join(found.folder, "")
    apart = found.callbacks_path and not found.callbacks_path.startswith(inside)
    return tools.git.content(found.callbacks_path) if apart else ""


def informed(wanted: Wanted, build: str) -> Wanted:
    """The same with what the platform tells every build; what the service says itself stands."""
    told = _platform(wanted, build)
    free = {name: value for name, value in told.items() if name not in wanted.secrets}
    request = replace(wanted.request, args={**told, **wanted.request.args})
    return replace(wanted, env={**free, **wanted.env}, request=request)


def _platform(wanted: Wanted, build: str) -> dict[str, str]:
    named = {"ARTIFAKT_ENVIRONMENT_NAME": wanted.environment, "ARTIFAKT_ENVIRONMENT_CRITICALITY": wanted.criticality}
    return {"ARTIFAKT_BUILD_ID": build, **(named if wanted.environment else {})}


def labels(wanted: Wanted, tools: Tools, found: Project, build: str) -> dict[str, str]:
    """The labels of the image, but for what only shows when its callbacks were looked at."""
    ours = source.labels(found.code, wanted.service, wanted.version, wanted.builder, build)
    return {**ours, **_scripts(tools, found), **wanted.request.labels}


def _scripts(tools: Tools, found: Project) -> dict[str, str]:
    """Which callbacks there are, so that a deploy need not look into the image."""
    path = found.callbacks_path
    there = [name for name in source.SCRIPTS if path and tools.disk.is_file(posixpath.join(path, f"{name}.sh"))]
    return {SCRIPTS: " ".join(there)} if there else {}


def seen_by_build(wanted: Wanted, who: str) -> dict[str, str]:
    """The label of what build.sh saw of the service's own, where it is run: by us or by the user's Dockerfile."""
    env = {name: value for name, value in wanted.env.items() if name not in _platform(wanted, "")}
    return {baked.LABEL: baked.baked(env, wanted.secrets)} if who in ("ours", "theirs") else {}


def refuse_large(wanted: Wanted, tools: Tools, before: Image | None, after: Image) -> None:
    """Refuse an image over the limit; its name then stands for what it stood for before."""
    if after.size <= size(wanted.image_limit):
        return
    if before is None:
        tools.images.untag(wanted.tag)
    elif before.id != after.id:
        tools.images.name(before.id, wanted.tag)
        tools.images.untag(after.id)
    stands = f"{wanted.tag} is what it was" if before else f"there is no {wanted.tag}"
    failed = BuildFailed(
        f"the image is {source.in_words(after.size)}, and build.image_limit is {wanted.image_limit}: {stands}",
        hint="name what need not be in it in .dockerignore, build in stages, or raise build.image_limit",
    )
    failed.cause = "image_too_large"
    raise failed


def handed_on(wanted: Wanted, tools: Tools, made: Any) -> tuple[Any, tuple[str, ...]]:
    """The image in its registry, and the builder's cache within its bounds: what was made, what people are told."""
    if wanted.request.push:
        tools.tell(f"push {wanted.tag}")
        made = replace(made, digest=tools.buildx.push(wanted.tag))
    if not wanted.cache_limit:
        return made, ()
    done, said = tools.buildx.prune(size(wanted.cache_limit))
    return made, _pruned(done, said, wanted.cache_limit)


def _pruned(done: bool, said: str, limit: str) -> tuple[str, ...]:
    """What is told of it: nothing where nothing was removed."""
    if not done:
        return (f"the build cache could not be brought down to {limit}: {said}",)
    return () if re.fullmatch(r"(Total:\s*0B)?", said) else (f"the build cache was brought down to {limit}: {said}",)
