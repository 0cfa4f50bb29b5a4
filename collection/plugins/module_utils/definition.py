# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service as its inventory defines it: the options, put together and held against each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (
    overlap,
    processes,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils import (
    source as sources,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.forms import (
    target_of,
    twice,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.kinds import Wrong
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    WEB,
    Bake,
    Container,
    Door,
    Health,
    Process,
    Route,
    Service,
    Share,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.options import (
    PROCESS,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import Source

CRITICAL = "critical"
SHARED = "/mnt/shared:/data"
FILES = "/run/secrets"  # where secret_files are in the container
OF_SERVICE = ("settle", "confirmations", "probe", "canary_by", "keep", "drill")
OF_DEFINITION = ("attach", "persistent", "callbacks", "migrations", "maintenance")
OF_CONTAINER = ("env", "secrets", "secret_files", "entrypoint")


@dataclass(frozen=True)
class Build:
    """How the image is made from the source; what is None or empty is the builder's to choose."""

    dockerfile: str | None = None
    target: str | None = None
    args: tuple[tuple[str, str], ...] = ()
    base_images: tuple[tuple[str, str], ...] = ()
    callbacks: tuple[tuple[str, str], ...] = ()
    code_root: str | None = None
    runtime: str | None = None
    platforms: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    cache_limit: str | None = None
    image_limit: str | None = None
    timeout: float | None = None
    labels: tuple[tuple[str, str], ...] = ()
    ssh: bool = False
    pull: bool = False


@dataclass(frozen=True)
class Definition:
    """A service as its inventory defines it, for any version. container has all but its image.

    attached_env: what of the container's variables tells of attached services. processes: those besides web; groups:
    each process that it has, web too, with the group of servers that have it.
    """

    service: Service
    container: Container
    criticality: str = CRITICAL
    source: Source | None = None
    build: Build = Build()
    image: str | None = None
    attached_env: tuple[tuple[str, str], ...] = ()
    attach: tuple[str, ...] = ()
    persistent: tuple[str, ...] | None = None
    callbacks: Mapping[str, Any] = field(default_factory=dict)
    migrations: str = "none"
    maintenance: Mapping[str, Any] = field(default_factory=dict)
    processes: tuple[Process, ...] = ()
    groups: tuple[tuple[str, str], ...] = ()


def define(name: str, environment: Mapping[str, Any], given: Mapping[str, Any]) -> Definition:
    """The definition made of options that have been read."""
    web = _web(given)
    command = web.pop("command", None)
    return Definition(
        service=_service(name, environment["name"], given, web),
        container=_container(given, command, dict(environment.get("env", ()))),
        criticality=environment["criticality"],
        source=_source(given),
        build=_build(given.get("build", {})),
        image=_image(given),
        processes=processes.others(given),
        groups=processes.groups(given),
        **{key: given[key] for key in OF_DEFINITION if key in given},
    )


def _build(given: Mapping[str, Any]) -> Build:
    callbacks = tuple(sorted(given.get("callbacks", {}).items()))
    return Build(**{**given, "callbacks": callbacks})


def _web(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the process web, each from the top or from below processes."""
    short = {key: given[key] for key in PROCESS if key in given}
    full = {key: one for key, one in given.get("processes", {}).get(WEB, {}).items() if key != "group"}
    for key in full:
        if key in short:
            raise Wrong("is given twice: here and at the top", ("processes", WEB, key))
    return {**short, **full}


def _service(name: str, environment: str, given: Mapping[str, Any], web: dict[str, Any]) -> Service:
    routes = tuple(_route(n, one) for n, one in enumerate(web.pop("routes", ())))
    again = twice((route.host, route.path) for route in routes)
    if again:
        raise Wrong(f"has {again[0]}{again[1]} twice", ("routes",))
    health, door = Health(**web.pop("health", {})), Door(**given.get("door", {}))
    swap = {**{key: given[key] for key in OF_SERVICE if key in given}, **overlap.swapped(given)}
    bake = Bake(**given.get("bake", {}))
    told = Service(environment, name, routes=routes, door=door, health=health, bake=bake, **web, **swap)
    return replace(told, canary=_canary(given))


def _canary(given: Mapping[str, Any]) -> tuple[Share, ...]:
    """Steps that rise: each watches more than the one before."""
    steps = given.get("canary", ())
    for n, one in enumerate(steps):
        if "share" not in one:
            raise Wrong("is missing: so many of a hundred requests", ("canary", n, "share"))
        if n and one["share"] <= steps[n - 1]["share"]:
            raise Wrong(f"must be more than the {steps[n - 1]['share']} before it", ("canary", n, "share"))
    return tuple(Share(**one) for one in steps)


def _route(place: int, given: Mapping[str, str]) -> Route:
    if "host" not in given:
        raise Wrong("is missing: a route has a host", ("routes", place, "host"))
    return Route(**given)


def _container(given: Mapping[str, Any], command: tuple[str, ...] | None, env: Mapping[str, str]) -> Container:
    """env: that of the environment, which wins over the service's own."""
    settings = dict(given.get("container", {}))
    settings.update({key: given[key] for key in OF_CONTAINER if key in given})
    own, secrets = dict(settings.get("env", ())), dict(settings.get("secrets", ()))
    refuse_both(secrets, own, "env")
    refuse_both(secrets, env, "stackswap_environment.env")
    settings["env"] = tuple(sorted({**own, **env}.items()))
    volumes = _volumes(given, settings.get("tmpfs", ()))
    return Container(image="", volumes=volumes, command=command, **settings)


def refuse_both(secrets: Mapping[str, str], env: Mapping[str, str], place: str) -> None:
    """A name that is a secret and is told openly, too, in this place."""
    both = sorted(set(env) & set(secrets))
    if both:
        raise Wrong(f"is in {place} too: a name stands in one of the two", ("secrets", both[0]))


def _volumes(given: Mapping[str, Any], tmpfs: Iterable[str]) -> tuple[str, ...]:
    """The mounts, the one that releases share first."""
    shared = (SHARED,) if given.get("shared", True) else ()
    files = (FILES,) if given.get("secret_files") else ()
    volumes = (*shared, *given.get("volumes", ()))
    again = twice(target_of(mount) for mount in (*files, *volumes, *tmpfs))
    if again:
        hints = {target_of(SHARED): f": {SHARED} is mounted unless shared is false"} if shared else {}
        hints.update(dict.fromkeys(files, ": secret_files are mounted there"))
        raise Wrong(f"has {again} mounted twice{hints.get(again, '')}", ("volumes",))
    return volumes


def _source(given: Mapping[str, Any]) -> Source | None:
    asked = given.get("source")
    if not asked:
        return None
    try:
        return sources.parse(asked)
    except BadInput as bad:
        raise Wrong(f"is refused: {bad.what}", ("source",)) from None


def _image(given: Mapping[str, Any]) -> str | None:
    image, source = given.get("image"), given.get("source")
    if not image and not source:
        raise Wrong("is missing, and so is source: name an image, or a source to build one", ("image",))
    if image and source and re.search(r"@|:[^/]*$", image):
        raise Wrong(
            f"has a tag or digest ({image}), but the version of what is built is its tag",
            ("image",),
        )
    return str(image) if image else None
