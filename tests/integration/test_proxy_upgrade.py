"""Another container takes over as the proxy, under load: nothing is lost, nor where the upgrade is cut off."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.host import HostEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files, handover
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import LABEL, Settings, layout
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.setup import Setup
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Locks
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Bake, Service
from tests.contract import proxies
from tests.lab import images
from tests.lab.client import Load
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]
CHANGES = ("run_service", "keep", "rename", "signal", "remove")


class Cut(Exception):
    """The call ends here."""


class Host(HostEngine):
    """An engine whose caller is cut off just before its nth change; 0 is never."""

    def __init__(self, nth: int = 0) -> None:
        super().__init__()
        self.nth, self.changes = nth, 0

    def __getattribute__(self, name: str) -> Any:
        if name in CHANGES:
            self.changes += 1
            if self.changes == self.nth:
                raise Cut
        return super().__getattribute__(name)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server with its proxy, and two releases of an application."""
    with Stack.made() as made:
        yield made


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Service:
    """A service that is live."""
    service = stack.service("shop", bake=Bake(0.1))
    assert stack.run(service, stack.release(service, "1.0", images.app("1.0"))).error is None
    return service


def upgrade(stack: Stack, host: HostEngine | None = None, patience: float = 20.0, **settings: Any) -> list[str]:
    """Setup with these settings, as a call of the module does it."""
    stack.settings = replace(stack.settings, **settings)
    return setup(stack, host, patience).present()


def setup(stack: Stack, host: HostEngine | None = None, patience: float = 20.0) -> Setup:
    """What the module makes."""
    settings = stack.settings
    return Setup(settings, host or HostEngine(), Locks(settings.home).proxy, patience=patience)


def containers(settings: Settings) -> list[tuple[str, str]]:
    """The proxy's containers: name and state."""
    found = HostEngine().labelled(LABEL, settings.container)
    return sorted((one["name"], one["state"]) for one in found)


def alone(stack: Stack) -> None:
    """There is one proxy, as it should be, and its sockets alone."""
    settings = stack.settings
    assert containers(settings) == [(settings.container, "running")]
    assert files.places(layout(settings)) == (files.aimed(layout(settings)),)


