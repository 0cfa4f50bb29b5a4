"""Killed at every boundary of a step about a worker, and of a swap with one at a time: the same job again ends well.

What is so after a step is so before the next one, so every boundary is tried once.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import job
from ansible_collections.stackswap.bluegreen.plugins.module_utils.blank import NoProxy
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Health,
    Process,
    Release,
    Replica,
    Route,
    Service,
    Step,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.plan import live_release, previous
from tests.integration import test_kills as kills
from tests.integration.test_kills import FORK, QUICK, Point, killed, troubles_of, watched
from tests.lab.building import docker
from tests.lab.client import Load
from tests.lab.report import Report
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]

RATE, FEW = 30, 10  # requests a second, and in a round, in which they may have to wait
AT_ONCE = Health("none", deadline=10.0, min_healthy_time=0.0)
IDLE = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done")
LONE = Process("lone", IDLE, health=AT_ONCE, overlap=False, stop_timeout=3)
WORKER = Process("worker", IDLE, replicas=2, health=AT_ONCE, stop_timeout=3)
NIGHTLY = Process("nightly", IDLE, schedule="15 3 * * *")
OF_WORKERS = frozenset({"start", "await", "keep", "stop", "discard"})
OF_A_HOLD = frozenset({"make", "hold", "drain", "stop", "keep", "start", "await", "route", "confirm", "discard"})


class Beside:
    """Web with workers beside it; it is killed at what it does about these."""

    processes: tuple[Process, ...] = (WORKER,)
    options: Mapping[str, Any] = MappingProxyType(QUICK)
    verbs = OF_WORKERS

    def __init__(self, stack: Stack) -> None:
        self.stack, self.name = stack, type(self).__name__.lower()
        self.service: Service = stack.service(self.name, routes=(Route(f"{self.name}.test"),), **self.options)

    def release(self, number: int) -> Release:
        """A release of its own for each number."""
        made = self.stack.release(self.service, str(number), kills.image(number % 2), env=(("NUMBER", str(number)),))
        return replace(made, processes=self.processes)

    def run(self, wanted: Release, at: Callable[[str], None] = str) -> Result:
        """A whole deploy."""
        return job.run(self.effects(at), self.service, wanted, Order("settled"))

    def effects(self, at: Callable[[str], None]) -> Effects:
        """The real things, telling every point."""
        return watched(self.stack, at)

    def counts(self, step: Step) -> bool:
        """Whether it is killed at this step."""
        return bool(step.process)

    def load(self) -> AbstractContextManager[Any]:
        """Users."""
        return Load("127.0.0.1", self.stack.port, host=f"{self.name}.test", rate=RATE, seconds=600, timeout=60)

    def untidy(self, wanted: Release) -> Iterator[str]:
        """What is not as a settled deploy leaves it."""
        found = self.stack.look(self.service, wanted)
        yield from kills.untidy(found, wanted)
        yield from untidy_crew(found, wanted)


class Lone(Beside):
    """Web with a worker of which never two run, and with one that cron runs."""

    processes, verbs = (LONE, NIGHTLY), OF_WORKERS | {"schedule"}


class Without(Beside):
    """A server that has workers alone, and no proxy."""

    verbs = OF_WORKERS | {"confirm", "fence"}

    def run(self, wanted: Release, at: Callable[[str], None] = str) -> Result:
        """A whole deploy of what the server has."""
        return job.run(self.effects(at), self.service, wanted, Order("settled", here=(WORKER.name,)))

    def effects(self, at: Callable[[str], None]) -> Effects:
        """The real things but the proxy."""
        return replace(self.stack.effects(at=at), proxy=NoProxy())

    def load(self) -> AbstractContextManager[Any]:
        """Nobody."""
        return nullcontext()

    def untidy(self, wanted: Release) -> Iterator[str]:
        """What is not as a settled deploy leaves it."""
        yield from untidy_crew(self.stack.look(self.service, wanted), wanted)


class Alone(Beside):
    """A web whose releases may not run side by side, by itself."""

    processes, verbs = (), OF_A_HOLD
    options = MappingProxyType({**QUICK, "overlap": False, "hold": 20, "drain_timeout": 5.0, "bake": 0})

    def counts(self, step: Step) -> bool:
        """Every step of such a swap."""
        return True

    def untidy(self, wanted: Release) -> Iterator[str]:
        """What is not as a settled deploy leaves it."""
        found = self.stack.look(self.service, wanted)
        yield from kills.untidy(found, wanted)
        yield from (f"two ran at one time: {spans}" for spans in side_by_side(found.replicas))
        yield from ["users are held"] if found.seen.held else []


def untidy_crew(found: Look, wanted: Release) -> Iterator[str]:
    """What is not so of the workers: one set of them, of what serves, and nothing else."""
    seen, running = found.seen, [one for one in found.crew if one.running]
    mine = [one for one in seen.workers if one.release == wanted.name and not one.clocked]
    every = Counter({one.name: one.replicas for one in wanted.processes if not one.schedule})
    clocked = tuple((one.name, wanted.name) for one in wanted.processes if one.schedule)
    checks = {
        "one set of workers runs": Counter(one.process for one in running) == every,
        "they are of what serves": {one.release for one in running} == {wanted.name} == {live_release(seen)},
        "they were awaited, in this start": all(one.awaited for one in mine),
        "they come back after a reboot, and nothing else": all((r.policy == "always") is r.running for r in found.crew),
        "no stop is under way": not found.record.get("ending"),
        "it is settled": not seen.behind and seen.served[-1:] == (wanted.name,),
        "cron runs what serves": seen.scheduled == clocked,
        "only the way back and what was replaced last are kept": {r.release for r in found.crew}
        <= {wanted.name, previous(seen), *seen.served[-2:]},
        "nothing is kept twice": len(found.crew) == len({(r.process, r.release, r.number) for r in found.crew}),
    }
    yield from (f"not so: {what}: {seen.workers} {found.crew}" for what, so in checks.items() if not so)
    lone = [one for one in found.crew if one.process == LONE.name]
    yield from (f"two ran at one time: {spans}" for spans in side_by_side(lone))


def side_by_side(found: Sequence[Replica]) -> list[str]:
    """Containers that were started before another one had ended, by the engine's own times."""
    told = [docker("inspect", "-f", "{{.State.StartedAt}} {{.State.FinishedAt}}", one.id).split() for one in found]
    spans = sorted((began, "9" if one.running else ended) for one, (began, ended) in zip(found, told, strict=True))
    return [f"{spans}" for one, then in itertools.pairwise(spans) if then[0] < one[1]]


