"""Everything that is drawn: lines for a log, a table for a terminal, JSON for a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TextIO

from stackswap.report import Report
from stackswap.show.json_ import Json
from stackswap.show.lines import Lines


class Screen(Protocol):
    """Where a job is drawn."""

    def event(self, envelope: Mapping[str, Any]) -> None:
        """Something happened."""

    def tick(self, now: float) -> None:
        """Time goes by."""

    def text(self, text: str) -> None:
        """Ansible's own words, where they are wanted."""

    def finish(self, report: Report) -> None:
        """It is over."""


class Nothing:
    """For the library: it draws nothing."""

    def event(self, envelope: Mapping[str, Any]) -> None:
        """Nothing."""

    def tick(self, now: float) -> None:
        """Nothing."""

    def text(self, text: str) -> None:
        """Nothing."""

    def finish(self, report: Report) -> None:
        """Nothing."""


def choose(asked: str, out: TextIO, environ: Mapping[str, str]) -> str:
    """plain, live or json: as asked, else live on a terminal that a person sees."""
    seen = out.isatty() and environ.get("TERM", "dumb") != "dumb" and not environ.get("CI")
    return asked or ("live" if seen else "plain")


def screen(output: str, out: TextIO, err: TextIO, environ: Mapping[str, str], quiet: bool) -> Screen:
    """The screen for the output that is wanted. What rich costs is paid on a terminal alone."""
    kind = choose(output, out, environ)
    if kind == "json":
        return Json(out, err)
    colour = out.isatty() and "NO_COLOR" not in environ
    if kind == "live" and not quiet:
        from stackswap.show.table import Table  # noqa: PLC0415

        return Table(out, err, colour)
    return Lines(out, err, colour, quiet)
