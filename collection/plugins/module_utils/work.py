# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call's work on one service of one server: what it may touch, what it has done, and the one loop that waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ansible_collections.stackswap.bluegreen.plugins.module_utils.addresses import allot, fixed, rebuilt
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callbacks import Calling, last_lines
from ansible_collections.stackswap.bluegreen.plugins.module_utils.counting import Counting
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import Canceled, Moved, StepFailed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import FAILED, PASSED, Verdict
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Release, Replica, Service, Step
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, look

SHORT, LONG, GROWTH = 0.01, 0.25, 1.4  # seconds between two samples: at first, at most, and how fast it grows
NEAR, SOON = 0.05, 2.0  # at most where the end is near, and for how long it is expected at any moment
EVIDENCE = 20  # lines
FINISHING = ("fence", "drain", "stop", "discard", "keep")

T = TypeVar("T")


class Work:
    """What a plan's steps are done with. done: what was done, with its seconds; figures: for the report.

    calling: how callbacks are called; None calls none. migrations: what the release declares of them. deaf: it does
    not listen to who asks it to stop. routed: it has pointed the proxy
    somewhere; started: in which start that was. held: since when requests wait, by the clock. counting: what users
    get of it, by the job so far; drains: what each release that was let go still had.
    """

    def __init__(
        self,
        fx: Effects,
        service: Service,
        release: Release | None,
        deaf: bool = False,
        calling: Calling | None = None,
        migrations: str = "none",
        job: str = "",
    ) -> None:
        self.fx, self.service, self.release = fx, service, release
        self.calling, self.migrations = calling, migrations
        self.done: list[tuple[Step, float]] = []
        self.figures: dict[str, Any] = {}
        self.callbacks: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.drains: list[dict[str, Any]] = []
        self.counting = Counting(fx, service, job)
        self.routed, self.held = False, 0.0
        self.started: list[list[str]] = []
        self._deaf = deaf

    # -- whether to go on

    def heed(self, step: Step) -> None:
        """A stop that was asked for: back while nothing is fenced; a dead control side only before the switch."""
        asked = self.asked(step)
        if asked:
            raise Canceled("stopped: " + ("asked to" if asked == "asked" else "the control side is gone"), step=step)

    def asked(self, step: Step) -> str:
        """Who asks for a stop that this step would heed; '' for nobody."""
        lets_go = step.verb in FINISHING or (step.verb == "hold" and not step.value)
        asked = "" if self._deaf or lets_go else self.fx.stop_asked()
        return "" if asked == "alone" and self.routed else asked

    # -- the one loop

    def wait(
        self,
        step: Step,
        sample: Callable[[float], T],
        judge: Callable[[list[T]], Verdict],
        limit: float,
        near: Callable[[T], bool] = lambda sample: False,
    ) -> str:
        """Sample and judge until the verdict: '' when it passed, why not when the time is over; a failure is raised.

        It looks more and more seldom, and often again for a while from when a sample shows that the end is near.
        """
        began, turn, samples = self.fx.clock(), SHORT, list[T]()
        since: float | None = None  # when the end came near
        while True:
            self.heed(step)
            samples.append(sample(self.fx.clock() - began))
            verdict = judge(samples)
            if verdict.word == PASSED:
                return ""
            if verdict.word == FAILED:
                raise self.failed(step, verdict.cause, verdict.why)
            now = self.fx.clock()
            if now - began >= limit:
                return verdict.why
            self.fx.tell(step.verb, verdict.why)
            self.counting.tick()
            soon = near(samples[-1])
            if soon and since is None:
                turn = SHORT
            since = (now if since is None else since) if soon else None
            self.fx.sleep(turn)
            turn = min(LONG if since is None or now - since >= SOON else NEAR, turn * GROWTH)

    def failed(self, step: Step, cause: str, why: str) -> StepFailed:
        """The failure of a step, with its evidence."""
        error = StepFailed(why, self._evidence(step), step=step)
        error.cause = cause
        return error

    def _evidence(self, step: Step) -> tuple[str, ...]:
        """The last lines that the step's containers have said, fit to be shown."""
        said = [self.fx.engine.logs(r.id, EVIDENCE) for r in self.group(step)]
        return tuple(line for text in said for line in last_lines(text))[-EVIDENCE:]

    # -- what a step is about

    def look(self) -> Look:
        """What is there now."""
        return look(self.fx, self.service, self.release)

    def group(self, step: Step) -> tuple[Replica, ...]:
        """The containers that the step is about."""
        found = self.fx.engine.replicas(self.service.key, step.release)
        mine = (step.release, step.slot, step.process)
        return tuple(r for r in found if (r.release, r.slot, r.process) == mine)

    def wanted(self) -> Release:
        """The release that was asked for."""
        if self.release is None:
            raise Moved("no release was asked for, and one would have to be started")
        return self.release

    def address(self) -> None:
        """Have addresses for the service, allotted once; those that were lost are written down again (R13)."""
        fx, key = self.fx, self.service.key
        with fx.locks.proxy():
            stored = fx.records.addresses()
            known = rebuilt(stored, fx.tenants(), fx.subnet)
            lot = allot({key: self.wanted().replicas}, known, fx.holders(fixed(fx.subnet)), fx.subnet)
            if lot != stored:
                fx.records.keep_addresses(lot)

    # -- the record

    def record(self) -> dict[str, Any]:
        """What the server remembers of the service."""
        return self.fx.records.read(self.service.key)

    def remember(self, **facts: Any) -> None:
        """Replace these facts in the record."""
        record = {name: value for name, value in self.record().items() if name != "broken"}
        self.fx.records.write(self.service.key, {**record, **facts})
