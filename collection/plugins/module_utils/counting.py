# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a job's ledger of a service: reads the proxy's counters, adds them up, and has the figures for the report.

Nothing is decided by it but by a bake, and nothing ends because of it: where it cannot count, it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import counts
from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Count, Ledger, Tally
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import REQUEST, Effects, Left, Probed, Prober
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import loss
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service

EVERY = 1.0  # seconds between two readings, at the least
MOMENT, TURN = 1.0, 0.02  # seconds for sessions to end that are cut, and between two looks
SWITCH, BAKE, RETIRE = "switch", "bake", "retire"


class Counting:
    """The ledger of one job on one server, over all of its calls. own: requests of ours through the door."""

    def __init__(self, fx: Effects, service: Service, job: str) -> None:
        self.fx, self.service, self.job = fx, service, job
        self.ledger: Ledger = Ledger(blind="it was not begun")
        self.moments: dict[str, Ledger] = {}
        self.probed, self.own, self.at = Probed(), 0, fx.clock()
        self._prober: Prober | None = None

    def begin(self, record: Mapping[str, Any]) -> None:
        """Go on from what an earlier call of the job has kept, else start here."""
        kept = record.get("ledger") or {}
        known = counts.read(kept.get("now", {})) if self.job and kept.get("job") == self.job else None
        if known is None:
            self.ledger = counts.begun(self._tallies())
            return
        moments = {name: counts.read(told) for name, told in kept.get("moments", {}).items()}
        self.moments = {name: ledger for name, ledger in moments.items() if ledger is not None}
        self.probed, self.own = Probed(**kept.get("probed", {})), int(kept.get("own", 0))
        self.ledger = known
        self.read()

    def read(self, moment: str = "") -> None:
        """Add what came since the last reading; moment: what this one is remembered as."""
        self.ledger, self.at = counts.folded(self.ledger, self._tallies()), self.fx.clock()
        if moment:
            self.moments[moment] = self.ledger._replace(last={})

    def tick(self) -> None:
        """Now and then while something is waited for, so that little is lost of a worker that ends."""
        if self.fx.clock() - self.at >= EVERY:
            self.read()

    def cut(self, end: Callable[[], tuple[Left, ...]], left: Callable[[], int]) -> tuple[Left, ...]:
        """End what is left, and which it was. left: how much is there still.

        What had begun to be answered is not lost, though HAProxy 3.x counts it so.
        """
        self.read()
        before, gone, until = self.ledger.unanswered, end(), self.fx.clock() + MOMENT
        with suppress(StackswapError):
            while gone and left() and self.fx.clock() < until:
                self.fx.sleep(TURN)
        self.read()
        waiting = sum(one.kind == REQUEST for one in gone)
        more = max(0, self.ledger.unanswered - before - waiting)
        self.ledger = self.ledger._replace(unanswered=self.ledger.unanswered - min(len(gone) - waiting, more))
        return gone

    def since(self, moment: str, slot: str) -> Count:
        """What a slot's servers did since a moment, or since now if that has not been."""
        return self.ledger.of(slot).minus(self.moments.get(moment, self.ledger).of(slot))

    def until(self, moment: str, slot: str) -> Count:
        """What they did up to it from the job's beginning."""
        return self.moments.get(moment, self.ledger).of(slot)

    def probe(self) -> None:
        """Have the public door asked from now on, where the service wants that."""
        route = next(iter(self.service.routes), None)
        if self.service.probe and self._prober is None:
            ask = self.fx.probe.door
            self._prober = self.fx.prober(lambda: ask(route, self.service.key), self.service.probe)

    def end(self) -> dict[str, Any]:
        """The last reading; what is to be kept in the record."""
        if self._prober is not None:
            self.probed = loss.together(self.probed, self._prober.end())
        self._prober = None
        self.read()
        moments = {name: counts.written(ledger) for name, ledger in self.moments.items()}
        now = counts.written(self.ledger)
        return {"job": self.job, "now": now, "moments": moments, "probed": asdict(self.probed), "own": self.own}

    def told(self) -> dict[str, Any]:
        """The figures and the verdict, for the report."""
        verdict = loss.judge(self.ledger, self.probed, self.own)
        told = {**verdict._asdict(), "slots": _slots(self.ledger)}
        told["moments"] = {name: _figures(ledger) for name, ledger in self.moments.items()}
        probed = {"count": self.probed.count, "failed": self.probed.failed, "gap_ms": self.probed.gap_ms}
        return {**told, "probe": probed} if self.probed.count else told

    def _tallies(self) -> tuple[Tally, ...]:
        """What the proxy tells; nothing where it does not."""
        try:
            return self.fx.proxy.tallies(self.service.key)
        except (StackswapError, ValueError):
            return ()


def _figures(ledger: Ledger) -> dict[str, Any]:
    return {"requests": ledger.requests, "lost": max(0, ledger.unanswered), "slots": _slots(ledger)}


def _slots(ledger: Ledger) -> dict[str, dict[str, int]]:
    return {slot: count._asdict() for slot, count in ledger.slots.items()}
