"""A server that answers one request in a chosen wrong way and all others rightly."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

from tests.lab.frames import CLOSE, KEY, PING, frame
from tests.lab.sessions import LINES

Behaviour = Callable[[socket.socket, str, bytes], bool]
HEAD = "HTTP/1.1 {} Words\r\nX-Version: 1\r\n{}\r\n"


def say(status: int, body: bytes) -> bytes:
    """Return an answer with a length."""
    return HEAD.format(status, f"Content-Length: {len(body)}\r\n").encode() + body


def chunks(count: int, last: bytes = b"0\r\n\r\n") -> bytes:
    """Return a chunked answer of so many lines."""
    lines = b"".join(b"4\r\n1 x\n\r\n" for _ in range(count))
    return HEAD.format(200, "Transfer-Encoding: chunked\r\n").encode() + lines + last


def upgrade(head: str) -> bytes:
    """Return the answer to a WebSocket handshake."""
    key = head.split("Sec-WebSocket-Key: ")[1].split("\r\n")[0]
    accept = base64.b64encode(hashlib.sha1((key + KEY).encode()).digest()).decode()
    return HEAD.format(101, f"Upgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n").encode()


def rightly(sock: socket.socket, head: str, body: bytes) -> bool:
    """Answer the way the test application does."""
    if " /stream" in head:
        sock.sendall(chunks(LINES))
        return False
    if " /ws" in head:
        sock.sendall(upgrade(head) + frame(PING, b"there?"))
        return echo(sock)
    sock.sendall(say(200, body if " /echo" in head else b"1\n"))
    return True


def echo(sock: socket.socket) -> bool:
    """Echo short frames until the client closes."""
    while got := sock.recv(2):
        mask, content = sock.recv(4), sock.recv(got[1] & 0x7F) if got[1] & 0x7F else b""
        plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(content))
        if got[0] & 0x0F != 0x0A:
            sock.sendall(frame(got[0], plain))
        if got[0] == CLOSE:
            break
    return False


def sends(answer: bytes, keeps: bool = True) -> Behaviour:
    """Send these bytes and end the connection unless it is kept."""

    def behave(sock: socket.socket, head: str, body: bytes) -> bool:
        sock.sendall(answer)
        return keeps

    return behave


def resets(sock: socket.socket, head: str, body: bytes) -> bool:
    """Reset the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def keeps_silent(sock: socket.socket, head: str, body: bytes) -> bool:
    """Say nothing for longer than the client waits."""
    time.sleep(1)
    return False


def ends_session(*frames: bytes) -> Behaviour:
    """Accept a WebSocket, send these frames and end."""

    def behave(sock: socket.socket, head: str, body: bytes) -> bool:
        sock.sendall(upgrade(head) + b"".join(frames))
        sock.recv(64)
        return False

    return behave


class Server:
    """A listening server that counts the requests it received and its connections."""

    def __init__(self, wrong: Behaviour, number: int) -> None:
        self.wrong, self.number = wrong, number
        self.requests = self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def accept(self) -> None:
        """Serve connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock: socket.socket) -> None:
        """Answer request after request, the chosen one wrongly."""
        with sock, contextlib.suppress(OSError), sock.makefile("rb") as file:
            while lines := list(itertools.takewhile(lambda line: line.strip(), file)):
                head = b"".join(lines).decode()
                size = [line.split(b":")[1] for line in lines if line.startswith(b"Content-Length")]
                body = file.read(int(size[0])) if size else b""
                self.requests += 1
                behave = self.wrong if self.requests == self.number else rightly
                if not behave(sock, head, body):
                    return


@contextlib.contextmanager
def server(wrong: Behaviour = rightly, number: int = 2) -> Iterator[Server]:
    """Yield a server whose so-manieth request is answered wrongly."""
    made = Server(wrong, number)
    threading.Thread(target=made.accept, daemon=True).start()
    try:
        yield made
    finally:
        made.listener.shutdown(socket.SHUT_RDWR)
        made.listener.close()
