# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls a fork server from its own machine: what a later call of a job runs there, in place of a module.

This file lies as it is in the folder of the server that it calls (forkserver.py), and needs nothing but Python, of
which it imports little: it is started for each call. The options come by standard input, as one line of JSON.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
import time

DONE, DEAD, NONE = 0, 4, 5  # exit codes: a result or its folder is printed; it was not begun; there is no server
TAKEN, BEGUN = 5.0, 20.0  # seconds for the server to take a call, and for its fork to begin
PIECE = 65536
LEFT = ("lines", "seen", "stop", "alive", "result", "result.part", "over")  # in the folder of a call


def main(server: str, name: str, grace: float, stop: bool) -> int:
    """Have the server do the call, and print its result if it is over within the grace (seconds), else its folder."""
    folder = os.path.join(os.path.dirname(server), name)
    if not alive(server):
        return NONE
    try:
        over = prepared(folder, stop)
    except OSError:
        return NONE
    if not asked(os.path.join(server, "ask"), sys.stdin.buffer.read()):
        removed(folder)
        return NONE
    if not heard(over, BEGUN):
        return DEAD
    heard(over, grace)
    try:
        with open(os.path.join(folder, "result"), "rb") as file:
            result = file.read()
    except FileNotFoundError:
        sys.stdout.write(folder)
        return DONE
    sys.stdout.buffer.write(result)
    removed(folder)
    return DONE


def alive(server: str) -> bool:
    """Whether somebody holds the server's lock."""
    try:
        descriptor = os.open(os.path.join(server, "alive"), os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def prepared(folder: str, stop: bool) -> int:
    """Make the folder of the call, and in it the pipe through which its beginning and its end are heard."""
    os.mkdir(folder, 0o700)
    if stop:
        os.close(os.open(os.path.join(folder, "stop"), os.O_WRONLY | os.O_CREAT, 0o600))
    over = os.path.join(folder, "over")
    os.mkfifo(over, 0o600)
    return os.open(over, os.O_RDWR)


def asked(pipe: str, told: bytes) -> bool:
    """Whether the server has taken the call: all of it is in its pipe."""
    until = time.monotonic() + TAKEN
    try:
        ask = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        while told:
            left = until - time.monotonic()
            if left <= 0 or not select.select([], [ask], [], left)[1]:
                break
            told = told[os.write(ask, told[:PIECE]) :]
        os.close(ask)
    except OSError:
        return False
    return not told


def heard(over: int, seconds: float) -> bool:
    """Whether the next word of the call comes in time."""
    return bool(select.select([over], [], [], seconds)[0]) and bool(os.read(over, 1))


def removed(folder: str) -> None:
    """Remove the folder of a call, unless there is anything else in it."""
    names = os.listdir(folder)
    if set(names) <= set(LEFT):
        for name in names:
            os.remove(os.path.join(folder, name))
        os.rmdir(folder)


if __name__ == "__main__":
    os.umask(0o077)
    here = os.path.dirname(os.path.abspath(__file__))
    raise SystemExit(main(here, sys.argv[1], float(sys.argv[2]), "stop" in sys.argv[3:]))
