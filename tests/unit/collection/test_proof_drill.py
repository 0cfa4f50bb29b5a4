"""A deploy that tries the way back, exhaustively: wherever it ends, a healthy release serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils import world
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import BEGUN, DONE, Observed, Step
from tests.unit.collection.test_proof import BOTH, OLD, TARGET, Requests, Walk, remembered, told, verdicts

__all__ = ["remembered", "told"]
DRILLING: Requests = {
    "deploy t with a drill": lambda seen: planner.climb(seen, TARGET, "settled", drill=True),
    "deploy p": lambda seen: planner.climb(seen, OLD, "settled"),
    "retreat t": lambda seen: planner.retreat(seen, TARGET),
}


class Drilling(Walk):
    """The walk of the proof with these requests, and with drills that end badly anywhere."""

    climbs: ClassVar = {"deploy t with a drill": TARGET, "deploy p": OLD}

    def fail(self, state: Observed, step: Step, budget: int) -> None:
        """What was live for a moment, or what is to be live again, is found sick at any point of the drill."""
        super().fail(state, step, budget)
        for found in self.within(state, step):
            for bad in verdicts(found, step._replace(verb="watch")):
                self.bad_verdicts += 1
                self.add(bad, budget)

    def within(self, state: Observed, step: Step) -> Iterator[Observed]:
        """The points of a drill."""
        yield from world.stages(state, step) if step.verb == "drill" else ()

    def arrived(self, state: Observed, request: str) -> None:
        """After a retreat it is routed nowhere that a healthy release could do without it."""
        super().arrived(state, request)
        live = planner.live_slot(state)
        backup = state.occupant(planner.slots(state.runtime)[1]) if live else None
        if request == "retreat t" and backup and backup.release == TARGET and planner.up(state, live):
            assert backup.drill != BEGUN, state


def test_every_state_with_a_drill(told: Callable[[str], None]) -> None:
    """From an empty server, with every crash, change of mind and one fault."""
    walk = Drilling(DRILLING)
    walk.add(Observed(fits=BOTH), budget=1)
    told(f"with a drill, with one fault: {walk.run()}")
    assert sum(any(p.drill == BEGUN for p in state.placements) for state in walk.budgets) > 1_000
    assert sum(any(p.drill == DONE for p in state.placements) for state in walk.budgets) > 100


def test_ready_and_live_are_where_settled_pauses() -> None:
    """The drill belongs to live: so a fleet has tried the way back everywhere before anybody settles."""
    walk = Drilling(DRILLING)
    walk.add(Observed(fits=BOTH), budget=0)
    walk.run()
    for state in walk.budgets:
        ready, live, settled = (planner.climb(state, TARGET, r, drill=True) for r in ("ready", "live", "settled"))
        assert live[: len(ready)] == ready and settled[: len(live)] == live
        assert not any(step.verb == "drill" for step in settled[len(live) :])
