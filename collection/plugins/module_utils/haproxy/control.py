# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's two sockets: the serving worker's, and that of the master above all workers.

Every call is one connection with a deadline. What HAProxy says is handed on as text.

ProxyError
 +-- ProxyUnreachable   nobody answers at the socket, or not in time
 |    +-- ProxyGone     there is no process behind it
 |         +-- ProxyDown   and there was one a moment ago
 +-- ReloadRefused      the new configuration was not taken; the old one serves
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import stats

TIMEOUT, RELOAD_SECONDS, TURN = 3.0, 30.0, 0.02
LONGEST = 12000
PROMPT = b"\n> "


class ProxyError(StackswapError):
    """The proxy did not do as told."""

    cause = "proxy_failed"


class ProxyUnreachable(ProxyError):
    """Nobody answers at the proxy's socket."""

    cause = "proxy_unreachable"


class ProxyGone(ProxyUnreachable):
    """No process is at the proxy's socket any more."""


class ProxyDown(ProxyGone):
    """Its process has ended and left the socket: the engine starts it again."""


class ReloadRefused(ProxyError):
    """The proxy did not take its new configuration; the old one serves."""

    cause = "reload_refused"


def ask(path: str, text: str, timeout: float = TIMEOUT, clock: Callable[[], float] = time.monotonic) -> str:
    """All that is answered to this. The master waits for the end of what it is sent."""
    until = clock() + timeout
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(timeout)
            stream.connect(path)
            stream.sendall(text.encode() + b"\n")
            stream.shutdown(socket.SHUT_WR)
            return read(stream, until, clock).decode("utf-8", "replace")
    except OSError as error:
        raise silent(error)(f"the proxy does not answer at {path}: {error}") from error


def silent(error: OSError) -> type[ProxyUnreachable]:
    """What it means that nobody answers."""
    if isinstance(error, (ConnectionRefusedError, ConnectionResetError)):
        return ProxyDown
    return ProxyGone if isinstance(error, FileNotFoundError) else ProxyUnreachable


def patiently(say: Callable[[], str], patience: float) -> str:
    """What is answered; a proxy that has crashed has so many seconds to come back."""
    until = time.monotonic() + patience
    while True:
        try:
            return say()
        except ProxyDown:
            if time.monotonic() >= until:
                raise
        time.sleep(TURN)


def read(stream: socket.socket, until: float, clock: Callable[[], float]) -> bytes:
    """Everything up to the end, by the deadline."""
    parts: list[bytes] = []
    while True:
        stream.settimeout(max(until - clock(), 0.001))
        part = stream.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def split(text: str, count: int) -> list[str]:
    """The answers to so many commands: an empty line ends each."""
    answers, lines = [], []
    for line in text.splitlines():
        if line:
            lines.append(line)
        else:
            answers.append("\n".join(lines))
            lines = []
    if lines:
        answers.append("\n".join(lines))
    return answers[:count] + [""] * (count - len(answers))


class Admin:
    """The socket of the worker that serves. patience: seconds that a proxy which has crashed has to come back."""

    def __init__(self, path: str, timeout: float = TIMEOUT, patience: float = 0.0) -> None:
        self._path, self._timeout, self._patience = path, timeout, patience

    def hold(self) -> Held:
        """A connection that the worker stays for."""
        return Held(self._path, self._timeout)

    def call(self, *commands: str) -> list[str]:
        """The answers to commands that one worker gets together."""
        line = ";".join(commands)
        if len(line) > LONGEST or "\n" in line:
            raise ProxyError("more commands than one call to the proxy takes")
        return split(patiently(lambda: self._answer(line), self._patience), len(commands))

    def _answer(self, line: str) -> str:
        """What is said to a line; a worker that ends in the middle of it says nothing."""
        text = ask(self._path, line, self._timeout)
        if not text:
            raise ProxyDown(f"the proxy's worker has ended: it said nothing at {self._path}")
        return text


