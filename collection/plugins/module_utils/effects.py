# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the executor may ask of the world outside, as Protocols: the real things and the fakes both keep to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Tally
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    OPEN,
    Container,
    Door,
    Health,
    Image,
    Replica,
    Route,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.mounts import Mount
from ansible_collections.stackswap.bluegreen.plugins.module_utils.schedule import Entry


@dataclass(frozen=True)
class ReplicaSpec:
    """A container to make: a release's container with a name, a fixed address and our labels.

    secrets: the folder on the server that has its secret_files. test: its health check as the engine has it, () is the
    image's own.
    """

    name: str
    container: Container
    labels: tuple[tuple[str, str], ...]
    network: str
    address: str
    policy: str = "no"
    secrets: str = ""
    test: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ran:
    """What a one-off container left: exit code and last lines. ended: what ended it, '' itself."""

    code: int
    output: str
    ended: str = ""


@dataclass(frozen=True)
class Backend:
    """A slot's sections in the proxy: where its replicas listen, how they are checked, and watched in a bake."""

    addresses: tuple[str, ...]
    port: int
    health: Health
    observe: str = "layer4"


@dataclass(frozen=True)
class Server:
    """A replica as the proxy judges it. status is HAProxy's word (UP, DOWN), check its last check's code (L7OK)."""

    slot: str
    number: int
    address: str
    status: str
    check: str


@dataclass(frozen=True)
class View:
    """What the proxy knows of one service. pid is the serving worker's: another pid, and all that was seen is stale.

    closed: it is in maintenance. canary: as Observed has it. held: until which time of day its requests wait; 0 for
    not, less where runtime and file differ.
    """

    pid: int = 0
    runtime: str = ""
    file: str = ""
    servers: tuple[Server, ...] = ()
    backends: Mapping[str, Backend] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    door: Door = OPEN
    closed: bool = False
    canary: str = ""
    held: float = 0.0


@dataclass(frozen=True)
class Answer:
    """An answer to a probe: status 0 and an error where there was none. told is the proxy's confirm header."""

    status: int = 0
    error: str = ""
    told: str = ""
    ms: float = 0.0
    body: str = ""


@dataclass(frozen=True)
class Probed:
    """What the own prober got at the public door. missed: no answer at all; failed: those, and the proxy's own errors.

    gap_ms: the longest time from one good answer to the next.
    """

    count: int = 0
    failed: int = 0
    missed: int = 0
    gap_ms: float = 0.0


@dataclass(frozen=True)
class Left:
    """A session that has not ended. kind: ``request``, ``stream`` (the answer is under way) or ``websocket``."""

    kind: str
    age: float


REQUEST = "request"  # the kind of one whose answer has not begun
Asked = Callable[[], str]  # whether to stop: '', ``asked`` or ``alone``


class Engine(Protocol):
    """A server's container engine."""

    def image(self, reference: str) -> Image | None: ...
    def platform(self) -> str: ...
    def images(self) -> tuple[Image, ...]: ...
    def sizes(self, image: Image) -> tuple[int, ...]: ...
    def users(self) -> dict[str, tuple[str, ...]]: ...
    def weighs(self, container: str) -> int: ...
    def drop(self, reference: str) -> None: ...
    def replicas(self, service: str, release: str = ...) -> tuple[Replica, ...]: ...
    def create(self, spec: ReplicaSpec) -> str: ...
    def start(self, container: str) -> None: ...
    def stop(self, container: str, seconds: int) -> None: ...
    def kill(self, container: str) -> None: ...
    def remove(self, container: str) -> None: ...
    def keep(self, container: str, policy: str) -> None: ...
    def logs(self, container: str, lines: int) -> str: ...
    def variables(self, container: str) -> dict[str, str]: ...
    def clear(self, labels: Mapping[str, str]) -> None: ...
    def run_once(self, spec: ReplicaSpec, seconds: float, asked: Asked, files: Mapping[str, bytes]) -> Ran: ...


class Proxy(Protocol):
    """A server's proxy. register, configure and open write only what differs; they answer whether they wrote."""

    def view(self, service: str) -> View: ...
    def register(self, service: str, backends: Mapping[str, Backend]) -> bool: ...
    def configure(self, service: str, slot: str, backend: Backend) -> bool: ...
    def examine(self, service: str, door: Door) -> None: ...
    def open(self, service: str, routes: tuple[Route, ...], door: Door = ...) -> bool: ...
    def point(self, service: str, value: str) -> None: ...
    def share(self, service: str, slot: str, share: int, by: str) -> bool: ...
    def hold(self, service: str, until: float) -> bool: ...
    def force_down(self, service: str, slot: str) -> int: ...
    def sessions(self, addresses: tuple[str, ...]) -> int: ...
    def left(self, addresses: tuple[str, ...]) -> tuple[Left, ...]: ...
    def cut(self, service: str, addresses: tuple[str, ...]) -> tuple[Left, ...]: ...
    def tallies(self, service: str) -> tuple[Tally, ...]: ...
    def label(self, service: str, slot: str, version: str) -> None: ...
    def preview(self, service: str, slot: str, value: str) -> bool: ...
    def close_preview(self, service: str) -> bool: ...
    def remove(self, service: str) -> bool: ...


class Probe(Protocol):
    """Own requests: to a replica at its slot address, and through the public door with the server's key."""

    def replica(self, address: str, port: int, health: Health, within: float = 2.0) -> Answer: ...
    def door(self, route: Route | None, service: str) -> Answer: ...


