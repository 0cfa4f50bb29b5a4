# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nouns of stackswap as frozen values: what is wanted, what is seen, what is to be done.

Kept apart from every decision and every effect, so that planner, executor, fakes and reports speak of the same things.
"""

from __future__ import annotations

import hashlib
import json
import operator
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

BLUE, GREEN = "blue", "green"
SLOTS = (BLUE, GREEN)
WEB = "web"  # the process that takes traffic
RUNGS = ("ready", "live", "settled")
NO, ALWAYS = "no", "always"
KILLED = 137  # the exit code of who was not asked, or did not listen
BEGUN, DONE = "begun", "done"  # of a drill
HELD = "on"  # of a service whose requests wait
ALONE = "alone"  # a start while nothing else of the service runs
AGAIN = "-r"  # before the mark of a restart, in a release's name
FILE = "\0"  # before the name of a secret that is a file, where secrets of both kinds are named together


def other(slot: str) -> str:
    """The slot that is not this one."""
    return GREEN if slot == BLUE else BLUE


def bare(name: str) -> str:
    """A release's name without the mark of a restart: what was restarted is the same release in other containers."""
    return name.partition(AGAIN)[0]


def served_with(served: tuple[str, ...], name: str) -> tuple[str, ...]:
    """What has served, once this release is confirmed; of its restarts only the last before it is remembered."""
    before = [one for one in served if bare(one) == bare(name) and one != name]
    return (*(one for one in served if one != name and one not in before[:-1]), name)


# -- what is wanted ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Route:
    """A way in: requests for this host name whose path begins with this prefix. The longest prefix wins."""

    host: str
    path: str = "/"


@dataclass(frozen=True)
class Health:
    """When a replica counts as healthy. Times are seconds.

    kind is ``http`` (2xx or 3xx at path), ``image`` (the image's own HEALTHCHECK) or ``none`` (it accepts connections).
    """

    kind: str = "http"
    path: str = "/"
    deadline: float = 60.0
    min_healthy_time: float = 5.0


class Share(NamedTuple):
    """A step of a canary: so many of a hundred requests go to the candidate, for so many seconds."""

    share: int
    seconds: float = 30.0


