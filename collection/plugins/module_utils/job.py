# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call on one server: lock, observe, plan, execute; on failure observe anew, retreat, and tell what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (
    alone,
    claims,
    course,
    execute,
    history,
    mounts,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callbacks import Calling
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import (
    BadInput,
    Claimed,
    Moved,
    StackswapError,
    StepFailed,
    Superseded,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    RUNGS,
    WEB,
    Observed,
    Release,
    Service,
    Step,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import Work

TRIES = 4
PAUSE = 1.0  # between two looks at another job's claim
GATED = ("live", "settled")


@dataclass(frozen=True)
class Order:
    """What a call is to do. state is a rung or one of the module's other words; back: the release is gone back to.

    restart: it is the live one, in new containers. drill: the way back is tried, whatever the service says.

    here: what of the service this server has, by the names of its processes; None is all.

    job and holder make the claim, which lasts for so many seconds; without a job there is none. wait: how long another
    job's claim is waited for. calling: how callbacks are called; migrations: what the release declares of them. kind:
    what the job is called in the history.

    promote: ``no`` ends the job at ready, ``only`` starts nothing that is not ready. preview: a word that leads to what
    is ready until it goes live.

    volumes: what containers mount of the server; unmounted: the mount points that are gone on purpose.
    """

    state: str
    back: bool = False
    restart: bool = False
    now: bool = False
    drill: bool = False
    here: tuple[str, ...] | None = None
    job: str = ""
    holder: str = ""
    claim_seconds: float = 900.0
    wait: float = 0.0
    calling: Calling = field(default_factory=Calling)
    migrations: str = "none"
    kind: str = ""
    promote: str = "yes"
    preview: str = field(default="", repr=False)
    volumes: tuple[str, ...] = ()
    unmounted: tuple[str, ...] = ()

    def has(self, process: str) -> bool:
        """Whether this server has the process."""
        return self.here is None or process in self.here

    @property
    def last(self) -> bool:
        """Whether this is the job's last call on a server."""
        return self.state in history.LAST or (self.state == "ready" and self.promote == "no")


@dataclass(frozen=True)
class Result:
    """What a call did, for the report: the looks before and after, the steps with their seconds, and what failed.

    callbacks: what is told of each that ran. warnings: what went on all the same. drains: what each release that was
    let go still had; loss: what users lost, by the job so far.
    """

    before: Look
    after: Look
    done: tuple[tuple[Step, float], ...] = ()
    plan: tuple[Step, ...] = ()
    figures: Mapping[str, Any] | None = None
    error: StackswapError | None = None
    callbacks: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    drains: tuple[Mapping[str, Any], ...] = ()
    loss: Mapping[str, Any] | None = None

    @property
    def changed(self) -> bool:
        """Whether a step ran that changes something (R15): looking, waiting and confirming do not."""
        return any(step.verb not in ("await", "confirm", "watch", "drain") for step, dummy in self.done)


def plan_of(
    order: Order, seen: Observed, release: Release | None, service: Service, later: bool = False
) -> tuple[Step, ...]:
    """The plan for an order on what is seen. later: what it lets go is drained by the next call."""
    name = release.name if release else ""
    if order.state in ("claimed", "released"):
        return ()
    if order.state == "back":
        return course.retreat(seen, name, planner.retreat if service.overlap else partial(alone.retreat, fully=True))
    if order.state == "absent":
        if planner.live_release(seen) == name:
            raise BadInput("the release is live: go back from it first, or deploy another")
        return course.absent(seen, name)
    shares = () if order.back else tuple(one.share for one in service.canary)
    drill = order.drill or service.drill
    here = tuple(one for one in (release.processes if release else ()) if order.has(one.name))

    def web(seen: Observed, rung: str) -> tuple[Step, ...]:
        if not service.overlap:
            return alone.climb(seen, name, rung, order.back)
        return planner.climb(seen, name, rung, order.back, order.now, later, shares, drill)

    return course.climb(seen, name, order.state, here, web if order.has(WEB) else None, order.back)


def foresee(fx: Effects, service: Service, release: Release | None, order: Order) -> Result:
    """Check mode: the plan and nothing else. No lock is taken, no claim made."""
    found = look(fx, service, release)
    _mounted(fx, found, order)
    return Result(found, found, plan=plan_of(order, found.seen, release, service, _later(service)))


def run(fx: Effects, service: Service, release: Release | None, order: Order) -> Result:
    """Do the order when no other job has the service. Failures are in the result; what could not begin is raised."""
    until = fx.clock() + order.wait
    while True:
        try:
            return _locked(fx, service, release, order)
        except Claimed:  # nothing was done, and the lock is free for the job that has it
            if fx.clock() >= until:
                raise
        fx.sleep(PAUSE)


def _locked(fx: Effects, service: Service, release: Release | None, order: Order) -> Result:
    """Do the order under the service's lock."""
    with fx.locks.service(service.key):
        before = look(fx, service, release)
        if release is not None and order.state in RUNGS and not before.seen.door:
            fx.proxy.examine(service.key, service.door)
        if _not_ours_to_mend(fx, before, order):
            return Result(before, before)
        made = order.state in GATED and claims.made_ready(before.record.get("claim"), order.job)
        gated = made or order.promote == "only"
        on = _mounted(fx, before, order, gated)
        story = claim(fx, service, before, order)
        _remember(fx, service, on)
        declared = _declared(fx, service, before, release, order)
        calling = None if _proven(before, release, order) else order.calling
        work = Work(fx, service, release, order.state == "back", calling, declared, order.job)
        work.counting.begin(before.record)
        error = _attempt(work, order, release, gated, before.seen)
        if error is not None and order.state in ("ready", "live", "settled"):
            error = _take_back(work, service, release, error)
        _keep_count(work)
        idle = error is None and not work.done
        after, error = (before, None) if idle else _look_after(fx, service, release, error)
        loss = work.counting.told() if order.has(WEB) else None
        counted = {"loss": {name: loss[name] for name in ("verdict", "lost", "requests")}} if loss else {}
        figures = {**work.figures, **counted}
        story = history.after(story, [step for step, dummy in work.done], error.what if error else "", figures)
        blind = error is not None and "blind" in error.facts
        _close(fx, service, order, story, None if blind else planner.live_release(after.seen))
        return Result(
            before,
            after,
            tuple(work.done),
            figures=work.figures,
            error=error,
            callbacks=tuple(work.callbacks),
            warnings=tuple(work.warnings),
            drains=tuple(work.drains),
            loss=loss,
        )


def _keep_count(work: Work) -> None:
    """The figures for the job's next call here; where they cannot be kept, that one starts anew."""
    ledger = work.counting.end()
    with suppress(StackswapError):
        work.remember(ledger=ledger)


def _mounted(fx: Effects, found: Look, order: Order, gated: bool = False) -> dict[str, Any]:
    """What is mounted below the service's volumes; refused before anything starts where that is less than it was."""
    known = dict(found.record.get("mounts") or {})
    if gated or order.state not in ("claimed", *RUNGS):
        return known
    return mounts.examined(known, fx.mounts(), order.volumes, order.unmounted)


def _remember(fx: Effects, service: Service, on: Mapping[str, Any]) -> None:
    record = _sound(fx.records.read(service.key))
    if dict(record.get("mounts") or {}) != on:
        fx.records.write(service.key, {**record, "mounts": on})


def _later(service: Service) -> bool:
    return service.settle == "later"


def _proven(found: Look, release: Release | None, order: Order) -> bool:
    """Whether it is gone back to and has served: the way back does not hang on a script that was passed once."""
    served = {name.partition("-")[0] for name in found.seen.served}
    return order.back and release is not None and release.id in served


def _declared(fx: Effects, service: Service, found: Look, release: Release | None, order: Order) -> str:
    """What the release declares of its migrations: as it is deployed now, or was if it is none that is new."""
    if release is None:
        return "none"
    as_then = order.back or order.restart
    same = [name for name in found.seen.served if as_then and name.partition("-")[0] == release.id]
    known = (fx.records.manifest(service.key, name) for name in (release.name, *reversed(same)))
    empty: dict[str, Any] = {}
    kept = next(filter(None, known), empty)
    then = str(kept.get("migrations", "none"))
    if as_then:
        return then
    if kept and then != order.migrations and order.state in RUNGS:
        fx.records.keep_manifest(service.key, release.name, {**kept, "migrations": order.migrations})
    return order.migrations


def _look_after(
    fx: Effects, service: Service, release: Release | None, error: StackswapError | None
) -> tuple[Look, StackswapError | None]:
    """What is there in the end; where it cannot be seen, that is told with the first error, which is not lost."""
    try:
        return look(fx, service, release), error
    except StackswapError as blind:
        error = error or blind
        error.facts["blind"] = blind.what
        return Look(Observed()), error


def _attempt(work: Work, order: Order, release: Release | None, gated: bool, found: Observed) -> StackswapError | None:
    """Plan on what was found and execute; where the world has moved, on what is there then; what ended it, or None."""
    moved: StackswapError | None = None
    for _try in range(TRIES):
        try:
            seen = look(work.fx, work.service, release).seen if moved else found
            plan = plan_of(order, seen, release, work.service, _later(work.service))
            if gated:
                _refuse_rebuilt(plan, "start" if work.service.overlap else "make")
            execute.run(work, plan)
            _show(work, order, release)
            return None
        except Moved as error:
            moved = error
        except StackswapError as error:
            return error
    return moved


def _show(work: Work, order: Order, release: Release | None) -> None:
    """Let whoever has the word of the job's preview reach what is ready, by the public door."""
    if not (order.preview and order.state == "ready" and release):
        return
    seen = work.look().seen
    slot = next((p.slot for p in seen.placements if p.release == release.name and p.up), "")
    if slot and planner.routed(seen, slot):
        return
    if not slot or not work.fx.proxy.preview(work.service.key, slot, order.preview):
        work.warnings.append("there is no preview: this server's proxy is from before there were any: stackswap setup")


def _refuse_rebuilt(plan: tuple[Step, ...], made: str) -> None:
    """R10: behind the gate nothing is started, or made where it cannot run yet, that was not ready before it."""
    if any(step.verb in (made, "register") and not step.process for step in plan):
        raise Superseded("the candidate that was made ready is gone: another job may have taken over")


def _not_ours_to_mend(fx: Effects, found: Look, order: Order) -> bool:
    """Going back is for the job that climbed: where another holds the claim, this one has changed nothing."""
    held = found.record.get("claim") or {}
    living = float(held.get("expires", 0)) > fx.now()
    foreign = (living and not claims.ours(held, order.job)) or claims.overtaken(found.record, order.job)
    return order.state in ("back", "released") and bool(order.job) and foreign


def _take_back(work: Work, service: Service, release: Release | None, error: StackswapError) -> StackswapError | None:
    """The way back from a failed climb, planned on what is found now; its own failure is told with the first."""
    step = error.facts.get("step")
    name = step.release if isinstance(error, StepFailed) and step and step.release else ""
    name = name or (release.name if release else "")
    mender = Work(work.fx, service, release, deaf=True)
    mender.done, mender.figures, mender.counting = work.done, work.figures, work.counting
    mender.drains, mender.warnings = work.drains, work.warnings
    for _try in range(TRIES):
        try:
            back = planner.retreat if service.overlap else alone.retreat
            execute.run(mender, course.retreat(look(work.fx, service, release).seen, name, back))
            return error
        except Moved:
            continue
        except StackswapError as second:
            error.facts["retreat"] = second.what
            return error
    return error


def claim(fx: Effects, service: Service, found: Look, order: Order) -> dict[str, Any]:
    """R10: refused if another job has it; who was taken over from has no say any more, even when that job is done.

    Answers what the job has done so far.
    """
    held = found.record.get("claim") or {}
    if claims.overtaken(found.record, order.job):
        who = f"job {held['job']}" if held else "another job"
        raise Superseded(f"{who} has taken the service over from this one: nothing was done")
    living = float(held.get("expires", 0)) > fx.now()
    if order.job and order.state in GATED and living and not claims.ours(held, order.job):
        raise Superseded(f"the claim is job {held.get('job')}'s now: nothing was done")
    claims.refuse_foreign(held, order.job, fx.now())
    live = planner.live_release(found.seen)
    known = held.get("story") if claims.ours(held, order.job) else None
    story = history.begun(known, fx.now(), live, order.kind or ("rollback" if order.back else ""))
    if order.job:
        _tell_of_last(fx, service, held, order, live)
        made = claims.claimed(held, order.job, order.holder, fx.now(), order.claim_seconds)
        barred = claims.overtakes(found.record, order.job)
        fx.records.write(service.key, {**_sound(found.record), "claim": {**made, "story": story}, "overtaken": barred})
    return story


def _tell_of_last(fx: Effects, service: Service, held: Mapping[str, Any], order: Order, live: str) -> None:
    """A job whose claim has run out never came to its end: who takes over writes its line."""
    if held and not claims.ours(held, order.job):
        was = str((held.get("story") or {}).get("from", ""))
        told = _manifests(fx, service, live, was)
        fx.records.note(service.key, history.broken_off(held, live, fx.now(), told))


def _close(fx: Effects, service: Service, order: Order, story: Mapping[str, Any], live: str | None) -> None:
    """The claim ends with the job's last call here, however that ended, and the history has a line of it.

    After ready the claim says that the gate is next. live: None where that cannot be told.
    """
    record, last = _sound(fx.records.read(service.key)), order.last
    if claims.ours(record.get("claim"), order.job):
        at_gate = order.state == "ready" and not story["failed"]
        held = {**record["claim"], "story": story, **({"rung": "ready"} if at_gate else {})}
        fx.records.write(service.key, {**record, "claim": None if last else held})
    if (last or not order.job) and history.worth(story):
        told = _manifests(fx, service, live or "", str(story.get("from", "")))
        fx.records.note(service.key, history.line(story, order.job, order.holder, live, fx.now(), told))


def note_failed(fx: Effects, service: Service, order: Order, what: str) -> None:
    """Why the job has failed already, before any release climbs, for its line in the history."""
    record = _sound(fx.records.read(service.key))
    if claims.ours(record.get("claim"), order.job):
        story = {**record["claim"].get("story", {}), "failed": what}
        fx.records.write(service.key, {**record, "claim": {**record["claim"], "story": story}})


def _manifests(fx: Effects, service: Service, *names: str) -> dict[str, dict[str, Any]]:
    return {name: fx.records.manifest(service.key, name) or {} for name in names if name}


def _sound(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "broken"}
