"""One load under way: its plan, its pace, and the judgement of each exchange."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.lab.report import Tally
from tests.lab.wire import TIMEOUT, Answer, Failed, Link

MIX = {"get": 4, "new": 2, "post": 2}
AFTER_FAILURE, SLICE, LATE = 0.01, 0.2, 0.1


@dataclass(frozen=True)
class Plan:
    """A load: where to, how fast (0: as fast as answers come), how long, workers of each kind."""

    address: str
    port: int
    host: str = "shop.test"
    path: str = "/"
    rate: float = 200
    seconds: float = 60
    count: int = 1_000_000
    mix: Mapping[str, int] = field(default_factory=lambda: dict(MIX))
    slow: int = 0
    stream: int = 0
    websocket: int = 0
    session: float = 5
    timeout: float = 10
    answers: bool = False


class Run:
    """One load under way."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.tally = plan, Tally()
        self.stopping, self.heard = False, asyncio.Event()
        self.interval = sum(plan.mix.values()) / plan.rate if plan.rate else 0.0

    def over(self) -> bool:
        """Tell whether no request may begin any more."""
        late = time.monotonic() >= self.tally.started + self.plan.seconds
        return self.stopping or late or self.tally.begun >= self.plan.count

    async def turns(self, worker: str, interval: float, delay: float) -> AsyncIterator[None]:
        """Yield whenever a request is due; turns missed by more than a moment are not made up."""
        due = time.monotonic() + delay
        while not self.over():
            if (ahead := due - time.monotonic()) > 0:
                await asyncio.sleep(min(ahead, SLICE))
                continue
            self.tally.begin(worker)
            yield
            due = max(due + interval, time.monotonic() - LATE)

    @contextlib.asynccontextmanager
    async def judged(self, worker: str, seconds: float) -> AsyncIterator[None]:
        """Note as one failure whatever goes wrong inside, or takes longer."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            await self.bad(TIMEOUT, worker, f"not done after {seconds:g} s")
        except Failed as failed:
            await self.bad(failed.kind, worker, failed.what)

    def good(self, version: str | None, took: float) -> None:
        """Note a right answer."""
        self.tally.good(version, took)
        self.heard.set()

    async def bad(self, kind: str, worker: str, what: str) -> None:
        """Note a failure and pause, lest a load without pace spins."""
        self.tally.bad(kind, worker, what)
        self.heard.set()
        await asyncio.sleep(AFTER_FAILURE)

    def head(self, method: str, path: str, *lines: str) -> bytes:
        """Write the head of a request."""
        first = (f"{method} {path} HTTP/1.1", f"Host: {self.plan.host}")
        return "\r\n".join((*first, *lines, "", "")).encode()

    def open(self) -> Coroutine[Any, Any, Link]:
        """Connect to the address of the plan."""
        return Link.open(self.plan.address, self.plan.port)

    async def exchange(
        self,
        worker: str,
        link: Link | None,
        request: bytes,
        right: Callable[[Answer], None],
        asked: float = 0.0,
    ) -> Link | None:
        """Send a request, judge the answer, and return the connection if it may be used again."""
        begun = time.monotonic()
        async with self.judged(worker, self.plan.timeout + asked):
            link = link or await self.open()
            await link.send(request)
            answer = await link.answer()
            right(answer)
            self.good(answer.version, time.monotonic() - begun - asked)
            if answer.keeps:
                return link
        if link:
            link.close()
        return None
