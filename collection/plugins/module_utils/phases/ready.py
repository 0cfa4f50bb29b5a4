# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""To ``ready``: the candidate stands in the free slot, whole and well; the live one is not touched."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import NO, Observed, Placement, Step
from ansible_collections.stackswap.bluegreen.plugins.module_utils.phases.moves import berth, clear, young
from ansible_collections.stackswap.bluegreen.plugins.module_utils.traffic import known_good


def vacate(seen: Observed, release: str) -> Iterator[Step]:
    """The slot for the candidate is free of other releases' running replicas."""
    slot = berth(seen, release)
    occupant = seen.occupant(slot)
    if occupant and occupant.release != release:
        yield from clear(occupant)


def configure(seen: Observed, release: str) -> Iterator[Step]:
    """The slot's addresses fit the candidate."""
    slot = berth(seen, release)
    if slot and slot not in seen.fits:
        yield Step("configure", release, slot)


def finish_stop(seen: Observed, release: str) -> Iterator[Step]:
    """R6: what was being stopped is stopped before anything else becomes of it."""
    placed = seen.at(release, berth(seen, release))
    if placed and placed.stopping:
        yield from clear(placed)


def remake(seen: Observed, release: str) -> Iterator[Step]:
    """R6: a candidate that turned sick, or failed before, is not tried again: it is made anew."""
    placed = seen.at(release, berth(seen, release))
    if not placed or placed.up or young(placed) or warm(seen, placed):
        return
    if placed.policy != NO:
        yield Step("keep", release, placed.slot, NO)
    why = "it failed before" if placed.running == "none" else "it is not healthy"
    yield Step("discard", release, placed.slot, why=why)


def warm(seen: Observed, placed: Placement) -> bool:
    """Stopped, whole, and known to have served well: it may be started again."""
    return placed.running == "none" and placed.present == "all" and known_good(seen, placed)


def start(seen: Observed, release: str) -> Iterator[Step]:
    """All of the candidate's replicas run."""
    slot = berth(seen, release)
    placed = seen.at(release, slot)
    if not slot or (placed and placed.present == placed.running == "all"):
        return
    if placed and placed.policy != NO:
        yield Step("keep", release, slot, NO)
    yield Step("start", release, slot)


def await_replicas(seen: Observed, release: str) -> Iterator[Step]:
    """All of them are well and approved."""
    slot = berth(seen, release)
    placed = seen.at(release, slot)
    if slot and not (placed and placed.up and placed.approved):
        yield Step("await", release, slot)
