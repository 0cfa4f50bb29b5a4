# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Visitors of a public door who never try twice: kept connections, new ones, posts, at a constant rate.

What a browser would hide by asking again, they count.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

KINDS = ("kept", "new", "post")
TIMEOUT, BODY = 20.0, b"x" * 512
FEW = 20  # failures that are told in words


@dataclass
class Tally:
    """What visitors got so far: how many asked, how many were lost, by which version."""

    requests: int = 0
    lost: int = 0
    versions: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class Visitors:
    """A visitor of each kind, from the beginning of the block to its end. rate: requests a second of all together."""

    def __init__(
        self, address: str, port: int, host: str, rate: float, tls: bool = False, proxied: bool = False
    ) -> None:
        self._door, self._host, self._tls, self._proxied = (address, port), host, tls, proxied
        self._turn, self._lock, self._over = len(KINDS) / rate, threading.Lock(), threading.Event()
        self._tally = Tally()
        self._threads = [threading.Thread(target=self._visit, args=(kind,), daemon=True) for kind in KINDS]

    def __enter__(self) -> Visitors:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_ignored: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(TIMEOUT)

    def tally(self) -> Tally:
        """What they got up to now."""
        with self._lock:
            told = self._tally
            return Tally(told.requests, told.lost, dict(told.versions), list(told.failures))

    def _visit(self, kind: str) -> None:
        connection: HTTPConnection | None = None
        while not self._over.is_set():
            began = time.monotonic()
            try:
                if connection is None or kind == "new" or closed(connection.sock):
                    connection = self._connected()
                self._answered(kind, connection)
            except (OSError, HTTPException, ValueError) as error:
                self._told("", f"{kind}: {type(error).__name__}: {error}")
                connection = None
            self._over.wait(max(0.0, self._turn - (time.monotonic() - began)))

    def _connected(self) -> HTTPConnection:
        connection = HTTPConnection(self._host, timeout=TIMEOUT)
        plain = socket.create_connection(self._door, TIMEOUT)
        if self._proxied:
            plain.sendall(b"PROXY UNKNOWN\r\n")
        connection.sock = unproven().wrap_socket(plain, server_hostname=self._host) if self._tls else plain
        return connection

    def _answered(self, kind: str, connection: HTTPConnection) -> None:
        method, body = ("POST", BODY) if kind == "post" else ("GET", None)
        headers: Mapping[str, str] = {"Connection": "close"} if kind == "new" else {}
        connection.request(method, "/", body, dict(headers))
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace").strip()
        self._told(text, "" if answer.status == 200 else f"{kind}: status {answer.status}: {text[:80]}")

    def _told(self, version: str, failure: str) -> None:
        with self._lock:
            told = self._tally
            told.requests += 1
            if not failure:
                told.versions[version] = told.versions.get(version, 0) + 1
                return
            told.lost += 1
            told.failures = [*told.failures, failure][:FEW]


def unproven() -> ssl.SSLContext:
    """Encrypted; whose certificate it is, is not the question."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def closed(stream: socket.socket | None) -> bool:
    """Whether the other side has closed a connection that is not in use, as a browser looks before it asks."""
    return stream is None or bool(select.select([stream], [], [], 0)[0])
