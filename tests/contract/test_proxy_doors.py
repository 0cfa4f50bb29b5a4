"""Who the client is: networks that are trusted, the PROXY protocol, addresses of both kinds."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.contract.proxies import SERVICE, Door, free_port, offered, web_servers

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def servers() -> Iterator[None]:
    """Web servers for the slots."""
    with web_servers():
        yield


@pytest.fixture(params=offered(), ids=lambda suite: suite or "preferred")
def suite(request) -> str:
    """A version of HAProxy."""
    return request.param


def test_a_trusted_proxy_tells_who_the_client_is(suite, tmp_path) -> None:
    """Its headers are kept; those of strangers are not, see test_haproxy."""
    with Door(suite, tmp_path, trusted=("127.0.0.0/8",)) as door:
        seen = door.environment(x_forwarded_host="a.example", x_forwarded_proto="https")
        assert "HTTP_X_FORWARDED_PROTO=https" in seen
        assert "HTTP_X_FORWARDED_HOST=a.example" in seen


def test_the_proxy_protocol_tells_who_the_client_is(suite, tmp_path) -> None:
    """From trusted networks it must be spoken, and headers are believed from nobody."""
    with Door(suite, tmp_path, trusted=("127.0.0.0/8",), proxy_protocol=True) as door:
        first = b"PROXY TCP4 9.9.9.9 127.0.0.1 1234 80\r\n"
        seen = door.environment(first, x_forwarded_for="8.8.8.8")
        assert "HTTP_X_FORWARDED_FOR=9.9.9.9" in seen
        assert "8.8.8.8" not in seen
        assert door.environment(b"PROXY UNKNOWN\r\n").startswith("HTTP/1.")
        with pytest.raises(ConnectionResetError):
            door.environment()


def test_the_proxy_answers_on_addresses_of_both_kinds(suite, tmp_path) -> None:
    """One bind of [::] takes both, and a port with a bind for each has both."""
    free = free_port()
    with Door(suite, tmp_path, listen=(f"[::]:{free}", f"127.0.0.1:{free}", f"[::1]:{free_port()}")) as door:
        for bind in door.settings.listen:
            host, _, port = bind.rpartition(":")
            address = host.strip("[]").replace("::", "::1") if host == "[::]" else host.strip("[]")
            with socket.create_connection((address, int(port)), 5) as stream:
                stream.sendall(f"GET / HTTP/1.0\r\nx-stackswap-key: {door.key}\r\n".encode())
                stream.sendall(f"x-stackswap-service: {SERVICE}\r\n\r\n".encode())
                assert b"blue1" in b"".join(iter(lambda: stream.recv(65536), b"")), bind
