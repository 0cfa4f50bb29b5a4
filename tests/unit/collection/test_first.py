"""What is done on one server first: the others wait for it, and never for one that does not come."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible import constants

from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.first import First

RUN = ("run-1", "shop")


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of its own."""
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))


def leading(result: dict[str, Any]) -> tuple[threading.Thread, threading.Event]:
    """A first server that is at it until it is let go."""
    begun, go = threading.Event(), threading.Event()

    def do() -> dict[str, Any]:
        begun.set()
        go.wait(10)
        return result

    thread = threading.Thread(target=First(*RUN).lead, args=(do,))
    thread.start()
    begun.wait(10)
    return thread, go


def test_nobody_waits_for_a_first_that_has_not_begun() -> None:
    """It may be waiting for the process of one that waits."""
    assert not First(*RUN).begun() and not First(*RUN).done() and not First(*RUN).over()


@pytest.mark.parametrize(("result", "goes_on"), [({"changed": False}, True), ({"failed": True}, False)])
def test_the_others_wait_until_it_is_over_and_go_on_if_it_went_well(result: dict[str, Any], goes_on: bool) -> None:
    """Who only looks does not wait."""
    thread, go = leading(result)
    assert First(*RUN).begun() and not First(*RUN).over()
    heard: list[bool] = []
    other = threading.Thread(target=lambda: heard.append(First(*RUN).done()))
    other.start()
    other.join(0.3)
    assert other.is_alive() and not heard
    go.set()
    thread.join(10)
    other.join(10)
    assert heard == [goes_on] and First(*RUN).over() is goes_on


def test_another_service_and_another_run_have_a_first_of_their_own() -> None:
    """As where one process runs two plays."""
    assert First(*RUN).lead(dict) == {}
    assert First(*RUN).done() and not First("run-1", "api").done() and not First("run-2", "shop").done()


def test_a_first_that_raises_or_is_killed_has_not_gone_well() -> None:
    """The lock goes with its process, and the word is not there."""
    with pytest.raises(ZeroDivisionError):
        First("raises").lead(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    assert First("raises").begun() and not First("raises").done()
    child = multiprocessing.get_context("fork").Process(target=lambda: First("killed").lead(_forever))
    child.start()
    until = time.monotonic() + 10
    while not First("killed").begun() and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join(10)
    assert not First("killed").done()


def test_who_is_alone_does_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible has ended while it waited: nobody would hear what it does."""
    first = First(*RUN)
    first.lead(dict)
    assert first.done()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert not first.done()


def _forever() -> dict[str, Any]:
    time.sleep(60)
    return {}
