"""The strict client's workers for what lasts: chunked streams and WebSocket sessions."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import time

from tests.lab.frames import CLOSE, KEY, PING, PONG, TEXT, frame, read_frame
from tests.lab.run import Run
from tests.lab.wire import BODY, CUT_STREAM, CUT_WEBSOCKET, STATUS, Failed, Link

LINES, PAUSE_MS, ECHO_EVERY, EVERY = 20, 250, 1.0, 0.5
GOODBYE = (1000).to_bytes(2, "big")


async def stream(run: Run, delay: float) -> None:
    """Read streams of lines, each to its end, over a connection of its own."""
    asked = LINES * PAUSE_MS / 1000
    async for _ in run.turns("stream", EVERY, delay):
        async with run.judged("stream", run.plan.timeout + asked):
            link = await run.open()
            try:
                await one_stream(run, link, asked)
            finally:
                link.close()


async def one_stream(run: Run, link: Link, asked: float) -> None:
    """Ask for one stream and demand every line of it."""
    begun = time.monotonic()
    await link.send(run.head("GET", f"/stream?n={LINES}&ms={PAUSE_MS}", "Connection: close"))
    head = await link.head()
    if head.status != 200:
        raise Failed(STATUS, str(head.status))
    try:
        lines = (await link.body(head)).splitlines()
    except Failed as failed:
        raise Failed(CUT_STREAM, f"{failed.kind} {failed.what}") from failed
    if len(lines) != LINES or len({line.split()[0] for line in lines}) != 1:
        raise Failed(BODY, f"{len(lines)} lines of {LINES}, from {lines[:1]} to {lines[-1:]}")
    run.good(head.version, time.monotonic() - begun - asked)


async def websocket(run: Run, delay: float) -> None:
    """Hold one session after another, each until this side ends it."""
    async for _ in run.turns("websocket", EVERY, delay):
        async with run.judged("websocket", run.plan.timeout + run.plan.session):
            link = await run.open()
            try:
                run.good(await shake_hands(run, link), 0.0)
                await one_session(run, link)
            finally:
                link.close()


async def shake_hands(run: Run, link: Link) -> str | None:
    """Upgrade the connection and return the version that accepted."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    await link.send(run.head("GET", "/ws", *lines, f"Sec-WebSocket-Key: {key}"))
    head = await link.head()
    wanted = base64.b64encode(hashlib.sha1((key + KEY).encode()).digest()).decode()
    if head.status != 101 or head.headers.get("sec-websocket-accept") != wanted:
        raise Failed(STATUS, f"{head.status} to a WebSocket handshake")
    return head.version


async def one_session(run: Run, link: Link) -> None:
    """Send a message a second, demand its echo, and say goodbye when the session's time is up."""
    begun = time.monotonic()
    try:
        while (left := begun + run.plan.session - time.monotonic()) > 0 and not run.stopping:
            await echo(link, str(left).encode())
            if await link.speaks(min(left, ECHO_EVERY)):
                await expect(link, None)
    except Failed as failed:
        raise cut(failed, time.monotonic() - begun) from failed
    await goodbye(link)


def cut(failed: Failed, age: float) -> Failed:
    """Call an end from the other side what it is; a wrong echo keeps its kind."""
    if failed.kind == BODY:
        return failed
    return Failed(CUT_WEBSOCKET, f"after {age:.1f} s: {failed.kind} {failed.what}")


async def echo(link: Link, content: bytes) -> None:
    """Send a message and demand it back."""
    await link.send(frame(TEXT, content, os.urandom(4)))
    await expect(link, content)


async def expect(link: Link, content: bytes | None) -> None:
    """Read to the frame with this content, or one frame of whatever kind; answer pings."""
    while True:
        first, received = await read_frame(link.exactly)
        if first == CLOSE:
            raise Failed(CUT_WEBSOCKET, f"close {int.from_bytes(received[:2], 'big')}")
        if first == PING:
            await link.send(frame(PONG, received, os.urandom(4)))
        elif received != content:
            raise Failed(BODY, f"{received[:80]!r} is no echo of {content!r}")
        if content is None or received == content:
            return


async def goodbye(link: Link) -> None:
    """Close in order and give the other side a second to answer."""
    try:
        async with asyncio.timeout(1):
            await link.send(frame(CLOSE, GOODBYE, os.urandom(4)))
            while (await read_frame(link.exactly))[0] != CLOSE:
                pass
    except (Failed, TimeoutError):
        pass
