"""A deploy that shares the traffic step by step, exhaustively: who was not approved has no share either."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Observed
from tests.unit.collection.test_proof import BOTH, OLD, TARGET, Requests, Walk, remembered, told

__all__ = ["remembered", "told"]
SHARING: Requests = {
    "deploy t by canary": lambda seen: planner.climb(seen, TARGET, "settled", shares=(10,)),
    "deploy p": lambda seen: planner.climb(seen, OLD, "settled"),
    "retreat t": lambda seen: planner.retreat(seen, TARGET),
}


class Sharing(Walk):
    """The walk of the proof with these requests."""

    climbs: ClassVar = {"deploy t by canary": TARGET, "deploy p": OLD}


def test_every_state_with_a_share_of_the_traffic(told: Callable[[str], None]) -> None:
    """From an empty server, with every crash, change of mind and one fault."""
    walk = Sharing(SHARING)
    walk.add(Observed(fits=BOTH), budget=1)
    told(f"by canary, with one fault: {walk.run()}")
    assert sum(bool(state.canary) for state in walk.budgets) > 1_000
