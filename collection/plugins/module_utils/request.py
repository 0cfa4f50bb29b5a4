# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One build as it is asked of `docker buildx`: its words, its secrets, and what not every builder can do."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput

LARGEST_VARIABLE = 120_000  # one variable of a process may not be longer than 128 KiB
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Request:
    """One build. Paths are the builder's; contexts map names in FROM to other images or folders.

    push: whether its image goes to a registry afterwards, when its size is known.
    hide: values that are masked wherever the build says them. names: what a step is called, by a
    part of its text. until: when it must have ended, by the clock that only goes on; within: in
    how many seconds, as people wrote it.
    """

    folder: str
    dockerfile: str
    tags: tuple[str, ...]
    args: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    hide: tuple[str, ...] = field(default=(), repr=False)
    target: str | None = None
    platforms: tuple[str, ...] = ()
    ssh: bool = False
    pull: bool = False
    push: bool = False
    no_cache: bool = False
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    until: float = math.inf
    within: float = math.inf


@dataclass(frozen=True)
class Made:
    """What came of a build: the engine's id, digests of config and of what was pushed, steps."""

    id: str
    config: str = ""
    digest: str = ""
    cached: int = 0
    ran: int = 0


def arguments(request: Request, metadata: str, iidfile: str, files: Mapping[str, str] = NONE) -> list[str]:
    """The words after `docker buildx build`; no value of a secret is among them. files: where large secrets lie."""
    words = ["--progress=rawjson", "--provenance=false", "--sbom=false"]
    words += [f"--metadata-file={metadata}", f"--iidfile={iidfile}", f"--file={request.dockerfile}"]
    words += [f"--tag={tag}" for tag in request.tags]
    words += [f"--build-arg={name}={value}" for name, value in sorted(request.args.items())]
    words += [f"--build-context={name}={value}" for name, value in sorted(request.contexts.items())]
    words += [f"--label={name}={value}" for name, value in sorted(request.labels.items())]
    words += [f"--secret=id={name},{_carried(n, files.get(name))}" for n, name in enumerate(sorted(request.secrets))]
    words += [f"--cache-from={value}" for value in request.cache_from]
    words += [f"--cache-to={value}" for value in request.cache_to]
    words += [f"--target={request.target}"] * bool(request.target)
    words += [f"--platform={','.join(request.platforms)}"] * bool(request.platforms)
    words += ["--ssh=default"] * request.ssh + ["--pull"] * request.pull + ["--no-cache"] * request.no_cache
    return [*words, "--load", request.folder]


def variables(request: Request) -> dict[str, str]:
    """The environment that carries the secrets, under names that mean nothing to anybody else."""
    names = list(enumerate(sorted(request.secrets)))
    return {_variable(n): request.secrets[name] for n, name in names if not too_large(request.secrets[name])}


def too_large(value: str) -> bool:
    """Whether no variable can carry it."""
    return len(value.encode()) > LARGEST_VARIABLE


def _carried(number: int, path: str | None) -> str:
    return f"src={path}" if path else f"env={_variable(number)}"


def _variable(number: int) -> str:
    return f"STACKSWAP_BUILD_SECRET_{number}"


def outer_caches(request: Request) -> tuple[str, ...]:
    """The places outside the image that the cache is to be written to."""
    return tuple(place for place in request.cache_to if _kind(place) != "inline")


def _kind(place: str) -> str:
    found = re.search(r"(?:^|,)type=([a-z0-9]+)", place)
    return found[1] if found else "registry"


def refuse_unable(request: Request, platforms: tuple[str, ...], containerd: bool) -> None:
    """Refuse a build for which the builder lacks a processor, an emulator or an image store."""
    caches = outer_caches(request)
    if caches and not containerd:
        raise BadInput(
            f"build.cache_to: this builder cannot write its cache to {caches[0]}: its engine has no containerd image "
            "store. Say type=inline, which travels in the image, or turn that store on (containerd-snapshotter)"
        )
    for wanted in request.platforms:
        if platforms and not any(one == wanted or one.startswith(f"{wanted}/") for one in platforms):
            raise BadInput(
                f"build.platforms: the builder can build for {', '.join(platforms)} alone: for {wanted} it is not the "
                "machine and has no emulator. Put one that is in group stackswap_builder, or install qemu-user-static"
            )
    if len(request.platforms) > 1 and not (request.push and containerd):
        lacks = "its engine has no containerd image store" if request.push else "the service names no image in one"
        raise BadInput(f"build.platforms: an image for several platforms exists in a registry alone, and {lacks}")


def bounded(keep: int, known: str) -> tuple[str, ...]:
    """The words after `docker buildx prune`; the option's name has changed since 0.13."""
    option = "--max-used-space" if "--max-used-space" in known else "--keep-storage"
    return ("--force", f"{option}={keep}")


def listed(told: str, name: str) -> tuple[str, ...]:
    """The words that a builder tells after this name."""
    found = re.search(rf"^{name}:\s*(.+)$", told, re.MULTILINE)
    return tuple(word.strip().rstrip("*") for word in found[1].split(",")) if found else ()
