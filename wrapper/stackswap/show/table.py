"""A job as a live table: a row for each server, failures above it. The only importer of rich."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from stackswap.report import Report
from stackswap.show.lines import Lines

STYLES = {"done": "green", "FAILED": "red", "UNREACHABLE": "red"}


@dataclass(frozen=True)
class Row:
    """A server: what it does, since when, and which version it serves of each service."""

    phase: str = ""
    since: float = 0.0
    took: float | None = None
    last: str = ""
    serves: Mapping[str, str] = field(default_factory=dict)

    @property
    def serving(self) -> str:
        """The version; of several services each with its name."""
        if len(self.serves) == 1:
            return next(iter(self.serves.values()))
        return ", ".join(f"{name} {version}" for name, version in self.serves.items() if version)

    def elapsed(self, now: float) -> float:
        """Seconds in this phase."""
        return self.took if self.took is not None else max(0.0, now - self.since)


class Table(Lines):
    """Failures are printed as lines; everything else shows in the table alone."""

    def __init__(self, out: TextIO, err: TextIO, colour: bool) -> None:
        super().__init__(out, err, colour)
        self._console = Console(file=out, no_color=not colour, highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._rows: dict[str, Row] = {}
        self._begun = False

    def event(self, envelope: Mapping[str, Any]) -> None:
        """Draw it, and say it if it is a failure."""
        if envelope["type"] == "play.started" and not self._begun:
            self._begun = True
            self._live.start()
        self._row(envelope)
        self._quiet = True
        super().event(envelope)

    def tick(self, now: float) -> None:
        """Let the seconds run."""
        if self._begun:
            self._live.update(self._grid(now), refresh=True)

    def finish(self, report: Report) -> None:
        """The last picture, and the last line."""
        if self._begun:
            self._live.update(self._grid(datetime.now().timestamp()), refresh=True)
            self._live.stop()
            self._begun = False
        self._quiet = False
        super().finish(report)

    def _print(self, line: str) -> None:
        self._console.print(Text.from_ansi(line))

    def _row(self, envelope: Mapping[str, Any]) -> None:
        """What the event says of its server."""
        host, kind, data = envelope.get("host"), envelope["type"], envelope["data"]
        if not host:
            return
        now = datetime.fromisoformat(envelope["ts"]).timestamp()
        row = self._rows.get(host, Row())
        if kind == "host.started":
            row = replace(row, phase=envelope.get("task") or "", since=now, took=None)
        elif kind == "progress":
            row = replace(row, phase=" ".join(str(data[n]) for n in ("phase", "msg") if n in data))
        elif kind in ("host.ok", "host.failed", "host.unreachable"):
            row = self._ended(row, kind, envelope, now)
        elif kind == "host.skipped":
            row = replace(row, phase=row.last, took=row.elapsed(now))
        self._rows[host] = row

    def _ended(self, row: Row, kind: str, envelope: Mapping[str, Any], now: float) -> Row:
        report = envelope["data"].get("stackswap") or {}
        serves = dict(row.serves)
        if report:
            service = report.get("service", "")
            serves[service] = (report.get("serving") or {}).get("version", serves.get(service, ""))
        word = {"host.failed": "FAILED", "host.unreachable": "UNREACHABLE"}.get(kind, "done")
        phase = f"{word}: {envelope.get('task') or ''}"
        return replace(row, phase=phase, last=phase, took=row.elapsed(now), serves=serves)

    def _grid(self, now: float) -> Grid:
        grid = Grid(box=None, pad_edge=False)
        for title in ("server", "phase", "elapsed", "serving"):
            grid.add_column(title, no_wrap=title != "phase")
        for host, row in self._rows.items():
            style = STYLES.get(row.phase.partition(":")[0], "")
            phase = Text(row.phase, style=style)
            grid.add_row(host, phase, f"{row.elapsed(now):.0f} s", row.serving or "-")
        return grid
