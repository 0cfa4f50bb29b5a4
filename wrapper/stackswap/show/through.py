"""A job whose output is a service's own: nothing but that goes to standard output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from stackswap.report import Report


class Through:
    """What a service says to standard output; what failed, and Ansible's own words, to standard error."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out, self._err = out, err

    def event(self, envelope: Mapping[str, Any]) -> None:
        """A line of a log has its server before it; a command's output is as it came."""
        data = envelope["data"]
        if envelope["type"] != "progress":
            return
        if data.get("phase") == "log":
            print(f"{envelope.get('host')} | {data.get('msg', '')}", file=self._out, flush=True)
        elif data.get("phase") == "out":
            print(data.get("msg", ""), file=self._out, flush=True)

    def tick(self, now: float) -> None:
        """Silence is the service's own."""

    def text(self, text: str) -> None:
        """For a person who looks on."""
        print(text, file=self._err, flush=True)

    def finish(self, report: Report) -> None:
        """Only what went wrong."""
        if report.said:
            self.text(report.said)
        if not report.ok and report.status != "canceled":
            self.text(report.line)
