# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fork server: a module's process that stays for the next calls of its job, with all that it has imported.

A call is a line of JSON, written into the pipe ``ask`` of a folder that is this user's alone, and done in a fork;
``alive`` is locked as long as there is a server. Who calls runs the program ``call`` (forkcall.py) with the Python that
``python`` names. It goes by itself when nobody has asked for a while.
"""

from __future__ import annotations

import fcntl
import gc
import inspect
import json
import os
import select
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import forkcall

ASK, ALIVE, PROGRAM, PYTHON = "ask", "alive", "call", "python"
TURN = 0.5  # seconds between two looks at the forks and the clock
LATE = 10.0  # seconds for a caller to write a call that it has begun
PIECE = 65536


class ForkServer:
    """One server in this folder, which must not be there yet. rest: seconds without a call until it goes."""

    def __init__(self, folder: str, rest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._rest, self._clock = folder, rest, clock
        os.mkdir(folder, 0o700)
        os.mkfifo(os.path.join(folder, ASK), 0o600)
        self._alive = os.open(os.path.join(folder, ALIVE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        for name, text in ((PROGRAM, inspect.getsource(forkcall)), (PYTHON, f"{sys.executable}\n")):
            _write(os.path.join(folder, name), text)
        self._ask = self._listen()
        self._forks: set[int] = set()

    def fork(self, do: Callable[[], None]) -> None:
        """Do this in a fork, whose end is waited for before the server goes."""
        gc.freeze()  # a fork that looked for garbage in all this would copy it
        pid = os.fork()
        if pid:
            self._forks.add(pid)
            return
        try:
            os.close(self._alive)
            os.close(self._ask)
            do()
        finally:
            os._exit(0)

    def attend(self, do: Callable[[dict[str, Any]], None]) -> None:
        """Do what is asked, each call in a fork, until nobody asks any more. A call may bring a ``rest`` of its own."""
        until = self._clock() + self._rest
        while self._forks or self._clock() < until:
            told = self._heard(TURN)
            if told:
                self._rest = float(told.get("rest") or self._rest)
                self.fork(partial(do, told))
            until = self._clock() + self._rest if self._forks else until
            self._reap()
        told = self._gone()
        if told:
            self.fork(partial(do, told))
        for pid in self._forks:
            os.waitpid(pid, 0)

    def _listen(self) -> int:
        """The pipe, opened anew: one that a caller has closed would say so for ever."""
        return os.open(os.path.join(self._folder, ASK), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def _heard(self, seconds: float) -> dict[str, Any] | None:
        """The next call, if one comes in time; one that breaks off is none."""
        if not select.select([self._ask], [], [], seconds)[0]:
            return None
        text = self._rest_of_it()
        before, self._ask = self._ask, self._listen()
        os.close(before)
        return _call(text)

    def _gone(self) -> dict[str, Any] | None:
        """The folder, so that nobody asks any more; the call of one who has just begun to."""
        os.remove(os.path.join(self._folder, ASK))
        told = _call(self._rest_of_it())
        for name in (ALIVE, PROGRAM, PYTHON):
            os.remove(os.path.join(self._folder, name))
        os.rmdir(self._folder)
        return told

    def _rest_of_it(self) -> bytes:
        """What a caller writes until it is done, or too late."""
        pieces, until = [], self._clock() + LATE
        while self._clock() < until:
            try:
                piece = os.read(self._ask, PIECE)
            except BlockingIOError:  # somebody has opened it, and not written yet
                select.select([self._ask], [], [], TURN)
                continue
            if not piece:
                break
            pieces.append(piece)
        return b"".join(pieces)

    def _reap(self) -> None:
        self._forks = {pid for pid in self._forks if not os.waitpid(pid, os.WNOHANG)[0]}


def _write(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _call(text: bytes) -> dict[str, Any] | None:
    """The call at the end of what was written: before its line may be what one has begun whose connection broke."""
    try:
        told = json.loads(text.rpartition(b"\n")[2])
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
