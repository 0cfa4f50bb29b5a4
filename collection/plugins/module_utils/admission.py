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
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import WEB
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.payload import size
from ansible_collections.stackswap.bluegreen.plugins.module_utils.room import Start
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import Definition


def admit(fx: Effects, wanted: Definition, params: Mapping[str, Any]) -> tuple[str, ...]:
    """Refuse a job whose candidate has no memory, and answer what is to be told of one that may have none.

    Asked once in a job, when it claims the service. Nobody is kept from going back.
    """
    floors = room.floors_of(params.get("room"))
    if not floors.check or not _starts(params):
        return ()
    found = look(fx, wanted.service)
    starts, limit = _to_start(fx, wanted, params, found), wanted.container.memory
    if not starts:
        return ()
    name, available = wanted.service.name, fx.available()
    if limit or floors.memory:
        room.refuse_scarce(name, starts, size(limit) if limit else floors.memory, available)
    told = "" if limit else room.scarce(name, starts, available)
    return (told,) if told else ()


def _starts(params: Mapping[str, Any]) -> bool:
    """Whether the job begins with this call, and may start a candidate."""
    return params["state"] == "claimed" and not params["rollback"] and params.get("promote") != "only"


def _to_start(fx: Effects, wanted: Definition, params: Mapping[str, Any], found: Look) -> tuple[Start, ...]:
    """What is to be started on this server, in this order: web, and each other process but cron's.

    The limit is each container's. What runs of the release already is not started.
    """
    here, name = params.get("processes"), _name(fx, wanted, params)
    web = [Start(WEB, wanted.service.replicas, alone=not wanted.service.overlap)]
    crew = [Start(one.name, one.replicas, alone=not one.overlap) for one in wanted.processes if not one.schedule]
    known = dict(wanted.groups) if here is None else here
    new = [one for one in (*web, *crew) if one.process in known and not _runs(found, name, one.process)]
    return tuple(one._replace(uses=_uses(fx, found, one.process)) for one in new)


def _name(fx: Effects, wanted: Definition, params: Mapping[str, Any]) -> str:
    """The release that is asked for, '' where it is not known yet: an image that is to come is another."""
    with suppress(StackswapError):
        release = choose(fx, wanted, {**params, "state": "settled"}, check=True)
        return release.name if release else ""
    return ""


def _runs(found: Look, release: str, process: str) -> bool:
    """Whether a process of what is asked for runs already."""
    if process == WEB:
        return any(one.release == release and one.running == "all" for one in found.seen.placements)
    worker = found.seen.worker(process, release)
    return worker is not None and worker.running == "all"


def _uses(fx: Effects, found: Look, process: str) -> tuple[int, ...]:
    """What each of the live containers of a process uses now."""
    live = planner.live_release(found.seen)
    group = [r for r in found.containers if (r.process or WEB, r.release) == (process, live) and r.running]
    return tuple(fx.engine.weighs(r.id) for r in group)
