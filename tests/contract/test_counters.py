"""What is counted of users, on the fake proxy and on the real HAProxy of every version that apt offers here."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Protocol

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import counts, job
from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Ledger, Tally
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Backend
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import ProxyUnreachable
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import HAProxy
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Locks
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Bake,
    Container,
    Health,
    Release,
    Route,
    Service,
)
from tests.contract.proxies import (
    ADDRESSES,
    NAME,
    NETWORK,
    PORT,
    THIRD,
    Background,
    Site,
    offered,
    slot,
    started,
    until,
    web_servers,
)
from tests.lab import images
from tests.lab.building import LABEL, docker
from tests.lab.fake import App, FakeServer

BOTH = {"blue": slot("blue"), "green": slot("green")}
MARKS = [pytest.mark.engine, pytest.mark.slow]
REAL = [pytest.param(suite, id=suite or "preferred", marks=MARKS) for suite in offered()]
APP = f"10.177.{THIRD}.31"
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"


class Subject(Protocol):
    """A proxy with a service whose blue slot is live."""

    def tallies(self) -> tuple[Tally, ...]: ...
    def good(self) -> None: ...
    def bad(self) -> None: ...
    def killed(self) -> None: ...
    def reload(self) -> None: ...
    def restart(self) -> None: ...


class Fake:
    """The proxy in memory."""

    def __init__(self) -> None:
        self.server, health = FakeServer(app=App(), bad=App(fails=0.0)), Health(min_healthy_time=0.2)
        self.service = Service("test", "shop", routes=(Route("shop.test"),), health=health, bake=Bake(0.0))
        self.release = Release(self.service.key, "1", "sha256:1", Container("app"), health=health)
        assert job.run(self.server.effects(), self.service, self.release, Order("settled")).error is None

    def tallies(self) -> tuple[Tally, ...]:
        """What its worker has counted."""
        return self.server.proxy.tallies(self.service.key)

    def good(self) -> None:
        """A request that is answered."""
        assert self.server.proxy.ask(self.service.key).status == 200

    def bad(self) -> None:
        """One that the application answers 500."""
        (box,) = self.server.engine.boxes.values()
        sound, box.app = box.app, self.server.apps["bad"]
        assert self.server.proxy.ask(self.service.key).status == 500
        box.app = sound

    def killed(self) -> None:
        """One whose container ends before it answers."""
        (box,) = self.server.engine.boxes.values()
        self.server.engine.kill(box.id)
        assert self.server.proxy.ask(self.service.key).status == 503

    def reload(self) -> None:
        """Another service comes."""
        self.server.proxy._reload()

    def restart(self) -> None:
        """The proxy is started anew."""
        self.server.proxy.restart()


class Real:
    """HAProxy."""

    def __init__(self, site: Site) -> None:
        self.site, self.service = site, site.service()
        site.proxy.register(self.service, BOTH)
        site.settle(self.service, "blue")
        site.proxy.point(self.service, "blue")

    def tallies(self) -> tuple[Tally, ...]:
        """What its workers have counted."""
        return self.site.proxy.tallies(self.service)

    def good(self) -> None:
        """A request that is answered."""
        assert self.site.confirm(self.service).status == 200

    def bad(self) -> None:
        """One that the application answers 500."""
        assert self.site.confirm(self.service, "/cgi-bin/fail").status == 500

    def killed(self) -> None:
        """One whose container ends before it answers."""
        asked = Background(lambda: self.site.confirm(self.service, "/cgi-bin/sleep?20"))
        until(lambda: self.site.proxy.sessions(ADDRESSES["blue"]) == 1)
        docker("kill", f"{NAME}-blue1")
        assert asked.reply().status == 502
        started("blue1")

    def reload(self) -> None:
        """The proxy reads its configuration anew, by another job."""
        site = self.site
        HAProxy(site.settings, Locks(site.settings.home).proxy, site.run)._fragments.reload()

    def restart(self) -> None:
        """The proxy is started anew."""
        docker("restart", "--time=2", self.site.settings.container)
        until(lambda: self.site.answers() and self.master())

    def master(self) -> bool:
        """Whether the process above the workers answers, too."""
        with suppress(ProxyUnreachable):
            return bool(self.site.master.workers())
        return False


@pytest.fixture(scope="module")
def servers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Web servers for the slots."""
    with web_servers():
        yield


