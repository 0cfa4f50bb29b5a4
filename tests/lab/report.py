"""What the strict client saw: a tally while it runs, a report when it ends."""

from __future__ import annotations

import json
import time
from array import array
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.lab.wire import CUT_STREAM, CUT_WEBSOCKET

KEPT = 1000


@dataclass(frozen=True)
class Failure:
    """One failure: when (the machine's monotonic clock), of which kind, in which worker, what."""

    at: float
    kind: str
    worker: str
    what: str


@dataclass(frozen=True)
class Seen:
    """When a version first and last answered (the machine's monotonic clock), and how often."""

    first: float
    last: float
    answers: int


@dataclass(frozen=True)
class Report:
    """The whole load; nothing in it was ever tried twice.

    `requests` counts all that were begun, streams and WebSocket handshakes too; `failed` counts
    those without a right answer, but for streams and sessions ended early by the other side,
    which are `streams_cut` and `websockets_cut`. `seconds` run from the start to the last request
    begun. A latency is the time beyond what was asked for.
    """

    requests: int
    failed: int
    streams: int
    streams_cut: int
    websockets: int
    websockets_cut: int
    seconds: float
    rate: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    longest_gap_ms: float
    kinds: dict[str, int]
    versions: dict[str, Seen]
    failures: tuple[Failure, ...]
    answers: tuple[tuple[float, float], ...] = ()

    @property
    def lost(self) -> int:
        """Return failed requests, cut streams and cut WebSockets together."""
        return self.failed + self.streams_cut + self.websockets_cut

    def to_json(self) -> str:
        """Write the report as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read a report written by `to_json`."""
        read = json.loads(text)
        read["failures"] = tuple(Failure(**failure) for failure in read["failures"])
        read["versions"] = {name: Seen(**seen) for name, seen in read["versions"].items()}
        read["answers"] = tuple((at, ms) for at, ms in read["answers"])
        return cls(**read)

    def __str__(self) -> str:
        served = ", ".join(f"{name}: {seen.answers}" for name, seen in self.versions.items())
        first = "".join(f"\n  {f.kind} in {f.worker}: {f.what}" for f in self.failures[:10])
        return (
            f"{self.requests} requests at {self.rate:.0f} r/s, failed {self.failed}; streams "
            f"{self.streams}, cut {self.streams_cut}; WebSockets {self.websockets}, cut "
            f"{self.websockets_cut}; p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, "
            f"max {self.max_ms:.0f} ms; answers by version {served or 'none'}{first}"
        )


@dataclass
class Tally:
    """Counts and times, kept cheaply while the load runs."""

    begun: int = 0
    started: float = field(default_factory=time.monotonic)
    latest: float = 0.0
    answered: array[float] = field(default_factory=lambda: array("d"))
    took: array[float] = field(default_factory=lambda: array("d"))
    begun_by: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    versions: dict[str, list[Any]] = field(default_factory=dict)

    def begin(self, worker: str) -> None:
        """Note a request that is about to be sent."""
        self.latest = time.monotonic()
        self.begun += 1
        self.begun_by[worker] += 1

    def good(self, version: str | None, took: float) -> None:
        """Note a right answer that has just come."""
        now = time.monotonic()
        self.answered.append(now)
        self.took.append(took)
        if version is not None:
            seen = self.versions.setdefault(version, [now, now, 0])
            seen[1] = now
            seen[2] += 1

    def bad(self, kind: str, worker: str, what: str) -> None:
        """Note a failure that has just been seen; of very many only the first are kept."""
        self.kinds[kind] += 1
        if len(self.failures) < KEPT:
            self.failures.append(Failure(time.monotonic(), kind, worker, what))

    def report(self, answers: bool = False) -> Report:
        """Sum up."""
        seconds = max(self.latest - self.started, 0.001)
        times = sorted(self.took)
        cut = self.kinds[CUT_STREAM], self.kinds[CUT_WEBSOCKET]
        return Report(
            requests=self.begun,
            failed=self.kinds.total() - sum(cut),
            streams=self.begun_by["stream"],
            streams_cut=cut[0],
            websockets=self.begun_by["websocket"],
            websockets_cut=cut[1],
            seconds=seconds,
            rate=len(times) / seconds,
            p50_ms=share(times, 0.50),
            p99_ms=share(times, 0.99),
            max_ms=share(times, 1.0),
            longest_gap_ms=self.longest_gap() * 1000,
            kinds=dict(+self.kinds),
            versions={name: Seen(*seen) for name, seen in self.versions.items()},
            failures=tuple(self.failures),
            answers=tuple(zip(self.answered, self.took, strict=True)) if answers else (),
        )

    def longest_gap(self) -> float:
        """Return the longest time in which no right answer came, between two that did."""
        pairs = zip(self.answered, self.answered[1:], strict=False)
        return max((later - earlier for earlier, later in pairs), default=0.0)


def share(times: list[float], part: float) -> float:
    """Return the time in ms that this part of the sorted times does not exceed."""
    return times[min(len(times) - 1, int(len(times) * part))] * 1000 if times else 0.0
