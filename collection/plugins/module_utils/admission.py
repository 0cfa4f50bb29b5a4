# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before a job changes anything on a server: whether a candidate fits in its memory beside what serves."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils import room
from ansible_collections.stackswap.bluegreen.plugins.module_utils.choose import choose
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.payload import size
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import Definition


def admit(fx: Effects, wanted: Definition, params: Mapping[str, Any]) -> tuple[str, ...]:
    """Refuse a job whose candidate has no memory, and answer what is to be told of one that may have none.

    Asked once in a job, when it claims the service. Nobody is kept from going back.
    """
    floors = room.floors_of(params.get("room"))
    if not floors.check or not _starts(params):
        return ()
    found = look(fx, wanted.service)
    if _runs(fx, wanted, params, found):
        return ()
    service, limit, used = wanted.service, wanted.container.memory, _used(fx, found)
    free = fx.available()
    if free is not None and not service.overlap:  # the old one is stopped before the new one starts
        free += sum(used)
    if limit or floors.memory:
        each = size(limit) if limit else floors.memory
        room.refuse_scarce(service.name, service.replicas, each, free)
    told = "" if limit else room.scarce(service.name, service.replicas, max(used, default=0), free)
    return (told,) if told else ()


def _starts(params: Mapping[str, Any]) -> bool:
    """Whether the job begins with this call, and may start a candidate."""
    return params["state"] == "claimed" and not params["rollback"] and params.get("promote") != "only"


def _runs(fx: Effects, wanted: Definition, params: Mapping[str, Any], found: Look) -> bool:
    """Whether what is asked for runs already, so that nothing is started; an image that is to come is another."""
    with suppress(StackswapError):
        release = choose(fx, wanted, {**params, "state": "settled"}, check=True)
        return any(p.release == release.name and p.running == "all" for p in found.seen.placements if release)
    return False


def _used(fx: Effects, found: Look) -> list[int]:
    """What each of the live replicas uses now."""
    live = planner.live_release(found.seen)
    return [fx.engine.weighs(r.id) for r in found.replicas if r.release == live and r.running]
