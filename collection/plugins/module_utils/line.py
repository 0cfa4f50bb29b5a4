# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a long call speaks and listens: lines told into a folder, a stop read from it.

The listener names the folder: it polls ``lines`` and ``result``, touches ``seen`` while it lives, and asks by
``stop``; ``alive`` is locked as long as the work goes on. Through the pipe ``over`` a fork server's caller hears of the
beginning and of the end. Without a name all of this is silent.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.code_keep import keep_whole
from ansible_collections.stackswap.bluegreen.plugins.module_utils.forkserver import ASK, PROGRAM, PYTHON, ForkServer
from ansible_collections.stackswap.bluegreen.plugins.module_utils.own_folder import made, own_folder

ASKED, ALONE = "asked", "alone"
FILES = ("lines", "seen", "stop", "alive", "result", "result.part", "over", ASK, PROGRAM, PYTHON)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
DAY = 86400.0
MOST = 1024 * 1024  # bytes of lines: the folder may be in memory, and nobody reads on


class Line:
    """The line to who started the call. lease: seconds without a sign until the call is alone."""

    def __init__(
        self,
        folder: str | None = None,
        lease: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._lease, self._clock, self._now = folder, lease, clock, now
        self._seen, self._changed = self._look(), clock()
        self._told: tuple[Any, ...] = ()
        self._length = 0

    def tell(self, phase: str, msg: str = "", n: int | None = None, of: int | None = None, again: bool = False) -> None:
        """Say where the work is, each thing once in a row unless again: never a secret, and never a reason to fail."""
        if not self._folder or (self._told == (phase, msg, n) and not again):
            return
        self._told = (phase, msg, n)
        line = {"t": round(self._now(), 3), "phase": phase, "msg": msg, "n": n, "of": of}
        told = {name: value for name, value in line.items() if value is not None}
        text = json.dumps(told, default=str) + "\n"
        self._length += len(text)
        if self._length <= MOST:
            with suppress(OSError, ValueError):
                _append(os.path.join(self._folder, "lines"), text)

    def stop_asked(self) -> str:
        """``asked`` by whoever listens, ``alone`` if nobody does any more, else ''."""
        if not self._folder:
            return ""
        if os.path.exists(os.path.join(self._folder, "stop")):
            return ASKED
        seen, now = self._look(), self._clock()
        if seen != self._seen:
            self._seen, self._changed = seen, now
        return ALONE if self._lease and now - self._changed > self._lease else ""

    def _look(self) -> int:
        try:
            return os.stat(os.path.join(self._folder or "", "seen")).st_mtime_ns
        except OSError:
            return 0


def served(
    asked: Mapping[str, Any] | None,
    work: Callable[[Line], None],
    anew: Callable[[Mapping[str, Any]], None] | None = None,
) -> None:
    """Do a module's work as its caller asks: here and now, or in a session of its own.

    asked: name (of the folder), grace and lease (seconds), stop (whether a stop is asked for already). Nothing for here
    and now. With server (a name) and rest (seconds) a fork server stays there, for which anew does what main does with
    other options; what comes through it is forked, and stays where it is. code: the key by which its code is kept.
    idle: whether the server is all that is asked for, and not the work.
    """
    told = asked or {}
    name, lease = str(told.get("name") or ""), float(told.get("lease") or 0)
    if not name:
        return work(Line())
    folder = _place(name)
    if told.get("forked"):
        return work(Line(folder, lease))
    sweep(own_folder())
    if told.get("idle"):
        work = _nothing
    server, stay = str(told.get("server") or ""), None
    if server and anew:
        rest, code = float(told.get("rest") or 0), str(told.get("code") or "")
        stay = partial(_stay, _place(server), rest, code, partial(_again, anew))
    return detach(
        folder, float(told.get("grace") or 0), lambda: work(Line(folder, lease)), bool(told.get("stop")), stay
    )


def _nothing(_line: Line) -> None:
    sys.stdout.write(json.dumps({"changed": False}))


def detach(
    folder: str,
    grace: float,
    work: Callable[[], None],
    stop: bool = False,
    stay: Callable[[Callable[[], None], Callable[[], None]], None] | None = None,
) -> None:
    """Do the work in a session of its own, print its result or where it will be; never returns.

    work prints its result to standard output and may end by SystemExit. Import all it needs before.
    Work that is over within the grace answers as if it had not been detached. The worker ends by
    SystemExit, the caller's process at once: what Ansible unpacked on the server is the worker's.
    stop: whether it is asked to stop before it begins. stay: what the session does instead of the work, with the work
    and with what lets go of its end.
    """
    _folder(folder)
    if stop:
        _append(os.path.join(folder, "stop"), "")
    told, tell = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        os.waitpid(child, 0)
        _say(_answer(folder, told, grace))
        os._exit(0)
    os.close(told)
    os.setsid()
    if os.fork():
        os._exit(0)

    def here() -> None:
        _move_in(folder)
        os.write(tell, b".")
        _finish(folder, work)

    stay(here, partial(os.close, tell)) if stay else here()
    raise SystemExit(0)


def _stay(
    folder: str,
    rest: float,
    code: str,
    again: Callable[[dict[str, Any]], None],
    first: Callable[[], None],
    go: Callable[[], None],
) -> None:
    """Be a fork server, whose first fork does the work that is asked for; without one, do that.

    code: by what key a later job looks for all this module's code; '' where none does.
    """
    try:
        server = ForkServer(folder, rest)
    except OSError:  # as where an earlier call of the job has left one
        return first()
    server.fork(first)
    go()
    _leave()
    if code:
        server.fork(partial(keep_whole, code))
    return server.attend(again)


def _again(anew: Callable[[Mapping[str, Any]], None], told: Mapping[str, Any]) -> None:
    """A call that has come through the fork server: its caller has made the folder, and waits at the pipe in it."""
    folder, args = _place(str(told["name"])), told["args"]
    over = os.open(os.path.join(folder, "over"), os.O_RDWR | os.O_CLOEXEC)
    _move_in(folder)
    os.write(over, b".")
    _finish(folder, lambda: anew({**args, "_line": {**args["_line"], "forked": True}}))
    os.write(over, b".")


def collect(folder: str) -> str:
    """The result of work that is over, once: its folder goes. Of a worker that died, a failure."""
    with suppress(OSError):
        with open(os.path.join(folder, "result"), encoding="utf-8") as stream:
            text = stream.read()
        _remove(folder)
        return text
    if _busy(folder):
        return _failure("the work still goes on: its result cannot be collected yet")
    _remove(folder)
    return _failure("the work ended without a result: its process was killed, or the server restarted")


def sweep(parent: str, now: Callable[[], float] = time.time, older: float = DAY) -> tuple[str, ...]:
    """Remove the folders that nobody came back for: old, and no work in them. Answers which."""
    with suppress(OSError):
        folders = [entry.path for entry in os.scandir(parent) if entry.is_dir(follow_symlinks=False)]
        old = [path for path in folders if now() - os.stat(path).st_mtime > older]
        return tuple(path for path in old if not _busy(path) and _remove(path))
    return ()


def _place(name: str) -> str:
    """The folder of this name; ValueError for what cannot be one."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a line's folder")
    return os.path.join(own_folder(), name)


def _folder(folder: str) -> None:
    made(os.path.dirname(folder))
    os.mkdir(folder, 0o700)


def _answer(folder: str, told: int, grace: float) -> str:
    """What the caller prints: the result, or that the work goes on in the folder.

    Below 0 is no grace at all: the lines of work that is over at once are worth as much as its result.
    """
    began = os.read(told, 1)
    over = grace >= 0 and select.select([told], [], [], grace if began else 0)[0]
    return collect(folder) if over else json.dumps({"changed": False, "detached": folder})


def _move_in(folder: str) -> None:
    """Leave the caller's terminal behind, and hold the lock that says we are alive."""
    _leave(os.open(os.path.join(folder, "result.part"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    alive = os.open(os.path.join(folder, "alive"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)


def _leave(out: int | None = None) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor, standard in ((null, 0), (null if out is None else out, 1), (null, 2)):
        os.dup2(descriptor, standard)


def _finish(folder: str, work: Callable[[], None]) -> None:
    part = os.path.join(folder, "result.part")
    try:
        work()
    except SystemExit:
        pass
    except BaseException as error:  # whatever it is, someone waits for a result
        sys.stdout.write(_failure(f"{type(error).__name__}: {error}") + "\n")
    sys.stdout.flush()
    if not os.path.getsize(part):
        sys.stdout.write(_failure("the work ended without a result") + "\n")
        sys.stdout.flush()
    os.rename(part, os.path.join(folder, "result"))


def _failure(msg: str) -> str:
    return json.dumps({"failed": True, "changed": False, "msg": msg})


def _say(text: str) -> None:
    with open(1, "wb", closefd=False) as out:
        out.write(text.encode())


def _append(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _busy(folder: str) -> bool:
    """Whether somebody holds the lock that says the work goes on."""
    try:
        descriptor = os.open(os.path.join(folder, "alive"), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _remove(folder: str) -> bool:
    """Remove the folder with our files, unless there is anything else in it."""
    with suppress(OSError):
        names = os.listdir(folder)
        if set(names) <= set(FILES):
            for name in names:
                os.remove(os.path.join(folder, name))
            os.rmdir(folder)
            return True
    return False
