# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service leaves its server: claim, plan and steps under the service's lock, until nothing of it is there."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.stackswap.bluegreen.plugins.module_utils import course, execute
from ansible_collections.stackswap.bluegreen.plugins.module_utils.claims import ours
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import Moved, StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import TRIES, Order, Result, claim
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Observed, Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import Work


def leave(fx: Effects, service: Service, order: Order, check: bool = False) -> Result:
    """Do the order: ``claimed`` for the service, ``absent`` from the server, or the claim ``released`` again."""
    if check:
        found = look(fx, service)
        return Result(found, found, plan=course.leave(found.seen) if _is_there(fx, service, found.seen) else ())
    with fx.locks.service(service.key):
        before = look(fx, service)
        if order.state == "released":
            _release(fx, service, order)
            return Result(before, before)
        if not _is_there(fx, service, before.seen):
            return Result(before, before)
        claim(fx, service, before, order)
        if order.state == "claimed":
            return Result(before, before)
        return _gone(fx, service, order, before)


def _is_there(fx: Effects, service: Service, seen: Observed) -> bool:
    """Whether anything of it is: else nothing is claimed, written or removed."""
    return len(course.leave(seen)) > 1 or fx.records.knows(service.key)


def _gone(fx: Effects, service: Service, order: Order, before: Look) -> Result:
    work, error = Work(fx, service, None), None
    try:
        _again(lambda: execute.run(work, course.leave(look(fx, service).seen)))
    except StackswapError as failed:
        error = failed
        _release(fx, service, order)
    return Result(
        before,
        look(fx, service),
        tuple(work.done),
        figures=work.figures,
        error=error,
        warnings=tuple(work.warnings),
        drains=tuple(work.drains),
    )


def _again(attempt: Callable[[], None]) -> None:
    """Where the world has moved, it is planned anew."""
    for left in reversed(range(TRIES)):
        try:
            return attempt()
        except Moved:
            if not left:
                raise
    return None


def _release(fx: Effects, service: Service, order: Order) -> None:
    """The claim of this job ends here; that of another stays."""
    record = fx.records.read(service.key)
    if ours(record.get("claim"), order.job):
        fx.records.write(service.key, {**record, "claim": None})
