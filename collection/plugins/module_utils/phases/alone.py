# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where releases may not run side by side: requests wait, the one that runs stops, the other starts and has them."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    ALONE,
    ALWAYS,
    HELD,
    NO,
    Observed,
    Placement,
    Step,
    other,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.phases.first import reconcile
from ansible_collections.stackswap.bluegreen.plugins.module_utils.phases.moves import berth, keep
from ansible_collections.stackswap.bluegreen.plugins.module_utils.traffic import known_good, live_release, live_slot, up

# -- to the release that is asked for


def admit(seen: Observed, release: str) -> Iterator[Step]:
    """Who is live and well and not confirmed yet has the requests that wait: another job was cut off there."""
    live, name = live_slot(seen), live_release(seen)
    if seen.held and up(seen, live) and name != release and seen.served[-1:] != (name,):
        yield Step("hold", name, live)


def make(seen: Observed, release: str) -> Iterator[Step]:
    """The candidate's containers are there; it does not run beside the live one."""
    slot = berth(seen, release)
    placed = seen.at(release, slot)
    if slot and not (placed and placed.present == "all"):
        yield Step("make", release, slot)


def take_over(seen: Observed, release: str) -> Iterator[Step]:
    """The candidate alone runs, and is live."""
    slot = berth(seen, release)
    if slot:
        yield from _succeed(seen, release, slot)


def reject_replaced(seen: Observed, release: str) -> Iterator[Step]:
    """What a user goes back from is never gone back to: it has served last, until the new one is confirmed."""
    for name in seen.served[-1:]:
        if live_release(seen) == release and name not in seen.rejected | {release}:
            yield Step("reject", name, other(live_slot(seen)))


def lift(seen: Observed, release: str) -> Iterator[Step]:
    """Nobody waits any more: who is live answers."""
    if seen.held:
        yield Step("hold", live_release(seen), live_slot(seen))


def confirm(seen: Observed, release: str) -> Iterator[Step]:
    """It is proved at the public door, and comes back after a reboot."""
    live = live_slot(seen)
    if live_release(seen) == release and up(seen, live):
        yield from keep(seen, live, ALWAYS)
        yield Step("confirm", release, live, seen.runtime)


# -- back from it


def disown(seen: Observed, release: str, fully: bool = False) -> Iterator[Step]:
    """The word that it failed is written before the way back is walked (R2)."""
    if _goes(seen, release, fully) and release not in seen.rejected:
        yield Step("reject", release, live_slot(seen))


def agree(seen: Observed, release: str) -> Iterator[Step]:
    """R3, where map and file differ; who is to be live instead of one that died is decided after it."""
    if seen.runtime != seen.file:
        yield from reconcile(seen, release)


def hand_back(seen: Observed, release: str, fully: bool = False) -> Iterator[Step]:
    """The release before runs, alone, and is live, unless somebody else is; what waits has it."""
    successor = _successor(seen, release, fully)
    if successor:
        yield from _succeed(seen, successor.release, successor.slot)


def stop_aside(seen: Observed, release: str) -> Iterator[Step]:
    """The release is stopped where it is not live."""
    for placed in seen.placements:
        if placed.release == release and placed.slot != live_slot(seen):
            yield from clear(placed)


def stay(seen: Observed, release: str) -> Iterator[Step]:
    """Who is live and well comes back after a reboot."""
    if up(seen, live_slot(seen)):
        yield from keep(seen, live_slot(seen), ALWAYS)


# -- what they share


def clear(placed: Placement) -> Iterator[Step]:
    """Take a release out of service: drained, stopped, kept. Only then does it not come back after a reboot."""
    if placed.running != "none":
        yield Step("drain", placed.release, placed.slot)
    if placed.running != "none" or placed.stopping:
        yield Step("stop", placed.release, placed.slot)
    if placed.policy != NO:
        yield Step("keep", placed.release, placed.slot, NO)


def _succeed(seen: Observed, release: str, slot: str) -> Iterator[Step]:
    """Requests wait while whatever else runs stops and this one starts; then it is live, and they are still to be had.

    Where nobody is live, nobody has to wait.
    """
    placed = seen.at(release, slot)
    runs = placed is not None and placed.present == placed.running == "all" and not placed.stopping
    if live_slot(seen) and seen.held != HELD:
        yield Step("hold", live_release(seen), live_slot(seen), HELD)
    for one in seen.placements:
        if one != placed or one.stopping:
            yield from clear(one)
    if not runs:
        if placed and placed.policy != NO and not placed.stopping:
            yield Step("keep", release, slot, NO)
        yield Step("start", release, slot, ALONE)
    if not (placed and placed.up and placed.approved):
        yield Step("await", release, slot)
    if placed is None or placed.policy != ALWAYS or not runs:
        yield Step("keep", release, slot, ALWAYS)
    if live_slot(seen) != slot:
        yield Step("route", release, slot, slot)


def _heir(seen: Observed, release: str) -> Placement | None:
    """What would serve instead: the newest that has served, is not rejected, and stands whole."""
    for name in reversed(seen.served):
        found = [p for p in seen.placements if p.release == name and p.present == "all"]
        if found and name != release and name not in seen.rejected:
            return max(found, key=lambda placed: placed.slot == live_slot(seen))
    return None


def _goes(seen: Observed, release: str, fully: bool) -> bool:
    """Whether the release is live and is to go: also one that serves well, where that is asked for."""
    live, last = live_slot(seen), seen.served[-1:] == (release,)
    died = live_release(seen) == "" and last and {p.release for p in seen.placements if p.slot == live} == {release}
    if live_release(seen) != release and not died:
        return False
    serves = up(seen, live) and last and release not in seen.rejected
    return _heir(seen, release) is not None and (fully or not serves)


def _successor(seen: Observed, release: str, fully: bool) -> Placement | None:
    """Who is to be live instead; None where who is live may stay, as well or as sick as it is."""
    placed = seen.occupant(live_slot(seen)) if live_slot(seen) else None
    if placed and placed.release == release:
        return _heir(seen, release) if _goes(seen, release, fully) else None
    if placed and placed.running == "all" and not placed.stopping and (placed.up or placed.approved):
        return None
    return (_heir(seen, release) or _itself(seen, release)) if live_slot(seen) else None


def _itself(seen: Observed, release: str) -> Placement | None:
    """The release in the other slot, where there is nobody to go back to and it is known to be well."""
    placed = seen.occupant(other(live_slot(seen)))
    return placed if placed and placed.release == release and placed.up and known_good(seen, placed) else None
