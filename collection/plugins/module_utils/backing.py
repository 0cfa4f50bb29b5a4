# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backing services: one container each on one server, as a database or a cache for a small stack.

What is asked for is read here, and what is to be done with what is found. No deploy of a service comes here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils import attached, kinds, options, payload
from ansible_collections.stackswap.bluegreen.plugins.module_utils.definition import FILES, refuse_both
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import ReplicaSpec
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.forms import target_of, twice
from ansible_collections.stackswap.bluegreen.plugins.module_utils.kinds import Wrong
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import absent, closest
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import ALWAYS, Container, Health, Image
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import parse_environment

ROOT = "stackswap_backing"
LABEL = "stackswap.backing"
TOLD = tuple(name for name in options.ATTACHED if name not in ("host", "port"))
OF_CONTAINER = ("env", "secrets", "secret_files", "volumes", "entrypoint", "command")
STOP_TIMEOUT = 60  # seconds: what has data to write is given its time
OPEN = Health("none")  # it takes connections
OF_IMAGE = Health("")  # by the image's own check, where it has one
TESTS = {"none": ("NONE",), "image": (), "": ()}  # in the engine's words


@dataclass(frozen=True)
class Backing:
    """One of them. server: where it is. listen: an address of that server, by which others reach it.

    told: what an application that it is attached to is told, besides where it is. health: when it counts as up; of no
    kind, its image says. test: the command of its own check.
    """

    name: str
    environment: str
    container: Container
    port: int
    server: str
    listen: str = ""
    health: Health = OF_IMAGE
    test: tuple[str, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        """Which of them it is on a server."""
        return f"{self.environment}.{self.name}"

    @property
    def records(self) -> str:
        """Where the records keep what is its own: no service has such a name."""
        return records_of(self.key)

    @property
    def host(self) -> str:
        """Where applications reach it: at an address of its server, else by its name on the services' network."""
        return self.listen or f"{self.environment}-{self.name}"


def records_of(key: str) -> str:
    """The name that a backing service has in the records, by its key."""
    environment, dummy, name = key.partition(".")
    return f"{environment}.backing_{name}"


class Found(NamedTuple):
    """A container of it, in whatever state; mark: what it was made from."""

    id: str
    mark: str
    running: bool


class Act(NamedTuple):
    """One thing to do: ``stop``, ``start``, ``make``, ``await`` or ``discard``, on a container where there is one."""

    verb: str
    id: str = ""


# -- what is asked for ------------------------------------------------------------------------------------------------


def parse(given: Any, environment: Any, servers: Sequence[str]) -> dict[str, Backing]:
    """All that an inventory has, by name. servers: those of the stack, the main one first."""
    place = parse_environment(environment)["name"]
    try:
        found = kinds.at(ROOT, options.BACKINGS, {} if absent(given) else given)
        return {name: _one(name, place, servers, one) for name, one in found}
    except Wrong as wrong:
        raise BadInput(wrong.what) from None


def _one(name: str, environment: str, servers: Sequence[str], given: Mapping[str, Any]) -> Backing:
    """One of them, made of options that have been read."""
    try:
        _refuse_told(name, given)
        server = _server(given, servers)
        return Backing(
            name,
            environment,
            _container(given),
            _port(name, given),
            server,
            _listen(given, servers),
            *_health(given),
            {option: given[option] for option in TOLD if option in given},
        )
    except Wrong as wrong:
        raise Wrong(wrong.why, (ROOT, name, *wrong.path)) from None


def _container(given: Mapping[str, Any]) -> Container:
    if "image" not in given:
        raise Wrong("is missing: name the image", ("image",))
    made = {"stop_timeout": STOP_TIMEOUT, **given.get("container", {})}
    made.update({name: given[name] for name in OF_CONTAINER if name in given})
    refuse_both(dict(made.get("secrets", ())), dict(made.get("env", ())), "env")
    files = (FILES,) if made.get("secret_files") else ()
    again = twice(target_of(mount) for mount in (*files, *made.get("volumes", ()), *made.get("tmpfs", ())))
    if again:
        hint = ": secret_files are mounted there" if again in files else ""
        raise Wrong(f"has {again} mounted twice{hint}", ("volumes",))
    return Container(image=given["image"], **made)


def _health(given: Mapping[str, Any]) -> tuple[Health, tuple[str, ...]]:
    """When it counts as up, and the command of its own check."""
    told = dict(given.get("health", ()))
    test = tuple(told.pop("command", ()))
    return replace(OF_IMAGE, **told, deadline=given.get("deadline", OF_IMAGE.deadline)), test


def _kind(name: str, given: Mapping[str, Any]) -> attached.Kind | None:
    return attached.KINDS.get(str(given.get("kind", name)))


def _port(name: str, given: Mapping[str, Any]) -> int:
    kind = _kind(name, given)
    if "port" not in given and kind is None:
        raise Wrong(f"is missing: {name} is of no kind that has one by itself", ("port",))
    return int(given.get("port") or (kind.port if kind else 0))


def _refuse_told(name: str, given: Mapping[str, Any]) -> None:
    """What no application would be told."""
    kind = _kind(name, given)
    fitting = ("kind", *(kind.variables if kind else ()))
    for option in TOLD:
        if option in given and option not in fitting:
            raise Wrong(f"is told to nobody: {name} is of no kind that has one", (option,))


def _server(given: Mapping[str, Any], servers: Sequence[str]) -> str:
    server = str(given.get("server") or next(iter(servers), ""))
    if server not in servers:
        raise Wrong(f"is {server}, no server of group stackswap, which has {', '.join(servers) or 'none'}", ("server",))
    return server


def _listen(given: Mapping[str, Any], servers: Sequence[str]) -> str:
    """Containers on other servers reach it by an address alone."""
    if "listen" not in given and len(servers) > 1:
        raise Wrong("is missing: name the address of its server that the other servers reach", ("listen",))
    return str(given.get("listen", ""))


def joined(given: Any, backing: Any, environment: Any, servers: Sequence[str]) -> dict[str, Any]:
    """The attached services that there are, backing services of one's own among them."""
    known = {} if absent(given) else dict(given)
    if absent(backing):
        return known
    ours = parse(backing, environment, servers)
    both = next((name for name in ours if name in known), "")
    if both:
        raise BadInput(f"{ROOT}.{both} is in {attached.ROOT} too: a name stands in one of the two")
    told = {name: {**one.told, "host": one.host, "port": one.port} for name, one in ours.items()}
    return {**known, **{name: one for name, one in told.items() if one.get("kind", name) in attached.KINDS}}


def chosen(name: str, known: Mapping[str, Backing], state: str) -> tuple[str, ...]:
    """The names that a job is about: one, or all; to remove one it has to be named, and need not be known any more."""
    if state == "absent" and not name:
        raise BadInput("stackswap_backing_name is missing: nothing is removed that is not named")
    if name and name not in known and state != "absent":
        near = closest(name, known)
        meant = f"did you mean {near}? " if near else ""
        raise BadInput(f"{ROOT} has no {name}: {meant}it has {', '.join(sorted(known)) or 'none'}")
    if not name and not known:
        raise BadInput(f"{ROOT} is empty: there is nothing to run")
    return (name,) if name else tuple(known)


# -- what is to be done -----------------------------------------------------------------------------------------------


def plan(found: Sequence[Found], mark: str) -> tuple[Act, ...]:
    """Stop first, for two of them must never write the same data; () where it runs as it should."""
    same = next((one for one in found if one.mark == mark), None)
    others = [one for one in found if one is not same]
    stops = tuple(Act("stop", one.id) for one in others if one.running)
    discards = tuple(Act("discard", one.id) for one in others)
    if same and same.running:
        return (*stops, *discards)
    begins = Act("start", same.id) if same else Act("make")
    return (*stops, begins, Act("await"), *discards)


def leave(found: Sequence[Found]) -> tuple[Act, ...]:
    """All of its containers go; what it has written stays."""
    return (*(Act("stop", one.id) for one in found if one.running), *(Act("discard", one.id) for one in found))


def mark(one: Backing, image: str, seal: str) -> str:
    """What tells a container from one made of other things: twelve digits, secrets by their seal alone."""
    data = [image, seal, one.port, one.listen, {**one.container.canonical(), "image": image}]
    data += [one.health.kind, one.test] if one.health.kind else []
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=list).encode()).hexdigest()[:12]


