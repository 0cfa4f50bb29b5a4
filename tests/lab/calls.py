"""Calls as the module makes them, on a test's stack: from an inventory's words to a report, without Ansible between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import job
from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_module import called
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callbacks import Calling
from ansible_collections.stackswap.bluegreen.plugins.module_utils.choose import choose
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import Admin, ProxyUnreachable
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import layout
from ansible_collections.stackswap.bluegreen.plugins.module_utils.host_report import host_report
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Locks
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Release, Replica
from ansible_collections.stackswap.bluegreen.plugins.module_utils.plan import live_release
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import Definition
from tests.lab.building import docker
from tests.lab.client import Load
from tests.lab.stack import Stack

HEALTH = {"path": "/health", "deadline": 20, "min_healthy_time": 0.2}
QUICK: dict[str, Any] = {"health": HEALTH, "bake": 0.2, "drain_timeout": 10, "confirmations": 3, "shared": False}
ORDERS = {
    **dict.fromkeys(("version", "image", "release")),
    "rollback": False,
    "restart": False,
    "state": "settled",
    "local_env": {},
    "force": False,
    "promote": "yes",
    "preview": "",
}


@dataclass
class Called:
    """What one call did: its result, its report, the release, its seconds, and when each point came."""

    result: Result
    report: dict[str, Any]
    release: Release | None
    seconds: float
    points: list[tuple[float, str]] = field(default_factory=list)

    @property
    def failed(self) -> dict[str, Any]:
        """The four sentences."""
        assert self.report["failed"], "the call has not failed"
        return dict(self.report["failed"])

    @property
    def verbs(self) -> list[str]:
        """What was done, in order."""
        return [step.verb for step, _ in self.result.done]

    def when(self, point: str) -> float:
        """The first time that the point came, on the machine's monotonic clock."""
        return next(at for at, name in self.points if name == point)


class Place:
    """One service on a stack, with a host name of its own."""

    def __init__(self, stack: Stack, name: str, **options: Any) -> None:
        self.stack, self.name, self.host = stack, name, f"{name}.test"
        self.options = {**QUICK, "image": "stackswap-test/app", "routes": [{"host": self.host}], **options}

    def wanted(self, **options: Any) -> Definition:
        """The definition as an inventory has it, with what is otherwise this time."""
        return services.parse(self.name, {self.name: {**self.options, **options}}, {"name": self.stack.name})

    def call(self, version: str | None = None, options: dict[str, Any] | None = None, **asked: Any) -> Called:
        """One call. asked: the module's options, and those of Effects; job and wait, too."""
        wanted, points = self.wanted(**(options or {})), []
        params = {**ORDERS, "version": version, **{n: asked.pop(n) for n in ORDERS if n in asked}}
        params["job"] = asked.pop("job", "")
        order = self.order(wanted, params, params["job"])
        hook = asked.pop("at", lambda point: None)

        def at(point: str) -> None:
            points.append((time.monotonic(), point))
            hook(point)

        effects = self.effects(order.job, asked.pop("wait", 0.0), at=at, **asked)
        logs = effects.engine.logs

        def heard(container: str, lines: int) -> str:
            at("verdict")  # its evidence is asked for at once
            return logs(container, lines)

        effects.engine.logs = heard  # type: ignore[method-assign]
        release, began = choose(effects, wanted, params), time.monotonic()
        result = job.run(effects, wanted.service, release, order)
        seconds = time.monotonic() - began
        kept = [(name, effects.records.manifest(wanted.service.key, name)) for name in result.after.seen.served]
        report = host_report(wanted.service, release, order, result, {name: data for name, data in kept if data})
        return Called(result, report, release, seconds, points)

    def order(self, wanted: Definition, params: dict[str, Any], job_id: str) -> Order:
        """What the module makes of its options."""
        calling = Calling(wanted.callbacks, job_id, "web1", main=True)
        ways = {name: params[name] for name in ("restart", "promote", "preview")}
        told = {"job": job_id, "holder": "a test", "calling": calling, "migrations": wanted.migrations}
        return Order(params["state"], back=params["rollback"], **ways, **told)

    def callback(
        self, moment: str, version: str | None, options: dict[str, Any] | None = None, outcome: str = "", **more: Any
    ) -> Result:
        """One call of the module run_callback."""
        wanted, job_id = self.wanted(**(options or {})), more.pop("job", "")
        params = {**ORDERS, "version": version, "state": "ready"}
        effects = self.effects(job_id, **more)
        release = choose(effects, wanted, params)
        assert release
        order = replace(self.order(wanted, params, job_id), state="called")
        return called(effects, wanted.service, release, order, moment, outcome)

    def effects(self, job_id: str = "", wait: float = 0.0, **options: Any) -> Effects:
        """The real things, with patience for another call's lock."""
        made = self.stack.effects(job_id, **options)
        return replace(made, locks=Locks(self.stack.settings.home, job=job_id, wait_seconds=wait))

    def load(self, rate: float = 50, **options: Any) -> Load:
        """The strict client at this service's door."""
        return Load("127.0.0.1", self.stack.port, host=self.host, rate=rate, **options)

    def look(self) -> Any:
        """What is there now."""
        return self.stack.look(self.wanted().service)

    def live(self) -> tuple[Replica, ...]:
        """The containers that the proxy points at."""
        found = self.look()
        return found.of(live_release(found.seen), found.seen.runtime.partition(".")[0])

    def same(self) -> list[Replica]:
        """The same, as they stay while they run: what their own health check says comes later than that they serve."""
        return [replace(replica, health="") for replica in self.live()]

    def record(self) -> dict[str, Any]:
        """What the server remembers of it."""
        return self.stack.effects().records.read(self.wanted().service.key)

    @contextmanager
    def untouched(self, rate: float = 50) -> Iterator[None]:
        """Whatever happens inside, users see nothing of it and the live containers are the same."""
        before = self.same()
        with self.load(rate) as load:
            yield
            assert self.same() == before
        report = load.report()
        assert report.requests and report.lost == 0, str(report)
        assert set(report.versions) == {before[0].version}, str(report)


def candidate(place: Place, version: str) -> Replica:
    """The one container of a version."""
    found = [r for r in place.look().replicas if r.version == version]
    assert len(found) == 1, found
    return found[0]


def kill(replica: Replica) -> None:
    """End a container at once, as a crash would."""
    docker("kill", replica.id)


def inside(replica: Replica, *words: str) -> str:
    """Run a command in a container."""
    return docker("exec", replica.id, *words)


def admin(stack: Stack, *commands: str) -> list[str]:
    """Speak to the proxy by hand."""
    return Admin(layout(stack.settings).admin).call(*commands)


def proxy_restarted(stack: Stack) -> None:
    """The proxy's container stopped and started, as an upgrade of the machine does."""
    docker("restart", "-t", "2", stack.settings.container)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with suppress(ProxyUnreachable):
            admin(stack, "show info")
            return
        time.sleep(0.05)
    raise RuntimeError("the proxy did not come back")
