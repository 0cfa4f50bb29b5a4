"""Two cannot hold one name, and whoever dies holds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Held, Locks

MODULE = "ansible_collections.stackswap.bluegreen.plugins.module_utils.locks"
HOLDER = f"""
import subprocess, sys, time
from {MODULE} import Locks
locks = Locks(sys.argv[1], job="job-7")
held = locks.proxy() if sys.argv[2] == "proxy" else locks.service(sys.argv[2])
with held:
    child = subprocess.Popen(["sleep", "30"])
    print(child.pid, flush=True)
    time.sleep(30)
"""


@contextmanager
def holder(home: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock, and has a child that goes on after its end."""
    words = [sys.executable, "-c", HOLDER, str(home), name]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout
    child = int(process.stdout.readline())
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        os.kill(child, signal.SIGKILL)


def test_a_held_service_is_refused_and_its_holder_named(tmp_path: Path) -> None:
    """At once where no waiting was asked for."""
    with holder(tmp_path, "production.shop") as process:
        with pytest.raises(Held) as refused, Locks(str(tmp_path)).service("production.shop"):
            pass
        assert refused.value.cause == "held"
        assert refused.value.facts["holder"]["pid"] == process.pid
        text = str(refused.value)
        assert f"service production.shop is being changed by job job-7 (process {process.pid}" in text


def test_another_service_and_the_proxy_are_free(tmp_path: Path) -> None:
    """Each name is a lock of its own."""
    with holder(tmp_path, "production.shop"):
        locks = Locks(str(tmp_path))
        with locks.service("production.blog"), locks.proxy():
            pass


def test_a_killed_holder_holds_nothing_even_while_its_child_lives(tmp_path: Path) -> None:
    """The lock's descriptor is closed on exec."""
    with holder(tmp_path, "production.shop") as process:
        process.kill()
        process.wait()
        with Locks(str(tmp_path)).service("production.shop"):
            pass


def test_waiting_ends_when_the_holder_does(tmp_path: Path) -> None:
    """Within one turn."""
    with holder(tmp_path, "production.shop") as process:
        turns: list[float] = []

        def sleep(seconds: float) -> None:
            turns.append(seconds)
            if len(turns) == 3:
                process.kill()
                process.wait()

        with Locks(str(tmp_path), wait_seconds=60, sleep=sleep).service("production.shop"):
            pass
    assert len(turns) == 3


def test_waiting_ends_by_the_deadline(tmp_path: Path) -> None:
    """The seconds are those of the clock that was given."""
    times = iter(range(100))
    with holder(tmp_path, "production.shop"):
        slept: list[float] = []
        locks = Locks(str(tmp_path), wait_seconds=5, clock=lambda: float(next(times)), sleep=slept.append)
        with pytest.raises(Held), locks.service("production.shop"):
            pass
    assert len(slept) == 4


def test_the_proxy_is_waited_for(tmp_path: Path) -> None:
    """Whoever changes the proxy needs but a moment."""
    with holder(tmp_path, "proxy") as process:
        began = time.monotonic()

        def sleep(seconds: float) -> None:
            process.kill()
            time.sleep(seconds)

        with Locks(str(tmp_path), sleep=sleep).proxy():
            pass
    assert time.monotonic() - began < 20


def test_a_lock_is_free_after_its_block_and_after_an_error(tmp_path: Path) -> None:
    """The file stays, the lock does not."""
    locks = Locks(str(tmp_path / "home"))
    with pytest.raises(ZeroDivisionError), locks.service("production.shop"):
        raise ZeroDivisionError
    with locks.service("production.shop"):
        pass
    assert [path.name for path in (tmp_path / "home" / "locks").iterdir()] == ["service-production.shop.lock"]
    for path in (tmp_path / "home", tmp_path / "home" / "locks"):
        assert path.stat().st_mode & 0o777 == 0o700


def test_a_holder_that_has_not_signed_yet_is_not_named(tmp_path: Path) -> None:
    """Between taking and signing there is a moment."""
    with holder(tmp_path, "production.shop"):
        (tmp_path / "locks" / "service-production.shop.lock").write_text("")
        with (
            pytest.raises(Held, match="by another job"),
            Locks(str(tmp_path)).service("production.shop"),
        ):
            pass
