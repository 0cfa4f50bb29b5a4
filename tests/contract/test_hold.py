"""Requests that wait at the gate, on every HAProxy that apt offers: they stay, leave at once, and lose nothing."""

from __future__ import annotations

import socket
import time

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import ProxyError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.holding import NotHeld
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.maintenance import Notice
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Route
from tests.contract.proxies import BOTH, Background, Reply, Site, slot, until
from tests.lab.building import docker

pytestmark = [pytest.mark.engine, pytest.mark.slow]
SOON = 3.0  # seconds on a busy machine; who waits would otherwise wait for ten times as long
WORD = "w" * 20


def hold(site: Site, service: str, seconds: float = 30) -> None:
    """From now on for so long."""
    site.proxy.hold(service, time.time() + seconds)


def asking(site: Site, host: str, count: int = 8) -> list[Background]:
    """So many requests, which have come to the proxy and wait there."""
    sent = [Background(lambda: site.get(host)) for _ in range(count)]
    time.sleep(0.7)
    assert not any(one.replies for one in sent), "somebody was answered"
    return sent


def left(sent: list[Background]) -> tuple[float, set[tuple[int, str]]]:
    """How long it takes until all are answered, and what they get."""
    began = time.monotonic()
    found: list[Reply] = [one.reply() for one in sent]
    return time.monotonic() - began, {(one.status, one.body) for one in found}


def test_who_waits_leaves_at_once_and_gets_what_is_live_then(site, live) -> None:
    """Not what was live when it came; others are not held."""
    hold(site, live)
    assert site.proxy.view(live).held > time.time()
    sent = asking(site, live)
    other = site.service()
    site.proxy.register(other, BOTH)
    site.proxy.point(other, "blue")
    site.proxy.open(other, (Route(other),))
    assert site.get(other).body == "blue1"
    site.proxy.remove(other)
    site.proxy.point(live, "green")
    assert site.proxy.hold(live, 0) and site.proxy.view(live).held == 0
    took, found = left(sent)
    assert took < SOON and found == {(200, "green1")}
    assert not site.proxy.hold(live, 0)


def test_a_reload_strands_nobody(site, live) -> None:
    """The old worker goes on with who waits in it, and is told with the others; the new one holds who comes."""
    hold(site, live)
    before = asking(site, live)
    site.proxy.configure(live, "green", slot("green", replicas=2))
    assert any(worker.kind == "old" for worker in site.master.workers())
    after = asking(site, live)
    site.proxy.hold(live, 0)
    took, found = left([*before, *after])
    assert took < SOON and found == {(200, "blue1")}


def test_nobody_waits_for_longer_than_was_said(site, live) -> None:
    """Whatever becomes of who began the hold; one that is begun anew goes on for those who wait, too."""
    hold(site, live, 2)
    began, sent = time.monotonic(), asking(site, live)
    left(sent)
    assert 1.0 < time.monotonic() - began < 4.5
    assert 0 < site.proxy.view(live).held <= time.time()
    hold(site, live, 2)
    began, sent = time.monotonic(), asking(site, live)
    hold(site, live, 4)
    assert left(sent)[1] == {(200, "blue1")} and time.monotonic() - began > 3.0


def test_a_hold_outlasts_a_restart_of_the_proxy(site, live) -> None:
    """The file has it before the runtime; one that only one of them has is told as such."""
    hold(site, live)
    docker("restart", "-t", "1", site.settings.container)
    until(site.answers)
    until(lambda: all(site.proven(live, "blue")))
    sent = asking(site, live)
    site.admin.call(f"set map {site.paths.held} {live} 1")
    assert site.proxy.view(live).held < 0
    assert left(sent)[1] == {(200, "blue1")}
    site.proxy.hold(live, 0)
    assert live not in files.read(site.paths.held)


def test_who_gives_up_and_who_sends_much_do_no_harm(site, live) -> None:
    """A client that goes while it waits, and a body that does not fit the proxy's buffer."""
    hold(site, live)
    with socket.create_connection(("127.0.0.1", site.port)) as gone:
        gone.sendall(f"GET / HTTP/1.1\r\nHost: {live}\r\n\r\n".encode())
        time.sleep(0.2)
    with socket.create_connection(("127.0.0.1", site.port), 20) as link:
        body = b"x" * 300_000
        head = f"POST /cgi-bin/env HTTP/1.0\r\nHost: {live}\r\nContent-Length: {len(body)}\r\n\r\n"
        link.sendall(head.encode())
        sender = Background(lambda: link.sendall(body) or Reply(0, "", None))  # type: ignore[func-returns-value]
        time.sleep(0.5)
        site.proxy.hold(live, 0)
        answer = b"".join(iter(lambda: link.recv(65536), b"")).decode()
        sender.reply()
    assert answer.startswith(("HTTP/1.0 200", "HTTP/1.1 200")), answer[:100]
    assert "CONTENT_LENGTH=300000" in answer
    assert "lua" not in docker("logs", site.settings.container).lower()


def test_previews_and_who_is_in_maintenance_do_not_wait(site, live) -> None:
    """A preview has a slot of its own, and a page is shown at once."""
    hold(site, live)
    site.proxy.preview(live, "green", WORD)
    assert site.get("any", x_stackswap_preview=WORD).body == "green1"
    site.proxy.maintenance.start(live, Notice("<p>soon"))
    assert site.get(live).status == 503
    site.proxy.maintenance.end(live)
    sent = asking(site, live)
    site.proxy.hold(live, 0)
    assert left(sent)[1] == {(200, "blue1")}


def test_a_slot_is_called_down_while_everybody_waits(site, live) -> None:
    """And not while it may have requests."""
    with pytest.raises(ProxyError, match="is never called down"):
        site.proxy.force_down(live, "blue")
    hold(site, live)
    site.proxy.force_down(live, "blue")
    site.settle(live, "blue")
    site.proxy.hold(live, 0)


def test_a_proxy_that_cannot_hold_says_so(site, live, monkeypatch) -> None:
    """One that was set up before; nothing is written."""
    call = type(site.proxy._admin).call
    monkeypatch.setattr(
        type(site.proxy._admin),
        "call",
        lambda self, *commands: [text.replace(site.paths.held, "-") for text in call(self, *commands)],
    )
    with pytest.raises(NotHeld, match="Run setup, with an image that has"):
        hold(site, live)
    assert files.read(site.paths.held) == ""
