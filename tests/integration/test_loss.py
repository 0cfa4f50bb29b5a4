"""What users lost, by the report and by a client that never tries twice, on the real engine and the real HAProxy."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from threading import Timer
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.files import server_key
from tests.contract.proxies import offered
from tests.lab import images
from tests.lab.building import docker
from tests.lab.calls import HEALTH, Place, candidate, inside, kill
from tests.lab.stack import Stack
from tests.lab.wire import STATUS

pytestmark = [pytest.mark.engine, pytest.mark.slow]
RATE = 60
# Healthy by its own word, and 500 to whoever asks for anything else once the file is there.
SICK = "/tmp/sick"


@pytest.fixture(scope="module", params=offered(), ids=lambda suite: suite or "preferred")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """One server with its proxy, of each version, for they count each in their way; and the images of two versions."""
    assert images.app("1.0") != images.app("1.1")
    with Stack.made(suite=request.param) as made:
        yield made


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """Print a figure past pytest."""

    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}")

    return tell


def websocket(stack: Stack, host: str) -> socket.socket:
    """A session that was upgraded, through the public door."""
    stream = socket.create_connection(("127.0.0.1", stack.port), 10)
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    stream.sendall(
        f"GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}\r\n".encode()
    )
    assert stream.recv(4096).startswith(b"HTTP/1.1 101")
    return stream


def ended(stream: socket.socket, within: float) -> bool:
    """Whether the other side ends it in this time; what it says before is read."""
    until = time.monotonic() + within
    while (left := until - time.monotonic()) > 0:
        stream.settimeout(left)
        try:
            if not stream.recv(4096):
                return True
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


def test_a_swap_under_load_reports_that_nothing_was_lost_and_the_client_agrees(stack: Stack, told: Any) -> None:
    """In what was lost exactly, and in how many it were by magnitude; the own prober found no gap worth a name."""
    place = Place(stack, "swap", bake=1, probe=10)
    assert place.call("1.0").result.error is None
    with place.load(RATE) as load:
        report = place.call("1.1").report
    seen, loss = load.report(), report["loss"]
    told(f"counted {loss['requests']}, lost {loss['lost']}; the client {seen.requests}, {seen.lost}; {loss['probe']}")
    assert (loss["verdict"], loss["lost"], seen.lost) == ("none", 0, 0)
    assert seen.requests / 2 < loss["requests"] <= seen.requests + 10
    assert list(loss["moments"]) == ["switch", "bake", "retire"]
    assert loss["moments"]["bake"]["slots"][report["serving"]["slot"]]["requests"] > 0
    assert loss["probe"]["count"] > 5 and loss["probe"]["failed"] == 0 and loss["probe"]["gap_ms"] < 2000


def test_a_release_that_fails_its_users_goes_back_by_itself(stack: Stack, told: Any) -> None:
    """Healthy by its own word all the while: the proxy's counters tell, and a flip is all that it takes."""
    health = {**HEALTH, "path": "/pid"}
    place = Place(stack, "fails", health=health, bake={"seconds": 20, "min_requests": 20})
    assert place.call("1.0").result.error is None
    before = place.live()

    def sicken(point: str) -> None:
        if point == "after confirm" and candidate(place, "1.1").running:
            inside(candidate(place, "1.1"), "touch", SICK)

    with place.load(RATE, mix={"get": 2, "new": 2}) as load:
        done = place.call("1.1", at=sicken)
        time.sleep(0.3)
    seen, loss = load.report(), done.report["loss"]
    told(f"failing: {done.failed['what']}; back in {done.report['figures']['switch_ms']} ms; the client {seen.kinds}")
    assert done.failed["cause"] == "bake_failed" and "fails too often in the bake" in done.failed["what"]
    assert place.live() == before and not candidate(place, "1.1").running
    assert candidate(place, "1.1").name in done.failed["kept"]
    assert set(seen.kinds) <= {STATUS} and seen.lost >= 5
    assert (loss["verdict"], loss["lost"]) == ("none", 0)  # they were answered, by their own application
    assert done.seconds < 20


def test_a_live_container_that_is_killed_in_a_deploy_is_told_as_what_it_cost(stack: Stack, told: Any) -> None:
    """What was in flight on it: as many as the client has counted. It comes back, so nobody has waited in vain."""
    place = Place(stack, "murder", bake=1)
    assert place.call("1.0").result.error is None

    def murder(point: str) -> None:
        if point == "before await":
            time.sleep(0.3)
            (live,) = place.live()
            kill(live)
            Timer(1.0, lambda: docker("start", live.id)).start()

    with place.load(RATE, path="/slow?s=0.2", mix={"new": 12}) as load:
        done = place.call("1.1", at=murder)
        time.sleep(0.5)
    seen, loss = load.report(), done.report["loss"]
    told(
        f"killed: counted {loss['lost']} of {loss['requests']}; the client {seen.lost} of {seen.requests}: {seen.kinds}"
    )
    assert loss["verdict"] == "lost" and seen.lost
    assert abs(loss["lost"] - seen.lost) <= max(3, seen.lost // 2)


def test_a_websocket_lives_until_the_drain_is_over_and_is_named_as_cut(stack: Stack) -> None:
    """One that ends before that is not; the old container is signalled after the last of them."""
    place = Place(stack, "talks", drain_timeout=4)
    assert place.call("1.0").result.error is None
    stays, goes = websocket(stack, place.host), websocket(stack, place.host)

    def leave(point: str) -> None:
        if point == "before drain":
            goes.close()
            assert not ended(stays, 1.0)

    report = place.call("1.1", at=leave).report
    assert ended(stays, 2.0)
    (drain,) = report["drains"]
    assert (drain["version"], drain["cut"]["count"], drain["cut"]["kinds"]) == ("1.0", 1, {"websocket": 1})
    assert drain["cut"]["oldest"] >= 3 and drain["over_time"][0]["count"] == 1
    assert report["loss"]["lost"] == 0 and report["figures"]["cut"] == 1


def test_a_drain_that_was_left_is_finished_by_the_next_job(stack: Stack) -> None:
    """The first job does not wait for the session, which lives on; the next one gives it what is left of its time."""
    place = Place(stack, "later", drain_timeout=10, settle="later")
    assert place.call("1.0").result.error is None
    old, session = place.live()[0], websocket(stack, place.host)
    first = place.call("1.1")
    assert first.seconds < 10 and "drain" not in first.verbs and first.report["drains"] == []
    assert first.report["notes"] == ["later 1.0 finishes what it has, and the next job stops it"]
    assert not ended(session, 0.5) and [r.running for r in place.look().replicas if r.id == old.id] == [True]
    second = place.call("1.1")
    (drain,) = second.report["drains"]
    assert ended(session, 2.0) and drain["cut"]["kinds"] == {"websocket": 1}
    assert [r.running for r in place.look().replicas if r.id == old.id] == [False]


def test_one_that_does_not_listen_to_its_stop_signal_is_a_warning(stack: Stack) -> None:
    """It was killed after its own grace, and the report says so."""
    place = Place(stack, "deaf", container={"stop_timeout": 1})
    assert place.call("1.0", {"env": {"IGNORE_TERM": "1"}}).result.error is None
    report = place.call("1.1").report
    assert report["failed"] is None
    assert report["warnings"] == ["deaf 1.0 did not end within 1 s of its stop signal and was killed (exit code 137)"]


def test_the_servers_key_is_in_no_report(stack: Stack) -> None:
    """The prober shows it to the proxy, and to nobody else."""
    place = Place(stack, "secret", probe=10)
    report = place.call("1.0").report
    assert server_key(stack.settings) not in str(report)
