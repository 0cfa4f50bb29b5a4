# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is waited for: a candidate that is healthy and approved, a bake, a drain. Every verdict is a judge's."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ansible_collections.stackswap.bluegreen.plugins.module_utils import callback_run
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callbacks import ABORT, Told, due
from ansible_collections.stackswap.bluegreen.plugins.module_utils.counting import BAKE, SWITCH
from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Count
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import Moved, StepFailed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.sections import expected_check
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import Verdict, bake, drain, health
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Bake, Health, Step, other
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import PATIENCE, sample_of, starts
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import Work

SHORTEST = 0.2  # seconds that a probe has at least
FRESH = 0.2  # seconds that a look at containers that answer well is good for, while the proxy has not checked them
LATER = 5.0  # seconds beyond a bake, for a last sample that is well


def await_(work: Work, step: Step) -> None:
    """R8: called down first, so that UP is the word of new checks by the same worker."""
    fx, key, policy, asked = work.fx, work.service.key, *_patience(work, step)
    worker = [fx.proxy.force_down(key, step.slot)]
    expected = expected_check(policy)
    first: list[float | None] = [None]
    whole: list[health.Sample] = []  # the last one for which the containers were looked at

    def sample(at: float) -> health.Sample:
        left = policy.deadline - at if first[0] is None else PATIENCE
        if whole and near(whole[0]) and at - whole[0].at < FRESH:
            taken = _by_proxy(work, step, whole[0])
            if taken.pid == worker[0] and health.down(taken, expected):
                return taken._replace(at=at)
        taken = _sample(work, step, at, max(SHORTEST, min(PATIENCE, left)))
        if taken.pid != worker[0]:
            worker[0], first[0] = fx.proxy.force_down(key, step.slot), None
            taken = taken._replace(servers=())
        if first[0] is None and not health.trouble_of(taken, policy, expected):
            first[0] = taken.at
        whole[:] = [taken]
        return taken

    def verdict(samples: list[health.Sample]) -> Verdict:
        return health.judge(samples, policy, expected, first[0])

    def near(taken: health.Sample) -> bool:
        """Whether only the proxy has yet to find it well."""
        well = bool(taken.answers) and all(health.well(answer, policy) for answer in taken.answers)
        return well and first[0] is None

    why = work.wait(step, sample, verdict, policy.deadline + policy.min_healthy_time, near)
    if why:
        late = f"was not healthy within {policy.deadline:g} s: {why}"
        raise work.failed(step, "candidate_unhealthy", late)
    if asked:
        _verify(work, step)
    _approve(work, step)


def _patience(work: Work, step: Step) -> tuple[Health, bool]:
    """How its health is judged, and whether it was asked for: then no request waits for it beyond the hold.

    One that is gone back to was judged well before: it has its own time.
    """
    view = work.fx.proxy.view(work.service.key)
    if work.release is None or step.release != work.release.name:
        return view.backends[step.slot].health, False
    wanted, held = work.release.health, view.held
    left = held - work.fx.now() if held > 0 else wanted.deadline
    return replace(wanted, deadline=round(max(SHORTEST, min(wanted.deadline, left)), 1)), True


def _verify(work: Work, step: Step) -> None:
    """No release is approved before its own verify.sh says that it may have traffic."""
    fx, wanted, calling = work.fx, work.wanted(), work.calling
    callback = calling and due("verify", fx.engine.image(wanted.container.image), calling.options)
    if not calling or not callback:
        return
    found, token = work.look(), fx.token()
    opened = bool(token) and fx.proxy.preview(work.service.key, step.slot, token)
    group = found.of(step.release, step.slot)
    told = Told(
        previous=callback_run.version_before(fx, work.service, found, wanted),
        url=f"http://{group[0].address}:{wanted.port}" if group else "",
        preview=token if opened else "",
    )
    fx.tell(step.verb, "verify.sh runs")
    ran = callback_run.run(fx, work.service, wanted, callback, calling, told, asked=lambda: work.asked(step))
    work.callbacks.append(ran.told)
    work.heed(step)
    if starts(work.group(step)) != starts(group):
        raise Moved("a replica was started anew while verify.sh ran", step=step)
    if ran.error and callback.on_error == ABORT:
        error = StepFailed(f"was not approved: {ran.error}", tuple(ran.told["lines"]), step=step)
        error.cause = "verify_failed"
        raise error
    work.warnings += [f"{ran.error}; the service says on_error: warn"] if ran.error else []


