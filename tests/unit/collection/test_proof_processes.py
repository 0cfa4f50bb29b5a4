"""Processes without traffic, exhaustively: every request at every state, cut off at every part of every step, rebooted.

States are closed under all of that, so what holds for each transition holds for every run. Three walks: a process whose
releases may run side by side, one whose may not, each beside web and on a server without it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import course, crew, world
from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    ALWAYS,
    Observed,
    Placement,
    Process,
    Step,
)

OLD, NEW = "old", "new"
pytestmark = pytest.mark.slow
RELEASES = (OLD, NEW)
SLOT = {OLD: "blue", NEW: "green"}
UP = tuple(Placement(release, slot, healthy=True, approved=True, baked=True) for release, slot in SLOT.items())
STANDS = Observed(True, "none", "none", UP, door=True)  # both may be routed to at all times
LIMIT = 8  # calls after which it has come to its end

Requests = Mapping[str, Callable[[Observed], course.Plan]]


def web(seen: Observed, rung: str, release: str) -> course.Plan:
    """As much of web's own climb as matters here: it has a proof of its own."""
    slot, live = SLOT[release], planner.live_slot(seen)
    value = f"{slot}.{live}" if live and live != slot else slot
    route = (Step("route", release, slot, value),) if live != slot else ()
    fence = (Step("fence", release, slot, slot),) if "." in (value if route else seen.runtime) else ()
    return (*route, Step("confirm", release, slot), *(fence if rung == "settled" else ()))


def back_of_web(seen: Observed, release: str) -> course.Plan:
    """As much of its way back."""
    live, backup = planner.slots(seen.runtime)
    return (Step("route", "", backup, backup),) if backup and live == SLOT[release] else ()


def retreat(seen: Observed, release: str, with_web: bool) -> course.Plan:
    """Web's way back, and the workers follow."""
    plan = back_of_web(seen, release) if with_web else ()
    return plan + course.follow(course.ahead(seen, plan), release)


def requests(process: Process, with_web: bool) -> Requests:
    """All that a job may ask of a server."""
    found: dict[str, Callable[[Observed], course.Plan]] = {}
    backs = (False,) if with_web else (False, True)
    for release, rung, back in itertools.product(RELEASES, ("live", "settled"), backs):
        own = partial(web, release=release) if with_web else None
        climb = partial(course.climb, release=release, rung=rung, here=(process,), web=own, back=back)
        found[f"{rung} {release}{' back' if back else ''}"] = climb
    for release in RELEASES:
        found[f"retreat {release}"] = partial(retreat, release=release, with_web=with_web)
    return found


def allowed(seen: Observed, plan: course.Plan) -> tuple[Step, ...]:
    """The plan up to the first step that its guard refuses."""
    done = []
    for step in plan:
        if course.refusal(seen, step):
            break
        done.append(step)
        seen = world.apply(seen, step)
    return tuple(done)


def within(seen: Observed, plan: course.Plan) -> Iterator[Observed]:
    """Every state that a plan leads through; of web's steps, which have a proof of their own, their ends."""
    for step in plan:
        stages = world.stages(seen, step)
        yield from stages if step.process else stages[-1:]
        seen = stages[-1]


def bad(seen: Observed) -> Iterator[Observed]:
    """What may go wrong by itself: a worker that has not proved itself ends, and is not started again."""
    for one in seen.workers:
        if one.running != "none" and not one.awaited:
            yield seen.employ(one._replace(running="none"))


def closed(start: Observed, asked: Requests) -> set[Observed]:
    """All states that any requests, cut off anywhere, lead to."""
    known, new = {start}, [start]
    while new:
        seen = new.pop()
        steps = (after for plan in asked.values() for after in within(seen, allowed(seen, plan(seen))))
        for after in (*steps, crew.rebooted(seen), *bad(seen)):
            if after not in known:
                known.add(after)
                new.append(after)
    return known


def running(seen: Observed) -> set[str]:
    """The releases of which workers run."""
    return {one.release for one in seen.workers if one.running != "none"}


def finished(seen: Observed, plan: Callable[[Observed], course.Plan]) -> Observed:
    """The server when the same request was made until nothing is left of it to do; it has to come to that."""
    for _call in range(LIMIT):
        left = [step for step in plan(seen) if step.verb != "confirm" or step.process]
        assert allowed(seen, tuple(left)) == tuple(left), f"{left} is refused in {seen}"
        if not left:
            return seen
        seen = course.ahead(seen, plan(seen))
    raise AssertionError(f"it does not come to an end: {plan(seen)} in {seen}")


CASES = list(itertools.product((True, False), (True, False)))
NAMES = [f"{'side by side' if o else 'alone'}, {'with' if w else 'without'} web" for o, w in CASES]


@pytest.fixture(scope="module", params=CASES, ids=NAMES)
def walk(request: pytest.FixtureRequest) -> tuple[Process, bool, Requests, set[Observed]]:
    """All states of one kind of process on one kind of server."""
    overlap, with_web = request.param
    process = Process("worker", ("work",), overlap=overlap)
    asked = requests(process, with_web)
    return process, with_web, asked, closed(STANDS if with_web else Observed(), asked)


