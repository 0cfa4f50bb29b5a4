# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""To ``settled``: what was replaced is fenced, drained and stopped, and older ones go."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import NO, Observed, Placement, Step, other
from ansible_collections.stackswap.bluegreen.plugins.module_utils.phases.moves import clear, keep
from ansible_collections.stackswap.bluegreen.plugins.module_utils.traffic import (
    live_release,
    live_slot,
    previous,
    release_at,
    slots,
)


def fence(seen: Observed, release: str) -> Iterator[Step]:
    """The one that was replaced is backup no more."""
    live, backup = slots(seen.runtime)
    if backup:
        yield Step("fence", release, live, live)


def retire(seen: Observed, release: str) -> Iterator[Step]:
    """What is let go finishes what it has, and stops."""
    for placed in seen.placements:
        if placed.slot == other(live_slot(seen)):
            yield from clear(placed)


def lets_go(seen: Observed, release: str) -> bool:
    """Whether a release serves, or is the backup, that will not when this one is settled."""
    return any(release_at(seen, slot) not in ("", release) for slot in slots(seen.runtime))


def loosen(seen: Observed, release: str) -> Iterator[Step]:
    """What was let go does not come back after a reboot."""
    yield from keep(seen, other(live_slot(seen)), NO)


def discard_older(seen: Observed, release: str) -> Iterator[Step]:
    """What stays stopped: the way back, and what was replaced last, for a look at its log."""
    live = seen.occupant(live_slot(seen))
    last = next((name for name in reversed(seen.served) if name != live_release(seen)), "")
    for placed in seen.placements:
        kept = placed.release in (previous(seen), last) and not double(seen, placed)
        if placed != live and placed.running == "none" and not kept:
            yield Step("discard", placed.release, placed.slot)


def double(seen: Observed, placed: Placement) -> bool:
    """A stopped copy in the live slot beside a copy of the same release in the other."""
    return placed.slot == live_slot(seen) and seen.at(placed.release, other(placed.slot)) is not None
