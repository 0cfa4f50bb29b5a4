"""A server in memory on which a job runs as it does on a real one: engine, proxy, prober, records, cron and locks.

Time passes only where somebody sleeps. Whether it behaves as the real things do is a contract's question (test_world).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import callbacks, payload, schedule
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer, Effects, Ran, ReplicaSpec
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import (
    CreateConflict,
    EngineFailed,
    ImageMissing,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Held
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import ALWAYS, NO, Image, Replica
from tests.lab.fake_proxy import FakeProbe, FakeProxy

CHECK = 0.5  # seconds between two checks of the proxy
NEVER = float("inf")


@dataclass
class App:
    """How an image's containers behave: all in seconds since the start. shy: it answers everybody but the proxy.

    stubborn: it ends only when it is killed. fails: from when on users get 500, and not who asks for its health.
    scripts: what comes of its callbacks, by moment; a function is called with what the script finds.
    """

    status: int = 200
    listens: float = 0.2
    exits: float = NEVER
    code: int = 1
    stubborn: bool = False
    sick: float = NEVER
    fails: float = NEVER
    shy: bool = False
    says: str = ""
    scripts: Mapping[str, Ran | Callable[[ReplicaSpec, Any], Ran]] = field(default_factory=dict)


@dataclass
class Box:
    """A container."""

    id: str
    spec: ReplicaSpec
    app: App
    clock: Callable[[], float]
    policy: str = NO
    state: str = "created"
    began: float = 0.0
    started: str = ""
    restarts: int = 0
    code: int = 0

    def lives(self) -> bool:
        """Whether it runs now; one that has come to its end is started anew or stays ended."""
        while self.state == "running" and self.clock() >= self.began + self.app.exits:
            self.began, self.code = self.began + self.app.exits, self.app.code
            self.restarts += self.policy == ALWAYS
            self.state = "running" if self.policy == ALWAYS else "exited"
        return self.state == "running"

    def answer(self, user: bool = False) -> Answer:
        """What a request to its address gets."""
        age = self.clock() - self.began
        if not self.lives() or age < self.app.listens:
            return Answer(error="connection refused")
        bad = min(self.app.sick, self.app.fails) if user else self.app.sick
        return Answer(500 if age >= bad else self.app.status, body=self.app.says)

    def replica(self) -> Replica:
        """As the engine tells it."""
        labels = dict(self.spec.labels)
        self.lives()
        return Replica(
            id=self.id,
            name=self.spec.name,
            release=labels[payload.RELEASE],
            version=labels[payload.VERSION],
            slot=labels.get(payload.SLOT, ""),
            process=labels.get(payload.PROCESS, ""),
            schedule=labels.get(payload.SCHEDULE, ""),
            number=int(labels[payload.NUMBER]),
            of=int(labels[payload.OF]),
            state=self.state,
            started=self.started,
            restarts=self.restarts,
            exit_code=self.code,
            address=self.spec.address,
            policy=self.policy,
            health="healthy" if self.answer().status == 200 else "unhealthy",
            digest=labels[payload.DIGEST],
        )


class FakeEngine:
    """Containers in a dictionary; images are the applications that the server was given."""

    def __init__(self, server: FakeServer) -> None:
        self.server, self.calls = server, 0
        self.boxes: dict[str, Box] = {}

    def image(self, reference: str) -> Image | None:
        app = self.server.apps.get(reference)
        return Image(reference, labels=((callbacks.SCRIPTS, " ".join(app.scripts)),)) if app else None

    def platform(self) -> str:
        return "linux/amd64"

    def images(self) -> tuple[Image, ...]:
        return tuple(
            Image(name, tags=(f"stackswap/test-shop:{name}",), layers=("base", name)) for name in self.server.apps
        )

    def weighs(self, container: str) -> int:
        return self.server.weight

    def sizes(self, image: Image) -> tuple[int, ...]:
        return (1000, 10)

    def users(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for box in self.boxes.values():
            found[box.spec.container.image] = (*found.get(box.spec.container.image, ()), box.spec.name)
        return found

    def drop(self, reference: str) -> None:
        name = reference.rpartition(":")[2]
        if name in self.users():
            raise EngineFailed(f"could not remove image {name}: a container uses it")
        self.server.apps.pop(name, None)

    def replicas(self, service: str, release: str = "") -> tuple[Replica, ...]:
        found = (b.replica() for b in self.boxes.values() if dict(b.spec.labels)[payload.SERVICE] == service)
        return tuple(r for r in found if release in ("", r.release))

    def create(self, spec: ReplicaSpec) -> str:
        if spec.container.image not in self.server.apps:
            raise ImageMissing(f"{spec.container.image} is not here")
        if any(box.spec.name == spec.name for box in self.boxes.values()):
            raise CreateConflict(f"{spec.name} exists")
        self.calls += 1
        app = self.server.commands.get(tuple(spec.container.command or ()), self.server.apps[spec.container.image])
        made = Box(f"c{self.calls}", spec, app, self.server.clock, spec.policy)
        self.boxes[made.id] = made
        return made.id

    def start(self, container: str) -> None:
        box = self.boxes[container]
        self.calls += 1
        if not box.lives():
            box.state, box.code, box.began, box.started = "running", 0, self.server.clock(), f"start {self.calls}"

    def stop(self, container: str, seconds: int) -> None:
        box = self.boxes[container]
        if box.lives():
            box.state, box.code = "exited", 137 if box.app.stubborn else box.code

    def kill(self, container: str) -> None:
        self.stop(container, 0)

    def remove(self, container: str) -> None:
        assert not self.boxes[container].lives(), "the engine removes no container that runs"
        del self.boxes[container]

    def keep(self, container: str, policy: str) -> None:
        self.boxes[container].policy = policy

    def logs(self, container: str, lines: int) -> str:
        return self.boxes[container].app.says

    def variables(self, container: str) -> dict[str, str]:
        made = self.boxes[container].spec.container
        return {**dict(made.env), **dict(made.secrets)}

    def clear(self, labels: Mapping[str, str]) -> None:
        self.server.called.append(f"clear {labels.get(payload.MOMENT, 'all')}")

    def run_once(self, spec: ReplicaSpec, seconds: float, asked: Callable[[], str], files: Mapping[str, bytes]) -> Ran:
        moment = dict(spec.labels)[payload.MOMENT]
        self.server.called.append(moment)
        script = self.server.apps[spec.container.image].scripts[moment]
        return script if isinstance(script, Ran) else script(spec, json.loads(files[callbacks.CONTEXT]))

    def tenants(self) -> dict[str, str]:
        return {b.spec.address: dict(b.spec.labels)[payload.SERVICE] for b in self.boxes.values()}

    def at(self, address: str) -> Box | None:
        """The container that has an address now."""
        return next((b for b in self.boxes.values() if b.spec.address == address and b.lives()), None)


class FakeRecords:
    """Records as JSON texts, so that what is kept is what a file could hold."""

    def __init__(self) -> None:
        self.texts: dict[Any, str] = {}
        self.notes: list[dict[str, Any]] = []

    def _read(self, *key: str) -> dict[str, Any]:
        try:
            return json.loads(self.texts.get(key, "{}"))
        except ValueError:
            return {"broken": ".".join(key)}

    def read(self, service: str) -> dict[str, Any]:
        return self._read("record", service)

    def write(self, service: str, record: Mapping[str, Any]) -> None:
        self.texts["record", service] = json.dumps(record)

    def manifest(self, service: str, release: str) -> dict[str, Any] | None:
        return self._read("manifest", service, release) or None

    def keep_manifest(self, service: str, release: str, manifest: Mapping[str, Any]) -> None:
        self.texts["manifest", service, release] = json.dumps(manifest)

    def drop_manifest(self, service: str, release: str) -> None:
        self.texts.pop(("manifest", service, release), None)

    def releases(self, service: str) -> tuple[str, ...]:
        return tuple(sorted(key[2] for key in self.texts if key[:2] == ("manifest", service)))

    def sealed(self, service: str) -> tuple[str, ...]:
        return tuple(sorted(key[2] for key in self.texts if key[:2] == ("secrets", service)))

    def keep_secrets(self, service: str, release: str, files: Mapping[str, str]) -> str:
        self.texts["secrets", service, release] = json.dumps(files)
        return f"/secrets/{service}/{release}" if files else ""

    def secrets(self, service: str, release: str) -> dict[str, str]:
        return self._read("secrets", service, release)

    def sweep_secrets(self, service: str, standing: Collection[str]) -> None:
        for kind, *key in [*self.texts]:
            if kind == "secrets" and key[0] == service and key[1] not in standing:
                del self.texts[("secrets", *key)]

    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key[1] for key in self.texts if key[0] in ("record", "manifest")))

    def knows(self, service: str) -> bool:
        return service in self.addresses() or any(service in key for key in self.texts)

    def forget(self, service: str) -> None:
        for key in [key for key in self.texts if service in key]:
            del self.texts[key]

    def note(self, service: str, line: Mapping[str, Any]) -> None:
        self.notes.append({"service": service, **line})

    def history(self, service: str, count: int) -> list[dict[str, Any]]:
        return [one for one in reversed(self.notes) if one["service"] == service][:count]

    def seal(self, values: Mapping[str, str]) -> str:
        return f"{abs(hash(tuple(sorted(values.items())))) % 16**8:08x}" if values else ""

    def addresses(self) -> dict[str, dict[str, list[str]]]:
        return self._read("addresses")

    def keep_addresses(self, allotted: Mapping[str, Mapping[str, Any]]) -> None:
        self.texts[("addresses",)] = json.dumps(allotted)


class FakeCron:
    """A cron whose daemon runs: files as texts, for what is kept is what a file could hold."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def scheduled(self, service: str) -> tuple[tuple[str, str], ...]:
        return schedule.read(self.texts.get(service, ""))

    def put(self, service: str, entries: Sequence[schedule.Entry]) -> None:
        self.texts[service] = schedule.written(service, entries, ["python3", "rota.py"])

    def drop(self, service: str) -> None:
        self.texts.pop(service, None)

    def runs(self, service: str) -> list[dict[str, Any]]:
        return []

    def daemon(self) -> bool:
        return True


