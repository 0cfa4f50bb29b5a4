"""A job as JSON lines: the envelopes as they are written, the last one with the whole result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TextIO

from stackswap.report import Report


class Json:
    """Standard output is for the program that reads it, all else goes to standard error."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out, self._err = out, err

    def event(self, envelope: Mapping[str, Any]) -> None:
        """One line."""
        print(json.dumps(envelope), file=self._out, flush=True)

    def tick(self, now: float) -> None:
        """A program needs no sign of life."""

    def text(self, text: str) -> None:
        """For a person who looks on."""
        print(text, file=self._err, flush=True)

    def finish(self, report: Report) -> None:
        """The result is in the last line already."""
        if report.said:
            self.text(report.said)
