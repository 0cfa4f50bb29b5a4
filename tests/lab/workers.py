"""The strict client's workers for requests: each keeps its pace and retries nothing."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

from tests.lab.run import Run
from tests.lab.wire import BODY, STATUS, Answer, Failed, Link

EVERY = 0.5


def own_words(answer: Answer) -> None:
    """Demand status 200 and, of the test application, the body that names its version."""
    if answer.status != 200:
        raise Failed(STATUS, f"{answer.status} {answer.body[:80]!r}")
    if answer.version is not None and answer.body != f"{answer.version}\n".encode():
        raise Failed(BODY, f"{answer.body[:80]!r} from version {answer.version}")


def echo_of(content: bytes) -> Callable[[Answer], None]:
    """Demand status 200 and this body."""

    def right(answer: Answer) -> None:
        if answer.status != 200:
            raise Failed(STATUS, f"{answer.status} {answer.body[:80]!r}")
        if answer.body != content:
            raise Failed(BODY, f"{answer.body[:80]!r} is no echo of {content[:80]!r}")

    return right


async def get(run: Run, delay: float) -> None:
    """Send GET after GET over a connection that is kept while the other side keeps it."""
    link, request = None, run.head("GET", run.plan.path)
    async for _ in run.turns("get", run.interval, delay):
        link = await run.exchange("get", alive(link), request, own_words)


async def new(run: Run, delay: float) -> None:
    """Send each GET over a new connection."""
    request = run.head("GET", run.plan.path, "Connection: close")
    async for _ in run.turns("new", run.interval, delay):
        await run.exchange("new", None, request, own_words)


async def post(run: Run, delay: float) -> None:
    """Send POST after POST over a kept connection and compare the echo."""
    link = None
    async for _ in run.turns("post", run.interval, delay):
        content = os.urandom(48).hex().encode()
        head = run.head("POST", "/echo", f"Content-Length: {len(content)}")
        link = await run.exchange("post", alive(link), head + content, echo_of(content))


def alive(link: Link | None) -> Link | None:
    """Return the connection unless the other side has closed it."""
    if link and link.closed():
        link.close()
        return None
    return link


async def slow(run: Run, delay: float) -> None:
    """Send requests that take two to five seconds each."""
    asked = itertools.cycle((2.0, 3.0, 4.0, 5.0))
    async for _ in run.turns("slow", EVERY, delay):
        seconds = next(asked)
        request = run.head("GET", f"/slow?s={seconds:g}", "Connection: close")
        await run.exchange("slow", None, request, own_words, seconds)
