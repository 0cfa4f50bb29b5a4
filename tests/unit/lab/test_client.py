"""The strict client counts each failure once, by its right name, and never tries again."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.lab import sessions
from tests.lab.client import Load, drive
from tests.lab.frames import CLOSE, TEXT, frame
from tests.lab.report import Report
from tests.lab.run import Plan, Run
from tests.unit.lab.misbehaving import (
    chunks,
    ends_session,
    keeps_silent,
    resets,
    rightly,
    say,
    sends,
    server,
)

GOING_AWAY = frame(CLOSE, (1001).to_bytes(2, "big"))

WRONG = {
    "a kept connection ends after the request": ("get", sends(b"", False), "stale EOF"),
    "a kept connection ends after a POST": ("post", sends(b"", False), "stale EOF"),
    "a new connection ends after the request": ("new", sends(b"", False), "EOF"),
    "a kept connection is reset": ("get", resets, "reset"),
    "a new connection is reset": ("new", resets, "reset"),
    "a body is shorter than its length": ("get", sends(say(200, b"1\n")[:-1], False), "EOF"),
    "a head is cut": ("get", sends(say(200, b"1\n")[:9], False), "EOF"),
    "another version's words": ("get", sends(say(200, b"2\n")), "wrong body"),
    "an echo that is none": ("post", sends(say(200, b"other")), "wrong body"),
    "503": ("get", sends(say(503, b"1\n")), "bad status"),
    "503 to a POST": ("post", sends(say(503, b"1\n")), "bad status"),
    "204, which is good but not 200": ("get", sends(say(204, b"")), "bad status"),
    "no HTTP": ("get", sends(b"hello\r\n\r\n"), "bad status"),
    "no answer in time": ("get", keeps_silent, "timeout"),
    "503 to a stream": ("stream", sends(say(503, b"")), "bad status"),
    "a stream without its end": ("stream", sends(chunks(20, b""), False), "cut stream"),
    "a stream cut in a chunk": ("stream", sends(chunks(3, b"4\r\n1"), False), "cut stream"),
    "a whole stream of too few lines": ("stream", sends(chunks(3)), "wrong body"),
    "no WebSocket": ("websocket", sends(say(200, b"1\n")), "bad status"),
    "a WebSocket told to go": ("websocket", ends_session(GOING_AWAY), "cut websocket"),
    "a WebSocket that ends": ("websocket", ends_session(), "cut websocket"),
    "a WebSocket with a wrong echo": (
        "websocket",
        ends_session(frame(TEXT, b"other")),
        "wrong body",
    ),
}


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten what the lasting workers wait and expect."""
    monkeypatch.setattr(sessions, "EVERY", 0.02)
    monkeypatch.setattr(sessions, "PAUSE_MS", 1)
    monkeypatch.setattr(sessions, "ECHO_EVERY", 0.05)


def load(port: int, worker: str, **fields: Any) -> Report:
    """Send four requests with one worker of a kind."""
    lasting = worker in ("stream", "websocket")
    kinds = {"mix": {}, worker: 1} if lasting else {"mix": {worker: 1}}
    standard = {"count": 4, "rate": 100, "timeout": 5, "session": 0.15, "seconds": 5}
    return asyncio.run(drive(Run(Plan("127.0.0.1", port, **(standard | kinds | fields)))))


@pytest.mark.parametrize("worker", ["get", "new", "post", "stream", "websocket"])
def test_right_answers_are_no_failures(worker: str) -> None:
    with server(rightly) as served:
        report = load(served.port, worker)
    assert (report.lost, report.requests, served.requests) == (0, 4, 4), report
    assert report.versions["1"].answers == 4


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_is_one_failure_and_is_not_retried(case: str) -> None:
    worker, wrong, kind = WRONG[case]
    patience = 0.5 if kind == "timeout" else 5
    with server(wrong) as served:
        report = load(served.port, worker, timeout=patience)
    assert [failure.kind for failure in report.failures] == [kind], report
    assert report.lost == 1 and report.kinds == {kind: 1}
    assert (report.requests, served.requests) == (4, 4)


def test_cut_streams_and_sessions_are_counted_apart() -> None:
    with server(sends(chunks(3, b""), False)) as served:
        report = load(served.port, "stream")
    assert (report.failed, report.streams, report.streams_cut) == (0, 4, 1)
    with server(ends_session(GOING_AWAY)) as served:
        report = load(served.port, "websocket")
    assert (report.failed, report.websockets, report.websockets_cut) == (0, 4, 1)


def test_each_refused_connection_is_one_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    report = load(port, "get", count=3)
    assert [failure.kind for failure in report.failures] == ["connect refused"] * 3
    assert (report.requests, report.failed, report.versions) == (3, 3, {})


def test_a_connection_closed_while_idle_is_replaced_without_failure() -> None:
    with server(sends(say(200, b"1\n"), keeps=False)) as served:
        report = load(served.port, "get")
    assert (report.lost, served.requests, served.connections) == (0, 4, 2)


def test_a_kept_connection_is_kept() -> None:
    with server() as served:
        load(served.port, "get")
        assert served.connections == 1
        load(served.port, "new")
        assert served.connections == 1 + 4


def test_a_report_survives_its_json() -> None:
    with server(sends(say(503, b""))) as served:
        report = load(served.port, "get", answers=True)
    assert Report.from_json(report.to_json()) == report
    assert len(report.answers) == 3


def test_the_load_runs_in_a_process_of_its_own_until_told_to_stop() -> None:
    with server(sends(say(503, b""))) as served:
        with Load("127.0.0.1", served.port, rate=100, mix={"get": 1, "new": 1}) as running:
            assert running.process.poll() is None
        report = running.report()
        assert running.process.returncode == 0
    assert report.requests == served.requests > 0
    assert report.failed == (1 if served.requests > 1 else 0)
