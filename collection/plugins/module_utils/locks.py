# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks on a server, by flock: they end with their holder, whatever ends it.

Always the service's before the proxy's. Lock files are never removed (a removed one would let two
hold the same name), and their descriptors are closed on exec.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError

PROXY_SECONDS = 60.0
TURN = 0.1


class Held(StackswapError):
    """Another process of this server holds the lock. facts: holder, what it wrote about itself."""

    cause = "held"


class Locks:
    """The locks below a home directory; job is what the holder tells of itself."""

    def __init__(
        self,
        home: str = "/var/lib/stackswap",
        job: str = "",
        wait_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._home, self._job, self._wait = home, job, wait_seconds
        self._clock, self._sleep = clock, sleep

    @contextmanager
    def service(self, service: str) -> Iterator[None]:
        """Hold the service on this server; waits as long as these locks were told to."""
        with self._held(f"service-{service}", f"service {service}", self._wait):
            yield

    @contextmanager
    def proxy(self) -> Iterator[None]:
        """Hold the proxy's files and its runtime, for a moment."""
        with self._held("proxy", "the proxy", PROXY_SECONDS):
            yield

    def holder(self, service: str) -> dict[str, Any] | None:
        """Who is changing the service at this moment, as it tells of itself; None where nobody is."""
        try:
            descriptor = os.open(self._path(f"service-{service}"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            return _told_by(descriptor)
        finally:
            os.close(descriptor)

    def _path(self, name: str) -> str:
        return os.path.join(self._home, "locks", f"{name}.lock")

    @contextmanager
    def _held(self, name: str, noun: str, seconds: float) -> Iterator[None]:
        folder = os.path.join(self._home, "locks")
        for made in (self._home, folder):  # makedirs would leave home open to all
            os.makedirs(made, 0o700, exist_ok=True)
        path, how = self._path(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(path, how, 0o600)
        try:
            self._take(descriptor, noun, self._clock() + seconds)
            self._sign(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _take(self, descriptor: int, noun: str, until: float) -> None:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                left = until - self._clock()
                if left <= 0:
                    raise _held_by(descriptor, noun) from None
                self._sleep(min(TURN, left))

    def _sign(self, descriptor: int) -> None:
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        told = {"pid": os.getpid(), "job": self._job, "since": since}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(told).encode(), 0)


def _told_by(descriptor: int) -> dict[str, Any]:
    """What the holder of a lock has written of itself."""
    try:
        return dict(json.loads(os.pread(descriptor, 4096, 0)))
    except ValueError:
        return {}


def _held_by(descriptor: int, noun: str) -> Held:
    holder = _told_by(descriptor)
    if not holder:
        return Held(f"{noun} is being changed by another job of this server", holder={})
    job = holder.get("job") or "unnamed"
    who = f"job {job} (process {holder.get('pid')}, since {holder.get('since')})"
    return Held(f"{noun} is being changed by {who}: wait for it, or cancel it", holder=holder)
