"""The swap, exhaustively: from every state that a server comes to, under every request, crash and one fault more.

No engine and no proxy: plan and world alone. States are closed under steps, parts of steps, bad verdicts and restarts,
so whatever holds for each single transition holds for every run, every crash and every change of mind.

Four walks, each of which prints how much it saw. From an empty server, the requests of a deploy with one fault; the
same with all requests and no fault; with a third release kept from before, and one fault; and from states that no run
of ours leaves behind, of which there are too many: there every two of what is in blue, what is in green and what map
and file say meet, and no more is claimed.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils import world
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    ALWAYS,
    BLUE,
    GREEN,
    NO,
    Observed,
    Placement,
    Step,
)

TARGET, OLD, OLDER = "t", "p", "q"
RELEASES = (TARGET, OLD, OLDER)
VALUES = ("none", BLUE, GREEN, f"{BLUE}.{GREEN}", f"{GREEN}.{BLUE}")
BOTH = frozenset((BLUE, GREEN))

SECONDS = 150  # of this process, for all walks: on a machine with nothing else to do they take less than 60


def discarding(seen: Observed, release: str) -> planner.Plan:
    """What is done to discard a release: of one that is live it is refused, and nothing is."""
    return () if planner.live_release(seen) == release else planner.absent(seen, release)


Requests = Mapping[str, Callable[[Observed], planner.Plan]]
REQUESTS: Requests = {
    "deploy t": lambda seen: planner.climb(seen, TARGET, "settled"),
    "deploy t now": lambda seen: planner.climb(seen, TARGET, "settled", now=True),
    "deploy p": lambda seen: planner.climb(seen, OLD, "settled"),
    "go back to p": lambda seen: planner.climb(seen, OLD, "settled", back=True),
    "retreat t": lambda seen: planner.retreat(seen, TARGET),
    "retreat p": lambda seen: planner.retreat(seen, OLD),
    "discard t": lambda seen: discarding(seen, TARGET),
    "discard p": lambda seen: discarding(seen, OLD),
}
CLIMBS = {"deploy t": TARGET, "deploy t now": TARGET, "deploy p": OLD, "go back to p": OLD}
DEPLOYING = {name: REQUESTS[name] for name in (*CLIMBS, "retreat t")}
THIRD = {name: REQUESTS[name] for name in ("deploy t", "go back to p")}
RUNGS = ("ready", "live", "settled")


# -- the states -------------------------------------------------------------------------------------------------------

SHAPES = (
    dict(present="some", running="none", fresh=True),
    dict(running="none", fresh=True),
    dict(running="none"),
    dict(present="some", running="none"),
    dict(running="none", stopping=True),
    dict(running="some", stopping=True),
    dict(stopping=True, healthy=True, approved=True),
    dict(running="some"),
    {},
    dict(healthy=True),
    dict(running="some", approved=True),
    dict(approved=True),
    dict(healthy=True, approved=True),
    dict(healthy=True, approved=True, baked=True),
)


def placements(slot: str) -> Iterator[tuple[Placement, ...]]:
    """Nothing, or one release in each shape; more in one slot are found by the closure."""
    yield ()
    for release, shape, policy in itertools.product(RELEASES, SHAPES, (NO, ALWAYS)):
        if policy == NO or shape.get("healthy"):
            yield (Placement(release, slot, policy=policy, **shape),)


def records() -> Iterator[tuple[tuple[str, ...], frozenset[str]]]:
    """What has served and what was rejected, in the combinations that a decision can turn on."""
    for served in ((), (OLD,), (OLDER, OLD), (TARGET,), (OLD, TARGET), (TARGET, OLD)):
        for rejected in ((), *((name,) for name in served)):
            yield served, frozenset(rejected)


FOUND = [(r, f) for r in ("none", BLUE, f"{BLUE}.{GREEN}", "mauve", "") for f in (*VALUES, "mauve")]


def paired() -> Iterator[Observed]:
    """Servers that may be found: every two of what is in blue, in green, and of map with file, are in one of them.

    Each has another record. A stop is begun for unrouted slots only; job.observe takes any other mark for void.
    """
    variants = itertools.cycle(records())
    pairs = itertools.product(enumerate(placements(BLUE)), enumerate(placements(GREEN)))
    for (row, blue), (column, green) in pairs:
        runtime, file = FOUND[(row + column) % len(FOUND)]
        served, rejected = next(variants)
        found = Observed(bool(runtime), runtime, file if runtime else "", blue + green, served, rejected, BOTH, True)
        if not any(p.stopping and planner.routed(found, p.slot) for p in found.placements):
            yield found


def every_state() -> int:
    """How many there are in all, but for the records."""
    return math.prod(len(list(one)) for one in (placements(BLUE), placements(GREEN), FOUND))


# -- what is asked of every transition --------------------------------------------------------------------------------


def serves(seen: Observed) -> bool:
    """Whether a healthy release is routed: the live one, or the backup that the proxy falls back to."""
    return any(planner.up(seen, slot) for slot in planner.slots(seen.runtime) if slot)


def exposed(seen: Observed) -> set[tuple[str, str]]:
    """Every running release that the proxy may send a request to, now or after a restart."""
    return {(p.release, p.slot) for p in seen.placements if p.running != "none" and planner.routed(seen, p.slot)}


def approved(seen: Observed, release: str, slot: str) -> bool:
    """Whether the release was awaited in this start, or has served."""
    placed = seen.at(release, slot)
    return placed is not None and (placed.approved or release in seen.served)


def breach(before: Observed, after: Observed) -> str:
    """What a transition of ours has broken; '' for nothing."""
    if serves(before) and not serves(after):
        return "took away the last healthy release that is routed"
    if serves(before) and before.runtime == before.file and not serves(world.restarted(after)):
        return "a restart of the proxy at this point would find nobody"
    for release, slot in exposed(after) - exposed(before):
        if not approved(after, release, slot):
            return f"{release} may serve from {slot} and was never approved"
    return ""


def verdicts(seen: Observed, step: Step) -> Iterator[Observed]:
    """What may be found after a step that came to a bad end."""
    placed = seen.at(step.release, step.slot)
    if step.verb in ("await", "watch", "confirm") and placed is not None:
        yield seen.put(placed._replace(healthy=False))
        yield seen.put(placed._replace(healthy=False, running="none"))
        yield seen


def faults(seen: Observed) -> Iterator[Observed]:
    """What the surroundings may do: a restart of the proxy, a reboot, a release that turns sick or well."""
    yield world.restarted(seen)
    yield world.rebooted(seen)
    for placed in seen.placements:
        if placed.present == placed.running == "all":
            yield seen.put(placed._replace(healthy=not placed.healthy))
            yield seen.put(placed._replace(healthy=False, running="none"))


# -- the walk ---------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="module")
def remembered() -> Iterator[None]:
    """The world is asked the same many times: planner and walk remember its answers; and the walks are quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "stages", cache(world.stages))
        patch.setattr(planner, "apply", cache(world.apply))
        began = time.process_time()
        yield
        assert time.process_time() - began < SECONDS