def _approve(work: Work, step: Step) -> None:
    record = work.record()
    mark = {"release": step.release, "starts": starts(work.group(step)), "baked": False}
    work.remember(
        approved={**record.get("approved", {}), step.slot: mark},
        rejected=[name for name in record.get("rejected", ()) if name != step.release],
    )


def watch(work: Work, step: Step) -> None:
    """The release stays healthy, and fails no more than the old one did, while its backup stands by.

    With a share of the traffic, as with all of it.
    """
    backend = work.fx.proxy.view(work.service.key).backends[step.slot]
    policy, counting = _policy(work, step), work.counting
    counting.probe()
    if work.started and work.started != starts(work.group(step)):
        raise work.failed(step, "bake_failed", "ended and was started again since it went live")
    if SWITCH not in counting.moments and not step.value:
        counting.read(SWITCH)
    counting.read()
    begun = counting.ledger if step.value else counting.moments[SWITCH]
    expected, before = expected_check(backend.health), begun.of(other(step.slot))

    def traffic() -> Count:
        return counting.ledger.of(step.slot).minus(begun.of(step.slot))

    def sample(at: float) -> health.Sample:
        counting.read()
        return _sample(work, step, at)._replace(traffic=traffic())

    def verdict(samples: list[health.Sample]) -> Verdict:
        return bake.judge(samples, backend.health, expected, policy, before)

    why = work.wait(step, sample, verdict, policy.seconds + LATER)
    if why:
        raise work.failed(step, "bake_failed", why)
    counting.read("" if step.value else BAKE)
    work.figures["canary" if step.value else "bake"] = bake.said(traffic(), before, policy)
    approved = dict(work.record().get("approved", {}))
    passed = {"shared": int(step.value)} if step.value else {"baked": True}
    work.remember(approved={**approved, step.slot: {**approved.get(step.slot, {}), **passed}})


def _policy(work: Work, step: Step) -> Bake:
    """How a release is watched: with a share of the traffic for as long as its canary says, with all of it as baked."""
    by_share = {str(one.share): one.seconds for one in work.service.canary}
    return replace(work.service.bake, seconds=by_share.get(step.value, work.service.bake.seconds))


def drain_(work: Work, step: Step) -> None:
    """It finishes what it has; what is left when the time is over is cut, and named."""
    proxy, key, group, began = work.fx.proxy, work.service.key, work.group(step), work.fx.clock()
    addresses, book = tuple(r.address for r in group if r.address), drain.Book()
    work.counting.probe()

    def sample(at: float) -> int:
        count = proxy.sessions(addresses)
        if book.due(at, count):
            book.note(at, proxy.left(addresses) if count else ())
        return count

    late = work.wait(step, sample, drain.judge, _left(work, step))
    ends, left = partial(proxy.cut, key, addresses), partial(proxy.sessions, addresses)
    cut = work.counting.cut(ends, left) if late else ()
    work.figures["cut"] = work.figures.get("cut", 0) + len(cut)
    version, seconds = next((r.version for r in group), ""), round(work.fx.clock() - began, 1)
    told = {"release": step.release, "version": version, "slot": step.slot, "seconds": seconds}
    work.drains.append({**told, "over_time": book.lines, "cut": drain.summed(cut)})


def _left(work: Work, step: Step) -> float:
    """Seconds that are left to it: they count from when it was let go, whichever call goes on with it."""
    fenced = work.record().get("fenced") or {}
    since = work.fx.now() - float(fenced["at"]) if fenced.get("slot") == step.slot else 0.0
    return max(0.0, work.service.drain_timeout - max(0.0, since))


def _by_proxy(work: Work, step: Step, before: health.Sample) -> health.Sample:
    """What the proxy says now of a slot whose containers were looked at before."""
    view = work.fx.proxy.view(work.service.key)
    return before._replace(servers=tuple(s for s in view.servers if s.slot == step.slot), pid=view.pid)


def _sample(work: Work, step: Step, at: float, within: float = PATIENCE) -> health.Sample:
    """at: when it begins; a probe that nobody answers takes its time, and the deadline is not put off by it."""
    began, view = work.fx.clock(), work.fx.proxy.view(work.service.key)
    taken = sample_of(work.fx, view, work.group(step), step.slot, within)
    return taken._replace(at=at + work.fx.clock() - began)
