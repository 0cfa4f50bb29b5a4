"""world is true: what it makes of a step is what is found after the step, on the fake server and on a real one.

One story on each: two swaps, one to a release that wants other checks, and the way back. Its every step is done alone
and looked at before and after; then once more with jobs that end in the middle of a step.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import alone, execute, world
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

CANARY = (Share(10, 0.2), Share(50, 0.2))
REPLICAS = 2  # so that a step may end between two of them
OTHER = Health("http", "/", deadline=20.0, min_healthy_time=0.2)
CHANGING = (
    *("create", "start", "stop", "remove", "keep", "write", "keep_manifest", "keep_addresses", "open", "point"),
    *("share", "hold", "put", "drop"),
)
POINTS = ("within start", "within stop", "within discard", "within drill", "between file and runtime")


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


def real() -> Iterator[Real]:
    """A stack of its own."""
    with Stack.made() as stack:
        yield Real(stack)


class Story:
    """Does plans step by step and keeps every transition. ends: the points at which the job shall end, once each."""

    def __init__(self, subject: Fake | Real, ends: tuple[str, ...] = ()) -> None:
        self.subject, self.ends = subject, list(ends)
        self.seen: list[Transition] = []

    def tell(self, versions: str = "1232") -> list[Transition]:
        """Swaps from version to version, of which 3 wants other checks; back where one comes again."""
        service = self.subject.service()
        for number, version in enumerate(versions):
            made = self.subject.release(service, version)
            back, wanted = version in versions[:number], replace(made, health=OTHER) if version == "3" else made
            shares = () if back else tuple(one.share for one in CANARY)
            self.go(service, wanted, partial(planner.climb, rung="settled", back=back, shares=shares, drill=True))
        lone = replace(service, overlap=False)
        for release, way in ((made, alone.climb), (self.subject.release(service, "9"), alone.climb)):
            self.go(lone, release, partial(way, rung="settled"))
        self.go(lone, release, partial(alone.retreat, fully=True))
        self.go(service, release, lambda seen, name: planner.leave(seen))
        return self.seen

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


def known(seen: Observed, step: Step) -> Observed:
    """What the world can know.

    Whether a container that was just started answers yet is the application's affair, so await's; and no section of the
    proxy fits anything before there are any.
    """
    placed = seen.at(step.release, step.slot)
    seen = seen.put(placed._replace(healthy=False)) if step.verb == "start" and placed else seen
    return seen if seen.registered else seen._replace(fits=frozenset())


@pytest.fixture(scope="module", params=["fake", pytest.param("real", marks=[pytest.mark.engine, pytest.mark.slow])])
def subject(request: pytest.FixtureRequest) -> Iterator[Fake | Real]:
    """The server in memory, or a real one."""
    if request.param == "fake":
        yield Fake()
    else:
        yield from real()


@pytest.fixture(scope="module")
def told(subject: Fake | Real) -> list[Transition]:
    """All transitions of the story."""
    return Story(subject).tell()


@pytest.fixture(scope="module")
def cut_off(subject: Fake | Real, told: list[Transition]) -> list[Transition]:
    """All transitions of two more swaps on the same server, in which every point ended the job once."""
    return Story(subject, ends=POINTS).tell("45")


@pytest.mark.parametrize("verb", world.VERBS)
def test_a_step_makes_of_a_server_what_the_world_says(told: list[Transition], verb: str) -> None:
    """Seen before, done, seen after: the same as applied."""
    done = [one for one in told if one.step.verb == verb]
    assert done, f"the story has no {verb}"
    for before, step, after, _ in done:
        assert known(after, step) == known(world.apply(before, step), step), f"{step} on\n{before}"


@pytest.mark.parametrize("point", POINTS)
def test_a_job_that_ends_within_a_step_leaves_one_of_its_stages(cut_off: list[Transition], point: str) -> None:
    """What is found then is what the proof has tried."""
    ended = [one for one in cut_off if one.point == point]
    assert ended, f"no job ended {point}"
    for before, step, after, _ in ended:
        assert known(after, step) in [known(stage, step) for stage in world.stages(before, step)], (
            f"{step} on\n{before}"
        )


# -- on the fake alone: every call of every step ----------------------------------------------------------------------


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


class Fragile(Story):
    """A story in which every step is also tried on a copy of the server, once for each of its changes."""

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


@pytest.mark.parametrize("replicas", [1, REPLICAS])
def test_a_job_that_ends_after_any_change_leaves_one_of_the_stages(replicas: int) -> None:
    """On the fake, which may be copied: after each change of each step of the story."""
    ended = [one for one in Fragile(Fake(replicas)).tell() if one.point]
    assert len(ended) > 40
    for before, step, after, point in ended:
        stages = [known(stage, step) for stage in (before, *world.stages(before, step))]
        assert known(after, step) in stages, f"{point} of {step} on\n{before}\nleft\n{after}"
