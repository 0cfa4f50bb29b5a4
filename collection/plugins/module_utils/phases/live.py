# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""To ``live``: the traffic, at once or share by share, and the watch over it."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    ALWAYS,
    DONE,
    Observed,
    Step,
    other,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.phases.moves import berth, keep, lead_to
from ansible_collections.stackswap.bluegreen.plugins.module_utils.traffic import (
    live_release,
    live_slot,
    release_at,
    slots,
    up,
)

Of = tuple[int, ...]  # a hundred


def open_door(seen: Observed, release: str) -> Iterator[Step]:
    """The service's door is open for those who ask for it."""
    if not seen.door:
        yield Step("open", release)


def share(seen: Observed, release: str, shares: Of = ()) -> Iterator[Step]:
    """Step by step, each watched; what was watched with a share already goes on with the next."""
    slot, live = berth(seen, release), live_slot(seen)
    placed = seen.at(release, slot)
    if not (placed and placed.up and placed.approved and up(seen, live)):
        return
    for percent in (one for one in shares if one > placed.shared):
        if seen.canary != f"{slot}:{percent}":
            yield Step("share", release, slot, str(percent))
        yield Step("watch", release, slot, str(percent))


def route(seen: Observed, release: str) -> Iterator[Step]:
    """R5: the traffic is led to the candidate, with the one it replaces as backup; who is live already is confirmed."""
    live = live_slot(seen)
    if live_release(seen) == release and up(seen, live):
        yield from keep(seen, live, ALWAYS)
        yield Step("confirm", release, live, seen.runtime)
    else:
        slot = berth(seen, release) or other(live)
        yield from lead_to(seen, slot, f"{slot}.{live}" if live else slot, "")


def reject_replaced(seen: Observed, release: str) -> Iterator[Step]:
    """What a user goes back from is never gone back to."""
    backup = slots(seen.runtime)[1]
    replaced = release_at(seen, backup)
    if replaced and replaced not in seen.rejected | {release}:
        yield Step("reject", replaced, backup)


def bake(seen: Observed, release: str) -> Iterator[Step]:
    """Both are up and the new one is watched, once."""
    live, backup = slots(seen.runtime)
    placed = seen.at(release, live)
    if backup and placed and not placed.baked:
        yield Step("watch", release, live)


def drill(seen: Observed, release: str) -> Iterator[Step]:
    """The way back is tried, once, where it leads to one that may be gone back to."""
    live, backup = slots(seen.runtime)
    placed, old = seen.at(release, live), release_at(seen, backup)
    if placed and placed.baked and placed.drill != DONE and old and old not in seen.rejected | {release}:
        yield Step("drill", release, live, f"{backup}.{live}")
