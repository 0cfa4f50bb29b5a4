"""What is cut at the end of a drain is told as that: HAProxy 3.x counts it as an error of its own besides."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counting import Counting
from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Tally
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects, Left
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import ProxyError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service

KINDS = ("websocket", "stream", "request")


class Proxy:
    """Sessions that end a moment after they are cut, and errors that it has counted then."""

    def __init__(self, errors: int) -> None:
        self.errors, self.counted, self.now, self.ends = errors, 0, 0.0, 0.1

    def sleep(self, seconds: float) -> None:
        """Time goes by; the sessions end in it."""
        self.now += seconds
        if self.now >= self.ends:
            self.counted = self.errors

    def tallies(self, _service: str) -> tuple[Tally, ...]:
        """What it has counted by now."""
        return (Tally("1", requests=10 + self.counted, unanswered=self.counted),)

    def left(self) -> int:
        """How many sessions are there still."""
        return 0 if self.now >= self.ends else len(KINDS)


class Mute(Proxy):
    """It does not tell what is there still."""

    def left(self) -> int:
        """Nobody knows."""
        raise ProxyError("a worker of the proxy does not answer")


def lost(errors: int, kinds: tuple[str, ...] = KINDS, ends: float = 0.1, kind: type[Proxy] = Proxy) -> int:
    """What is counted as lost where sessions of these kinds are cut, and the proxy counts so many errors by it."""
    proxy = kind(errors)
    proxy.ends = ends
    fx: Any = SimpleNamespace(proxy=proxy, clock=lambda: proxy.now, sleep=proxy.sleep)
    counting = Counting(cast(Effects, fx), Service("test", "shop"), "j1")
    counting.begin({})
    assert len(counting.cut(lambda: tuple(Left(kind, 5.0) for kind in kinds), proxy.left)) == len(kinds)
    return counting.ledger.unanswered


@pytest.mark.parametrize(
    ("errors", "remain"),
    [
        pytest.param(1, 1, id="2.6 calls the request an error, which it is"),
        pytest.param(3, 1, id="3.x calls all of them errors: the one that had no answer is lost"),
        pytest.param(5, 3, id="what is lost beside them in that moment is"),
        pytest.param(0, 0, id="where nothing is counted, nothing is taken away"),
    ],
)
def test_what_was_cut_within_its_answer_is_not_lost(errors: int, remain: int) -> None:
    """A WebSocket and a stream had begun to answer; the request had not."""
    assert lost(errors) == remain


def test_a_request_that_is_cut_before_its_answer_is_lost() -> None:
    """The proxy had to answer itself, or nobody did."""
    assert lost(2, ("request", "request")) == 2


def test_sessions_that_do_not_end_are_waited_for_no_longer_than_a_moment() -> None:
    """What they come to counts when it is read."""
    assert lost(3, ends=100.0) == 0


def test_a_drain_does_not_fail_because_it_cannot_be_counted() -> None:
    """It was cut; that nobody tells what is left is no reason to end the job."""
    assert lost(3, kind=Mute) == 0