def test_upgrades_lose_nothing(stack: Stack, shop: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """To another version of HAProxy and back, with other limits: keep-alive, new connections, POST and streams."""
    suites = [proxies.image(suite) for suite in proxies.offered()]
    with Load("127.0.0.1", stack.port, host="shop.test", rate=300, seconds=600, stream=1) as load:
        for number, image in enumerate(suites[::-1]):
            assert "container upgraded" in upgrade(stack, image=image, maxconn=1000 + number)
            alone(stack)
        report = load.report()
    with capsys.disabled():
        print(f"\n  {len(suites)} upgrades: {report}")
    assert report.lost == 0, report.kinds
    assert report.requests > 1000 and report.streams


def test_an_upgrade_that_is_cut_off_is_ended_by_the_next_call(stack: Stack, shop: Service) -> None:
    """Wherever it was cut off: all the time somebody answers, and in the end one proxy does."""
    host = Host()
    upgrade(stack, host, maxconn=2000)
    points = host.changes
    assert points >= 6
    with Load("127.0.0.1", stack.port, host="shop.test", rate=100, seconds=600) as load:
        for nth in range(1, points + 1):
            with pytest.raises(Cut):
                upgrade(stack, Host(nth), maxconn=2000 + nth)
            upgrade(stack)
            alone(stack)
            assert upgrade(stack) == []
        report = load.report()
    assert report.lost == 0, report.kinds


def test_a_cut_off_between_making_and_aiming_leaves_two_that_route_alike(
    stack: Stack, shop: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both take connections then: a swap is told to both, and the drain counts the sessions of both."""

    def cut(*_: object) -> None:
        raise Cut

    monkeypatch.setattr(handover.files, "aim", cut)
    with pytest.raises(Cut):
        upgrade(stack, maxconn=3000)
    monkeypatch.undo()
    assert [state for _, state in containers(stack.settings)] == ["running"] * 2
    with Load("127.0.0.1", stack.port, host="shop.test", rate=100, seconds=600) as load:
        for version in ("1.1", "1.0"):
            done = stack.run(shop, stack.release(shop, version, images.app(version)))
            assert done.error is None, done.error
        settled = stack.run(shop, stack.release(shop, "1.1", images.app("1.1")))
        assert settled.error is None
        time.sleep(0.5)
        report = load.report()
    assert report.lost == 0, report.kinds
    assert answers(stack) == {"1.1"}
    upgrade(stack)
    alone(stack)


def answers(stack: Stack, count: int = 40) -> set[str]:
    """The versions that answer new connections: the kernel gives them to either proxy."""
    return {head(stack, "GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n") for _ in range(count)}


def head(stack: Stack, text: str) -> str:
    """The version that a request's answer tells."""
    with socket.create_connection(("127.0.0.1", stack.port), 5) as stream:
        stream.sendall(text.encode())
        return version(b"".join(iter(lambda: stream.recv(65536), b"")).decode())


def version(answer: str) -> str:
    """The version in the head of an answer."""
    return next(line.split(": ")[1] for line in answer.split("\r\n") if line.lower().startswith("x-version"))


@contextmanager
def kept(stack: Stack) -> Iterator[socket.socket]:
    """A connection that had its first answer, and is kept."""
    with socket.create_connection(("127.0.0.1", stack.port), 5) as stream:
        ask(stream)
        yield stream


def ask(stream: socket.socket) -> str:
    """Ask once more on a connection; the version that answers."""
    stream.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
    told = stream.recv(65536).decode()
    assert told.startswith("HTTP/1.1 200"), told
    return version(told)


def test_a_session_of_the_proxy_before_is_drained_and_follows_the_swap(stack: Stack, shop: Service) -> None:
    """A slow request is counted by the next drain; a kept connection is led to the slot that is live by then."""
    with kept(stack) as idle, socket.create_connection(("127.0.0.1", stack.port), 30) as slow:
        slow.sendall(b"GET /slow?s=4 HTTP/1.0\r\nHost: shop.test\r\n\r\n")
        time.sleep(0.3)
        before = version_now(stack)
        upgrade(stack, patience=0.2, maxconn=4000)
        assert "still has sessions" in setup(stack).warnings()[0]
        wanted = "1.0" if before == "1.1" else "1.1"
        begun = time.monotonic()
        done = stack.run(shop, stack.release(shop, wanted, images.app(wanted)))
        assert done.error is None and done.figures and done.figures["cut"] == 0
        assert time.monotonic() - begun > 2, "the drain did not wait for the slow request"
        assert version(b"".join(iter(lambda: slow.recv(65536), b"")).decode()) == before
        assert ask(idle) == wanted
    upgrade(stack)
    alone(stack)


def version_now(stack: Stack) -> str:
    """The version that answers."""
    (told,) = answers(stack, 1)
    return told


def test_a_container_that_does_not_come_up_changes_nothing(stack: Stack, shop: Service) -> None:
    """Its words are told, its remains taken away; the one before serves on, with its own base."""
    good, base = stack.settings, files.read(layout(stack.settings).config)
    nowhere = ("203.0.113.1:18098", *good.listen)
    for wrong, told in (({"image": images.busybox()}, "haproxy"), ({"listen": nowhere}, "203.0.113.1")):
        with pytest.raises(StackswapError, match=told):
            upgrade(stack, maxconn=5000, **wrong)
        stack.settings = good
    assert files.read(layout(good).config) == base
    alone(stack)
    assert version_now(stack)
    assert upgrade(stack) == []


def test_two_setups_at_once_make_one_proxy(stack: Stack, shop: Service) -> None:
    """The proxy's lock has the second find it done."""
    stack.settings = replace(stack.settings, maxconn=6000)
    threads = [threading.Thread(target=upgrade, args=(stack,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone(stack)
