# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Own requests: to a replica at its slot address, and through the public door.

Each is one exchange on a new connection; none is repeated.
"""

from __future__ import annotations

import copy
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Health, Route

TOLD, KEY, SERVICE = "x-stackswap-slot", "x-stackswap-key", "x-stackswap-service"
SHOWN, READ = 200, 65536


class Probe:
    """The prober of one server; key is the server's.

    address, port, tls and proxied (it wants the PROXY protocol) are those of the proxy's listener.
    """

    def __init__(
        self,
        address: str = "127.0.0.1",
        port: int = 80,
        tls: bool = False,
        key: str = "",
        proxied: bool = False,
        timeout: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._door, self._tls, self._proxied, self._key = (address, port), tls, proxied, key
        self._timeout, self._clock = timeout, clock

    def replica(self, address: str, port: int, health: Health, within: float = 2.0) -> Answer:
        """Ask for its health path, for so many seconds; without one, status 0 and no error says that it accepts."""
        asked, hurried = health.kind == "http", copy.copy(self)
        hurried._timeout = min(self._timeout, within)
        return hurried._ask((address, port), health.path if asked else "", f"{address}:{port}", {})

    def door(self, route: Route | None, service: str) -> Answer:
        """Ask the proxy as a visitor of this route would, or for this service if it has none."""
        host, path = (route.host, route.path) if route else ("stackswap", "/")
        headers = {KEY: self._key, **({} if route else {SERVICE: service})}
        return self._ask(self._door, path, host, headers, through_door=True)

    def _ask(
        self,
        to: tuple[str, int],
        path: str,
        host: str,
        headers: Mapping[str, str],
        through_door: bool = False,
    ) -> Answer:
        """One exchange, or only a connection where there is no path."""
        began = self._clock()
        try:
            with socket.create_connection(to, self._timeout) as plain:
                if not path:
                    return Answer(ms=self._since(began))
                stream = self._open(plain, host) if through_door else plain
                with stream:
                    return self._exchange(stream, path, {"Host": host, **headers}, began)
        except (OSError, HTTPException, ValueError) as error:
            return Answer(error=_said(error, self._timeout), ms=self._since(began))

    def _open(self, plain: socket.socket, host: str) -> socket.socket:
        """The connection as the listener wants it; its certificate is not our question."""
        if self._proxied:
            plain.sendall(b"PROXY UNKNOWN\r\n")
        if not self._tls:
            return plain
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(plain, server_hostname=host.partition(":")[0])

    def _exchange(self, stream: socket.socket, path: str, headers: Mapping[str, str], began: float) -> Answer:
        connection = HTTPConnection("unused")
        connection.sock = _Bounded(stream, began + self._timeout, self._clock)
        sent = {"User-Agent": "stackswap", "Accept": "*/*", "Connection": "close", **headers}
        connection.request("GET", path, headers=sent)
        answer = connection.getresponse()
        ms, told = self._since(began), answer.getheader(TOLD, "")
        return Answer(status=answer.status, told=told, ms=ms, body=_shown(answer))

    def _since(self, began: float) -> float:
        return round((self._clock() - began) * 1000, 3)


class _Bounded:
    """A socket for http.client whose reads end by one deadline, however the bytes drip."""

    def __init__(self, stream: socket.socket, until: float, clock: Callable[[], float]) -> None:
        self._stream, self._until, self._clock = stream, until, clock

    def sendall(self, data: bytes) -> None:
        self._hurry()
        self._stream.sendall(data)

    def makefile(self, *mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Drips(self._read))

    def close(self) -> None:
        """The caller closes the socket."""

    def _read(self, buffer: memoryview) -> int:
        self._hurry()
        return self._stream.recv_into(buffer)

    def _hurry(self) -> None:
        left = self._until - self._clock()
        if left <= 0:
            raise socket.timeout("no time left")
        self._stream.settimeout(left)


class _Drips(io.RawIOBase):
    """A stream of what a function reads."""

    def __init__(self, read: Callable[[memoryview], int]) -> None:
        super().__init__()
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._read(buffer)


def _shown(answer: HTTPResponse) -> str:
    """Where a redirect leads, else how the body begins. It is read out: nobody's pipe breaks."""
    try:
        body = answer.read(READ)
    except (OSError, HTTPException, ValueError):
        body = b""
    leads = answer.getheader("Location", "") if 300 <= answer.status < 400 else ""
    return f"redirects to {leads}"[:SHOWN] if leads else body[:SHOWN].decode("utf-8", "replace")


def _said(error: Exception, timeout: float) -> str:
    """The error in words for people."""
    if isinstance(error, socket.timeout):
        return f"no answer within {timeout:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ConnectionError):
        return "connection closed without an answer"
    if isinstance(error, HTTPException):
        return f"not an HTTP answer: {type(error).__name__} {error}"[:SHOWN]
    return str(error) or type(error).__name__
