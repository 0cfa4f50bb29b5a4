"""One exchange each: what a replica or the door answered, or in words why it did not."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Health, Route
from ansible_collections.stackswap.bluegreen.plugins.module_utils.probe import Probe

HEALTH = Health(path="/health")
HERE = "127.0.0.1"
Served = tuple[int, list[bytes]]


@contextmanager
def server(
    *pieces: bytes, pause: float = 0.0, hold: float = 0.0, tls: ssl.SSLContext | None = None
) -> Iterator[Served]:
    """A server that writes these pieces to whoever comes; its port, and what it was asked."""
    heard: list[bytes] = []
    listener = socket.create_server((HERE, 0))

    def answer(one: socket.socket) -> None:
        with suppress(OSError), tls.wrap_socket(one, server_side=True) if tls else one as one:
            heard.append(one.recv(65536))
            for piece in pieces:
                one.sendall(piece)
                time.sleep(pause)
            time.sleep(hold)

    def serve() -> None:
        with suppress(OSError):
            while True:
                one, _ = listener.accept()
                threading.Thread(target=answer, args=(one,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    with listener:
        yield listener.getsockname()[1], heard


def plain(status: str, body: bytes = b"", *headers: str) -> bytes:
    """An answer of HTTP/1.1."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_a_healthy_replica_answers_its_status_on_the_path_asked() -> None:
    """One GET, in HTTP/1.1, with its address as host, on a connection of its own."""
    with server(plain("200 OK", b"fine")) as (port, heard):
        answer = Probe().replica(HERE, port, HEALTH)
    assert (answer.status, answer.error, answer.body) == (200, "", "fine")
    assert answer.ms > 0
    assert heard[0].startswith(b"GET /health HTTP/1.1\r\n")
    assert f"Host: {HERE}:{port}\r\n".encode() in heard[0]
    assert heard[0].count(b"Host:") == 1
    assert b"Connection: close" in heard[0]


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_not_followed_and_tells_where_it_leads(status: int) -> None:
    """The answer of the replica counts, not of where it points."""
    with server(plain(f"{status} Moved", b"", "Location: https://shop.example.com/")) as (
        port,
        heard,
    ):
        answer = Probe().replica(HERE, port, HEALTH)
    assert answer.status == status
    assert answer.body == "redirects to https://shop.example.com/"
    assert len(heard) == 1


def test_a_bad_answer_shows_the_beginning_of_its_body() -> None:
    """200 characters are enough for a message, whatever bytes they are."""
    with server(plain("500 Oops", b"\xffKeyError: X " + b"y" * 5000)) as (port, _):
        answer = Probe().replica(HERE, port, HEALTH)
    assert answer.status == 500
    assert answer.body.startswith("\ufffdKeyError: X yyy")
    assert len(answer.body) == 200


@pytest.mark.parametrize("kind", ["none", "image"])
def test_without_a_path_a_connection_is_all_that_is_asked(kind: str) -> None:
    """It accepts: status 0 and no error."""
    with server() as (port, heard):
        answer = Probe().replica(HERE, port, Health(kind=kind))
    assert (answer.status, answer.error) == (0, "")
    assert heard in ([], [b""])


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ((), "connection closed without an answer"),
        ((b"220 smtp ready\r\n",), "not an HTTP answer"),
        ((b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",), "not an HTTP answer"),
    ],
)
def test_what_is_no_answer_is_told_in_words(pieces: tuple[bytes, ...], error: str) -> None:
    """Status 0 and why."""
    with server(*pieces) as (port, _):
        answer = Probe().replica(HERE, port, HEALTH)
    assert answer.status == 0
    assert answer.error.startswith(error)


@pytest.mark.parametrize("kind", ["http", "none"])
def test_nobody_listens(kind: str) -> None:
    """A refused connection is an answer of status 0 at once."""
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
    assert Probe().replica(HERE, port, Health(kind=kind)).error == "connection refused"