def mirrored(seen: Observed) -> Observed:
    """The same server with its slots' names exchanged."""
    other = {BLUE: GREEN, GREEN: BLUE}
    runtime, file = (".".join(other.get(word, word) for word in v.split(".")) for v in (seen.runtime, seen.file))
    placed = sorted((p._replace(slot=other[p.slot]) for p in seen.placements), key=lambda p: (p.slot, p.release))
    fits = frozenset(other[slot] for slot in seen.fits)
    slot, _colon, share = seen.canary.partition(":")
    canary = f"{other[slot]}:{share}" if slot else ""
    return seen._replace(runtime=runtime, file=file, placements=tuple(placed), fits=fits, canary=canary)


def likened(seen: Observed) -> Observed:
    """Blue and green are alike, so a live slot is called blue."""
    return mirrored(seen) if planner.live_slot(seen) == GREEN else seen


def core(plan: tuple[Step, ...]) -> tuple[tuple[str, ...], ...]:
    """The plan without the steps that only look: those may be done again."""
    return tuple((s.verb, s.release, s.slot, s.value) for s in plan if s.verb not in ("confirm", "drain"))


class Walk:
    """Takes the first step of every request's plan from every state, and every state that this leads to.

    After its first step a plan must be what was left of it: so each plan ends, whatever cut it off, and each
    transition is looked at once. budget is how many bad verdicts and faults of the surroundings a run may meet.
    """

    climbs = CLIMBS

    def __init__(self, requests: Requests = REQUESTS) -> None:
        self.requests = requests
        self.budgets: dict[Observed, int] = {}
        self.frontiers: tuple[list[Observed], ...] = ([], [])
        self.plans: dict[tuple[Observed, str], tuple[Step, ...]] = {}
        self.taken: set[tuple[Observed, Step, int]] = set()
        self.crash_points = self.bad_verdicts = self.faults = 0

    def add(self, state: Observed, budget: int) -> None:
        """A state to start from, unless it was looked at with as many faults to come."""
        state = likened(state)
        if self.budgets.get(state, -1) < budget:
            self.budgets[state] = budget
            self.frontiers[budget].append(state)

    def run(self) -> Walk:
        """Until nothing new turns up; states with a fault to come go first, so that none is looked at twice."""
        while any(self.frontiers):
            state = (self.frontiers[1] or self.frontiers[0]).pop()
            budget = self.budgets[state]
            if budget:
                self.disturb(state, budget - 1)
            for request in self.requests:
                self.advance(state, request, budget)
        return self

    def __str__(self) -> str:
        counts = dict(requests=len(self.requests), states=len(self.budgets), plans=len(self.plans))
        more = dict(crash_points=self.crash_points, bad_verdicts=self.bad_verdicts, faults=self.faults)
        return " ".join(f"{name}={count}" for name, count in {**counts, **more}.items())

    def disturb(self, state: Observed, budget: int) -> None:
        """Every fault of the surroundings, here."""
        for found in faults(state):
            self.faults += 1
            self.add(found, budget)

    def plan(self, state: Observed, request: str) -> tuple[Step, ...]:
        """The plan for a request, made once."""
        key = (state, request)
        if key not in self.plans:
            self.plans[key] = self.requests[request](state)
        return self.plans[key]

    def advance(self, state: Observed, request: str, budget: int) -> None:
        """The plan's first step that changes anything, part by part; then the rest must be the rest."""
        plan = self.plan(state, request)
        for step in plan:
            refused = planner.refusal(state, step)
            assert not refused, f"{request} from\n {state}\n plans {step}, which is refused: {refused}"
            if budget:
                self.fail(state, step, budget - 1)
            after = self.take(state, step, request, budget)
            if after != state:
                left = core(self.plan(after, request))
                assert left == core(plan[plan.index(step) + 1 :]), f"{request} from\n {state}\n {plan}\n then {left}"
                return
        assert not core(plan), f"{request} from\n {state}\n plans {plan}, which changes nothing"
        self.arrived(state, request)

    def fail(self, state: Observed, step: Step, budget: int) -> None:
        """Every bad end of the step."""
        for bad in verdicts(state, step):
            self.bad_verdicts += 1
            self.add(bad, budget)

    def take(self, state: Observed, step: Step, request: str, budget: int) -> Observed:
        """Every part of the step; a crash may leave any of them behind."""
        here, stages = state, world.stages(state, step)
        if (state, step, budget) in self.taken:
            return stages[-1]
        self.taken.add((state, step, budget))
        for after in stages:
            self.crash_points += 1
            broken = breach(here, after)
            assert not broken, f"{request} from\n {state}\n {step}: {broken}"
            self.add(after, budget)
            here = after
        return here

    def arrived(self, state: Observed, request: str) -> None:
        """Nothing is left to do: then what was asked for is so."""
        if request in self.climbs:
            live = planner.live_slot(state)
            assert planner.live_release(state) == self.climbs[request] and planner.up(state, live), (
                f"{request}: {state}"
            )
            assert state.runtime == state.file == live and not state.canary, f"{request}: {state}"
            assert [p for p in state.placements if p.running != "none"] == [state.occupant(live)], f"{request}: {state}"


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print how much was seen, past pytest."""

    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\n  proof, {text}")

    return tell


def test_every_state_that_a_server_can_come_to(told: Callable[[str], None]) -> None:
    """From an empty server, with every crash, change of mind and one fault: nobody loses a healthy release."""
    walk = Walk(DEPLOYING)
    walk.add(Observed(fits=BOTH), budget=1)
    told(f"from an empty server, with one fault: {walk.run()}")
    assert len(walk.budgets) > 50_000


def test_every_request_at_every_point(told: Callable[[str], None]) -> None:
    """The same with every request there is, at every point of every other, and without a fault."""
    walk = Walk()
    walk.add(Observed(fits=BOTH), budget=0)
    told(f"from an empty server, every request: {walk.run()}")
    assert len(walk.budgets) > 1_000
    for state in walk.budgets:
        refuse_no_prefix(state)


def test_every_state_with_a_third_release(told: Callable[[str], None]) -> None:
    """With an older release kept from before, which no request names, every crash, change of mind and one fault."""
    walk = Walk(THIRD)
    for shape in (dict(running="all", healthy=True, approved=True, policy=ALWAYS), dict(running="none")):
        kept = Placement(OLDER, GREEN, running="none")
        live = Placement(OLD, BLUE, healthy=True, approved=True, baked=True, policy=ALWAYS)
        found = Observed(True, BLUE, BLUE, (live,), (OLDER, OLD), fits=BOTH, door=True).put(kept._replace(**shape))
        walk.add(found, budget=1)
    told(f"with a third release, with one fault: {walk.run()}")
    assert len(walk.budgets) > 5_000


def test_shapes_however_they_came_about(told: Callable[[str], None]) -> None:
    """By hand, by other tools, by two faults at once: every two of blue, green, and map and file meet."""
    walk, looked = Walk(), 0
    for state in paired():
        looked += 1
        for request in REQUESTS:
            follow(walk, state, request)
    told(f"from any two shapes: states={looked} of {every_state()} crash_points={walk.crash_points}")
    assert looked > 1_000


def follow(walk: Walk, state: Observed, request: str) -> None:
    """A plan from its first step to its last; at its end there is nothing left to do."""
    for step in REQUESTS[request](state):
        refused = planner.refusal(state, step)
        assert not refused, f"{request} from\n {state}\n plans {step}, which is refused: {refused}"
        state = walk.take(state, step, request, 0)
    assert not core(REQUESTS[request](state)), f"{request} ends at {state} with work left"


def refuse_no_prefix(state: Observed) -> None:
    """ready and live are where settled pauses: so what holds for its every prefix holds for them."""
    for back in (False, True):
        plans = [planner.climb(state, TARGET, rung, back=back) for rung in RUNGS]
        for low, high in itertools.pairwise(plans):
            assert high[: len(low)] == low


def test_the_planner_knows_no_colour() -> None:
    """With the slots' names exchanged, the same is planned: so one of two like states is enough to look at."""
    live = [state for state in paired() if planner.live_slot(state)]
    assert len(live) > 500
    for state, request in zip(live, itertools.cycle(REQUESTS), strict=False):
        plan, other = (REQUESTS[request](one) for one in (state, mirrored(state)))
        assert sorted(core(plan)) == sorted(core(recoloured(other))), f"{request} from\n {state}"


def recoloured(plan: planner.Plan) -> planner.Plan:
    """The plan with the slots' names exchanged."""
    names = {BLUE: GREEN, GREEN: BLUE, "": ""}
    changed = [(step, ".".join(names.get(word, word) for word in step.value.split("."))) for step in plan]
    return tuple(step._replace(slot=names[step.slot], value=value) for step, value in changed)
