# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner: from what is seen to the steps that are missing. It decides everything and touches nothing.

Each phase looks at the server as the phases before it will have left it (world.apply), so the plan for what is left
after any prefix is the rest of the plan: a crash needs no journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ansible_collections.stackswap.bluegreen.plugins.module_utils.guards import refusal
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Observed, Step
from ansible_collections.stackswap.bluegreen.plugins.module_utils.phases import away, first, live, ready, settled
from ansible_collections.stackswap.bluegreen.plugins.module_utils.traffic import (
    live_release,
    live_slot,
    previous,
    routed,
    slots,
    truth,
    up,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.world import apply

__all__ = [
    "absent",
    "climb",
    "leave",
    "live_release",
    "live_slot",
    "play",
    "previous",
    "refusal",
    "retreat",
    "routed",
    "slots",
    "sweep",
    "truth",
    "up",
]
Plan = tuple[Step, ...]
Of = tuple[int, ...]  # a hundred
Phase = Callable[[Observed, str], Iterator[Step]]

_FIRST: tuple[Phase, ...] = (
    first.register,
    first.reconcile,
    first.finish_retreat,
    first.confirm_live,
    first.settle_other,
)
_READY: tuple[Phase, ...] = (
    ready.vacate,
    ready.configure,
    ready.finish_stop,
    ready.remake,
    ready.start,
    ready.await_replicas,
)
_BACK: tuple[Phase, ...] = (
    first.withdraw,
    first.lift,
    away.disown,
    first.reconcile,
    away.disown,
    first.finish_retreat,
    first.confirm_live,
    away.step_down,
    away.stop_unrouted,
)
_SETTLED: tuple[Phase, ...] = (settled.fence, settled.retire, settled.discard_older)
_LEFT: tuple[Phase, ...] = (settled.fence, settled.loosen, settled.discard_older)


def climb(
    seen: Observed,
    release: str,
    rung: str,
    back: bool = False,
    now: bool = False,
    later: bool = False,
    shares: Of = (),
    drill: bool = False,
) -> Plan:
    """The steps from here to ``ready``, ``live`` or ``settled`` for a release, by its name on this server.

    back: the user goes back to it, so what it replaces is rejected. now: another release's bake that is under way is
    not waited for; its drain is, and so is the release's own bake (R7). later: a release that is let go now goes on
    with what it has, and the next call drains and stops it. shares: of a hundred requests so many go to the candidate,
    step by step, before all do. drill: the way back is tried when the bake is passed; never back to what a user goes
    back from.
    """
    own, step_up = partial(first.withdraw, shares=shares), partial(live.share, shares=shares)
    route = (live.open_door, step_up, live.route, first.withdraw)
    alive = (*route, live.reject_replaced, live.bake) if back else (*route, live.bake)
    alive = (*alive, live.drill) if drill and not back else alive
    over = _LEFT if later and settled.lets_go(seen, release) else _SETTLED
    phases = {"ready": _READY, "live": (*_READY, *alive), "settled": (*_READY, *alive, *over)}[rung]
    plan = play(seen, release, (own, first.lift, *_FIRST, *phases))
    return tuple(step for step in plan if not (now and step.verb == "watch" and step.release != release))


def retreat(seen: Observed, release: str) -> Plan:
    """The steps that take a release back: traffic to its backup if that is healthy now; it is stopped, and kept."""
    return play(seen, release, _BACK) if seen.registered else ()


def absent(seen: Observed, release: str) -> Plan:
    """The steps that discard a release; () while it is routed: the caller refuses that by asking routed() first."""
    return play(seen, release, (first.withdraw, first.lift, away.stop_unrouted, away.discard_unrouted))


def leave(seen: Observed) -> Plan:
    """The steps after which nothing of the service is there: nobody new is let in, who is in may finish, all goes.

    What is remembered goes last, in every plan: so whatever cuts this off, the rest of it can be planned.
    """
    return play(seen, "", (first.withdraw, first.lift, away.leave, away.retire_all, away.discard_all, away.forget))


def play(seen: Observed, release: str, phases: tuple[Phase, ...]) -> Plan:
    """The steps of these phases, each of which sees the server as those before will have left it."""
    plan: list[Step] = []
    for phase in phases:
        for step in phase(seen, release):
            plan.append(step)
            seen = apply(seen, step)
    return tuple(plan)


# The steps that discard what stands stopped and nobody would go back to.
sweep = partial(play, release="", phases=(settled.discard_older,))
