# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner of a service whose releases may not run side by side. As plan, which has the other, it touches nothing.

Nothing of a candidate runs before the live one has stopped, so ready means that its containers are made. To go live is
one stretch in which requests wait at the proxy; so is the way back, whoever fails.
"""

from __future__ import annotations

from functools import partial

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Observed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.phases import alone, first, live, ready, settled
from ansible_collections.stackswap.bluegreen.plugins.module_utils.plan import Phase, Plan, play
from ansible_collections.stackswap.bluegreen.plugins.module_utils.traffic import slots

_READY: tuple[Phase, ...] = (
    first.withdraw,
    first.register,
    first.reconcile,
    first.finish_retreat,
    alone.admit,
    first.confirm_live,
    first.settle_other,
    ready.vacate,
    ready.configure,
    ready.finish_stop,
    ready.remake,
    alone.make,
)
_SETTLED: tuple[Phase, ...] = (settled.fence, settled.retire, settled.discard_older)


def climb(seen: Observed, release: str, rung: str, back: bool = False) -> Plan:
    """The steps from here to ``ready``, ``live`` or ``settled`` for a release, by its name on this server.

    back: the user goes back to it, so what it replaces is rejected.
    """
    reject = (alone.reject_replaced,) if back else ()
    live_now: tuple[Phase, ...] = (live.open_door, alone.take_over, *reject, alone.lift, alone.confirm)
    phases = {"ready": (), "live": live_now, "settled": (*live_now, *_SETTLED)}[rung]
    return play(seen, release, (*_READY, *phases))


def retreat(seen: Observed, release: str, fully: bool = False) -> Plan:
    """The steps that take a release back: it is stopped, and the one before it runs and is live again.

    fully: also where it is live, well and confirmed; else such a one stays.
    """
    if slots(seen.runtime)[1]:
        return planner.retreat(seen, release)
    disown, hand_back = (partial(one, fully=fully) for one in (alone.disown, alone.hand_back))
    phases = (first.withdraw, disown, alone.agree, disown, hand_back, alone.stop_aside, alone.stay)
    return play(seen, release, (*phases, alone.lift, first.confirm_live)) if seen.registered else ()