@dataclass
class FakeLocks:
    """Locks that refuse at once, and demand that the service's is taken before the proxy's."""

    held: list[str] = field(default_factory=list)

    @contextmanager
    def _hold(self, name: str) -> Iterator[None]:
        if name in self.held:
            raise Held(f"{name} is being changed by another job")
        self.held.append(name)
        try:
            yield
        finally:
            self.held.remove(name)

    def holder(self, service: str) -> dict[str, Any] | None:
        return {"job": "held"} if service in self.held else None

    @contextmanager
    def service(self, service: str) -> Iterator[None]:
        assert "the proxy" not in self.held, "always the service's lock before the proxy's"
        with self._hold(service):
            yield

    @contextmanager
    def proxy(self) -> Iterator[None]:
        with self._hold("the proxy"):
            yield


class FakeServer:
    """One server. apps: how the containers of each image behave; an image that is not among them is not here."""

    def __init__(self, **apps: App) -> None:
        self.apps, self.seconds, self.checked = apps, 1000.0, 1000.0
        self.engine, self.proxy, self.probe = FakeEngine(self), FakeProxy(self), FakeProbe(self)
        self.records, self.cron, self.locks = FakeRecords(), FakeCron(), FakeLocks()
        self.called: list[str] = []
        self.commands: dict[tuple[str, ...], App] = {}  # containers that run something else behave like this
        self.weight = 0  # bytes that each container uses

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Time passes, the proxy checks, and users ask."""
        until = self.seconds + seconds
        self.proxy.serve(seconds)
        while self.checked + CHECK <= until:
            self.checked = self.seconds = self.checked + CHECK
            self.proxy.check()
        self.seconds = until

    def effects(self, **options: Any) -> Effects:
        """What a job is given."""
        things = (self.engine, self.proxy, self.probe, self.records, self.locks)
        told = {"tenants": self.tenants, "cron": self.cron, **options}
        return Effects(*things, self.clock, self.clock, self.sleep, **told)

    def tenants(self) -> dict[str, str]:
        """What stands in the proxy's sections and in containers."""
        return {**self.proxy.tenants(), **self.engine.tenants()}

    def reboot(self) -> None:
        """All stops; what is kept comes back, and the proxy with its files."""
        for box in self.engine.boxes.values():
            if box.lives():
                self.engine.stop(box.id, 0)
            if box.policy == ALWAYS and box.state != "created":
                self.engine.start(box.id)
        self.proxy.restart()
        self.sleep(2 * CHECK)