@dataclass(frozen=True)
class Door:
    """How the proxy lets requests in to a service, besides its routes. Networks; without allow everybody may come.

    redirect: who comes by http is sent to https. hsts: for so many seconds browsers come by https alone. raw: lines of
    HAProxy's own for the service's backends.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    redirect: bool = False
    hsts: int = 0
    raw: tuple[str, ...] = ()


OPEN = Door()


@dataclass(frozen=True)
class Bake:
    """How a release is watched under traffic, beside the old one, before that is let go.

    max_error_share: by how much the share of failed requests may be above the old release's, from min_requests on.
    observe: ``layer7`` has the proxy take a replica out after ten bad answers in a row, besides its checks.
    """

    seconds: float = 10.0
    max_error_share: float = 0.1
    min_requests: int = 20
    observe: str = "layer4"


@dataclass(frozen=True)
class Service:
    """An application as the stack runs it: its door and how carefully it is swapped. Times are seconds.

    settle: ``later`` leaves the drain of the old release to the next job. probe: own requests a second in a swap.
    drill: the way back is tried after the bake.

    overlap: whether releases may run side by side. Where not, the old one stops before the new one starts, and requests
    wait at the proxy: for hold seconds at the most until that is up, and as long again if it is gone back.
    """

    environment: str
    name: str
    port: int = 8080
    replicas: int = 1
    routes: tuple[Route, ...] = ()
    door: Door = OPEN
    health: Health = Health()
    bake: Bake = Bake()
    drain_timeout: float = 30.0
    settle: str = "now"
    confirmations: int = 5
    probe: float = 0.0
    canary: tuple[Share, ...] = ()
    canary_by: str = "request"
    keep: int = 5
    overlap: bool = True
    hold: int = 30
    drill: bool = False

    @property
    def key(self) -> str:
        """``environment.name``: the one key for maps, labels and paths. Neither part may hold a dot."""
        return f"{self.environment}.{self.name}"


@dataclass(frozen=True)
class Process:
    """A part of a service besides web, without traffic: the same image with a command of its own. Times are seconds.

    health is of kind ``none`` (it runs), ``image`` or ``command``, which is test. overlap: whether the old release's
    and the new one's may run at one time. What of its end is None is as the service's containers have it. schedule:
    when cron runs it; '' for one that runs all the time.
    """

    name: str
    command: tuple[str, ...] = ()
    replicas: int = 1
    health: Health = Health("none")
    test: tuple[str, ...] = ()
    overlap: bool = True
    stop_signal: str | None = None
    stop_timeout: int | None = None
    schedule: str = ""


@dataclass(frozen=True)
class Container:
    """What every replica of a release is made from; the names are those of community.docker.docker_container.

    env and secrets are pairs of text; secrets become environment variables and are never part of an identity,
    a label, a manifest or a report. local_env differs from server to server (ARTIFAKT_IS_MAIN_INSTANCE), so it is
    in the container and never part of an identity.

    secret_files are pairs of a file's name below /run/secrets and its text, guarded as secrets are.
    """

    image: str
    env: tuple[tuple[str, str], ...] = ()
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    volumes: tuple[str, ...] = ()
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    user: str | None = None
    working_dir: str | None = None
    hostname: str | None = None
    memory: str | None = None
    cpus: str | None = None
    shm_size: str | None = None
    read_only: bool = False
    init: bool = True
    capabilities: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opts: tuple[str, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    tmpfs: tuple[str, ...] = ()
    ulimits: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    log_driver: str = "json-file"
    log_options: tuple[tuple[str, str], ...] = (("max-file", "3"), ("max-size", "10m"))
    stop_signal: str | None = None
    stop_timeout: int = 10
    local_env: tuple[tuple[str, str], ...] = ()
    secret_files: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def canonical(self) -> dict[str, Any]:
        """All that tells two containers apart, as JSON data, without secret values (their names stay)."""
        hidden = ("secrets", "local_env", "secret_files")
        shown = {name: value for name, value in self.__dict__.items() if name not in hidden}
        files = {"secret_files": sorted(dict(self.secret_files))} if self.secret_files else {}
        return {**shown, "image": None, "secrets": sorted(dict(self.secrets)), **files}

    @property
    def sealed(self) -> dict[str, str]:
        """All secret values by name; no variable can have the name that a file has here."""
        return {**dict(self.secrets), **{f"{FILE}{name}": text for name, text in self.secret_files}}


@dataclass(frozen=True)
class Release:
    """A service at a version with one container configuration.

    digest names the image by content: the repository digest with a registry, else the config digest (``sha256:..``).
    seal is a short HMAC of the secret values under the server's key: the same release with rotated secrets is another
    candidate on that server, though its id is the same on all servers. replicas is the door's affair, not the id's; but
    another number of them is another candidate, too. So is a restart: the mark tells its containers from those before.
    """

    service: str
    version: str
    digest: str
    container: Container
    port: int = 8080
    health: Health = Health()
    seal: str = ""
    replicas: int = 1
    restart: str = ""
    processes: tuple[Process, ...] = ()

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits, equal on all servers."""
        data = [self.service, self.version, self.digest, self.port, self.health.__dict__, self.container.canonical()]
        data += [asdict(one) for one in self.processes]
        return hashlib.sha256(json.dumps(data, sort_keys=True, default=list).encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """The identity on one server: the id, the seal of secrets if any, the replicas if many, a restart's mark."""
        many = f"x{self.replicas}" if self.replicas > 1 else ""
        again = f"{AGAIN}{self.restart}" if self.restart else ""
        return "-".join(part for part in (self.id, self.seal, many) if part) + again


# -- what is seen -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Image:
    """An image on a server's engine. id is what the engine runs; digests are ``repository@sha256:..`` names.

    layers: each by the digest of its content, from the bottom. made: when, in the engine's own words.
    volumes: the folders that it keeps data in.
    """

    id: str
    digests: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    healthcheck: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    size: int = 0
    platform: str = ""
    tags: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    made: str = ""
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Replica:
    """One container of a release, as the engine tells it: number of so many.

    started is the engine's own time text, '' before the first start. process: '' for web, which alone has slots.
    """

    id: str
    name: str
    release: str
    version: str
    slot: str
    number: int
    state: str
    started: str = ""
    restarts: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    address: str = ""
    policy: str = NO
    health: str = ""
    digest: str = ""
    of: int = 1
    process: str = ""
    schedule: str = ""

    @property
    def running(self) -> bool:
        """Whether its processes are there, and its address is taken; one that somebody has paused answers nothing."""
        return self.state in ("running", "paused")


class Placement(NamedTuple):
    """A release in a slot, summed over its replicas: present and running say ``none``, ``some`` or ``all``.

    fresh: made, never started. approved: these very containers, in this very start, were awaited. baked: and watched.
    shared: the greatest share of the traffic that they were watched with. drill: how far the way back to the one before
    was tried, ``begun`` or ``done``. stopping: the record says that a stop was begun. healthy: by the proxy's check and
    an own probe, now.
    """

    release: str
    slot: str
    present: str = "all"
    running: str = "all"
    healthy: bool = False
    approved: bool = False
    baked: bool = False
    fresh: bool = False
    stopping: bool = False
    policy: str = NO
    shared: int = 0
    drill: str = ""

    @property
    def up(self) -> bool:
        """Every replica runs and is healthy, and nobody has begun to stop it."""
        return self.present == self.running == "all" and self.healthy and not self.stopping


class Worker(NamedTuple):
    """A release's containers of one process besides web, summed: present and running say ``none``, ``some`` or ``all``.

    awaited: these very containers, in this very start, have run as long as they have to; proven: in this or an earlier
    one. fresh: made, never started. stopping: the record says that a stop was begun. clocked: it never runs, for cron
    has others run that are made like it.
    """

    process: str
    release: str
    present: str = "all"
    running: str = "all"
    awaited: bool = False
    proven: bool = False
    fresh: bool = False
    stopping: bool = False
    policy: str = NO
    clocked: bool = False

    @property
    def works(self) -> bool:
        """Every one runs, and nobody has begun to stop them."""
        return self.present == self.running == "all" and not self.stopping


_PLACE = operator.attrgetter("slot", "release")


class Observed(NamedTuple):
    """All that the planner may know of one service on one server.

    runtime and file hold the value of the service in the proxy's live map and in its file: ``none``, ``blue``,
    ``green``, ``blue.green`` (blue live, green its backup) or ``green.blue``; '' is no entry. fits: the slots whose
    backend sections in the proxy suit the release that is asked for. door: the proxy's routes are the service's.
    canary: the slot that shares the traffic and its share, ``green:10``; ``green:?`` where runtime and file differ.
    workers: what is there of the processes besides web. behind: where web is not, the release that is the way back
    until the one that has taken over is settled. scheduled: the processes that cron runs, each with its release.
    held: ``on`` while requests wait at the proxy; ``?`` where runtime and file differ, or it is over by the clock.
    """

    registered: bool = False
    runtime: str = ""
    file: str = ""
    placements: tuple[Placement, ...] = ()
    served: tuple[str, ...] = ()
    rejected: frozenset[str] = frozenset()
    fits: frozenset[str] = frozenset()
    door: bool = False
    canary: str = ""
    workers: tuple[Worker, ...] = ()
    behind: str = ""
    scheduled: tuple[tuple[str, str], ...] = ()
    held: str = ""

    @property
    def working(self) -> str:
        """The release whose workers run, on a server that has nothing of web."""
        if self.registered or self.placements:
            return ""
        names = {w.release for w in self.workers if w.running != "none" and w.policy == ALWAYS}
        known = [name for name in reversed(self.served) if name in names]
        return next(iter([*known, *sorted(names)]), "")

    def worker(self, process: str, release: str) -> Worker | None:
        """A release's containers of a process."""
        return next((w for w in self.workers if (w.process, w.release) == (process, release)), None)

    def employ(self, worker: Worker) -> Observed:
        """The same with these containers in the place of their like."""
        kept = self.dismiss(worker.process, worker.release).workers
        return self._replace(workers=tuple(sorted((*kept, worker))))

    def dismiss(self, process: str, release: str) -> Observed:
        """The same without them."""
        kept = tuple(w for w in self.workers if (w.process, w.release) != (process, release))
        return self._replace(workers=kept)

    def at(self, release: str, slot: str) -> Placement | None:
        """The placement of a release in a slot."""
        for placed in self.placements:
            if placed.slot == slot and placed.release == release:
                return placed
        return None

    def occupant(self, slot: str) -> Placement | None:
        """The placement that has running replicas in a slot: addresses are fixed, so there is one at the most."""
        for placed in self.placements:
            if placed.slot == slot and placed.running != "none":
                return placed
        return None

    def put(self, placement: Placement) -> Observed:
        """The same with this placement in the place of its like."""
        kept = self.without(placement.release, placement.slot).placements
        return self._replace(placements=tuple(sorted((*kept, placement), key=_PLACE)))

    def without(self, release: str, slot: str) -> Observed:
        """The same without this placement."""
        return self._replace(placements=tuple(p for p in self.placements if p.slot != slot or p.release != release))


# -- what is to be done -----------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """One verb on one object. value is the map value that route, back and fence write; why is for people.

    process: whose containers it is about, '' for web's.
    """

    verb: str
    release: str = ""
    slot: str = ""
    value: str = ""
    why: str = ""
    process: str = ""
