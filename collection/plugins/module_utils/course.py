# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner of all that a server has of a service: web's steps, and those of the processes without traffic.

New workers start when web's new release is live and watched, old ones end when nobody goes back any more; where the two
may not run at one time, the old ones end first. Where web is not, what the workers are of is what serves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    ALWAYS,
    NO,
    Observed,
    Process,
    Step,
    Worker,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.world import apply

Plan = tuple[Step, ...]
Climb = Callable[[Observed, str], Plan]  # web's own, to a rung, or back from a release
Phase = Callable[[Observed], Iterator[Step]]
ALONE = "alone"  # the value of a start beside which no other release's may run


def climb(
    seen: Observed, release: str, rung: str, here: Sequence[Process], web: Climb | None, back: bool = False
) -> Plan:
    """The steps from here to a rung. here: the release's processes that the server has; web: None where it has none."""
    plan = web(seen, "ready" if rung == "ready" else "live") if web else ()
    if rung == "ready":
        return plan
    plan += live(ahead(seen, plan), release, here, back)
    if rung == "live":
        return plan
    let_go = web(seen, "settled")[len(web(seen, "live")) :] if web else ()
    plan += let_go
    return plan + settled(ahead(seen, plan), release, here)


def retreat(seen: Observed, release: str, web: Climb = planner.retreat) -> Plan:
    """The steps that take a release back: web's, and the workers follow it to what serves then."""
    plan = web(seen, release)
    return plan + follow(ahead(seen, plan), release)


def leave(seen: Observed) -> Plan:
    """The steps after which nothing of the service is there."""
    plan = _play(seen, _unscheduled, *(_over(one) for one in seen.workers))
    return plan + planner.leave(ahead(seen, plan))


def absent(seen: Observed, release: str) -> Plan:
    """The steps that discard a release, which does not serve."""
    plan = _play(seen, *(_over(one) for one in seen.workers if one.release == release))
    return plan + planner.absent(seen, release)


def ahead(seen: Observed, plan: Plan) -> Observed:
    """The server when the plan is done."""
    for step in plan:
        seen = apply(seen, step)
    return seen


# -- the rungs of the processes without traffic -----------------------------------------------------------------------


def live(seen: Observed, release: str, here: Sequence[Process], back: bool = False) -> Plan:
    """Every one runs, and is kept. Where web is not, it has served then; back: what it replaces is rejected."""
    workers = [process for process in here if not process.schedule]
    ups = [phase for process in workers for phase in _ups(process, release)]
    return _play(seen, *ups, *_take_over(release, workers, back), _schedules(release, _clocked(here)))


def settled(seen: Observed, release: str, here: Sequence[Process]) -> Plan:
    """Those of all other releases are stopped; what nobody goes back to is discarded."""
    names = [process.name for process in here]
    over = (_retires, _discards)
    nothing = () if _clocked(here) else (_unscheduled,)
    return _play(seen, _fences(release, names), *nothing, *(phase(release, names) for phase in over))


def way_back(seen: Observed, release: str) -> str:
    """The release whose workers have to run when this one has been taken back: what web serves, or the one before."""
    if seen.registered or seen.placements:
        return planner.live_release(seen)
    if seen.behind and seen.served[-1:] == (release,):
        return seen.behind
    return next((name for name in reversed(seen.served) if name not in seen.rejected), "")


def follow(seen: Observed, release: str) -> Plan:
    """The workers of a release that is taken back give way to those of what serves.

    Stopped first, then started: so it is right for those that may not run beside each other.
    """
    target = way_back(seen, release)
    if target == release:
        return ()
    mine = [one for one in seen.workers if one.release == release]
    theirs = [one for one in seen.workers if one.release == target and not one.clocked]
    clocked = [one.process for one in seen.workers if one.release == target and one.clocked]

    def disown(seen: Observed) -> Iterator[Step]:
        if seen.behind and mine and release not in seen.rejected:
            yield Step("reject", release, process=mine[0].process)

    def confirm(seen: Observed) -> Iterator[Step]:
        if seen.behind and theirs:
            yield Step("confirm", target, process=theirs[0].process)

    halts = [_halted(one) for one in mine]
    ups = [phase for one in theirs for phase in _again(one.process, target)]
    last = _schedules(target, clocked) if clocked else _unscheduled
    ours = any(name == release for dummy, name in seen.scheduled)
    return _play(seen, disown, *halts, *ups, confirm, *((last,) if ours else ()))


# -- phases: each sees the server as the one before will have left it -------------------------------------------------


def _play(seen: Observed, *phases: Phase) -> Plan:
    plan: list[Step] = []
    for phase in phases:
        for step in phase(seen):
            plan.append(step)
            seen = apply(seen, step)
    return tuple(plan)


def _ups(process: Process, release: str) -> tuple[Phase, ...]:
    """What brings a process up: made anew where it failed before, kept before it is awaited where it is alone."""
    name, alone = process.name, ALONE if not process.overlap else ""

    def give_way(seen: Observed) -> Iterator[Step]:
        for one in seen.workers:
            if alone and one.process == name and one.release != release:
                yield from _halt(one)

    def remake(seen: Observed) -> Iterator[Step]:
        one = seen.worker(name, release)
        if one and one.running == "none" and not (one.fresh or one.proven):
            yield Step("discard", release, why="it failed before", process=name)

    def start(seen: Observed) -> Iterator[Step]:
        one = seen.worker(name, release)
        if not (one and one.works):
            yield Step("start", release, value=alone, process=name)

    keep, wait = _keeps(name, release), _awaits(name, release)
    order = (keep, wait) if alone else (wait, keep)
    return (give_way, _finishes(name, release), remake, start, *order)


