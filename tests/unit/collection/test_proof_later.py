"""A drain that is left to the next call, from any two shapes: nobody loses a healthy release; two calls are enough."""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import NO, Observed
from tests.unit.collection.test_proof import TARGET, Walk, core, paired


def done(walk: Walk, state: Observed, plan: planner.Plan) -> Observed:
    """The plan from its first step to its last, with every part of each looked at."""
    for step in plan:
        refused = planner.refusal(state, step)
        assert not refused, f"{step} from\n {state}\n is refused: {refused}"
        state = walk.take(state, step, "later", 0)
    return state


def test_two_calls_are_enough() -> None:
    """The first ends with the release live alone; who was let go may run on, and comes back after no reboot."""
    walk, left = Walk(), 0
    for first in paired():
        second = done(walk, first, planner.climb(first, TARGET, "settled", later=True))
        live = planner.live_slot(second)
        assert planner.live_release(second) == TARGET and second.runtime == second.file == live
        running = [p for p in second.placements if p.running != "none" and p.slot != live]
        assert all(p.policy == NO for p in running), second
        left += len(running)
        plan = planner.climb(second, TARGET, "settled", later=True)
        assert plan == planner.climb(second, TARGET, "settled")
        third = done(walk, second, plan)
        assert not core(planner.climb(third, TARGET, "settled", later=True)), third
    assert left > 100
