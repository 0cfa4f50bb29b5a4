"""The world of the workers' verbs is true, as test_world has it of web's: on a server without web, and on one with it.

One story on each: three releases, of which the last is taken back, and the service leaves. Beside web nothing that a
step about a worker does may change anything of web's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import course, crew
from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.blank import NoProxy
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Bake,
    Health,
    Observed,
    Process,
    Release,
    Service,
)
from tests.contract import walk
from tests.contract.walk import SUBJECTS, Fragile, Transition, Walk, as_applied, at_a_stage
from tests.lab import images
from tests.lab.fake import App, FakeServer
from tests.lab.stack import Stack

IDLE = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
WORKS = Health("none", deadline=10.0, min_healthy_time=0.2)
PROCESSES = (
    Process("lone", IDLE, health=WORKS, overlap=False, stop_timeout=3),
    Process("nightly", IDLE, schedule="15 3 * * *"),
    Process("worker", IDLE, replicas=2, health=WORKS, stop_timeout=3),  # so that a step may end between the two
)
POINTS = ("within start", "within stop", "within discard", "within schedule")
BARE = tuple(crew.VERBS)
BESIDE = tuple(verb for verb in BARE if verb not in ("confirm", "fence", "reject"))  # there these are web's
CASES = [*(("without web", verb) for verb in BARE), *(("beside web", verb) for verb in BESIDE)]


class Fake(walk.Fake):
    """The server in memory."""

    def __init__(self, web: bool, replicas: int = 1) -> None:
        self.server, self.replicas, self.web = FakeServer(app=App()), replicas, web

    def service(self) -> Service:
        """A service with a bake of no time to speak of."""
        return replace(super().service(), bake=Bake(0.1), canary=())

    def release(self, service: Service, version: str) -> Release:
        """A release with all that there may be besides web."""
        return replace(super().release(service, version), processes=PROCESSES)

    def effects(self, **options: Any) -> Effects:
        """What a job is given: where web is not, no proxy."""
        return bare(super().effects(**options), self.web)


class Real(walk.Real):
    """A stack on this machine's engine, as a server with web or without it."""

    def __init__(self, stack: Stack, web: bool) -> None:
        self.stack, self.web = stack, web

    def service(self) -> Service:
        """A service of its own for each."""
        return self.stack.service("beside" if self.web else "without", bake=Bake(0.1), confirmations=2)

    def release(self, service: Service, version: str) -> Release:
        """A release with all that there may be besides web."""
        return replace(self.stack.release(service, version, images.app("1.0")), processes=PROCESSES)

    def effects(self, **options: Any) -> Effects:
        """What a job is given: where web is not, no proxy."""
        return bare(super().effects(**options), self.web)


def bare(effects: Effects, web: bool) -> Effects:
    """The same, without a proxy where there is no web."""
    return effects if web else replace(effects, proxy=NoProxy())


class Crew(Walk):
    """Does the plans of whole servers step by step."""

    def tell(self, versions: str = "123") -> list[Transition]:
        """From version to version, the last of them not to its end and back again; then the service leaves."""
        service = self.subject.service()
        for version in versions:
            made = self.subject.release(service, version)
            self.go(service, made, partial(self.climb, rung="live" if version == versions[-1] else "settled"))
        self.go(service, made, course.retreat)
        self.go(service, made, lambda seen, name: course.leave(seen))
        return self.seen

    def climb(self, seen: Observed, name: str, rung: str) -> course.Plan:
        """As a job plans it for a server that has all processes, or all but web."""
        web = (lambda seen, rung: planner.climb(seen, name, rung)) if self.subject.web else None
        return course.climb(seen, name, rung, PROCESSES, web)


class FragileCrew(Fragile, Crew):
    """The same, in which every step is also tried on a copy of the server, once for each of its changes."""


@pytest.fixture(scope="module", params=SUBJECTS)
def servers(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """One without web and one with it, in memory or real."""
    kinds = {"without web": False, "beside web": True}
    if request.param == "fake":
        yield {name: Fake(web) for name, web in kinds.items()}
        return
    with Stack.made() as stack:
        yield {name: Real(stack, web) for name, web in kinds.items()}


@pytest.fixture(scope="module")
def told(servers: dict[str, Any]) -> dict[str, list[Transition]]:
    """All transitions of both stories."""
    return {name: Crew(server).tell() for name, server in servers.items()}


@pytest.fixture(scope="module")
def cut_off(servers: dict[str, Any], told: dict[str, list[Transition]]) -> list[Transition]:
    """All transitions of one more story where web is not, in which every point ended the job once."""
    return Crew(servers["without web"], ends=POINTS).tell()


@pytest.mark.parametrize(("kind", "verb"), CASES)
def test_a_step_about_a_worker_makes_of_a_server_what_the_world_says(
    told: dict[str, list[Transition]], kind: str, verb: str
) -> None:
    """Seen before, done, seen after: the same as applied, of web and of the workers."""
    done = [one for one in told[kind] if one.step.process and one.step.verb == verb]
    assert done, f"the story has no {verb}"
    as_applied(done)


@pytest.mark.parametrize("point", POINTS)
def test_a_job_that_ends_within_a_workers_step_leaves_one_of_its_stages(cut_off: list[Transition], point: str) -> None:
    """What is found then is what the proof of the processes has tried."""
    ended = [one for one in cut_off if one.point == point]
    assert ended, f"no job ended {point}"
    at_a_stage(ended)


@pytest.mark.parametrize("web", [True, False], ids=["beside web", "without web"])
def test_a_job_that_ends_after_any_change_to_a_worker_leaves_one_of_the_stages(web: bool) -> None:
    """On the fake, which may be copied: after each change of each step of the story."""
    ended = [one for one in FragileCrew(Fake(web)).tell() if one.point and one.step.process]
    assert len(ended) > 40
    at_a_stage(ended, unbegun=True)
