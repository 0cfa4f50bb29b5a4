"""Releases that may not run side by side, exhaustively: never two run, and whoever cannot be served yet waits.

Every crash, change of mind, and one fault: among those that a hold is over by the clock before its job is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import ClassVar

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import alone, world
from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    ALWAYS,
    BLUE,
    GREEN,
    HELD,
    Observed,
    Placement,
    Step,
)
from tests.unit.collection import test_proof as proof
from tests.unit.collection.test_proof import BOTH, OLD, OLDER, TARGET, Requests, Walk, remembered, told

__all__ = ["remembered", "told"]
REQUESTS: Requests = {
    "deploy t": lambda seen: alone.climb(seen, TARGET, "settled"),
    "go back to p": lambda seen: alone.climb(seen, OLD, "settled", back=True),
    "retreat t": lambda seen: alone.retreat(seen, TARGET),
    "retreat t fully": lambda seen: alone.retreat(seen, TARGET, fully=True),
}


def running(seen: Observed) -> int:
    """How many releases have a running replica."""
    return sum(placed.running != "none" for placed in seen.placements)


def served_by(seen: Observed) -> bool:
    """Whether users are answered, or wait for it."""
    return seen.held == HELD or proof.serves(seen)


def exposed(seen: Observed) -> set[tuple[str, str]]:
    """Who may serve, at the latest when the hold ends, as it does by itself."""
    return proof.exposed(seen._replace(held=""))


def breach(before: Observed, after: Observed) -> str:
    """What a transition of ours has broken; '' for nothing."""
    if running(after) > max(1, running(before)):
        return "two releases run"
    if served_by(before) and not served_by(after) and before.held != HELD:
        return "took away the last healthy release, and nobody waits"
    for release, slot in exposed(after) - exposed(before):
        if not proof.approved(after, release, slot):
            return f"{release} may serve from {slot} and was never approved"
    return ""


def faults(seen: Observed) -> Iterator[Observed]:
    """What the surroundings may do: also the clock."""
    yield from FAULTS(seen)
    if seen.held == HELD:
        yield seen._replace(held="?")


FAULTS = proof.faults


class Alone(Walk):
    """The walk of the proof with these requests."""

    climbs: ClassVar = {"deploy t": TARGET, "go back to p": OLD}

    def arrived(self, state: Observed, request: str) -> None:
        """Nothing is left to do: nobody waits, one runs at the most, and who had a way back is served."""
        super().arrived(state, request)
        assert not state.held, f"{request}: {state}"
        if request not in self.climbs:
            self.went_back(state, TARGET if " t" in request else OLD, request)

    def went_back(self, state: Observed, release: str, request: str) -> None:
        """The release runs nowhere but where it is live, and there only as long as it stays; an heir is not left."""
        runs = [p.slot for p in state.placements if p.running != "none" and p.release == release]
        assert set(runs) <= {planner.live_slot(state)}, f"{request}: {state}"
        heirs = [p for p in state.placements if p.present == "all" and p.release in state.served]
        heirs = [p for p in heirs if p.release not in state.rejected | {release}]
        live = state.occupant(planner.live_slot(state)) if planner.live_slot(state) else None
        if heirs and planner.live_slot(state):
            assert live is not None, f"{request}: {state}"
        if heirs and "fully" in request:
            assert live is None or live.release != release, f"{request}: {state}"


@pytest.fixture(autouse=True)
def of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk asks what is asked here."""
    monkeypatch.setattr(proof, "breach", breach)
    monkeypatch.setattr(proof, "faults", faults)


def test_every_state_of_a_service_whose_releases_are_alone(told: Callable[[str], None]) -> None:
    """With a release live, from a deploy's and a way back's every crash, change of mind and one fault."""
    walk = Alone({name: REQUESTS[name] for name in ("deploy t", "retreat t fully")})
    for kept in ((), (Placement(OLDER, GREEN, running="none"),)):
        live = Placement(OLD, BLUE, healthy=True, approved=True, baked=True, policy=ALWAYS)
        walk.add(Observed(True, BLUE, BLUE, (live, *kept), (OLDER, OLD), fits=BOTH, door=True), budget=1)
    told(f"alone, with one fault: {walk.run()}")
    assert sum(state.held == HELD for state in walk.budgets) > 1_000


@cache
def every() -> Alone:
    """The walk from an empty server with every request there is, and without a fault."""
    walk = Alone(REQUESTS)
    walk.add(Observed(fits=BOTH), budget=0)
    return walk.run()


def test_every_request_at_every_point_of_every_other(told: Callable[[str], None]) -> None:
    """From an empty server, with every crash."""
    told(f"alone, every request: {every()}")
    assert len(every().budgets) > 1_000


def test_what_is_served_before_is_served_after_whatever_fails(told: Callable[[str], None]) -> None:
    """A candidate that never comes up: the one before runs again and has all that waited."""
    live = Placement(OLD, BLUE, healthy=True, approved=True, baked=True, policy=ALWAYS)
    seen = Observed(True, BLUE, BLUE, (live,), (OLD,), fits=BOTH, door=True)
    plan = alone.climb(seen, TARGET, "live")
    verbs = [(step.verb, step.release, step.value) for step in plan]
    assert verbs == [
        ("make", TARGET, ""),
        ("hold", OLD, HELD),
        ("drain", OLD, ""),
        ("stop", OLD, ""),
        ("keep", OLD, "no"),
        ("start", TARGET, "alone"),
        ("await", TARGET, ""),
        ("keep", TARGET, ALWAYS),
        ("route", TARGET, GREEN),
        ("hold", TARGET, ""),
        ("confirm", TARGET, GREEN),
    ]
    for step in plan[:6]:
        seen = world.apply(seen, step)
    back = alone.retreat(seen, TARGET)
    assert [(step.verb, step.release, step.value) for step in back] == [
        ("drain", TARGET, ""),
        ("stop", TARGET, ""),
        ("start", OLD, "alone"),
        ("await", OLD, ""),
        ("keep", OLD, ALWAYS),
        ("hold", OLD, ""),
    ]


def test_a_service_that_may_overlap_again_goes_on_from_wherever_it_was(told: Callable[[str], None]) -> None:
    """The ordinary planner ends a hold that it finds, and each of its plans comes to an end."""
    for state in every().budgets:
        seen = state
        for step in planner.climb(seen, TARGET, "settled"):
            refused = planner.refusal(seen, step)
            assert not refused, f"{state}\n plans {step}, which is refused: {refused}"
            seen = world.apply(seen, step)
        assert not proof.core(planner.climb(seen, TARGET, "settled")), state
        assert planner.live_release(seen) == TARGET and not seen.held
    told(f"alone, then side by side: states={len(every().budgets)}")


def test_beside_another_that_runs_no_start_is_done() -> None:
    """R4: read again at the moment of the step."""
    live = Placement(OLD, BLUE, healthy=True, approved=True, policy=ALWAYS)
    seen = Observed(True, BLUE, BLUE, (live,), (OLD,), fits=BOTH, door=True, held=HELD)
    seen = seen.put(Placement(TARGET, GREEN, running="none", fresh=True))
    step = Step("start", TARGET, GREEN, "alone")
    assert planner.refusal(seen, step) == "p runs in blue, and nothing may run beside"
    assert planner.refusal(seen, step._replace(value="")) == ""
