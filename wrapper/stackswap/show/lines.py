"""A job as lines: one for each change, four sentences for a failure, a sign of life in silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TextIO

from stackswap.fold import ALL
from stackswap.report import Report

QUIET = 30.0
INDENT = " " * 11
RED, BOLD, PLAIN = "\x1b[31m", "\x1b[1m", "\x1b[0m"
SENTENCES = (("serves", "serves now"), ("kept", "kept"), ("next", "do next"))


class Lines:
    """For a log, and for whoever wants it plain."""

    def __init__(self, out: TextIO, err: TextIO, colour: bool = False, quiet: bool = False) -> None:
        self._out, self._err, self._colour, self._quiet = out, err, colour, quiet
        self._told: dict[str, str] = {}
        self._spoke: float | None = None
        self._doing: dict[str, str] = {}
        self._several = False

    def event(self, envelope: Mapping[str, Any]) -> None:
        """Something happened."""
        if envelope["type"] == "job.started":
            self._several = _several(envelope["data"].get("service", ""))
        self._follow(envelope)
        for line in self._lines(envelope):
            self._say(line)

    def tick(self, now: float) -> None:
        """After half a minute of silence, say what is waited for."""
        if self._spoke is None:
            self._spoke = now
        if now - self._spoke < QUIET:
            return
        self._spoke = now
        if self._doing and not self._quiet:
            doing = ", ".join(f"{host} ({task})" for host, task in list(self._doing.items())[:5])
            clock = datetime.fromtimestamp(now).astimezone()
            self._print(f"{clock:%H:%M:%S} {'...':<12}  still at work: {doing}")

    def text(self, text: str) -> None:
        """Ansible's own words."""
        self._print(text)

    def finish(self, report: Report) -> None:
        """The last line."""
        if report.said:
            print(report.said, file=self._err, flush=True)
        if report.document["services"] or not self._quiet or not report.ok:
            self._print(self._bold(report.line))

    def _follow(self, envelope: Mapping[str, Any]) -> None:
        host, kind = envelope.get("host"), envelope["type"]
        if host and kind == "host.started":
            self._doing[host] = envelope.get("task") or ""
        elif host and kind == "progress":
            self._doing[host] = _progress(envelope["data"]) or self._doing.get(host, "")
        elif host and kind.startswith("host."):
            self._doing.pop(host, None)

    def _lines(self, envelope: Mapping[str, Any]) -> Iterator[str]:
        kind, data = envelope["type"], envelope["data"]
        report = data.get("stackswap") or {}
        if kind in ("host.ok", "item.ok", "host.failed", "item.failed") and not self._quiet:
            yield from (self._line(envelope, did) for did in _changes(kind, data, report))
        if report.get("failed"):
            yield from self._failure(envelope, report["failed"])
        elif kind in ("host.failed", "host.unreachable"):
            yield from self._plain_failure(envelope, kind)
        elif kind == "progress" and not self._quiet:
            yield self._line(envelope, _progress(data))
        elif kind == "message" and data.get("level") == "warning" and not self._quiet:
            yield self._line(envelope, data["text"].strip())
        elif kind == "job.canceling":
            yield self._line(envelope, "asked to stop" + _by(data))

    def _failure(self, envelope: Mapping[str, Any], failed: Mapping[str, Any]) -> Iterator[str]:
        """What failed, what serves, what was kept, what to type; and how one can tell."""
        self._told[envelope["host"]] = failed["what"]
        yield self._red(self._line(envelope, f"FAILED: {failed['what']}"))
        for name, title in SENTENCES:
            if failed.get(name):
                yield f"{INDENT}{title + ':':<12}{failed[name]}"
        yield from (f"{INDENT}| {line}" for line in failed.get("evidence") or ())

    def _plain_failure(self, envelope: Mapping[str, Any], kind: str) -> Iterator[str]:
        """A failure without a report, unless it is told already."""
        host, data = envelope["host"], envelope["data"]
        first, *more = (data.get("msg") or "no reason was given").strip().split("\n")
        gate = data.get("action", "").endswith("fleet_gate")
        told = self._told.get(host)
        if kind == "host.failed" and (data.get("ignored") or (told and first.startswith(told))):
            return
        if gate and self._told:
            return
        if gate:
            yield self._line({**envelope, "host": None}, first)
            return
        self._told[host] = first
        word = "UNREACHABLE" if kind == "host.unreachable" else "FAILED"
        yield self._red(self._line(envelope, f"{word}: {first}"))
        yield from (f"{INDENT}| {line}" for line in more[-20:])

    def _line(self, envelope: Mapping[str, Any], what: str) -> str:
        task = f"{envelope['task']}: " if envelope.get("task") else ""
        server = envelope.get("host") or "-"
        service = (envelope["data"].get("stackswap") or {}).get("service", "") if self._several else ""
        return f"{_clock(envelope['ts'])} {server:<12}  {f'{service}: ' if service else ''}{task}{what}"

    def _say(self, line: str) -> None:
        self._spoke = None
        self._print(line)

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)

    def _red(self, line: str) -> str:
        return f"{RED}{line}{PLAIN}" if self._colour else line

    def _bold(self, line: str) -> str:
        return f"{BOLD}{line}{PLAIN}" if self._colour else line


def _changes(kind: str, data: Mapping[str, Any], report: Mapping[str, Any]) -> list[str]:
    """What changed on a server, or would in check mode."""
    if report:
        done = [str(step.get("did", "")) for step in report.get("steps") or ()]
        would = [f"would {step}" for step in report.get("plan") or ()]
        return done or (would if report.get("check") else [])
    if not data.get("changed") or kind.endswith("failed"):
        return []
    return [str(data.get("msg") or "changed").split("\n")[0][:200]]


def _progress(data: Mapping[str, Any]) -> str:
    count = f" {data['n']}" + (f"/{data['of']}" if data.get("of") else "") if "n" in data else ""
    said = " ".join(filter(None, [str(data.get("phase", "")) + count, str(data.get("msg", ""))]))
    return said.strip()


def _by(data: Mapping[str, Any]) -> str:
    return {"signal": "", "deadline": ": its deadline passed"}.get(data.get("by", ""), "")


def _several(service: str) -> bool:
    """Whether a job is for more services than one, so that each is to be named."""
    return "," in service or service == ALL


def _clock(ts: str) -> str:
    return f"{datetime.fromisoformat(ts).astimezone():%H:%M:%S}"
