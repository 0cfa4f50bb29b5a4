"""A small web application for the tests: HTTP/1.1 and WebSocket, polite on SIGTERM.

Environment: PORT, VERSION, HEALTH_STATUS, HEALTH_DELAY, SICK_AFTER, EXIT_CODE, EXIT_AT_ONCE,
SILENT, IGNORE_TERM; while the file /tmp/sick exists, / and /health answer 503.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from urllib.parse import parse_qsl

from frames import CLOSE, KEY, PING, PONG, frame, read_frame

ENV = os.environ
SICK = "/tmp/sick"
PATIENCE = 2
LINGER = 0.1  # what was on its way when the end came is answered
GOING_AWAY = (1001).to_bytes(2, "big")
HANDSHAKE = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
ENDS = (asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError, OSError)


def version():
    """Return the version that the environment or the image gives."""
    baked = Path(__file__).with_name("VERSION")
    return ENV.get("VERSION") or (baked.read_text().strip() if baked.exists() else "0")


class App:
    """What one process answers, its open connections and whether it is stopping."""

    def __init__(self):
        self.version = version()
        self.started = time.monotonic()
        self.idle, self.busy, self.sessions = set(), set(), set()
        self.stopping = asyncio.Event()

    def term(self):
        """Begin to stop: sessions are told, idle connections end soon, requests go on."""
        self.stopping.set()
        asyncio.get_running_loop().call_later(LINGER, self.end_idle)
        for writer in self.sessions:
            writer.write(frame(CLOSE, GOING_AWAY))

    def end_idle(self):
        """End the connections on which no request has come."""
        for task in self.idle:
            task.cancel()

    async def connection(self, reader, writer):
        """Answer request after request until either side has had enough."""
        task = asyncio.current_task()
        with contextlib.suppress(*ENDS):
            while await self.turn(task, reader, writer):
                pass
        self.idle.discard(task)
        self.busy.discard(task)
        writer.close()

    async def turn(self, task, reader, writer):
        """Wait for one request, answer it and tell whether the connection stays."""
        self.busy.discard(task)
        self.idle.add(task)
        head = await reader.readuntil(b"\r\n\r\n")
        self.idle.discard(task)
        self.busy.add(task)
        return await self.request(head, reader, writer)

    async def request(self, head, reader, writer):
        """Answer one request and tell whether the connection stays."""
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        method, target, _ = first.split(" ", 2)
        path, _, query = target.partition("?")
        query = dict(parse_qsl(query))
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if path == "/ws" and "sec-websocket-key" in headers:
            return await self.websocket(headers["sec-websocket-key"], reader, writer)
        if path == "/stream":
            return await self.stream(writer, query)
        if path == "/slow":
            await asyncio.sleep(float(query.get("s", 5)))
        status, content = self.answer(path, query, body)
        close = self.stopping.is_set() or headers.get("connection", "").lower() == "close"
        head = self.head(status, f"Content-Length: {len(content)}", close)
        writer.write(head if method == "HEAD" else head + content)
        await writer.drain()
        return not close

    def answer(self, path, query, body):
        """Return the status and content for a plain path."""
        own, name = f"{self.version}\n".encode(), query.get("name", "")
        if path in ("/", "/health") and os.path.exists(SICK):
            return 503, own
        if path == "/health":
            return self.health(), own
        if path == "/echo":
            return 200, body
        if path == "/env":
            return (200, ENV[name].encode()) if name in ENV else (404, b"")
        if path == "/pid":
            about = {"pid": os.getpid(), "uid": os.getuid(), "argv": sys.argv}
            return 200, json.dumps(about).encode()
        return (200, own) if path in ("/", "/slow") else (404, own)

    def health(self):
        """Return the status that the environment asks for at this age."""
        age = time.monotonic() - self.started
        sick = age >= float(ENV.get("SICK_AFTER", "inf"))
        return 500 if sick else int(ENV.get("HEALTH_STATUS", "200"))

    def head(self, status, length, close):
        """Return the head of an answer."""
        keep = "close" if close else "keep-alive"
        own = f"X-Version: {self.version}\r\n{length}\r\nConnection: {keep}\r\n\r\n"
        return f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not OK'}\r\n{own}".encode()

    async def stream(self, writer, query):
        """Send n lines as chunks with a pause of ms after each, then end the connection."""
        writer.write(self.head(200, "Transfer-Encoding: chunked", close=True))
        for number in range(int(query.get("n", 20))):
            line = f"{self.version} {number}\n".encode()
            writer.write(b"%x\r\n%b\r\n" % (len(line), line))
            await writer.drain()
            await asyncio.sleep(float(query.get("ms", 250)) / 1000)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return False

    async def websocket(self, key, reader, writer):
        """Shake hands, echo frames until one side closes and end the connection."""
        accept = base64.b64encode(hashlib.sha1((key + KEY).encode()).digest()).decode()
        own = f"X-Version: {self.version}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        writer.write((HANDSHAKE + own).encode())
        self.sessions.add(writer)
        try:
            while await self.echo(reader, writer):
                pass
        finally:
            self.sessions.discard(writer)
        return False

    async def echo(self, reader, writer):
        """Answer one frame and tell whether the session goes on."""
        first, content = await read_frame(reader.readexactly)
        if self.stopping.is_set():
            return first != CLOSE
        writer.write(frame(PONG if first == PING else first, content))
        await writer.drain()
        return first != CLOSE

    async def finish(self, server):
        """Stop listening, wait for requests in flight, and with patience for sessions."""
        server.close()
        told = time.monotonic()
        while self.idle or self.busy:
            requests = self.idle or len(self.busy) > len(self.sessions)
            if not requests and time.monotonic() - told > PATIENCE:
                return
            await asyncio.sleep(0.01)


async def serve():
    """Listen, wait for the end, let what is in flight finish and return the exit code."""
    app, loop, code = App(), asyncio.get_running_loop(), int(ENV.get("EXIT_CODE", 0))
    if not ENV.get("IGNORE_TERM"):
        loop.add_signal_handler(signal.SIGTERM, app.term)
    delay = None if ENV.get("SILENT") else float(ENV.get("HEALTH_DELAY", 0))
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(app.stopping.wait(), delay)
        return code
    port, app.started = int(ENV.get("PORT", 8080)), time.monotonic()
    server = await asyncio.start_server(app.connection, "0.0.0.0", port, backlog=1024)
    print(f"version {app.version} listens on {port}", flush=True)
    await app.stopping.wait()
    await app.finish(server)
    print(f"version {app.version} stopped", flush=True)
    return code


def main():
    """Run the application, or fail the way an application without its settings does."""
    if ENV.get("IGNORE_TERM"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if ENV.get("EXIT_AT_ONCE"):
        print("KeyError: 'DATABASE_URL'", file=sys.stderr, flush=True)
        return int(ENV["EXIT_AT_ONCE"])
    return asyncio.run(serve())


if __name__ == "__main__":
    sys.exit(main())
