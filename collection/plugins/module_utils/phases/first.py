# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes before all: the service is known, map and file say one true thing, and nothing is half-way."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Observed, Step
from ansible_collections.stackswap.bluegreen.plugins.module_utils.phases.moves import berth, lead_to
from ansible_collections.stackswap.bluegreen.plugins.module_utils.traffic import (
    live_release,
    live_slot,
    release_at,
    slots,
    truth,
    up,
)

Of = tuple[int, ...]  # a hundred


def withdraw(seen: Observed, release: str, shares: Of = ()) -> Iterator[Step]:
    """R1: nothing shares the traffic but what this plan would have share it so."""
    slot, _colon, share = seen.canary.partition(":")
    placed = seen.at(release, slot)
    ours = placed and placed.up and placed.approved and slot == berth(seen, release) and share in map(str, shares)
    if seen.canary and not ours:
        yield Step("share", release_at(seen, slot), slot)


def lift(seen: Observed, release: str) -> Iterator[Step]:
    """Nobody waits where releases may run side by side."""
    if seen.held:
        yield Step("hold", live_release(seen), live_slot(seen))


def register(seen: Observed, release: str) -> Iterator[Step]:
    """The proxy has an entry for the service, and the server its record."""
    if not (seen.registered and seen.runtime):
        yield Step("register", release)


def reconcile(seen: Observed, release: str) -> Iterator[Step]:
    """R3: map and file say what ought to be."""
    value = truth(seen, release)
    if not seen.runtime == seen.file == value:
        why = f"the proxy says {seen.runtime or 'nothing'}, its file {seen.file or 'nothing'}"
        yield Step("route", release_at(seen, value), slots(value)[0], value, why)


def finish_retreat(seen: Observed, release: str) -> Iterator[Step]:
    """A rejected release that is live beside a healthy backup: the way back is to be walked, or was cut off."""
    backup = slots(seen.runtime)[1]
    if up(seen, backup) and live_release(seen) in seen.rejected:
        yield from lead_to(seen, backup, backup, f"{live_release(seen)} is rejected")


def confirm_live(seen: Observed, release: str) -> Iterator[Step]:
    """Who is live and well has served last: a confirmation was cut off, or the traffic has just found its way there."""
    live, name = live_slot(seen), live_release(seen)
    if up(seen, live) and name != release and seen.served[-1:] != (name,):
        yield Step("confirm", name, live, seen.runtime)


def settle_other(seen: Observed, release: str) -> Iterator[Step]:
    """R7: another release's bake is brought to its end first, for a candidate needs the backup's slot."""
    live, backup = slots(seen.runtime)
    if not backup or not berth(seen, release):
        return
    lead = seen.occupant(live)
    if lead and lead.up and not lead.baked:
        yield Step("watch", lead.release, live)
    yield Step("fence", release_at(seen, live), live, live)
