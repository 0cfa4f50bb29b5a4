"""The walk on which the world is held to what is found: a plan is done step by step, each looked at before and after.

The subject is the server in memory or a real one. What the plans are is each test's own story.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import execute, world
from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import HAProxy
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Bake,
    Container,
    Health,
    Observed,
    Release,
    Route,
    Service,
    Share,
    Step,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import Work
from tests.lab import images
from tests.lab.fake import App, FakeServer
from tests.lab.stack import HOST, Stack

SUBJECTS = ["fake", pytest.param("real", marks=[pytest.mark.engine, pytest.mark.slow])]
CANARY = (Share(10, 0.2), Share(50, 0.2))
REPLICAS = 2  # so that a step may end between two of them
CHANGING = (
    *("create", "start", "stop", "remove", "keep", "write", "keep_manifest", "keep_addresses", "open", "point"),
    *("share", "hold", "put", "drop"),
)


class Crash(BaseException):
    """The job's process is gone."""


class Transition(NamedTuple):
    """A step on a subject, with what was seen before and after it; point: where the job ended, '' if it did not."""

    before: Observed
    step: Step
    after: Observed
    point: str = ""


class Fake:
    """The server in memory."""

    def __init__(self, replicas: int = REPLICAS) -> None:
        self.server, self.replicas = FakeServer(app=App()), replicas

    def service(self) -> Service:
        """A service, with two replicas if nothing else is asked for."""
        health = Health("http", "/health", deadline=20.0, min_healthy_time=0.2)
        told = ("test", "shop", 8080, self.replicas, (Route(HOST),), health)
        return Service(*told, bake=Bake(0.3), confirmations=2, canary=CANARY)

    def release(self, service: Service, version: str) -> Release:
        """A release of it."""
        return Release(
            service.key, version, "sha256:1", Container("app"), health=service.health, replicas=self.replicas
        )

    def effects(self, **options: Any) -> Effects:
        """What a job is given."""
        return self.server.effects(**options)

    @contextmanager
    def between(self, call: Callable[[], None]) -> Iterator[None]:
        """Have this called between the map file and the runtime."""
        self.server.proxy.between = call
        try:
            yield
        finally:
            self.server.proxy.between = str


class Real:
    """A stack on this machine's engine."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def service(self) -> Service:
        """A service with two replicas."""
        return self.stack.service("world", replicas=REPLICAS, bake=Bake(0.3), confirmations=2, canary=CANARY)

    def release(self, service: Service, version: str) -> Release:
        """A release of it."""
        return self.stack.release(service, version, images.app("1.0"))

    def effects(self, **options: Any) -> Effects:
        """What a job is given."""
        return self.stack.effects(**options)

    @contextmanager
    def between(self, call: Callable[[], None]) -> Iterator[None]:
        """Have this called between the map file and the runtime."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(HAProxy, "_pointed", lambda *_: call())
            yield


class Walk:
    """Does plans step by step and keeps every transition: seen before, done alone, seen after.

    ends: the points at which the job shall end, once each.
    """

    def __init__(self, subject: Fake | Real, ends: tuple[str, ...] = ()) -> None:
        self.subject, self.ends = subject, list(ends)
        self.seen: list[Transition] = []

    def go(self, service: Service, release: Release, plan_of: Callable[[Observed, str], planner.Plan]) -> None:
        """One plan to its end, planned anew where the job has ended in the middle of a step."""
        while any(self.ended(service, release, step) for step in plan_of(self.look(service, release), release.name)):
            pass

    def look(self, service: Service, release: Release) -> Observed:
        """The subject now."""
        return look(self.subject.effects(), service, release).seen

    def ended(self, service: Service, release: Release, step: Step) -> bool:
        """Do the step; whether the job ended in it."""
        before, point = self.look(service, release), self.point(step)

        def end(at: str = point) -> None:
            if at == point:
                self.ends.remove(point)
                raise Crash(point)

        try:
            if point.startswith("between"):
                with self.subject.between(end):
                    execute.run(Work(self.subject.effects(), service, release), (step,))
            else:
                execute.run(Work(self.subject.effects(at=end if point else str), service, release), (step,))
            point = ""
        except Crash:
            pass
        self.seen.append(Transition(before, step, self.look(service, release), point))
        return bool(point)

    def point(self, step: Step) -> str:
        """Where the job shall end in this step, '' for nowhere."""
        wanted = "between file and runtime" if step.verb in ("route", "fence") else f"within {step.verb}"
        return wanted if wanted in self.ends else ""


class Mortal:
    """An effect whose job ends after so many changes."""

    def __init__(self, real: Any, life: list[int]) -> None:
        self.real, self.life = real, life

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.real, name)
        return method if name not in CHANGING else lambda *given, **named: self.change(method, *given, **named)

    def change(self, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """Change, and perhaps end."""
        answer = method(*given, **named)
        self.life[0] -= 1
        if not self.life[0]:
            raise Crash
        return answer


class Fragile(Walk):
    """A walk in which every step is also tried on a copy of the server, once for each of its changes."""

    def ended(self, service: Service, release: Release, step: Step) -> bool:
        """Do the step; and end after its first change, after its second and so on, elsewhere."""
        life = 1
        while self.died(service, release, step, life):
            life += 1
        return super().ended(service, release, step)

    def died(self, service: Service, release: Release, step: Step, life: int) -> bool:
        """Whether there were so many changes."""
        copied, before = copy.deepcopy(self.subject), self.look(service, release)
        fx, left = copied.effects(), [life]
        mortal = replace(
            fx,
            engine=Mortal(fx.engine, left),
            records=Mortal(fx.records, left),
            proxy=Mortal(fx.proxy, left),
            cron=Mortal(fx.cron, left),
        )
        try:
            execute.run(Work(mortal, service, release), (step,))
        except Crash:
            self.seen.append(Transition(before, step, look(copied.effects(), service, release).seen, f"change {life}"))
            return True
        return False


def known(seen: Observed, step: Step) -> Observed:
    """What the world can know.

    Whether a container that was just started answers yet is the application's affair, so await's; and no section of the
    proxy fits anything before there are any.
    """
    placed = seen.at(step.release, step.slot)
    seen = seen.put(placed._replace(healthy=False)) if step.verb == "start" and placed else seen
    return seen if seen.registered else seen._replace(fits=frozenset())


def as_applied(done: list[Transition]) -> None:
    """Hold each to what the world makes of the step."""
    for before, step, after, _ in done:
        assert known(after, step) == known(world.apply(before, step), step), f"{step} on\n{before}"


def at_a_stage(ended: list[Transition], unbegun: bool = False) -> None:
    """Hold each to the stages of the step. unbegun: it may also have changed nothing."""
    for before, step, after, point in ended:
        stages = (*((before,) if unbegun else ()), *world.stages(before, step))
        found = known(after, step) in [known(stage, step) for stage in stages]
        assert found, f"{point} of {step} on\n{before}\nleft\n{after}"