# -- each place is killed at each of its points -----------------------------------------------------------------------


@dataclass
class Story:
    """What became of it: the points, the verbs that they are of, troubles in words, and what users saw."""

    points: list[Point]
    verbs: set[str]
    troubles: list[str]
    report: Report | None = None


PLACES = {
    "workers beside web": Beside,
    "a lone worker and cron beside web": Lone,
    "workers alone on a server": Without,
    "one release at a time": Alone,
}


@pytest.fixture(scope="module")
def stories() -> Iterator[dict[str, Story]]:
    """All at once, on one server."""
    assert kills.image(0) != kills.image(1)
    with Stack.made() as stack, ProcessPoolExecutor(len(PLACES), FORK) as pool:
        told = {name: pool.submit(story, kind(stack)) for name, kind in PLACES.items()}
        yield {name: future.result() for name, future in told.items()}


@pytest.mark.parametrize("name", PLACES)
def test_a_kill_at_any_step_is_mended_by_the_same_job(
    name: str, stories: dict[str, Story], capsys: pytest.CaptureFixture[str]
) -> None:
    """One set of workers is left, all of what serves, and users never noticed."""
    told = stories[name]
    with capsys.disabled():
        print(f"\n  {len(told.points)} kills, {name}: {told.report}")
    assert told.verbs == PLACES[name].verbs
    assert not told.troubles, "\n".join(told.troubles)
    if told.report is not None:
        assert told.report.lost == 0, f"{told.report} {told.report.failures[:3]}"
        assert told.report.requests > len(told.points) * FEW


def story(place: Beside) -> Story:
    """Kill the deploy of one release after another, each at the next point, and do the same again."""
    told = rehearsed(place)
    with place.load() as load:
        for number, point in enumerate(told.points, 10):
            try:
                told.troubles += [f"{point}: {why}" for why in round_of(place, place.release(number), point)]
            except Exception as error:  # told with its point; the others are still worth a try
                told.troubles.append(f"{point}: {type(error).__name__}: {error}")
        told.report = load.report() if load else None
    return told


def rehearsed(place: Beside) -> Story:
    """Three whole deploys; the boundaries in the last one of the steps that count, each with how often it has come."""
    for number in range(3):
        points: list[str] = []
        done = place.run(place.release(number), points.append)
        assert done.error is None, done.error
    steps, step, seen = iter([step for step, _seconds in done.done]), Step(""), Counter[str]()
    told = Story([], set(), [])
    for point in points:
        seen[point] += 1
        step = next(steps) if point.startswith("before ") else step
        if place.counts(step) and not point.startswith("after "):
            told.points.append((point, seen[point]))
            told.verbs.add(step.verb)
    return told


def round_of(place: Beside, wanted: Release, point: Point) -> Iterator[str]:
    """One kill and the same job again; what is not as it ought to be, in words."""
    if not killed(lambda at: place.run(wanted, at), point):
        yield "the deploy did not get there"
    yield from troubles_of(place.run(wanted).error)
    yield from place.untidy(wanted)
