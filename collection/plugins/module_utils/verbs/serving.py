# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is served: the proxy pointed at a slot, the backup let go, the way in proved, a release rejected."""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counting import SWITCH
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import Verdict, confirm
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import BEGUN, DONE, Step, other, served_with
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import starts
from ansible_collections.stackswap.bluegreen.plugins.module_utils.traffic import up
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import Work

SECONDS = 5.0  # that a confirmation may take
WAYLESS = "there is no way back to the old release, and the new one stays: {why}"
MEMORY = 20  # releases that have served


def share(work: Work, step: Step) -> None:
    """So many of a hundred requests, the live release being the backup for them."""
    began = work.fx.clock()
    work.fx.proxy.share(work.service.key, step.slot, int(step.value or 0), work.service.canary_by)
    took = round((work.fx.clock() - began) * 1000, 2)
    work.figures["share_ms" if step.value else "withdraw_ms"] = took


def hold(work: Work, step: Step) -> None:
    """New requests wait at the proxy, so the live release's time to finish begins; or all go on to who is live."""
    now = work.fx.now()
    work.fx.proxy.hold(work.service.key, now + work.service.hold if step.value else 0)
    if step.value:
        work.remember(fenced={"slot": step.slot, "at": now})
        work.held = work.held or work.fx.clock()
    elif work.held:
        work.figures["held_ms"] = round((work.fx.clock() - work.held) * 1000, 1)


def route(work: Work, step: Step) -> None:
    """The commit point: one map entry."""
    work.fx.proxy.close_preview(work.service.key)
    work.counting.probe()
    work.started, began = starts(work.group(step)), work.fx.clock()
    work.fx.proxy.point(work.service.key, step.value)
    work.figures["switch_ms"] = round((work.fx.clock() - began) * 1000, 2)
    work.routed = True
    work.counting.read(SWITCH)


def fence(work: Work, step: Step) -> None:
    """The old one is backup no more: its time to finish begins."""
    work.counting.probe()
    work.fx.proxy.point(work.service.key, step.value)
    work.remember(fenced={"slot": other(step.slot), "at": work.fx.now()})


def confirm_(work: Work, step: Step) -> None:
    """Through the public door, by the proxy's own word, several times in a row; then it has served."""
    began = work.fx.clock()
    why = _leads(work, step, step.value)
    if why:
        raise work.failed(step, "not_confirmed", f"the public door does not lead to {step.slot}: {why}")
    work.figures.update(confirmed=work.service.confirmations, confirm_ms=_since(work, began))
    served = served_with(tuple(work.record().get("served", ())), step.release)
    work.remember(served=list(served[-MEMORY:]))


def drill(work: Work, step: Step) -> None:
    """The way back is walked, and the way forward; where there is none back the release stays, and that is told."""
    why = "" if up(work.look().seen, other(step.slot)) else "it is not healthy"
    if not why:
        _mark(work, step, BEGUN)
        why = _there_and_back(work, step)
    if why:
        work.figures["drill"] = why
        work.warnings.append(WAYLESS.format(why=why))
    _mark(work, step, DONE)


def _there_and_back(work: Work, step: Step) -> str:
    """Why the way back is none, '' if it is one; a way forward that is none ends the job, and the release goes."""
    began, forward = work.fx.clock(), f"{step.slot}.{other(step.slot)}"
    why = _led(work, step, step.value)
    work.figures.update({} if why else {"drill_ms": _since(work, began)})
    if not up(work.look().seen, step.slot):
        raise work.failed(step, "drill_failed", "turned unhealthy while users had the old release in its drill")
    lost = _led(work, step, forward)
    if lost:
        raise work.failed(step, "drill_failed", f"is not reached again after its drill: {lost}")
    return why


def _led(work: Work, step: Step, value: str) -> str:
    """Point the proxy there and ask at the door; why it does not lead there, '' if it does."""
    work.fx.proxy.point(work.service.key, value)
    work.fx.at("within drill")
    return _leads(work, step, value)


def _leads(work: Work, step: Step, value: str) -> str:
    """Whether the public door leads where a value says, several times in a row: '', or why not in time."""
    way, key, times = next(iter(work.service.routes), None), work.service.key, work.service.confirmations

    def verdict(samples: list[Answer]) -> Verdict:
        return confirm.judge(samples, key, value, times)

    def sample(at: float) -> Answer:
        work.counting.own += 1
        return work.fx.probe.door(way, key)

    return work.wait(step, sample, verdict, SECONDS)


def _mark(work: Work, step: Step, how: str) -> None:
    approved = dict(work.record().get("approved", {}))
    work.remember(approved={**approved, step.slot: {**approved.get(step.slot, {}), "drill": how}})


def _since(work: Work, began: float) -> float:
    return round((work.fx.clock() - began) * 1000, 2)


def reject(work: Work, step: Step) -> None:
    """It is gone back from, and not routed to again before it was awaited anew."""
    record = work.record()
    approved = {s: mark for s, mark in record.get("approved", {}).items() if mark.get("release") != step.release}
    work.remember(approved=approved, rejected=sorted({*record.get("rejected", ()), step.release}))