class Held:
    """A connection to the worker that serves now: while it stands the worker stays, a reload or not, and answers.

    HAProxy ends one that says nothing for ten seconds.
    """

    def __init__(self, path: str, timeout: float = TIMEOUT, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout, self._clock = timeout, clock
        self._stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._stream.settimeout(timeout)
            self._stream.connect(path)
            self.call("prompt")
        except OSError as error:
            self.close()
            raise ProxyUnreachable(f"the proxy does not answer at {path}: {error}") from error

    def call(self, command: str) -> str:
        """The answer to one command."""
        until, told = self._clock() + self._timeout, b""
        try:
            self._stream.sendall(command.encode() + b"\n")
            while not told.endswith(PROMPT):
                self._stream.settimeout(max(until - self._clock(), 0.001))
                part = self._stream.recv(65536)
                if not part:
                    raise ConnectionResetError("the worker has closed the connection")
                told += part
        except OSError as error:
            raise ProxyUnreachable(f"a worker of the proxy that was held is gone: {error}") from error
        return told[: -len(PROMPT)].decode("utf-8", "replace").strip("\n")

    def close(self) -> None:
        """Let the worker go."""
        self._stream.close()


class Master:
    """The socket of the process above the workers."""

    def __init__(
        self,
        path: str,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        patience: float = 0.0,
    ) -> None:
        self._path, self._timeout, self._clock, self._sleep = path, timeout, clock, sleep
        self._patience = patience

    def call(self, command: str, within: float | None = None) -> str:
        """The answer to one command. within: seconds, where that is not the socket's own time."""
        seconds = self._timeout if within is None else min(within, self._timeout)
        return patiently(lambda: ask(self._path, command, seconds, self._clock), self._patience)

    def worker_call(self, pid: int, command: str, within: float | None = None) -> str:
        """The answer of one worker, the serving one or an old one, which may end without one."""
        return self.call(f"@!{pid} {command}", within)

    def workers(self) -> tuple[stats.Worker, ...]:
        """All processes, the master among them."""
        return stats.workers(self.call("show proc"))

    def serving(self) -> int:
        """The process id of the newest worker, 0 if there is none."""
        return max((w.pid for w in self.workers() if w.kind == "worker"), default=0)

    def reload(self) -> int:
        """Read all files anew; the process id of the new worker, or why there is none."""
        before = self.workers()
        told = ask(self._path, "reload", RELOAD_SECONDS, self._clock)
        if told.startswith("Success=0"):
            raise refused(told)
        return self._succeeded(before, self._clock() + RELOAD_SECONDS)

    def _succeeded(self, before: tuple[stats.Worker, ...], until: float) -> int:
        """Wait for the verdict that shows in the list of processes: 2.6 has no other."""
        known = {worker.pid for worker in before}
        while self._clock() < until:
            now = self._seen()
            fresh = [w.pid for w in now if w.kind == "worker" and w.pid not in known]
            if fresh:
                return max(fresh)
            if failures(now) > failures(before):
                raise refused("")
            self._sleep(TURN)
        raise ReloadRefused(f"the proxy gave no verdict on its reload within {RELOAD_SECONDS:g} s")

    def _seen(self) -> tuple[stats.Worker, ...]:
        """The processes; none while the master starts itself anew."""
        try:
            return self.workers()
        except ProxyUnreachable:
            return ()


def failures(workers: tuple[stats.Worker, ...]) -> int:
    """How many reloads in a row the master counts as failed."""
    return max((worker.failed for worker in workers), default=0)


def refused(told: str) -> ReloadRefused:
    """The refusal with HAProxy's own words, if it had any."""
    lines = tuple(line for line in told.splitlines()[1:] if line.strip("- "))
    why = next(iter(stats.complaints("\n".join(lines))), "see the log of the proxy's container")
    return ReloadRefused(f"the proxy refused its new configuration and serves by the old one: {why}", lines)