def test_every_climb_comes_to_its_end_with_the_workers_of_what_serves(walk, capsys) -> None:
    """Whatever was cut off before: one release serves, its workers run and come back after a reboot, no others."""
    _process, with_web, asked, states = walk
    with capsys.disabled():
        print(f"\n  {len(states)} states")
    for seen, release in itertools.product(states, RELEASES):
        done = finished(seen, asked[f"settled {release}"])
        assert planner.live_release(done) == release
        assert running(done) == {release}
        worker = done.worker("worker", release)
        assert worker and worker.works and worker.awaited and worker.policy == ALWAYS
        assert running(crew.rebooted(done)) == {release}
        assert not done.behind
        assert with_web or done.served[-1] == release


def test_every_retreat_comes_to_its_end_with_the_workers_of_what_serves(walk) -> None:
    """Where the release that serves then has ever had workers here, they run, and none of the other's."""
    _process, with_web, asked, states = walk
    for seen, release in itertools.product(states, RELEASES):
        target = course.way_back(world_after_web(seen, release) if with_web else seen, release)
        done = finished(seen, asked[f"retreat {release}"])
        theirs = done.worker("worker", target)
        if target != release:
            assert release not in running(done)
            assert not (theirs and theirs.present == "all") or (theirs.works and theirs.policy == ALWAYS)
        if not with_web and seen.behind and seen.served[-1] == release:
            assert done.served[-1] == seen.behind == target and release in done.rejected


def world_after_web(seen: Observed, release: str) -> Observed:
    """The server when web has gone back."""
    return course.ahead(seen, back_of_web(seen, release))


def test_those_that_may_not_run_side_by_side_never_do(walk) -> None:
    """In no state that any run, cut off anywhere, leads to."""
    process, _with_web, _asked, states = walk
    both = [seen for seen in states if len(running(seen)) > 1]
    assert bool(both) is process.overlap


def test_those_that_may_leave_no_gap(walk) -> None:
    """Whoever had workers of the release that serves has workers at every moment of a climb."""
    process, _with_web, asked, states = walk
    if not process.overlap:
        return
    for seen, (name, plan) in itertools.product(states, asked.items()):
        live = planner.live_release(seen)
        mine = seen.worker("worker", live)
        if name.startswith("retreat") or not (mine and mine.works and mine.awaited):
            continue
        for after in within(seen, allowed(seen, plan(seen))):
            assert running(after), (name, seen)


def test_a_reboot_in_a_change_of_those_that_are_alone_brings_one_back_or_the_job_does(walk) -> None:
    """After a settled climb there is one after every reboot; in the middle of the change, the next call starts it."""
    process, _with_web, asked, states = walk
    settled = {finished(seen, asked[f"settled {OLD}"]) for seen in states}
    for seen in settled:
        assert running(crew.rebooted(seen)) == {OLD}
        for after in within(seen, asked[f"live {NEW}"](seen)):
            back = crew.rebooted(after)
            assert len(running(back)) <= (1 if not process.overlap else 2)
            assert running(finished(back, asked[f"settled {NEW}"])) == {NEW}


def test_a_service_that_leaves_takes_its_workers_along(walk) -> None:
    """From every state, nothing is left."""
    *_rest, states = walk
    for seen in states:
        done = course.ahead(seen, course.leave(seen))
        assert (done.workers, done.placements, done.runtime) == ((), (), "")


# -- what cron runs


@pytest.fixture(scope="module", params=(True, False), ids=("with web", "without web"))
def clocked(request: pytest.FixtureRequest) -> tuple[bool, Requests, set[Observed]]:
    """All states of a server on which cron runs a process, beside web or a worker."""
    nightly = Process("nightly", ("work",), schedule="15 3 * * *")
    if request.param:
        asked = requests(nightly, True)
        return True, asked, closed(STANDS, asked)
    here = (nightly, Process("worker", ("work",), overlap=False))
    asked = {
        f"{rung} {release}": partial(course.climb, release=release, rung=rung, here=here, web=None)
        for release, rung in itertools.product(RELEASES, ("live", "settled"))
    }
    asked |= {f"retreat {release}": partial(course.follow, release=release) for release in RELEASES}
    return False, asked, closed(Observed(), asked)


def test_cron_runs_what_serves(clocked) -> None:
    """After every climb, and after every retreat; what it runs is made like a container that stands and never runs."""
    with_web, asked, states = clocked
    for seen in states:
        for _name, release in seen.scheduled:
            assert seen.worker("nightly", release), seen
        assert not any(one.clocked and one.running != "none" for one in seen.workers)
    for seen, release in itertools.product(states, RELEASES):
        assert finished(seen, asked[f"settled {release}"]).scheduled == (("nightly", release),)
        target = course.way_back(world_after_web(seen, release) if with_web else seen, release)
        done = finished(seen, asked[f"retreat {release}"])
        if target != release:
            assert {name for _process, name in done.scheduled} <= {target} | ({OLD, NEW} - {release})