def _again(name: str, release: str) -> tuple[Phase, ...]:
    """What has one run again that is there: nothing is made."""

    def start(seen: Observed) -> Iterator[Step]:
        one = seen.worker(name, release)
        if one and one.present == "all" and not one.works:
            yield Step("start", release, process=name)

    return (_finishes(name, release), start, _keeps(name, release), _awaits(name, release))


def _finishes(name: str, release: str) -> Phase:
    """R6: what was being stopped is stopped before anything else becomes of it."""

    def finish(seen: Observed) -> Iterator[Step]:
        one = seen.worker(name, release)
        if one and one.stopping:
            yield from _halt(one)

    return finish


def _keeps(name: str, release: str) -> Phase:
    def keep(seen: Observed) -> Iterator[Step]:
        one = seen.worker(name, release)
        if one and one.works and one.policy != ALWAYS:
            yield Step("keep", release, value=ALWAYS, process=name)

    return keep


def _awaits(name: str, release: str) -> Phase:
    def wait(seen: Observed) -> Iterator[Step]:
        one = seen.worker(name, release)
        if one and one.works and not one.awaited:
            yield Step("await", release, process=name)

    return wait


def _clocked(here: Sequence[Process]) -> list[str]:
    return sorted(process.name for process in here if process.schedule)


def _schedules(release: str, names: Sequence[str]) -> Phase:
    """Cron runs these of the release, and nothing else of the service."""

    def schedule(seen: Observed) -> Iterator[Step]:
        there = all(seen.worker(name, release) for name in names)
        if names and not (there and seen.scheduled == tuple((name, release) for name in names)):
            yield Step("schedule", release, value=" ".join(names), process=names[0])

    return schedule


def _unscheduled(seen: Observed) -> Iterator[Step]:
    """Cron runs nothing of the service."""
    if seen.scheduled:
        yield Step("unschedule", seen.scheduled[0][1], process=seen.scheduled[0][0])


def _take_over(release: str, here: Sequence[Process], back: bool) -> tuple[Phase, ...]:
    """Where web is not: the last word of the rung, after which this release is what serves."""

    def lasts(seen: Observed) -> bool:
        return not here or bool(seen.registered or seen.placements) or seen.served[-1:] == (release,)

    def reject(seen: Observed) -> Iterator[Step]:
        replaced = seen.served[-1] if seen.served else ""
        if back and not lasts(seen) and replaced and replaced not in seen.rejected:
            yield Step("reject", replaced, process=here[0].name)

    def confirm(seen: Observed) -> Iterator[Step]:
        if not lasts(seen):
            yield Step("confirm", release, value=_stands(seen, release), process=here[0].name)

    return (reject, confirm)


def _stands(seen: Observed, release: str) -> str:
    """What served last, if its workers are still there to go back to."""
    last = seen.served[-1] if seen.served else ""
    return last if any(one.release == last != release for one in seen.workers) else ""


def _fences(release: str, names: Sequence[str]) -> Phase:
    def fence(seen: Observed) -> Iterator[Step]:
        if seen.behind and names:
            yield Step("fence", release, process=names[0])

    return fence


def _retires(release: str, names: Sequence[str]) -> Phase:
    """All others are stopped, also what of the release this server has no more."""

    def retire(seen: Observed) -> Iterator[Step]:
        for one in seen.workers:
            if one.release != release or one.process not in names:
                yield from _halt(one)

    return retire


def _discards(release: str, names: Sequence[str]) -> Phase:
    """What stays, stopped, is what was there last, and what can be gone back to."""

    def discard(seen: Observed) -> Iterator[Step]:
        last = next((name for name in reversed(seen.served) if name != release), "")
        for one in seen.workers:
            moved = one.release == release and one.process not in names
            if one.running == "none" and (moved or one.release not in (release, planner.previous(seen), last)):
                yield Step("discard", one.release, process=one.process)

    return discard


def _over(one: Worker) -> Phase:
    def end(seen: Observed) -> Iterator[Step]:
        yield from _halt(one)
        yield Step("discard", one.release, process=one.process)

    return end


def _halted(one: Worker) -> Phase:
    return lambda seen: _halt(one)


def _halt(one: Worker) -> Iterator[Step]:
    """Not back after a reboot, and stopped as its process wants it; kept."""
    if one.policy != NO:
        yield Step("keep", one.release, value=NO, process=one.process)
    if one.running != "none" or one.stopping:
        yield Step("stop", one.release, process=one.process)


# -- guards -----------------------------------------------------------------------------------------------------------


def refusal(seen: Observed, step: Step) -> str:
    """Why a step must not be done on the server as it is now; '' when it may."""
    if not step.process:
        return planner.refusal(seen, step)
    others = (one for one in seen.workers if one.process == step.process and one.release != step.release)
    beside = next((one for one in others if one.running != "none"), None)
    if step.verb == "start" and step.value == ALONE and beside:
        return f"{step.process} of {beside.release} runs, and may not run beside another"
    one = seen.worker(step.process, step.release)
    if step.verb in ("await", "stop", "discard", "keep") and one is None:
        return f"there is no {step.process} of {step.release}"
    if step.verb == "discard" and one and one.running != "none":
        return f"{step.process} of {step.release} runs"
    return ""
