"""What is drawn: a line for each change, four sentences for a failure, a sign of life, JSON."""

from __future__ import annotations

import io
import json
import re

import pytest

from stackswap.events import Event
from stackswap.report import Ending, judge, read
from stackswap.show import choose, screen
from stackswap.show.lines import Lines

from .streams import folded, recorded

TS = "2030-01-01T00:00:00.000+00:00"


def drawn(name: str, output: str = "plain", quiet: bool = False, **environ: str) -> str:
    """What a recorded job looks like."""
    out = io.StringIO()
    rc, events = recorded(name)
    shown = screen(output, out, io.StringIO(), environ, quiet)
    for seq, event in enumerate(events):
        shown.event(event.envelope("j1", seq, TS))
        shown.tick(0.0)
    shown.finish(judge(folded(events), Ending(rc=rc, cut=rc is None)))
    return re.sub(r"^\d\d:\d\d:\d\d ", "", out.getvalue(), flags=re.MULTILINE)


def test_a_change_is_a_line() -> None:
    """Who, in which task, what; and the report's own line last."""
    lines = drawn("successful").splitlines()
    assert "web1          Get ready: health 3/10 waiting" in lines
    assert "web2          Go live: routed shop to green" in lines
    assert lines[-1] == "shop: new"


def test_a_failure_is_four_sentences() -> None:
    """What failed, what serves, what was kept, what to type, and the evidence; once."""
    text = drawn("failed")
    assert (
        "web2          Get ready: FAILED: web2's candidate exited 1 after 0.8 s (KeyError: X)\n"
        "           serves now: 1.9 serves\n"
        "           kept:       the candidate, stopped\n"
        "           do next:    stackswap deploy shop\n"
        "           | Traceback (most recent call last):\n"
        "           | KeyError: 'X'\n"
    ) in text
    assert "not ready: web2" not in text
    assert text.count("FAILED") == 1


def test_an_unreachable_server_is_told_once() -> None:
    """Not again when Ansible answers for it."""
    assert drawn("unreachable").count("no route") <= 2
    assert "FAILED" not in drawn("unreachable")


def test_quiet_leaves_failures_and_the_last_line() -> None:
    """And nothing else."""
    assert drawn("successful", quiet=True) == "shop: new\n"
    assert drawn("failed", quiet=True).startswith("web2          Get ready: FAILED")


def test_silence_is_broken_after_half_a_minute() -> None:
    """By what is waited for; a word in between starts it anew."""
    out = io.StringIO()
    lines = Lines(out, io.StringIO())
    begun = {"type": "host.started", "host": "web1", "task": "Go live", "ts": TS, "data": {}}
    lines.event(begun)
    for now in (0, 29):
        lines.tick(now)
    assert out.getvalue() == ""
    lines.tick(30)
    assert out.getvalue()[9:] == "...           still at work: web1 (Go live)\n"
    lines.event({**begun, "type": "progress", "data": {"phase": "bake", "n": 1}})
    for now in (31, 60):
        lines.tick(now)
    assert out.getvalue().count("still at work") == 1
    lines.tick(61)
    assert "still at work: web1 (bake 1)" in out.getvalue()


def test_json_is_the_envelopes_and_nothing_else() -> None:
    """Each line is JSON."""
    lines = [json.loads(line) for line in drawn("failed", "json").splitlines()]
    assert {line["v"] for line in lines} == {1}
    assert [line["seq"] for line in lines] == list(range(len(lines)))


def test_the_table_has_a_row_for_each_server() -> None:
    """With phase, elapsed time and what serves; failures are lines above it."""
    text = drawn("failed", "live", TERM="xterm")
    assert "serves now: 1.9 serves" in text
    assert re.search(r"^web1 +done: Report +0 s +1\.9", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("asked", "line", "serves"),
    [
        ("shop,api", "web1          api: Go live: routed", "shop 1, api 2"),
        ("all", "web1          api: Go live: routed", "shop 1, api 2"),
        ("api", "web1          Go live: routed", "2"),
    ],
)
def test_services_are_named_where_a_job_is_for_several(asked: str, line: str, serves: str) -> None:
    """In the lines, and in the table's column of what serves."""
    shown = {}
    for output in ("plain", "live"):
        out = io.StringIO()
        drawing = screen(output, out, io.StringIO(), {"TERM": "xterm"}, False)
        events = [Event("job.started", {"service": asked}), Event("play.started")]
        for service, version in (("shop", "1"), ("api", "2")) if asked != "api" else (("api", "2"),):
            report = {
                "service": service,
                "steps": [{"verb": "route", "did": "routed"}],
                "serving": {"version": version},
            }
            events.append(Event("host.ok", {"stackswap": report}, "web1", "Go live"))
        for event in events:
            drawing.event(event.envelope("j1", 1, TS))
        drawing.finish(judge(folded([]), Ending(rc=0)))
        shown[output] = out.getvalue()
    assert line in shown["plain"]
    assert re.search(rf"^web1 +done: Go live +\d+ s +{serves} *deploy only", shown["live"], re.MULTILINE), shown["live"]


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


@pytest.mark.parametrize(
    ("asked", "out", "environ", "kind"),
    [
        ("", Terminal(), {"TERM": "xterm"}, "live"),
        ("", Terminal(), {"TERM": "dumb"}, "plain"),
        ("", Terminal(), {"TERM": "xterm", "CI": "true"}, "plain"),
        ("", io.StringIO(), {"TERM": "xterm"}, "plain"),
        ("json", Terminal(), {"TERM": "xterm"}, "json"),
        ("plain", Terminal(), {"TERM": "xterm"}, "plain"),
    ],
)
def test_the_table_is_for_people(asked: str, out: io.StringIO, environ: dict, kind: str) -> None:
    """No terminal, a dumb one, or CI: lines."""
    assert choose(asked, out, environ) == kind


def test_no_color_is_honoured() -> None:
    """With it, no escape is written even to a terminal."""
    for environ, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        out = Terminal()
        shown = screen("plain", out, io.StringIO(), environ, False)
        for seq, event in enumerate(recorded("failed")[1]):
            shown.event(event.envelope("j1", seq, TS))
        assert ("\x1b[" in out.getvalue()) is coloured


def test_the_backing_services_of_a_status_are_shown() -> None:
    """In their table for people; whoever calls it from Python asks the report."""
    row = {"name": "redis", "image": "redis:7", "state": "running", "health": "healthy", "drift": ""}
    line = "SERVER  BACKING\nweb1    redis"
    document = {"services": {}, "outcome": "unchanged", "line": line, "backing": {"web1": [row]}}
    names = {"job": "j1", "kind": "status", "status": "successful", "reason": "", "exit": 0}
    report, out = read({**names, "report": document}), io.StringIO()
    screen("plain", out, io.StringIO(), {}, False).finish(report)
    assert line in out.getvalue()
    assert report.backing == {"web1": [row]}
