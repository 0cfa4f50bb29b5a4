# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several phases do: to lead the traffic to a slot, to clear one, to keep one for a reboot or not."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    ALWAYS,
    BLUE,
    NO,
    Observed,
    Placement,
    Step,
    other,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.traffic import live_release, release_at, slots, up


def berth(seen: Observed, release: str) -> str:
    """The slot that the candidate is made ready in; '' when the release is live, or the backup, and well."""
    live, backup = slots(seen.runtime)
    stands = any(up(seen, slot) and release_at(seen, slot) == release for slot in (live, backup))
    if stands and (release not in seen.rejected or live_release(seen) == release):
        return ""
    return other(live) if live else BLUE


def young(placed: Placement) -> bool:
    """Made or started, and not awaited yet: nobody knows better than to go on with it."""
    return placed.fresh or (placed.running != "none" and not placed.approved)


def lead_to(seen: Observed, slot: str, value: str, why: str) -> Iterator[Step]:
    """Point at a healthy slot and have it confirmed (R5)."""
    release = release_at(seen, slot)
    yield from keep(seen, slot, ALWAYS)
    yield Step("route", release, slot, value, why)
    yield Step("confirm", release, slot, value)


def clear(placed: Placement) -> Iterator[Step]:
    """Take an unrouted release out of service: not back after a reboot, drained, stopped, kept."""
    if placed.policy != NO:
        yield Step("keep", placed.release, placed.slot, NO)
    if placed.running != "none":
        yield Step("drain", placed.release, placed.slot)
    if placed.running != "none" or placed.stopping:
        yield Step("stop", placed.release, placed.slot)


def keep(seen: Observed, slot: str, policy: str) -> Iterator[Step]:
    """Whether what is in the slot comes back after a reboot."""
    placed = seen.occupant(slot)
    if placed and placed.policy != policy:
        yield Step("keep", placed.release, slot, policy)
