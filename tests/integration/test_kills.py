"""Killed at every boundary of a step, on the real engine and proxy: whatever is asked next ends well, unnoticed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import job
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Bake, Health, Release, Route, Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.plan import live_release, live_slot, previous
from tests.lab import images
from tests.lab.client import Load
from tests.lab.report import Report
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]

HEALTH = Health("http", "/health", deadline=20.0, min_healthy_time=0.0)
QUICK: dict[str, Any] = {"health": HEALTH, "bake": Bake(0.1), "drain_timeout": 10.0, "confirmations": 3}
RATE = 30
FORK = multiprocessing.get_context("fork")
NEXTS = ("same", "another", "retreat")
VERBS = {"start", "await", "keep", "route", "confirm", "watch", "fence", "drain", "stop", "discard"}
HALF = "within point"  # the file of the map is written, the runtime is not

Point = tuple[str, int]


@dataclass
class Story:
    """What became of one service that was killed at every point: troubles in words, and what its users saw."""

    points: list[Point]
    troubles: list[str] = field(default_factory=list)
    report: Report | None = None


@pytest.fixture(scope="module")
def stories() -> Iterator[dict[str, Story]]:
    """Three services on one server, each killed at every point of a swap and then asked for something."""
    assert image(0) != image(1)
    with Stack.made() as stack, ProcessPoolExecutor(len(NEXTS), FORK) as pool:
        told = {name: pool.submit(story, stack, name) for name in NEXTS}
        yield {name: future.result() for name, future in told.items()}


@pytest.mark.parametrize("name", NEXTS)
def test_a_kill_at_any_point_is_mended_by_the_next_call(
    name: str, stories: dict[str, Story], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether it asks for the same, for another release or for the way back: no request is lost, one is live."""
    told = stories[name]
    assert told.report is not None
    with capsys.disabled():
        gap = f"longest gap {told.report.longest_gap_ms:.0f} ms"
        print(f"\n  {len(told.points)} kills, then {name}: {told.report}, {gap}")
    assert {point.split()[1] for point, _ in told.points if point != HALF} == VERBS
    assert [nth for point, nth in told.points if point == HALF] == [1, 2]
    assert not told.troubles, "\n".join(told.troubles)
    assert told.report.lost == 0, str(told.report)
    assert told.report.requests > len(told.points) * RATE


# -- one service


def story(stack: Stack, name: str) -> Story:
    """Kill the deploy of one release after another, each at the next point, and ask for what the name says."""
    service = stack.service(name, routes=(Route(f"{name}.test"),), **QUICK)
    points = rehearse(stack, service)
    told, times = Story(points), [(time.monotonic(), "the beginning")]
    with Load("127.0.0.1", stack.port, host=f"{name}.test", rate=RATE, seconds=600) as load:
        for number, point in enumerate(points, 10):
            times.append((time.monotonic(), f"{point[0]} ({point[1]})"))
            try:
                told.troubles += [f"{times[-1][1]}: {why}" for why in round_of(stack, service, number, point, name)]
            except Exception as error:  # told with its point; the others are still worth a try
                told.troubles.append(f"{times[-1][1]}: {type(error).__name__}: {error}")
        told.report = load.report()
    for failure in told.report.failures[:20]:
        where = [point for at, point in times if at <= failure.at][-1]
        told.troubles.append(f"{where}: lost {failure.kind} in {failure.worker}: {failure.what}")
    return told


def rehearse(stack: Stack, service: Service) -> list[Point]:
    """Two whole deploys, and the points of a third, each with how often it has come."""
    points: list[str] = []
    for number in range(3):
        points.clear()
        done = job.run(watched(stack, points.append), service, release(stack, service, str(number)), Order("settled"))
        assert done.error is None, done.error
    seen: Counter[str] = Counter()
    told = []
    for point in points:
        seen[point] += 1
        told.append((point, seen[point]))
    return told


@cache
def image(number: int) -> str:
    """One of the two applications; made once, before the processes part."""
    return images.app(f"1.{number % 2}")


