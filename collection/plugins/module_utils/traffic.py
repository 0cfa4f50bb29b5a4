# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has the traffic, who might have it again, and who must not be taken from it: read from what is seen."""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    HELD,
    SLOTS,
    Observed,
    Placement,
    bare,
    other,
)

_VALUES = {**{slot: (slot, "") for slot in SLOTS}, **{f"{slot}.{other(slot)}": (slot, other(slot)) for slot in SLOTS}}


def slots(value: str) -> tuple[str, str]:
    """The live slot and its backup as a map value names them; '' for nobody, and for a value that does not parse."""
    return _VALUES.get(value, ("", ""))


def live_slot(seen: Observed) -> str:
    """The slot that the proxy points at."""
    return slots(seen.runtime)[0]


def live_release(seen: Observed) -> str:
    """The release that the proxy points at, healthy or not; where web is not, the one whose workers run."""
    placed = seen.occupant(live_slot(seen)) if live_slot(seen) else None
    return placed.release if placed else seen.working


def routed(seen: Observed, slot: str) -> bool:
    """Whether the proxy may send a request to the slot, now or after a restart: while all wait, to none."""
    if seen.held == HELD:
        return False
    return slot in slots(seen.runtime) or slot in slots(seen.file) or slot == seen.canary.partition(":")[0]


def up(seen: Observed, slot: str) -> bool:
    """Whether the slot's occupant is whole and healthy now."""
    placed = seen.occupant(slot) if slot else None
    return placed is not None and placed.up


def previous(seen: Observed) -> str:
    """The release that a rollback without a version goes to: the bake's partner, else the newest that served.

    Never what the live one was before a restart of it: that is the same release.
    """
    backup = seen.occupant(slots(seen.runtime)[1]) if slots(seen.runtime)[1] else None
    live = live_release(seen)
    if backup and backup.release not in seen.rejected | {live}:
        return backup.release
    newest = {bare(name): name for name in seen.served}
    known = (name for name in reversed(seen.served) if newest[bare(name)] == name and bare(name) != bare(live))
    return next((name for name in known if name not in seen.rejected), "")


def truth(seen: Observed, asked: str = "") -> str:
    """The value that map and file ought to hold (R3): by health first, and what the proxy does now in doubt.

    A sick live release gives way to its backup, which serves already, then to a healthy one that has served; not to the
    one asked for, which goes by the gate.
    """
    values = (seen.runtime, seen.file)
    well = [v for v in values if up(seen, slots(v)[0])] + [slots(v)[1] for v in values if up(seen, slots(v)[1])]
    if well:
        return well[0]
    for live in (slots(value)[0] for value in values):
        rescue = seen.occupant(other(live)) if live else None
        if rescue and rescue.release != asked and known_good(seen, rescue) and rescue.up:
            return rescue.slot
    return next((v for v in values if v == "none" or slots(v)[0]), "none")


def known_good(seen: Observed, placed: Placement) -> bool:
    return placed.release in seen.served and placed.release not in seen.rejected


def needed(seen: Observed, placed: Placement) -> bool:
    """Whether this may be the last healthy release that has served: nobody takes that away, unless all wait."""
    live = live_slot(seen)
    return bool(live) and seen.held != HELD and not up(seen, live) and placed.up and known_good(seen, placed)


def release_at(seen: Observed, value: str) -> str:
    """The release that runs in the slot that a value names first."""
    placed = seen.occupant(slots(value)[0])
    return placed.release if placed else ""
