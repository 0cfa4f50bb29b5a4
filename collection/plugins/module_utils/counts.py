# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a proxy's workers count of a service, and the ledger that adds it up over reloads, restarts and calls.

A worker counts from zero and its counts end with it. So the ledger adds what each has counted since it was last read,
and keeps in mind what may have happened after the last reading of one that is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import SLOTS


class Count(NamedTuple):
    """What the servers of a slot did: requests are those that they have answered, with whatever status.

    connect_errors and response_errors are attempts that came to nothing; retries and redispatches may have saved the
    request. client_aborts and server_aborts ended before the answer was whole.
    """

    requests: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    connect_errors: int = 0
    response_errors: int = 0
    retries: int = 0
    redispatches: int = 0
    client_aborts: int = 0
    server_aborts: int = 0

    @property
    def failed(self) -> int:
        """Requests that ended badly on these servers: answered 5xx, or not at all."""
        return self.errors_5xx + self.connect_errors + self.response_errors

    @property
    def tried(self) -> int:
        """Requests that these servers were to answer."""
        return self.requests + self.connect_errors + self.response_errors

    def plus(self, more: Count) -> Count:
        """Both together."""
        return Count(*(one + other for one, other in zip(self, more)))

    def minus(self, less: Count) -> Count:
        """What came since."""
        return Count(*(one - other for one, other in zip(self, less)))


class Tally(NamedTuple):
    """All that one worker has counted for a service since it began. worker: its id, which no other worker ever has.

    old: it takes no new connections; ended: it is gone, and this is its last reading; open: the connections to the
    public door that it has. requests: those that have ended; unanswered: those of them that no server answered, so that
    the proxy had to, or could not either.
    """

    worker: str
    old: bool = False
    open: int = 0
    ended: bool = False
    requests: int = 0
    unanswered: int = 0
    slots: Mapping[str, Count] = {}

    def of(self, slot: str) -> Count:
        """What the servers of a slot did."""
        return self.slots.get(slot, Count())


class Ledger(NamedTuple):
    """The sum since it was begun. last: the reading that it goes on from, by worker.

    unseen: how many connections were open when a worker that is gone was last read; each may have carried a request
    more. blind: why it cannot be told what happened in between, '' where it can.
    """

    requests: int = 0
    unanswered: int = 0
    slots: Mapping[str, Count] = {}
    unseen: int = 0
    blind: str = ""
    last: Mapping[str, Tally] = {}

    def of(self, slot: str) -> Count:
        """What the servers of a slot did."""
        return self.slots.get(slot, Count())


GONE = "a worker of the proxy ended, and with it what it had counted"
DARK = "the proxy did not tell its counters"


def begun(tallies: Iterable[Tally]) -> Ledger:
    """A ledger that starts here: nothing is counted yet."""
    last = {tally.worker: tally for tally in tallies}
    return Ledger(last=last, blind="" if last else DARK)


def folded(ledger: Ledger, tallies: Iterable[Tally]) -> Ledger:
    """The ledger with one reading more; what went down has been lost count of."""
    now = {tally.worker: tally for tally in tallies}
    if not now:
        return ledger._replace(blind=DARK)
    for name, tally in now.items():
        ledger = _added(ledger, ledger.last.get(name, Tally(name)), tally)
    gone = [tally for name, tally in ledger.last.items() if name not in now and not tally.ended]
    gone += [tally for name, tally in now.items() if tally.ended and not ledger.last.get(name, Tally(name)).ended]
    unseen = ledger.unseen + sum(tally.open for tally in gone)
    blind = ledger.blind or (GONE if any(not tally.old for tally in gone) else "")
    return ledger._replace(unseen=unseen, blind=blind, last=now)


def _added(ledger: Ledger, before: Tally, now: Tally) -> Ledger:
    fresh = {slot: now.of(slot).minus(before.of(slot)) for slot in SLOTS}
    requests = now.requests - before.requests
    fell = requests < 0 or any(value < 0 for count in fresh.values() for value in count)
    return ledger._replace(
        requests=ledger.requests + requests,
        unanswered=ledger.unanswered + now.unanswered - before.unanswered,
        slots={slot: ledger.of(slot).plus(count) for slot, count in fresh.items()},
        blind=ledger.blind or (GONE if fell else ""),
    )


# -- as JSON, for the record ------------------------------------------------------------------------------------------


def written(ledger: Ledger) -> dict[str, Any]:
    """The ledger as JSON data."""
    last = {name: tally_told(tally) for name, tally in ledger.last.items()}
    return {**ledger._asdict(), "slots": _told(ledger.slots), "last": last}


def read(told: Mapping[str, Any]) -> Ledger | None:
    """The ledger of this data; None for what is none."""
    try:
        last = {name: tally_of(tally) for name, tally in told["last"].items()}
        return Ledger(**{**told, "slots": _counts(told["slots"]), "last": last})
    except (AttributeError, KeyError, TypeError):
        return None


def tally_told(tally: Tally) -> dict[str, Any]:
    """A tally as JSON data."""
    return {**tally._asdict(), "slots": _told(tally.slots)}


def tally_of(told: Mapping[str, Any]) -> Tally:
    """The tally of this data."""
    return Tally(**{**told, "slots": _counts(told["slots"])})


def _told(slots: Mapping[str, Count]) -> dict[str, dict[str, int]]:
    return {slot: count._asdict() for slot, count in slots.items()}


def _counts(told: Mapping[str, Any]) -> dict[str, Count]:
    return {slot: Count(**count) for slot, count in told.items()}