def release(stack: Stack, service: Service, version: str) -> Release:
    """A release of its own for each version, which begins with a number."""
    made = image(int(version.partition("-")[0]) % 2)
    return stack.release(service, version, made, env=(("NUMBER", version),))


def watched(stack: Stack, at: Callable[[str], None]) -> Effects:
    """The real things, telling every point; also between the two writes of a map value."""
    effects = stack.effects(at=at)
    proxy: Any = effects.proxy
    pointed = proxy._pointed

    def told(*words: str) -> bool:
        at(HALF)
        return bool(pointed(*words))

    proxy._pointed = told
    return effects


def killed(run: Callable[[Callable[[str], None]], Any], point: Point) -> bool:
    """Have a process do it that kills itself at the point; whether it got there."""

    def doomed() -> None:
        seen: Counter[str] = Counter()

        def at(name: str) -> None:
            seen[name] += 1
            if (name, seen[name]) == point:
                os.kill(os.getpid(), signal.SIGKILL)

        run(at)

    process = FORK.Process(target=doomed)
    process.start()
    process.join(60)
    return process.exitcode == -signal.SIGKILL


def round_of(stack: Stack, service: Service, number: int, point: Point, then: str) -> Iterator[str]:
    """One kill and what is asked next; what is not as it ought to be, in words."""
    old = live_release(stack.look(service).seen)
    wanted = release(stack, service, str(number))
    if not killed(lambda at: job.run(watched(stack, at), service, wanted, Order("settled")), point):
        yield "the deploy did not get there"
    fenced = live_slot_alone(stack.look(service), wanted)
    if then == "retreat":
        yield from troubles_of(stack.run(service, wanted, "back").error)
        live = live_release(stack.look(service).seen)
        if live != (wanted.name if fenced else old):
            yield f"{live} is live after the retreat, fenced: {fenced}"
        wanted = wanted if fenced else release(stack, service, old_version(stack, service, old))
        assert wanted.name == live, "the test does not know the live release"
    elif then == "another":
        wanted = release(stack, service, f"{number}-instead")
    yield from troubles_of(stack.run(service, wanted).error)
    yield from untidy(stack.look(service, wanted), wanted)


def live_slot_alone(found: Look, wanted: Release) -> bool:
    """Whether the release is live without a backup: there is no way back any more."""
    return live_release(found.seen) == wanted.name and "." not in found.seen.runtime


def old_version(stack: Stack, service: Service, name: str) -> str:
    """The version of a release that has served."""
    return str((stack.effects().records.manifest(service.key, name) or {})["version"])


def troubles_of(error: Exception | None) -> Iterator[str]:
    """An error in words."""
    if error is not None:
        yield f"{error!r} {getattr(error, 'evidence', '')}"


def untidy(found: Look, wanted: Release) -> Iterator[str]:
    """What is not as a settled deploy leaves it."""
    seen, slot = found.seen, live_slot(found.seen)
    live = seen.at(wanted.name, slot)
    checks = {
        "one value, in the file too": seen.runtime == seen.file == slot,
        "it is live, whole and healthy": live is not None and live.up,
        "it was awaited, in this start": live is not None and live.approved,
        "it comes back after a reboot": live is not None and live.policy == "always",
        "nothing else runs": [r.release for r in found.replicas if r.running] == [wanted.name],
        "nothing else comes back": [r.release for r in found.replicas if r.policy != "no"] == [wanted.name],
        "only the way back and what was replaced last are kept": {r.release for r in found.replicas}
        <= {wanted.name, previous(seen), *seen.served[-2:]},
        "nothing is kept twice": len(found.replicas) == len({r.release for r in found.replicas}),
        "it is the last that served": seen.served[-1:] == (wanted.name,),
        "it is not rejected": wanted.name not in seen.rejected,
        "no stop is under way": not found.record.get("stopping"),
        "the door is its own": seen.door,
    }
    yield from (f"not so: {what}: {seen} {found.replicas}" for what, so in checks.items() if not so)
