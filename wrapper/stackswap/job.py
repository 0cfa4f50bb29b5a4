"""One job from its directory to its report: run the play, write and draw what happens, stop it.

Cancel never lies: it asks first, interrupts then, kills last, and says which servers it did not
hear out. The clocks come in as arguments.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stackswap import play, runner
from stackswap.errors import StackswapError
from stackswap.events import Event, plain, scrub, translate
from stackswap.fold import Fold
from stackswap.report import Ending, Report, judge
from stackswap.show import Screen
from stackswap.spec import THROUGH, Spec
from stackswap.store import Folder, Store, new_id, root_of

OUTPUT = ("log", "out")  # a service's own words are shown and never kept: they may hold anything
INTERRUPTED = 99  # ansible-playbook's code for that; above it are only worse ends


@dataclass(frozen=True)
class Patience:
    """Seconds from asking a job to stop to interrupting it, and from there to killing it."""

    asked: float = 15.0
    interrupted: float = 10.0


@dataclass(frozen=True)
class Stop:
    """How far a stop has got. why: canceled or timeout; pushed: how often it was asked for."""

    why: str = ""
    asked: float = 0.0
    interrupted: float | None = None
    pushed: int = 0

    def due(self, now: float, patience: Patience) -> str:
        """What is due: '', interrupt or kill."""
        if not self.why:
            return ""
        if self.interrupted is None:
            late = now - self.asked >= patience.asked
            return "interrupt" if late or self.pushed > 1 else ""
        late = now - self.interrupted >= patience.interrupted
        return "kill" if late or self.pushed > 2 else ""


@dataclass(frozen=True)
class Clocks:
    """The time of day and the time that only goes forward."""

    now: Callable[[], float] = time.time
    since: Callable[[], float] = time.monotonic


class Running:
    """A job while it runs."""

    def __init__(self, spec: Spec, folder: Folder, screen: Screen, patience: Patience, clocks: Clocks) -> None:
        self.spec, self.folder, self.screen = spec, folder, screen
        self.fold = Fold(folder.id, spec.kind, spec.service, spec.version)
        self.patience, self.clocks = patience, clocks
        self.stop, self.began, self.pushed = Stop(), clocks.since(), 0
        self._pid, self._seq, self._killed = 0, 0, False

    def tell(self, event: Event) -> None:
        """Write, fold and draw what happened."""
        self._seq += 1
        envelope = event.envelope(self.folder.id, self._seq, stamp(self.clocks.now()))
        self.fold.add(event)
        if event.data.get("phase") not in OUTPUT:
            with suppress(OSError):  # a full disk or a closed pipe is no reason to drop a deploy
                self.folder.append(json.dumps(envelope))
        with suppress(OSError):
            self.screen.event(envelope)

    def heard(self, raw: Mapping[str, Any]) -> None:
        """Take in an event of ansible-runner's."""
        if raw.get("event") == "playbook_on_start":
            self._pid = int(raw.get("pid") or 0)
        for event in translate(raw):
            if not (event.data.get("level") == "text" and self.fold.played):
                self.tell(event)
        if self.spec.talks and raw.get("stdout"):
            with suppress(OSError):
                self.screen.text(plain(raw["stdout"]))

    def push(self, *_: Any) -> None:
        """A signal: the first asks, the second interrupts, the third kills."""
        self.pushed += 1
        self.folder.cancel("signal")

    def hang_up(self, *_: Any) -> None:
        """The terminal is gone: asks, however often it comes, for shell and system may both tell of one closing."""
        self.pushed = self.pushed or 1
        self.folder.cancel("signal")

    def tick(self) -> bool:
        """Twice a second: draw, and see whether the job is to stop. True: kill it now."""
        now = self.clocks.since()
        with suppress(OSError):
            self.screen.tick(self.clocks.now())
        self._look(now)
        due = replace(self.stop, pushed=self.pushed).due(now, self.patience)
        if due == "interrupt":
            self.stop = replace(self.stop, interrupted=now)
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGINT) if self._pid else None
        self._killed = self._killed or due == "kill"
        return self._killed or (due == "interrupt" and not self._pid)

    def _look(self, now: float) -> None:
        """Whether somebody asked for a stop, or the deadline did."""
        if self.stop.why:
            return
        if self.spec.deadline is not None and now - self.began > self.spec.deadline:
            self.folder.cancel("deadline")
        by = self.folder.canceled_by()
        if by:
            self.stop = Stop("timeout" if by == "deadline" else "canceled", now)
            self.tell(Event("job.canceling", {"by": by}))

    def ending(self, rc: int | None, error: str = "") -> Ending:
        """How it ended; a play that obeyed may be over before the next look."""
        self._look(self.clocks.since())
        cut = rc is None or not 0 <= rc < INTERRUPTED
        return Ending(rc=rc, stop=self.stop.why, cut=cut and self.fold.played, error=error)


def run(
    spec: Spec,
    screen: Screen,
    *,
    patience: Patience = Patience(),
    clocks: Clocks = Clocks(),
    playbook: str = "",
) -> Report:
    """Run a job to its end."""
    folder = Store(root_of(spec.job_dir, os.environ)).create(new_id(clocks.now(), os.urandom))
    running, started = Running(spec, folder, screen, patience, clocks), stamp(clocks.now())
    what = play.plan(spec, folder.id, folder.stop, os.environ, playbook)
    folder.begin(_asked(spec, folder.id, started))
    try:
        with _signals(running):
            running.tell(Event("job.started", _told(spec)))
            ending = _played(running, what, folder.private)
        report = judge(running.fold, ending, started, stamp(clocks.now()))
        told = scrub(report.to_dict())
        with suppress(OSError):
            folder.end(told, log=spec.kind not in THROUGH)
        running.tell(Event("job.finished", told))
    finally:
        folder.release()
    with suppress(OSError):
        screen.finish(report)
    return report


def _played(running: Running, what: play.Play, private: Path) -> Ending:
    try:
        return running.ending(runner.run(what, private, running.folder.id, running.heard, running.tick))
    except KeyboardInterrupt:
        running.stop = Stop("canceled")
        return running.ending(None)
    except StackswapError as error:
        return running.ending(2 if error.exit == 2 else None, str(error))
    except Exception as error:  # whatever it is, the job needs its report
        return running.ending(None, f"{type(error).__name__}: {error}")


@contextmanager
def _signals(running: Running) -> Iterator[None]:
    """Have Ctrl-C, SIGTERM and a closed terminal ask the job to stop, where signals can be had; nohup stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: dict[int, Callable[..., None]] = {signal.SIGINT: running.push, signal.SIGTERM: running.push}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        heard[signal.SIGHUP] = running.hang_up
    before = {name: signal.signal(name, handler) for name, handler in heard.items()}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _asked(spec: Spec, job: str, started: str) -> dict[str, Any]:
    """What job.json holds: of the options, names alone."""
    return {"v": 1, "id": job, **_told(spec), "started": started, "cwd": os.getcwd()}


def _told(spec: Spec) -> dict[str, Any]:
    told = {"kind": spec.kind, "service": spec.service, "version": spec.version}
    return {**told, "options": list(spec.names), "deadline": spec.deadline}


def stamp(now: float) -> str:
    """A time as text."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