class Prober(Protocol):
    """Own requests at the public door, going on by themselves until they are ended."""

    def end(self) -> Probed: ...


class Records(Protocol):
    """What a server remembers of a service: never the truth about what runs or serves."""

    def read(self, service: str) -> dict[str, Any]: ...
    def write(self, service: str, record: Mapping[str, Any]) -> None: ...
    def manifest(self, service: str, release: str) -> dict[str, Any] | None: ...
    def keep_manifest(self, service: str, release: str, manifest: Mapping[str, Any]) -> None: ...
    def drop_manifest(self, service: str, release: str) -> None: ...
    def releases(self, service: str) -> tuple[str, ...]: ...
    def sealed(self, service: str) -> tuple[str, ...]: ...
    def keep_secrets(self, service: str, release: str, files: Mapping[str, str]) -> str: ...
    def secrets(self, service: str, release: str) -> dict[str, str]: ...
    def sweep_secrets(self, service: str, standing: Collection[str]) -> None: ...
    def note(self, service: str, line: Mapping[str, Any]) -> None: ...
    def history(self, service: str, count: int) -> list[dict[str, Any]]: ...
    def addresses(self) -> dict[str, dict[str, list[str]]]: ...
    def keep_addresses(self, allotted: Mapping[str, Mapping[str, Any]]) -> None: ...
    def seal(self, values: Mapping[str, str]) -> str: ...
    def services(self) -> tuple[str, ...]: ...
    def knows(self, service: str) -> bool: ...
    def forget(self, service: str) -> None: ...


class Cron(Protocol):
    """A server's cron: what of a service it runs by the clock, and how that ended."""

    def scheduled(self, service: str) -> tuple[tuple[str, str], ...]: ...
    def put(self, service: str, entries: Sequence[Entry]) -> None: ...
    def drop(self, service: str) -> None: ...
    def runs(self, service: str) -> list[dict[str, Any]]: ...
    def daemon(self) -> bool: ...


class Locks(Protocol):
    """Locks that end with their holder. Always the service's before the proxy's."""

    def service(self, service: str) -> AbstractContextManager[None]: ...
    def proxy(self) -> AbstractContextManager[None]: ...
    def holder(self, service: str) -> dict[str, Any] | None: ...


class ProxyHost(Protocol):
    """What the proxy's container and its network need of the engine. Raises engine_errors."""

    def network(self, name: str, subnet: str, ip_range: str = "") -> bool: ...
    def container(self, name: str) -> dict[str, Any] | None: ...
    def run_service(self, payload: Mapping[str, Any]) -> str: ...
    def exec(self, container: str, argv: Sequence[str]) -> tuple[int, str]: ...
    def holders(self, network: str, addresses: Iterable[str]) -> dict[str, str]: ...


def silent(phase: str, msg: str = "", n: int = 0, of: int = 0) -> None:
    """Tell nobody."""


def unasked() -> str:
    """Nobody asks to stop."""
    return ""


class Nobody:
    """A prober that has asked nothing."""

    def end(self) -> Probed:
        """Nothing came of it."""
        return Probed()


class NoCron:
    """A cron that runs nothing."""

    def scheduled(self, service: str) -> tuple[tuple[str, str], ...]:
        """Nothing."""
        return ()

    def put(self, service: str, entries: Sequence[Entry]) -> None:
        """It cannot."""
        raise NotImplementedError("a cron that is not there was asked to run something")

    def drop(self, service: str) -> None:
        """There is nothing."""

    def runs(self, service: str) -> list[dict[str, Any]]:
        """None."""
        return []

    def daemon(self) -> bool:
        """There is none."""
        return False


NO_CRON = NoCron()


def none(ask: Callable[[], Answer], rate: float) -> Prober:
    """Ask nothing."""
    return Nobody()


@dataclass(frozen=True)
class Effects:
    """Everything outside that a job may touch. clock is monotonic, now the time of day, both in seconds.

    tell(phase, msg, n, of) reports progress; stop_asked() answers '', ``asked`` or ``alone`` (nobody controls it).
    token() makes a random word. prober(ask, rate) asks so many times a second. holders(addresses) answers who else has
    them; tenants() which services have addresses here, by what stands in containers and proxy. mounts() is what is
    mounted here, by mount point. at(point) is called at every boundary of a step: tests end the process there.
    available() answers how much memory a new program may get, None where nobody can tell. cron: what runs by the clock.
    ask_often() has who starts at an address of the network be found there soon.
    """

    engine: Engine
    proxy: Proxy
    probe: Probe
    records: Records
    locks: Locks
    clock: Callable[[], float]
    now: Callable[[], float]
    sleep: Callable[[float], None]
    network: str = "stackswap"
    subnet: str = "172.30.64.0/20"
    holders: Callable[[Iterable[str]], Mapping[str, str]] = lambda addresses: {}
    tenants: Callable[[], Mapping[str, str]] = dict
    mounts: Callable[[], Mapping[str, Mount]] = dict
    tell: Callable[..., None] = silent
    stop_asked: Callable[[], str] = unasked
    at: Callable[[str], None] = lambda point: None
    token: Callable[[], str] = lambda: ""
    prober: Callable[[Callable[[], Answer], float], Prober] = none
    available: Callable[[], int | None] = lambda: None
    cron: Cron = NO_CRON
    ask_often: Callable[[], None] = lambda: None