def refuse_unkept(one: Backing, image: Image) -> None:
    """Data in a volume without a name would be gone with the container."""
    mounted = {target_of(mount) for mount in (*one.container.volumes, *one.container.tmpfs)}
    for path in image.volumes:
        if path.rstrip("/") not in {target.rstrip("/") for target in mounted}:
            like = f"{one.environment}-{one.name}:{path}"
            raise BadInput(f"{ROOT}.{one.name}.volumes has none for {path}, where its image keeps data: as {like}")


def checked(one: Backing, image: Image) -> Health:
    """When it counts as up, with this image."""
    if one.health.kind == "image" and not image.healthcheck:
        raise BadInput(f"{ROOT}.{one.name}.health is image, and {one.container.image} has no HEALTHCHECK")
    own = "image" if image.healthcheck else "none"
    return replace(one.health, kind=one.health.kind or own)


def document(one: Backing, image: str, marked: str, network: str, files: str = "") -> dict[str, Any]:
    """What the engine makes it from: the container, its name on the network, its port on the server if it has one.

    files: the folder on the server that has its secret files.
    """
    name = f"{one.environment}-{one.name}"
    labels = ((LABEL, one.key), (payload.CONFIG, marked), (payload.ENVIRONMENT, one.environment))
    test = TESTS.get(one.health.kind, ("CMD", *one.test))
    spec = ReplicaSpec(
        f"{name}-{marked}", replace(one.container, image=image), labels, network, "", ALWAYS, files, test
    )
    made = {**payload.create_payload(spec), "name": spec.name}
    made["NetworkingConfig"] = {"EndpointsConfig": {network: {"Aliases": [name]}}}
    if one.listen:
        port = f"{one.port}/tcp"
        made["ExposedPorts"] = {port: {}}
        bound = {port: [{"HostIp": one.listen, "HostPort": str(one.port)}]}
        made["HostConfig"] = {**made["HostConfig"], "PortBindings": bound}
    return made