@pytest.fixture(scope="module", params=REAL)
def site(request: pytest.FixtureRequest, servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A proxy that runs."""
    made = Site(request.param, tmp_path_factory.mktemp("home"))
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def real(site: Site) -> Iterator[Real]:
    """A service on it, with blue live."""
    made = Real(site)
    yield made
    site.proxy.remove(made.service)


@contextmanager
def told(subject: Subject) -> Iterator[list[Ledger]]:
    """The ledger of what is done inside."""
    found: list[Ledger] = []
    ledger = counts.begun(subject.tallies())
    yield found
    found.append(counts.folded(ledger, subject.tallies()))


CASES: dict[str, tuple[tuple[str, ...], tuple[int, int, int, int], bool]] = {
    "answers are counted, and are no loss": (("good",) * 3, (3, 0, 3, 0), False),
    "the application's own errors are no loss": (("good", "bad", "bad"), (3, 0, 3, 2), False),
    "what no server has answered is lost": (("good", "killed"), (2, 1, 1, 0), False),
    "a reload by another job loses no figure": (("good", "bad", "reload", "good"), (3, 0, 3, 1), False),
    "nor do several": (("good", "reload", "good", "reload", "reload", "good"), (3, 0, 3, 0), False),
    "a restart takes the figures along": (("good", "restart", "good"), (1, 0, 1, 0), True),
}


def counted(subject: Subject, case: str) -> None:
    """Requests, those that nobody has answered, blue's answers and how many of them were 5xx."""
    done, expected, blind = CASES[case]
    with told(subject) as found:
        for name in done:
            getattr(subject, name)()
    ledger, blue = found[0], found[0].of("blue")
    assert (ledger.requests, ledger.unanswered, blue.requests, blue.errors_5xx) == expected
    assert (bool(ledger.blind), ledger.unseen) == (blind, 0)


@pytest.mark.parametrize("case", CASES)
def test_the_fake_counts(case: str) -> None:
    """Held to the same as HAProxy."""
    counted(Fake(), case)


@pytest.mark.parametrize("case", CASES)
def test_haproxy_counts(real: Real, case: str) -> None:
    """Held to the same as the fake."""
    counted(real, case)


# -- on HAProxy alone -------------------------------------------------------------------------------------------------


def connected(site: Site, service: str, path: str = "/", more: str = "", method: str = "GET") -> socket.socket:
    """A connection on which a request was sent."""
    stream = socket.create_connection(("127.0.0.1", site.port), 10)
    ours = f"Host: a\r\nx-stackswap-key: {site.key}\r\nx-stackswap-service: {service}\r\n"
    stream.sendall(f"{method} {path} HTTP/1.1\r\n{ours}{more}\r\n".encode())
    return stream


def test_a_request_on_a_kept_connection_that_ends_without_an_answer_is_lost(real: Real) -> None:
    """2.6 closes the connection without a word, and no column of its statistics counts that as an error."""
    with told(real) as found:
        stream = connected(real.site, real.service)
        assert stream.recv(4096).startswith(b"HTTP/1.1 200")
        ours = f"Host: a\r\nx-stackswap-key: {real.site.key}\r\nx-stackswap-service: {real.service}\r\n\r\n"
        stream.sendall(f"GET /cgi-bin/sleep?20 HTTP/1.1\r\n{ours}".encode())
        until(lambda: real.site.proxy.sessions(ADDRESSES["blue"]) == 1)
        docker("kill", f"{NAME}-blue1")
        end = stream.recv(4096)
        assert not end or b" 502 " in end
        until(lambda: real.site.proxy.sessions(ADDRESSES["blue"]) == 0)
        started("blue1")
    assert (found[0].requests, found[0].unanswered) == (2, 1)


def test_a_client_that_goes_away_loses_nothing(real: Real) -> None:
    """Before the answer, and within what it sends."""
    with told(real) as found:
        for path, more, method in (
            ("/cgi-bin/sleep?1", "", "GET"),
            ("/cgi-bin/env", "Content-Length: 100000\r\n", "POST"),
        ):
            stream = connected(real.site, real.service, path, more, method)
            time.sleep(0.3)
            stream.close()
        time.sleep(1.5)
        until(lambda: real.site.proxy.sessions(ADDRESSES["blue"]) == 0)
    assert (found[0].requests, found[0].unanswered) == (2, 0)


def test_what_is_under_way_is_not_lost_yet(real: Real) -> None:
    """It counts when it has ended."""
    with told(real) as found:
        asked = Background(lambda: real.site.confirm(real.service, "/cgi-bin/sleep?2"))
        until(lambda: real.site.proxy.sessions(ADDRESSES["blue"]) == 1)
    assert (found[0].requests, found[0].unanswered) == (0, 0)
    assert asked.reply().status == 200


def test_a_worker_that_is_held_tells_what_it_did_after_the_reload(real: Real) -> None:
    """It stays until its last connection has ended, and is read then."""
    with told(real) as found:
        asked = Background(lambda: real.site.confirm(real.service, "/cgi-bin/sleep?1"))
        until(lambda: real.site.proxy.sessions(ADDRESSES["blue"]) == 1)
        real.site.proxy._fragments.reload()
        assert asked.reply().status == 200
        time.sleep(1)
    assert (found[0].requests, found[0].unanswered, found[0].unseen, found[0].blind) == (1, 0, 0, "")
    until(lambda: len(real.site.master.workers()) == 2)


def test_what_a_worker_did_that_nobody_has_held_is_not_called_counted(real: Real) -> None:
    """The job that reloaded has ended: so many connections may have carried a request more."""
    ledger = counts.begun(real.tallies())
    asked = Background(lambda: real.site.confirm(real.service, "/cgi-bin/sleep?1"))
    until(lambda: real.site.proxy.sessions(ADDRESSES["blue"]) == 1)
    real.reload()
    assert asked.reply().status == 200
    until(lambda: len(real.site.master.workers()) == 2)
    assert counts.folded(ledger, real.tallies()).unseen == 1


@pytest.fixture(scope="module")
def talker(servers: None) -> Iterator[Backend]:
    """An application that streams and speaks WebSocket."""
    name = f"{NAME}-talker"
    with suppress(RuntimeError):
        docker("rm", "--force", name)
    flags = [f"--label={LABEL}", f"--network={NETWORK}", f"--ip={APP}", f"--name={name}"]
    docker("run", "--detach", *flags, images.app("1.0"))
    yield Backend((APP,), PORT, Health(path="/health"))
    docker("rm", "--force", name)


def test_a_client_that_goes_away_within_its_answer_loses_nothing(site: Site, talker: Backend) -> None:
    """It had begun, and nobody but the client has ended it."""
    service = site.service()
    site.proxy.register(service, {"blue": talker, "green": BOTH["green"]})
    site.settle(service, "blue")
    site.proxy.point(service, "blue")
    ledger = counts.begun(site.proxy.tallies(service))
    stream = connected(site, service, "/stream?n=200&ms=20")
    assert stream.recv(4096).startswith(b"HTTP/1.1 200")
    stream.close()
    until(lambda: site.proxy.sessions((APP,)) == 0)
    ledger = counts.folded(ledger, site.proxy.tallies(service))
    assert (ledger.requests, ledger.unanswered, ledger.of("blue").requests) == (1, 0, 1)
    site.proxy.remove(service)


def test_what_is_left_is_named_by_kind_in_every_worker(site: Site, talker: Backend) -> None:
    """A request, a stream and a WebSocket, two of them in a worker that a reload has left; and so they are cut."""
    service = site.service()
    site.proxy.register(service, {"blue": talker, "green": BOTH["green"]})
    site.settle(service, "blue")
    site.proxy.point(service, "blue")
    upgrade = UPGRADE.format(key="dGhlIHNhbXBsZSBub25jZQ==")
    streams = [connected(site, service, "/ws", upgrade), connected(site, service, "/stream?n=200&ms=100")]
    assert [stream.recv(4096)[9:12] for stream in streams] == [b"101", b"200"]
    site.proxy._fragments.reload()
    site.settle(service, "blue")
    streams.append(connected(site, service, "/slow?s=60"))
    until(lambda: len(site.proxy.left((APP,))) == 3)
    time.sleep(1.2)
    left = sorted(site.proxy.left((APP,)), key=lambda one: one.kind)
    assert [one.kind for one in left] == ["request", "stream", "websocket"]
    assert all(1 <= one.age < 30 for one in left)
    assert sorted(one.kind for one in site.proxy.cut(service, (APP,))) == ["request", "stream", "websocket"]
    until(lambda: site.proxy.left((APP,)) == ())
    for stream in streams:
        stream.close()
    site.proxy.remove(service)


def test_bad_answers_take_a_replica_out_where_that_is_asked_for(real: Real) -> None:
    """Its checks are fine all the while; without the wish it keeps its users."""
    site, fail = real.site, partial(real.site.confirm, real.service, "/cgi-bin/fail")
    site.settle(real.service, "green")
    site.proxy.point(real.service, "blue.green")
    assert {fail().body for _ in range(15)} == {"blue1"}
    site.proxy.point(real.service, "green")
    assert site.proxy.configure(real.service, "blue", replace(BOTH["blue"], observe="layer7")) is True
    site.settle(real.service, "blue")
    site.settle(real.service, "green")
    site.proxy.point(real.service, "blue.green")
    assert "green1" in [fail().body for _ in range(15)]
