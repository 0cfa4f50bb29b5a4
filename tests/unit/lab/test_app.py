"""The test application finishes what it has and goes when it is told to."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.lab.client import Load

APP = Path(__file__).parents[2] / "lab" / "app.py"


@contextmanager
def app(**env: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yield the application as a process, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = os.environ | {"PORT": str(port), "VERSION": "7"} | env
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, APP], env=settings, text=True, **pipes)
    try:
        yield process, port
    finally:
        process.kill()
        process.communicate()


def get(port: int, path: str) -> tuple[int, str]:
    """Return the status and the body of an answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_it_satisfies_the_strict_client() -> None:
    with app() as (process, port):
        process.stdout.readline()
        mix = {"get": 2, "new": 1, "post": 1}
        with Load("127.0.0.1", port, rate=200, mix=mix, websocket=True, session=0.3) as load:
            time.sleep(1)
        report = load.report()
    assert report.lost == 0, report
    assert report.websockets > 1 and list(report.versions) == ["7"]


def test_on_term_a_request_in_flight_is_answered_and_the_code_is_its_own() -> None:
    with app(EXIT_CODE="4") as (process, port):
        process.stdout.readline()
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/slow?s=0.5")
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Connection")) == (200, "close")
        assert process.wait(30) == 4


def test_on_term_a_session_is_told_and_the_client_calls_it_cut() -> None:
    with app() as (process, port):
        process.stdout.readline()
        plan = {"mix": {}, "websocket": 1, "session": 30, "count": 1}
        with Load("127.0.0.1", port, **plan) as load:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        report = load.report()
    assert report.websockets_cut == 1 and "1001" in report.failures[0].what


def test_its_health_is_what_it_is_told_to_be() -> None:
    with app(HEALTH_STATUS="418", SICK_AFTER="0.3") as (process, port):
        process.stdout.readline()
        assert get(port, "/health") == (418, "7\n")
        assert get(port, "/env?name=HEALTH_STATUS") == (200, "418")
        time.sleep(0.3)
        assert get(port, "/health")[0] == 500
        assert get(port, "/")[0] == 200


def test_without_its_settings_it_says_so_and_ends() -> None:
    with app(EXIT_AT_ONCE="3") as (process, _):
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (3, "KeyError: 'DATABASE_URL'\n")


def heeds_term(pid: int) -> bool:
    """Whether the process has a handler of its own for SIGTERM by now."""
    (caught,) = re.findall(r"^SigCgt:\s+([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("knob", [{"SILENT": "1"}, {"HEALTH_DELAY": "9"}])
def test_it_does_not_listen_before_its_time_but_ends_when_told(knob: dict[str, str]) -> None:
    with app(**knob) as (process, port):
        while not heeds_term(process.pid):
            time.sleep(0.05)
        with pytest.raises(ConnectionRefusedError):
            get(port, "/")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_it_may_ignore_term() -> None:
    with app(IGNORE_TERM="1") as (process, port):
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert get(port, "/") == (200, "7\n")
