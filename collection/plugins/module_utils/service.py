# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory says of a service, as values: only here parameters become a Release.

All that can be refused without looking at a server is refused here, with the whole path of the key.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (
    arguments,
    attached,
    forms,
    kinds,
    options,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.definition import (
    CRITICAL,
    SHARED,
    Build,
    Definition,
    define,
    refuse_both,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.forms import target_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.kinds import Wrong
from ansible_collections.stackswap.bluegreen.plugins.module_utils.manifest import (
    from_manifest,
    manifest,
    sealed_names,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import (
    absent,
    clean,
    closest,
    merged,
    nearest,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Container,
    Image,
    Release,
    Service,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.variables import parse_variables

__all__ = [  # noqa: RUF022 - in the order of use
    "SPEC",
    "SERVICE_ARGUMENTS",
    "RELEASE_ARGUMENTS",
    "JOB_ARGUMENTS",
    "LINE_ARGUMENTS",
    "PROXY_ARGUMENTS",
    "SERVER_ARGUMENTS",
    "CALL_ARGUMENTS",
    "NAMED_ARGUMENTS",
    "INSIDE_ARGUMENTS",
    "TURN_ARGUMENTS",
    "LOCAL",
    "Build",
    "Definition",
    "given",
    "parse",
    "equipped",
    "parse_environment",
    "parse_proxy",
    "parse_version",
    "parse_variables",
    "reference",
    "platform_env",
    "own_env",
    "local_env",
    "release_of",
    "of_server",
    "manifest",
    "from_manifest",
    "sealed_names",
]

SPEC = options.spec_of(options.OPTIONS)
SERVICE_ARGUMENTS, RELEASE_ARGUMENTS = arguments.SERVICE, arguments.RELEASE
JOB_ARGUMENTS, PROXY_ARGUMENTS, LINE_ARGUMENTS = arguments.JOB, arguments.PROXY, arguments.LINE
SERVER_ARGUMENTS, CALL_ARGUMENTS = arguments.SERVER, arguments.CALL
NAMED_ARGUMENTS, INSIDE_ARGUMENTS = arguments.NAMED, arguments.INSIDE
TURN_ARGUMENTS = arguments.TURN

SERVICES, OVERRIDES = "stackswap_services", "stackswap_overrides"
BUILD = "stackswap.build"  # the label by which an image that was built here tells its build's id
JOB_ENV, ATTACHED = "stackswap_env", "stackswap_attached"
# True of one server, one job or the door, not of a release: these never become part of its identity.
LOCAL = (
    "ARTIFAKT_IS_MAIN_INSTANCE",
    "ARTIFAKT_REPLICA_LIST",
    "ARTIFAKT_DOMAIN",
    "STACKSWAP_SERVER",
)

# -- from parameters to a definition --------------------------------------------------------------


def given(name: Any, services: Any, overrides: Any = None) -> dict[str, Any]:
    """What the inventory says of the named service: overrides laid over, without what is absent."""
    return dict(clean(_laid(name, services, overrides)))


def _laid(name: Any, services: Any, overrides: Any) -> dict[Any, Any]:
    known, laid = _dictionary(SERVICES, services), _dictionary(OVERRIDES, overrides)
    for word in laid:
        _refuse_unknown(f"{OVERRIDES}.{word}", word, known)
    chosen = _chosen(name, known)
    over = _dictionary(f"{OVERRIDES}.{chosen}", laid.get(chosen))
    return merged(_dictionary(f"{SERVICES}.{chosen}", known[chosen]), over)


def parse(name: Any, services: Any, environment: Any, overrides: Any = None) -> Definition:
    """The definition of the named service, its overrides laid over it; or why there is none."""
    found = _laid(name, services, overrides)
    place = parse_environment(environment)
    try:
        return define(str(name), place, options.section(options.OPTIONS)(found))
    except Wrong as wrong:
        over = (overrides or {}).get(name)
        root = OVERRIDES if _reaches(over, wrong.path) else SERVICES
        raise BadInput(f"{kinds.spelt((root, name, *wrong.path))} {wrong.why}") from None


def equipped(definition: Definition, job_env: Any = None, given: Any = None) -> Definition:
    """The definition with what a job adds: its own variables above all others, its attached services below all.

    given: the attached services that there are, by name, of which the definition says which are the service's; None
    attaches none, as for a build.
    """
    read = parse_variables({JOB_ENV: job_env, ATTACHED: given})
    own, secrets = dict(definition.container.env), dict(definition.container.secrets)
    for_job = dict(read.get(JOB_ENV, ()))
    try:
        refuse_both(secrets, for_job, JOB_ENV)
        attach = () if given is None else definition.attach
        told = attached.told(attach, dict(read.get(ATTACHED, ())))
    except Wrong as wrong:
        raise BadInput(f"{kinds.spelt((SERVICES, definition.service.name, *wrong.path))} {wrong.why}") from None
    taken = {*own, *for_job, *secrets}
    free = [{name: text for name, text in ours.items() if name not in taken} for ours in told]
    env, sealed = {**free[0], **own, **for_job}, {**free[1], **secrets}
    container = replace(definition.container, env=_paired(env), secrets=_paired(sealed))
    return replace(definition, container=container, attached_env=_paired(free[0]))


def named(name: Any, environment: Any) -> Service:
    """A service by its name alone, which the inventory may not know any more."""
    if absent(name):
        raise BadInput("stackswap_service is missing: name the service")
    try:
        return Service(parse_environment(environment)["name"], str(forms.short_name(name)))
    except Wrong as wrong:
        raise BadInput(f"stackswap_service {wrong.why}") from None


def parse_environment(given: Any) -> dict[str, Any]:
    """The environment's name, criticality and variables."""
    found = _read("stackswap_environment", options.ENVIRONMENT, given)
    if "name" not in found:
        raise BadInput("stackswap_environment.name is missing: name the environment, as production")
    return {"criticality": CRITICAL, **found}


def parse_proxy(given: Any) -> dict[str, Any]:
    """The settings of the proxy that are given, by the names of its own Settings."""
    return _read("stackswap_proxy", options.PROXY, given)


def parse_version(value: Any) -> str:
    """The version: text that may be an image's tag."""
    if absent(value):
        raise BadInput("stackswap_version is missing: name the version")
    try:
        return str(forms.version(value))
    except Wrong as wrong:
        number = isinstance(value, float)
        why = f"{wrong.why} (YAML reads 1.10 as the number 1.1)" if number else wrong.why
        raise BadInput(f"stackswap_version {why}") from None


def _read(root: str, known: Mapping[str, options.Option], given: Any) -> dict[str, Any]:
    try:
        return dict(kinds.at(root, options.section(known), {} if absent(given) else given))
    except Wrong as wrong:
        raise BadInput(wrong.what) from None


def _dictionary(path: str, value: Any) -> Mapping[Any, Any]:
    if absent(value):
        return {}
    if not isinstance(value, Mapping):
        raise BadInput(f"{path} must be a dictionary, not {kinds.named(value)}")
    return value


def _chosen(name: Any, known: Mapping[Any, Any]) -> str:
    """The service's name, if it fits containers, files and maps and there is such a service."""
    if absent(name):
        raise BadInput(f"stackswap_service is missing: {nearest('', map(str, known))}")
    try:
        chosen = str(forms.short_name(name))
    except Wrong as wrong:
        raise BadInput(f"stackswap_service {wrong.why}") from None
    _refuse_unknown(f"stackswap_service {chosen}", chosen, known)
    return chosen


def _refuse_unknown(path: str, name: Any, known: Mapping[Any, Any]) -> None:
    if name in known:
        return
    names = sorted(map(str, known))
    meant = f"did you mean {closest(name, names)}? " if closest(name, names) else ""
    listed = f"{SERVICES} has {', '.join(names) or 'none'}"
    raise BadInput(f"{path} is not a known service: {meant}{listed}")


def _reaches(over: Any, path: tuple[Any, ...]) -> bool:
    """Whether a path leads into what was laid over."""
    if not isinstance(over, Mapping):
        return False
    for key in path:
        if not isinstance(over, Mapping):
            return True
        if key not in over:
            return False
        over = over[key]
    return bool(path)


# -- from a definition to a release ---------------------------------------------------------------


def reference(definition: Definition, version: str) -> str:
    """The name of a version's image; a tag or digest in the inventory stands."""
    service = definition.service
    image = definition.image or f"stackswap/{service.environment}-{service.name}"
    return image if "@" in image or ":" in image.rsplit("/", 1)[-1] else f"{image}:{version}"


def platform_env(definition: Definition, digest: str = "", build: str = "") -> dict[str, str]:
    """What the platform tells every container of a service; with a digest, its build too, by this id if it has one."""
    told = {
        "ARTIFAKT_ENVIRONMENT_NAME": definition.service.environment,
        "ARTIFAKT_ENVIRONMENT_CRITICALITY": definition.criticality,
        **_lock_env(definition),
    }
    return {**told, "ARTIFAKT_BUILD_ID": build or _short(digest)} if digest else told


def _lock_env(definition: Definition) -> dict[str, str]:
    """Where the servers' entrypoints wait for each other, and for how many seconds at the most."""
    seconds = definition.callbacks.get("entrypoint_lock")
    if not seconds:
        return {}
    path = f"{target_of(SHARED)}/.stackswap/{definition.service.name}-entrypoint.lock"
    return {"STACKSWAP_ENTRYPOINT_LOCK_SECONDS": str(math.ceil(seconds)), "ARTIFAKT_ENTRYPOINT_LOCK": path}


def own_env(definition: Definition) -> dict[str, str]:
    """What the inventory and the job say themselves, as a build is told it, too: nothing of attached services."""
    told = dict(definition.attached_env)
    return {name: text for name, text in definition.container.env if told.get(name) != text}


def local_env(definition: Definition, platform: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the platform tells the containers of one server, or as of now; platform: what the job knows of it."""
    routes = definition.service.routes
    known = {**({"ARTIFAKT_DOMAIN": routes[0].host} if routes else {}), **(platform or {})}
    return {name: text for name, text in known.items() if name in LOCAL and text}


def release_of(
    definition: Definition,
    version: Any,
    image: Image,
    digest: str,
    seal: str = "",
    platform: Mapping[str, str] | None = None,
) -> Release:
    """The release of this version. What the platform tells gives way to what the definition says itself.

    Of platform, names that are true of one server only (LOCAL) stay out of the identity.
    """
    service, made = definition.service, definition.container
    if service.health.kind == "image" and not image.healthcheck:
        raise BadInput(
            f"{SERVICES}.{service.name}.health is image, and the image of {version} has no "
            "HEALTHCHECK: name a path, or none"
        )
    build = dict(image.labels).get(BUILD, "")
    ours = {**platform_env(definition, digest, build), **(platform or {})}
    env = {name: text for name, text in ours.items() if name not in LOCAL}
    container = replace(
        made,
        image=image.id,
        env=_paired({**_free(env, made), **dict(made.env)}),
        local_env=_paired(_free(local_env(definition, platform), made)),
    )
    return Release(
        service=service.key,
        version=parse_version(version),
        digest=digest,
        container=container,
        port=service.port,
        health=service.health,
        seal=seal,
        replicas=service.replicas,
        processes=definition.processes,
    )


def of_server(release: Release, definition: Definition, platform: Mapping[str, str] | None = None) -> Release:
    """A release of then with what is true of its server now: that is no part of it."""
    now = _paired(_free(local_env(definition, platform), release.container))
    return replace(release, container=replace(release.container, local_env=now))


def _free(told: Mapping[str, str], made: Container) -> dict[str, str]:
    """Without what the container has of its own."""
    taken = {*dict(made.env), *dict(made.secrets)}
    return {name: text for name, text in told.items() if name not in taken}


def _paired(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(env.items()))


def _short(digest: str) -> str:
    """Twelve digits of a digest, with a repository or without."""
    return digest.rsplit(":", 1)[-1][:12]