@pytest.mark.parametrize(
    ("pieces", "pause"),
    [
        ((), 0.0),
        (tuple(bytes([byte]) for byte in plain("200 OK", b"", "X-Slow: yes")), 0.1),
        ((b"HT", b"TP"), 0.35),
    ],
)
def test_silence_and_dripping_end_by_one_deadline(pieces: tuple[bytes, ...], pause: float) -> None:
    """A byte now and then does not buy more time."""
    with server(*pieces, pause=pause, hold=5) as (port, _):
        began = time.monotonic()
        answer = Probe(timeout=0.4).replica(HERE, port, HEALTH)
    assert answer.error == "no answer within 0.4 s"
    assert time.monotonic() - began < 2


def test_an_endless_body_does_not_take_back_the_status() -> None:
    """The status came in time; the body is only for people."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    with server(head, b"data: 1\n\n", pause=0.1, hold=5) as (port, _):
        answer = Probe(timeout=0.4).replica(HERE, port, HEALTH)
    assert (answer.status, answer.error) == (200, "")


def test_the_door_is_asked_as_a_visitor_would_with_the_servers_key() -> None:
    """The host of the route, its path, and the key; the proxy tells backend, server and value."""
    told = "X-Stackswap-Slot: production.shop:blue blue1 blue"
    with server(plain("200 OK", b"shop", told)) as (port, heard):
        probe = Probe(HERE, port, key="k3y")
        answer = probe.door(Route("shop.example.com", "/cart"), "production.shop")
    assert (answer.status, answer.told) == (200, "production.shop:blue blue1 blue")
    assert heard[0].startswith(b"GET /cart HTTP/1.1\r\n")
    assert b"Host: shop.example.com\r\n" in heard[0]
    assert b"x-stackswap-key: k3y\r\n" in heard[0]
    assert b"x-stackswap-service" not in heard[0]


def test_a_service_without_routes_is_asked_for_by_its_key() -> None:
    """The header stands in for the host name."""
    with server(plain("404 Not Found")) as (port, heard):
        answer = Probe(HERE, port, key="k3y").door(None, "production.worker")
    assert (answer.status, answer.told) == (404, "")
    assert b"x-stackswap-service: production.worker\r\n" in heard[0]


def test_the_key_never_goes_to_a_replica() -> None:
    """Only the proxy may see it."""
    with server(plain("200 OK")) as (port, heard):
        Probe(HERE, port, key="k3y").replica(HERE, port, HEALTH)
    assert b"k3y" not in heard[0]


def test_a_door_that_wants_the_proxy_protocol_gets_its_line_first() -> None:
    """Where a load balancer stands before the proxy."""
    with server(plain("200 OK")) as (port, heard):
        Probe(HERE, port, proxied=True).door(Route("a.example.com"), "p.a")
    assert heard[0].startswith(b"PROXY UNKNOWN\r\n")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that nobody has signed, with its key, for another name."""
    path = tmp_path / "own.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=x"
    told = ["openssl", *words.split(), "-keyout", str(path), "-out", str(tmp_path / "c.pem")]
    subprocess.run(told, check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "c.pem").read_text())
    return path


def test_a_door_with_tls_is_asked_by_name_whatever_its_certificate(certificate: Path) -> None:
    """The name goes with the handshake, so that the proxy picks as it would for a visitor."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    with server(plain("200 OK", b"", "X-Stackswap-Slot: told"), tls=context) as (port, heard):
        probe = Probe(HERE, port, tls=True, key="k3y")
        answer = probe.door(Route("shop.example.com"), "production.shop")
        assert (answer.status, answer.told, answer.error) == (200, "told", "")
        assert probe.replica(HERE, port, HEALTH).status == 0
    assert names[0] == "shop.example.com"
    assert b"x-stackswap-key: k3y\r\n" in heard[0]


def test_a_door_that_is_silent_in_the_handshake_ends_by_its_time() -> None:
    """As any other silence."""
    with server(hold=5) as (port, _):
        began = time.monotonic()
        answer = Probe(HERE, port, tls=True, timeout=0.4).door(Route("a.example.com"), "p.a")
    assert answer.error == "no answer within 0.4 s"
    assert time.monotonic() - began < 3


def test_each_question_is_a_connection_of_its_own() -> None:
    """Confirm counts new connections."""
    with server(plain("200 OK")) as (port, heard):
        probe = Probe(HERE, port)
        ask: Callable[[], int] = lambda: probe.door(Route("a.example.com"), "p.a").status  # noqa: E731
        assert [ask() for _ in range(3)] == [200] * 3
    assert len(heard) == 3
