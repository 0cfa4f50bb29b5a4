"""A server that a balancer is to leave out: when nobody comes any more, which server, and what is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import drift, status
from ansible_collections.stackswap.bluegreen.plugins.module_utils.asked import asked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.drain_module import awaited, said
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import PASSED, WAITING
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge.idle import Sample, judge


def judged(*seen: tuple[int, int]) -> str:
    """The verdict after a look a second: sessions, and the count of requests."""
    return judge([Sample(float(at), *one) for at, one in enumerate(seen)], 3.0).word


def test_idle_is_no_session_and_no_request_for_a_while() -> None:
    """Three seconds here; a request between two looks is seen by the count that it leaves."""
    assert judged((0, 5), (0, 5), (0, 5), (0, 5)) == PASSED
    assert judged((0, 5), (0, 5), (0, 5)) == WAITING
    assert judged((0, 5), (0, 6), (0, 6), (0, 6)) == WAITING
    assert judged((0, 5), (0, 6), (0, 6), (0, 6), (0, 6)) == PASSED
    assert judged((1, 5), (1, 5), (1, 5), (1, 5), (1, 5)) == WAITING
    assert judged((0, 5), (0, 5), (1, 5), (0, 5), (0, 5), (0, 5)) == WAITING


def test_the_wait_is_bounded_and_says_what_is_left() -> None:
    """A WebSocket that stays is told, and is no failure."""
    clock = [0.0]
    told = awaited(lambda: (2, (1, 5)), 4.0, 1.0, lambda: clock[0], lambda turn: clock.__setitem__(0, clock[0] + turn))
    assert (told["idle"], told["seconds"], told["sessions"]) == (False, 4.0, 2)
    assert said("web1", told) == "the balancer is told to leave web1 out; after 4 s 2 sessions are open"


def test_it_is_idle_when_the_last_one_has_gone() -> None:
    """And that is told with the time it took."""
    clock, left = [0.0], iter([1, 1, *[0] * 20])
    told = awaited(
        lambda: (next(left), (1, 5)), 60.0, 1.0, lambda: clock[0], lambda turn: clock.__setitem__(0, clock[0] + turn)
    )
    assert said("web1", told) == ("the balancer is told to leave web1 out, and after 1.5 s nobody comes any more")
    assert said("", {"idle": None}) == "the balancer is told to take this server in again"


def wrong() -> Iterator[tuple[Any, str]]:
    """Names that are no server, and what is said."""
    yield None, "stackswap_drain_server is missing"
    yield "", "stackswap_drain_server is missing"
    yield "web3", "stackswap_drain_server web3 is no server of group stackswap"


@pytest.mark.parametrize(("name", "why"), list(wrong()))
def test_the_server_is_one_of_the_stack(name: Any, why: str) -> None:
    """Named, and never guessed."""
    known = {"stackswap_environment": {"name": "test"}}
    assert asked("drain", {**known, "stackswap_drain_server": "web2"}, ["web1", "web2"], "/")["server"] == "web2"
    with pytest.raises(BadInput, match=why):
        asked("undrain", {**known, "stackswap_drain_server": name}, ["web1", "web2"], "/")


def test_status_says_that_a_server_is_left_out() -> None:
    """Which is neither sick nor drift: somebody wanted it."""
    server = {"proxy": "a", "as_asked": True, "network": "n", "strangers": [], "drained": True}
    found = {"web1": {"services": [], "server": server}}
    job = {"id": "j", "kind": "status", "environment": "test"}
    report = status.status_of(found, {}, job, True)
    assert "DRAINED: web1 is left out by the balancer: stackswap undrain web1" in report["line"]
    assert drift.sick(found) == drift.drift(found) == [] and report["status"] == "successful"
