"""A service leaves: from states of all kinds, cut off at every point, or followed by a deploy instead."""

from __future__ import annotations

import itertools

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils import world
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Observed

from .test_proof import Walk, follow, paired


def left(plan: planner.Plan) -> tuple[tuple[str, str, str], ...]:
    """The steps that change something."""
    return tuple((step.verb, step.release, step.slot) for step in plan if step.verb != "drain")


def leaves(seen: Observed) -> Observed:
    """To the end, every part of every step looked at: what is left to do is the rest, and a deploy comes through."""
    plan = planner.leave(seen)
    for number, step in enumerate(plan):
        refused = planner.refusal(seen, step)
        assert not refused, f"{step} on\n {seen}\n is refused: {refused}"
        if step.verb in ("drain", "stop", "discard"):
            assert not planner.routed(seen, step.slot), f"{step} while users may come\n {seen}"
        for cut_off in world.stages(seen, step):
            again = left(planner.leave(cut_off))
            assert again[-len(left(plan[number + 1 :])) :] == left(plan[number + 1 :]) or not left(plan[number + 1 :])
            follow(Walk(), cut_off._replace(runtime=cut_off.runtime or "none"), "deploy t")
        seen = world.apply(seen, step)
    return seen


TENTH = 10  # of the states in which any two of slots and maps meet


def test_from_any_state_nothing_is_left() -> None:
    """Whatever was found: no container, no entry, no record; and a second time there is nothing to do but forget."""
    looked = 0
    for state in itertools.islice(paired(), 0, None, TENTH):
        looked += 1
        seen = leaves(state)
        assert (seen.placements, seen.served, seen.rejected) == ((), (), frozenset())
        assert not (seen.registered or seen.runtime or seen.file or (seen.door and state.runtime))
        assert [step.verb for step in planner.leave(seen)] == ["forget"]
    assert looked > 100


def test_nobody_new_is_let_in_before_anybody_is_stopped() -> None:
    """The proxy forgets the service first, and records go last."""
    for state in itertools.islice(paired(), 0, None, TENTH):
        verbs = [step.verb for step in planner.leave(state)]
        assert verbs[-1] == "forget" and verbs.count("forget") == 1
        assert "leave" not in verbs or verbs[0] == "leave"
