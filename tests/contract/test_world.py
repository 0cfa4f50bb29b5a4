"""world is true: what it makes of a step is what is found after the step, on the fake server and on a real one.

One story on each: two swaps, one to a release that wants other checks, and the way back. Its every step is done alone
and looked at before and after; then once more with jobs that end in the middle of a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import alone, world
from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Health
from tests.contract.walk import (
    CANARY,
    REPLICAS,
    SUBJECTS,
    Fake,
    Fragile,
    Real,
    Transition,
    Walk,
    as_applied,
    at_a_stage,
)
from tests.lab.stack import Stack

OTHER = Health("http", "/", deadline=20.0, min_healthy_time=0.2)
POINTS = ("within start", "within stop", "within discard", "within drill", "between file and runtime")


class Story(Walk):
    """All that may be done with a service."""

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


class FragileStory(Fragile, Story):
    """The same, in which every step is also tried on a copy of the server, once for each of its changes."""


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Iterator[Fake | Real]:
    """The server in memory, or a real one."""
    if request.param == "fake":
        yield Fake()
        return
    with Stack.made() as stack:
        yield Real(stack)


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
    as_applied(done)


@pytest.mark.parametrize("point", POINTS)
def test_a_job_that_ends_within_a_step_leaves_one_of_its_stages(cut_off: list[Transition], point: str) -> None:
    """What is found then is what the proof has tried."""
    ended = [one for one in cut_off if one.point == point]
    assert ended, f"no job ended {point}"
    at_a_stage(ended)


# -- on the fake alone: every call of every step ----------------------------------------------------------------------


@pytest.mark.parametrize("replicas", [1, REPLICAS])
def test_a_job_that_ends_after_any_change_leaves_one_of_the_stages(replicas: int) -> None:
    """On the fake, which may be copied: after each change of each step of the story."""
    ended = [one for one in FragileStory(Fake(replicas)).tell() if one.point]
    assert len(ended) > 40
    at_a_stage(ended, unbegun=True)
