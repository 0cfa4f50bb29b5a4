"""Swaps under load, on the real engine and the real HAProxy, asked by a client that never tries twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Bake, Health, Route, Service
from tests.lab import images
from tests.lab.client import Load
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]
SWAPS, PATIENT, FEW = 50, 10, 3  # in the first ones requests, and in fewer streams, take seconds
IMAGES = ("stackswap-test/app:1.0", "stackswap-test/app:1.1")
QUICK: dict[str, Any] = {
    "health": Health("http", "/health", deadline=20.0, min_healthy_time=0.0),
    "bake": Bake(0.1),
    "drain_timeout": 15.0,
}
HOST, SAME = "fifty.test", "same.test"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server with its proxy."""
    with Stack.made() as made:
        yield made


def test_fifty_swaps_lose_nothing(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Fifty releases in a row, each beside the last: no request fails, no stream and no session is cut."""
    service = stack.service("fifty", routes=(Route(HOST),), **QUICK)
    assert [images.app("1.0"), images.app("1.1")] == list(IMAGES)
    assert stack.run(service, stack.release(service, "0", IMAGES[0])).error is None
    door = ("127.0.0.1", stack.port)
    with Load(*door, host=HOST, rate=100, seconds=600, websocket=1, session=0.3) as load:
        with Load(*door, host=HOST, path="/slow?s=1", rate=1, mix={"new": 2}, websocket=1, session=1) as patient:
            with Load(*door, host=HOST, rate=1, mix={}, stream=1) as streams:
                several(stack, service, range(1, FEW + 1))
            several(stack, service, range(FEW + 1, PATIENT + 1))
        several(stack, service, range(PATIENT + 1, SWAPS + 1))
    quick, slow, streamed = load.report(), patient.report(), streams.report()
    with capsys.disabled():
        print(f"\n  {SWAPS} swaps: {quick}\n  first {PATIENT}, slow: {slow}\n  first {FEW}, streams: {streamed}")
    assert (quick.lost, slow.lost, streamed.lost) == (0, 0, 0), (quick.kinds, slow.kinds, streamed.kinds)
    assert quick.requests > SWAPS * 50 and quick.websockets > SWAPS / 2
    assert slow.requests > PATIENT and slow.websockets and streamed.streams
    assert set(quick.versions) == {"1.0", "1.1"}


def several(stack: Stack, service: Service, numbers: range) -> None:
    """A swap for each number, between two images."""
    for number in numbers:
        swap(stack, service, str(number), IMAGES[number % 2])


def swap(stack: Stack, service: Service, version: str, image: str) -> None:
    """One release more, which is settled with nothing cut."""
    done = stack.run(service, stack.release(service, version, image, env=(("SWAP", version),)))
    assert done.error is None, (done.error, done.error.evidence)
    assert done.figures and done.figures["cut"] == 0


def test_the_same_again_changes_nothing(stack: Stack) -> None:
    """Same image, same settings: nothing is done but a look through the public door."""
    service = stack.service("same", routes=(Route(SAME),))
    release = stack.release(service, "1", images.app("1.0"))
    assert stack.run(service, release).changed
    again = stack.run(service, release)
    assert not again.changed and again.error is None
    assert [step.verb for step, _ in again.done] == ["confirm"]
