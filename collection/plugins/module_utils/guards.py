# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guards: what must be so at the very moment of a step (R4)."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import ALONE, Observed, Step
from ansible_collections.stackswap.bluegreen.plugins.module_utils.traffic import (
    live_slot,
    needed,
    routed,
    slots,
    up,
)


def refusal(seen: Observed, step: Step) -> str:
    """Why a step must not be done on the server as it is now; '' when it may."""
    check = _GUARDS.get(step.verb)
    return check(seen, step) if check else ""


def _guard_unrouted(seen: Observed, step: Step) -> str:
    return f"{step.slot} is routed" if routed(seen, step.slot) else ""


def _guard_start(seen: Observed, step: Step) -> str:
    occupant = seen.occupant(step.slot)
    if occupant and occupant.release != step.release:
        return f"{occupant.release} runs in {step.slot}"
    beside = [p for p in seen.placements if p.running != "none" and (p.release, p.slot) != (step.release, step.slot)]
    if step.value == ALONE and beside:
        return f"{beside[0].release} runs in {beside[0].slot}, and nothing may run beside"
    return _guard_unrouted(seen, step)


def _guard_stop(seen: Observed, step: Step) -> str:
    live, placed = live_slot(seen), seen.at(step.release, step.slot)
    if placed is None:
        return f"{step.release} is not in {step.slot}"
    if placed.running != "none" and routed(seen, step.slot):
        return f"{step.slot} is routed"
    if needed(seen, placed):
        return f"{live} is live and not healthy"
    return ""


def _guard_share(seen: Observed, step: Step) -> str:
    """A share is for a release that may go live, beside one that is; to take it away is right at all times."""
    placed, live = seen.at(step.release, step.slot), live_slot(seen)
    if not step.value:
        return ""
    if not (live and live != step.slot):
        return f"{step.slot} has no live release beside it"
    return "" if placed and placed.up and placed.approved else f"{step.release} in {step.slot} is not ready"


def _guard_drill(seen: Observed, step: Step) -> str:
    """Who has passed its bake is live beside its backup, and the one is to be changed for the other."""
    placed, back = seen.at(step.release, step.slot), slots(step.value)
    if not (placed and placed.up and placed.baked):
        return f"{step.release} in {step.slot} has not passed its bake"
    beside = step.slot == back[1] and slots(seen.runtime) == slots(seen.file) == (back[1], back[0])
    return "" if beside else f"{step.slot} is not live with a backup beside it"


def _guard_placed(seen: Observed, step: Step) -> str:
    return "" if seen.at(step.release, step.slot) else f"{step.release} is not in {step.slot}"


def _guard_route(seen: Observed, step: Step) -> str:
    live = slots(step.value)[0]
    placed = seen.occupant(live) if live else None
    serving = [s for s in slots(seen.runtime) if up(seen, s)]
    if not up(seen, live):
        return f"{live or 'nobody'} is not healthy" if serving else ""
    known = routed(seen, live) or (placed and (placed.approved or placed.release in seen.served))
    return "" if known else f"the replicas in {live} are not those that were awaited"


_GUARDS: dict[str, Callable[[Observed, Step], str]] = {
    "start": _guard_start,
    "await": _guard_unrouted,
    "configure": _guard_unrouted,
    "route": _guard_route,
    "fence": _guard_route,
    "drill": _guard_drill,
    "keep": _guard_placed,
    "share": _guard_share,
    "watch": _guard_placed,
    "stop": _guard_stop,
    "discard": _guard_stop,
}
