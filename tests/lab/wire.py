"""HTTP/1.1 on a bare socket: one connection, what came over it and how it failed."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field

REFUSED, RESET, STALE, EOF = "connect refused", "reset", "stale EOF", "EOF"
STATUS, BODY, TIMEOUT = "bad status", "wrong body", "timeout"
CUT_STREAM, CUT_WEBSOCKET = "cut stream", "cut websocket"
PIECE = 65536


class Failed(Exception):
    """An exchange failed: of which kind, and what was seen."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind, self.what = kind, what


@dataclass(frozen=True)
class Answer:
    """The status, headers and body of one answer."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def version(self) -> str | None:
        """Return the version that answered, if it said so."""
        return self.headers.get("x-version")

    @property
    def keeps(self) -> bool:
        """Tell whether the connection may be used again."""
        framed = "content-length" in self.headers or "transfer-encoding" in self.headers
        return framed and self.headers.get("connection", "").lower() != "close"


@dataclass
class Link:
    """One open connection, the bytes received but not read, and how many answers it gave."""

    sock: socket.socket
    held: bytearray = field(default_factory=bytearray)
    answers: int = 0

    @classmethod
    async def open(cls, address: str, port: int) -> Link:
        """Connect, or fail at once."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except OSError as error:
            sock.close()
            raise Failed(REFUSED, str(error)) from error
        except asyncio.CancelledError:
            sock.close()
            raise
        return cls(sock)

    def close(self) -> None:
        """Close this side."""
        self.sock.close()

    def closed(self) -> bool:
        """Look, without waiting, whether the other side ended the connection or spoke unasked."""
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return bool(self.held)
        except OSError:
            return True
        return True

    async def send(self, content: bytes) -> None:
        """Send all of the content."""
        try:
            await asyncio.get_running_loop().sock_sendall(self.sock, content)
        except OSError as error:
            raise Failed(RESET, self.at(f"while sending: {error}")) from error

    async def more(self) -> None:
        """Wait for more bytes; an end here is a failure."""
        try:
            piece = await asyncio.get_running_loop().sock_recv(self.sock, PIECE)
        except OSError as error:
            raise Failed(RESET, self.at(str(error))) from error
        if not piece:
            reused = self.answers and not self.held
            raise Failed(STALE if reused else EOF, self.at(f"after {len(self.held)} bytes"))
        self.held += piece

    def at(self, what: str) -> str:
        """Say on which connection something happened."""
        return f"{what}, on a connection with {self.answers} answers before"

    async def exactly(self, count: int) -> bytes:
        """Read so many bytes."""
        while len(self.held) < count:
            await self.more()
        return self.take(count)

    async def until(self, mark: bytes) -> bytes:
        """Read up to the mark and drop the mark."""
        while (found := self.held.find(mark)) < 0:
            await self.more()
        return self.take(found + len(mark))[: -len(mark)]

    def take(self, count: int) -> bytes:
        """Take bytes from those held."""
        taken = bytes(self.held[:count])
        del self.held[:count]
        return taken

    async def head(self) -> Answer:
        """Read the head of an answer."""
        first, *lines = (await self.until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
            raise Failed(STATUS, f"no HTTP answer: {first[:80]!r}")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return Answer(int(words[1]), headers)

    async def answer(self) -> Answer:
        """Read a whole answer."""
        head = await self.head()
        try:
            body = await self.body(head)
        except Failed as failed:
            kind = EOF if failed.kind == STALE else failed.kind
            raise Failed(kind, f"in the body: {failed.what}") from failed
        self.answers += 1
        return Answer(head.status, head.headers, body)

    async def body(self, head: Answer) -> bytes:
        """Read the body that a head announces."""
        if head.headers.get("transfer-encoding", "").lower() == "chunked":
            return await self.chunks()
        if "content-length" in head.headers:
            return await self.exactly(int(head.headers["content-length"]))
        raise Failed(BODY, "neither a length nor chunks")

    async def chunks(self) -> bytes:
        """Read chunks to the last one."""
        body = bytearray()
        while size := int(await self.until(b"\r\n") or b"0", 16):
            body += (await self.exactly(size + 2))[:-2]
        await self.until(b"\r\n")
        return bytes(body)

    async def speaks(self, seconds: float) -> bool:
        """Wait so long for the other side to send anything, and tell whether it did."""
        try:
            async with asyncio.timeout(seconds):
                await self.more()
        except TimeoutError:
            return False
        return True
