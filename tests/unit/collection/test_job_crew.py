"""Whole calls for a service with workers beside web: they switch as one, go back as one, and none is left behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import ALWAYS, NO, Health, Process, Release
from tests.lab.fake import App, FakeServer
from tests.unit.collection.test_job import APPS, ONE, TWO, Site, release

WORKS = Health("none", deadline=10.0, min_healthy_time=1.0)
WORK, FAIL = ("work",), ("fail",)
BOTH = (True, False)
WAYS = ["side by side", "alone"]


def staffed(made: Release, overlap: bool = True, command: tuple[str, ...] = WORK) -> Release:
    """The release with two workers, and one that cron runs."""
    worker = Process("worker", command, replicas=2, health=WORKS, overlap=overlap)
    return replace(made, processes=(Process("nightly", WORK, schedule="15 3 * * *"), worker))


class Firm(Site):
    """A server on which no worker answers anybody, and some of them end."""

    def __init__(self, overlap: bool) -> None:
        super().__init__(FakeServer(**APPS))
        self.server.commands = {WORK: App(listens=float("inf")), FAIL: App(exits=0.4, code=4, says="no queue")}
        self.overlap = overlap

    def deploy(self, made: Release, command: tuple[str, ...] = WORK, **options: object) -> Result:
        """One call for the release with its workers."""
        return self.run(staffed(made, self.overlap, command), **options)  # type: ignore[arg-type]

    def working(self) -> Counter[str]:
        """How many workers run, by their release."""
        found = self.server.engine.replicas(ONE.service)
        return Counter(one.release for one in found if one.process == "worker" and one.running)

    def kept(self) -> set[tuple[bool, str]]:
        """Whether what runs comes back after a reboot, and what does not run."""
        found = self.server.engine.replicas(ONE.service)
        return {(one.running, one.policy) for one in found if one.process == "worker"}


@pytest.fixture(params=BOTH, ids=WAYS)
def firm(request: pytest.FixtureRequest) -> Firm:
    """A server on which the first release serves, its workers beside it."""
    made = Firm(request.param)
    assert made.deploy(ONE).error is None
    return made


def test_workers_and_cron_switch_with_web(firm: Firm) -> None:
    """The old ones are stopped and kept, and do not come back by themselves."""
    new = staffed(TWO, firm.overlap).name
    assert firm.deploy(TWO).error is None
    assert (firm.serving(), firm.working()) == (new, Counter({new: 2}))
    assert firm.kept() == {(True, ALWAYS), (False, NO)}
    assert firm.seen().scheduled == (("nightly", new),)
    assert firm.verbs(firm.deploy(TWO)) == ["confirm"]


def test_a_worker_that_ends_takes_web_back_with_it(firm: Firm) -> None:
    """Its last words are told, and those of the release before work."""
    old = staffed(ONE, firm.overlap).name
    failed = firm.deploy(TWO, FAIL)
    assert failed.error is not None and failed.error.cause == "candidate_exited"
    assert set(failed.error.evidence) == {"no queue"} and "retreat" not in failed.error.facts
    assert (firm.serving(), firm.working()) == (old, Counter({old: 2}))
    assert firm.seen().scheduled == (("nightly", old),)


class Killed(BaseException):
    """The job's process is gone."""


def points_of(firm: Firm) -> list[tuple[str, int]]:
    """Every boundary of a deploy that discards something, each with how often it has come."""
    points: list[str] = []
    for version in ("2", "3"):
        points.clear()
        assert firm.deploy(release(version), at=points.append).error is None
    return [(point, points[: number + 1].count(point)) for number, point in enumerate(points)]


def test_a_job_that_is_killed_anywhere_is_finished_by_the_same_again(firm: Firm) -> None:
    """One set of workers is left, all of what serves."""
    points = points_of(firm)
    assert {f"before {verb}" for verb in ("start", "await", "stop", "schedule", "discard")} <= {
        one for one, _ in points
    }
    for number, point in enumerate(points, 10):
        made, seen = release(str(number)), Counter[str]()

        def die(name: str, seen: Counter[str] = seen, point: tuple[str, int] = point) -> None:
            seen[name] += 1
            if (name, seen[name]) == point:
                raise Killed

        with pytest.raises(Killed):
            firm.deploy(made, at=die)
        again = firm.deploy(made)
        assert again.error is None, point
        new = staffed(made, firm.overlap).name
        assert (firm.serving(), firm.working()) == (new, Counter({new: 2})), point
        assert firm.kept() == {(True, ALWAYS), (False, NO)}, point
        assert firm.seen().scheduled == (("nightly", new),), point
