# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Away from here: a release that goes back, is discarded, or a service that leaves the server."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import BEGUN, Observed, Step
from ansible_collections.stackswap.bluegreen.plugins.module_utils.phases.moves import clear
from ansible_collections.stackswap.bluegreen.plugins.module_utils.traffic import (
    live_release,
    needed,
    release_at,
    routed,
    slots,
    up,
)


def disown(seen: Observed, release: str) -> Iterator[Step]:
    """Out of the bake: the word that it failed is written before the way back is walked (R2); also of one that died."""
    live, backup = slots(seen.runtime)
    died = bool(live) and seen.occupant(live) is None and seen.at(release, live) is not None
    if (died or live_release(seen) == release) and up(seen, backup) and release not in seen.rejected:
        yield Step("reject", release, live)


def step_down(seen: Observed, release: str) -> Iterator[Step]:
    """It became the backup for a moment, in a drill that was cut off: so it goes, and who is live stays."""
    live, backup = slots(seen.runtime)
    placed = seen.at(release, backup)
    rejected = release in seen.rejected
    if placed and up(seen, live) and (placed.drill == BEGUN or rejected):
        if not rejected:
            yield Step("reject", release, backup)
        yield Step("fence", release_at(seen, live), live, live)


def stop_unrouted(seen: Observed, release: str) -> Iterator[Step]:
    """The release is stopped wherever no request can reach it."""
    for placed in seen.placements:
        if placed.release == release and not routed(seen, placed.slot) and not needed(seen, placed):
            yield from clear(placed)


def discard_unrouted(seen: Observed, release: str) -> Iterator[Step]:
    """The release is discarded wherever it stands stopped."""
    for placed in seen.placements:
        if placed.release == release and placed.running == "none":
            yield Step("discard", release, placed.slot)


def leave(seen: Observed, release: str) -> Iterator[Step]:
    """The proxy knows the service no more."""
    if seen.registered or seen.runtime or seen.file:
        yield Step("leave")


def retire_all(seen: Observed, release: str) -> Iterator[Step]:
    """All that runs may finish, and stops."""
    for placed in seen.placements:
        yield from clear(placed)


def discard_all(seen: Observed, release: str) -> Iterator[Step]:
    """Nothing of it stays."""
    for placed in seen.placements:
        yield Step("discard", placed.release, placed.slot)


def forget(seen: Observed, release: str) -> Iterator[Step]:
    """What is remembered of the service goes last."""
    yield Step("forget")
