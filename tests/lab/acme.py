"""A stand-in for an ACME client and its authority: the HTTP-01 challenge, asked for and answered as it really is.

What comes before and after the challenge, accounts and signed orders, has nothing to do with the proxy and is left out.
"""

from __future__ import annotations

import http.client
import http.server
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import certs

WELL_KNOWN = "/.well-known/acme-challenge/"


class Unproven(Exception):
    """The authority did not find what it asked for."""


@contextmanager
def responder(port: int, answers: Mapping[str, bytes]) -> Iterator[None]:
    """What a client runs while it is asked: these answers by their paths."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Authority:
    """Looks for host names at this address, by http as the protocol says, and follows no redirect."""

    address: str
    port: int

    def certify(self, name: str, token: str, thumb: str) -> tuple[str, str]:
        """A certificate and its key for who answers the challenge at the host's well-known place."""
        connection = http.client.HTTPConnection(self.address, self.port, timeout=10)
        try:
            connection.request("GET", WELL_KNOWN + token, headers={"Host": name})
            answer = connection.getresponse()
            said = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200 or said != f"{token}.{thumb}":
            raise Unproven(f"{name}: {answer.status} {said[:80]}")
        return certs.pair(name)


@dataclass(frozen=True)
class Client:
    """Answers challenges on a port of its own while it is asked, and leaves certificates as certbot does."""

    port: int
    folder: Path

    def get(self, authority: Authority, name: str) -> None:
        """Have a certificate for this name in the folder."""
        token, thumb = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        with responder(self.port, {WELL_KNOWN + token: f"{token}.{thumb}".encode()}):
            cert, key = authority.certify(name, token, thumb)
        place = self.folder / name
        place.mkdir(exist_ok=True)
        (place / "fullchain.pem").write_text(cert)
        (place / "privkey.pem").write_text(key)
