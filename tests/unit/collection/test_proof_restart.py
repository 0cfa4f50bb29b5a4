"""The restart, exhaustively: the same release in other containers, beside a deploy, a rollback and faults."""

from __future__ import annotations

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    ALWAYS,
    BLUE,
    GREEN,
    Observed,
    Placement,
    bare,
    served_with,
)

from .test_proof import BOTH, OLD, OLDER, Walk

AGAIN, THIRD = f"{OLD}-r1", f"{OLD}-r2"


def served() -> Observed:
    """A server on which a release is live and settled, with the one before it kept."""
    live = Placement(OLD, BLUE, healthy=True, approved=True, baked=True, policy=ALWAYS)
    kept = Placement(OLDER, GREEN, running="none")
    return Observed(True, BLUE, BLUE, (live, kept), (OLDER, OLD), fits=BOTH, door=True)


REQUESTS = {
    "restart": lambda seen: planner.climb(seen, AGAIN, "settled"),
    "retreat": lambda seen: planner.retreat(seen, AGAIN),
    "deploy": lambda seen: planner.climb(seen, OLD, "settled"),
}


class Restarts(Walk):
    """A job restarts what is live, and goes back; another deploys the release as it is."""

    climbs = {"restart": AGAIN, "deploy": OLD}  # noqa: RUF012


def test_a_restart_is_a_swap_in_every_state_that_it_can_come_to(capsys: pytest.CaptureFixture[str]) -> None:
    """With every crash, change of mind and one fault on the way: nobody loses a healthy release."""
    walk = Restarts(REQUESTS)
    walk.add(served(), budget=1)
    counts = walk.run()
    with capsys.disabled():
        print(f"\n  proof, of restarts: {counts}")
    assert len(walk.budgets) > 500


def test_the_way_back_is_to_another_release() -> None:
    """After any number of restarts a rollback goes to the release before, and its containers are kept."""
    seen = served()
    for number in range(25):
        for step in planner.climb(seen, f"{OLD}-r{number}", "settled"):
            seen = planner.apply(seen, step)
        assert planner.live_release(seen) == f"{OLD}-r{number}"
        assert planner.previous(seen) == OLDER
        assert seen.at(OLDER, GREEN), "kept, to be gone back to"
        assert len(seen.served) <= 3


def test_who_went_back_from_a_restarted_release_does_not_go_forward_to_it() -> None:
    """The release is rejected with its restart, not only the containers of that."""
    seen = served()
    for name, back in ((AGAIN, False), (OLDER, True)):
        for step in planner.climb(seen, name, "settled", back=back):
            seen = planner.apply(seen, step)
    assert planner.live_release(seen) == OLDER and planner.previous(seen) == ""


def test_of_restarts_the_last_one_is_remembered() -> None:
    """So that nightly ones do not push the release before out of the record."""
    assert served_with((OLDER, OLD), AGAIN) == (OLDER, OLD, AGAIN)
    assert served_with((OLDER, OLD, AGAIN), THIRD) == (OLDER, AGAIN, THIRD)
    assert served_with((OLDER, OLD, AGAIN), OLD) == (OLDER, AGAIN, OLD)
    assert [bare(name) for name in (OLD, AGAIN, "1f-ab12-x3-r9")] == [OLD, OLD, "1f-ab12-x3"]
