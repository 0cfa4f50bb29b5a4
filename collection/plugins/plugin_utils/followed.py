# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A long module call from the control node: its lines shown as they come, a stop passed on, its result fetched.

The module goes on in a session of its own (module_utils/line.py) when it is not over within a second. It is stopped
when the file that STACKSWAP_STOP names is there, when this process is told to end, or when its parent is gone.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.utils.display import Display

from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.forked import NONE, Forked, heard
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.kept_code import KeptCode

GRACE, LEASE, SPARE = 2.0, 30.0, 5.0  # seconds
REST, LAST = 60.0, 2.0  # seconds that a fork server waits for a call: between those of a job, and after the last
ALL = -1.0  # a grace
STOP = "STACKSWAP_STOP"
PROGRESS = "progress: "
GONE, DEAD = 3, 4  # exit codes of a poll: no folder, no worker
# One turn: say that somebody listens, wait a second at most for a line more, print what is new; at the end the result
# too, whose folder goes.
POLL = (
    "cd {folder} 2>/dev/null || exit 3; {stop}: > seen; i=0; while [ ! -e result ]; do "
    '[ "$(wc -l < lines 2>/dev/null)" -gt {at} ] 2>/dev/null && break; '
    "flock -n alive true && [ ! -e result ] && exit 4; "
    "i=$((i+1)); [ $i -ge 5 ] && break; sleep 0.2; done; "
    'e=; [ -e result ] && e={end}; tail -n +{next} lines 2>/dev/null; echo "$e"; [ "$e" ] || exit 0; '
    "cat result && rm -f lines seen stop alive over result && cd .. && rmdir {folder}"
)
END = "end"
ENDS = {
    GONE: "the folder of the call is gone: the server has been restarted, or someone has cleaned up",
    DEAD: "the call has ended without a result: its process was killed",
}


def followed(
    action: Any, args: Mapping[str, Any], variables: Any, grace: float = GRACE, more: bool = False
) -> dict[str, Any]:
    """The result of the action's module, called with these options. What is only foreseen takes no time.

    grace: how soon it must be over to have its result alone fetched; with ALL its lines are shown however short it is.
    more: whether other calls of this module in this run are to come, for which a fork server is left.
    """
    if action._task.check_mode:
        return executed(action, args, variables)
    listener = Listener(action, dict(args), variables, grace, more)
    with listener.signals():
        got = listener.call()
        return listener.follow(str(got["detached"])) if got.get("detached") else got


def opened(action: Any, args: Mapping[str, Any], variables: Any) -> None:
    """Have the server be ready for this call, which is not made: a connection, and a fork server if it has the code."""
    Listener(action, dict(args), variables, GRACE, more=True).open()


def executed(action: Any, args: Mapping[str, Any], variables: Any) -> dict[str, Any]:
    """The result of the action's module, called with these options as Ansible calls any."""
    name = action._task.action
    return dict(action._execute_module(module_name=name, module_args=dict(args), task_vars=variables))


class Listener:
    """One call, and what is heard of it."""

    def __init__(self, action: Any, args: dict[str, Any], variables: Any, grace: float, more: bool) -> None:
        self._action, self._args, self._variables, self._grace, self._more = action, args, variables, grace, more
        job = re.sub("[^A-Za-z0-9]+", "-", str(args.get("job") or "call")).strip("-")
        self._name = f"{job}-{uuid.uuid4().hex[:8]}"
        self._host = str(action._task.delegate_to or variables["inventory_hostname"])
        self._signaled, self._parent, self._at = False, os.getppid(), 0
        self._forked = Forked(action, self._host)

    def call(self) -> dict[str, Any]:
        """The module's result, or the folder in which it goes on: through a fork server where there is one."""
        line = self._line(self._name)
        code, text = self._forked.call(self._args, line)
        if code != NONE:
            return self._told(code, text)
        if not (self._more and self._forked.able):
            return self._execute(line)
        return self._first({**line, "server": self._forked.name})

    def _first(self, line: dict[str, Any]) -> dict[str, Any]:
        """A call that leaves a fork server: from the code that a server has kept, else with all of it."""
        kept = KeptCode(self._action, self._variables)
        code, text = kept.call(self._args, line)
        got = self._execute({**line, "code": kept.key}) if code == NONE else self._told(code, text)
        self._forked.left()
        return got

    def open(self) -> None:
        """Leave a fork server that has had no call yet, where none has to be sent the code for it."""
        if self._forked.able:
            line = {**self._line(f"{self._name}-open"), "server": self._forked.name, "idle": True}
            code, _text = KeptCode(self._action, self._variables).call(self._args, line)
            if not code:
                self._forked.left()

    def _line(self, name: str) -> dict[str, Any]:
        rest = REST if self._more else LAST
        return {"name": name, "grace": self._grace, "lease": LEASE, "rest": rest, "stop": self.asked()}

    def follow(self, folder: str) -> dict[str, Any]:
        """Poll until there is a result."""
        heard, told = time.monotonic(), False
        while True:
            ask = self.asked() and not told
            try:
                code, text = self._poll(folder, ask)
            except AnsibleConnectionFailure:
                if time.monotonic() - heard > LEASE - SPARE:
                    raise
                time.sleep(1)
                continue
            heard, told = time.monotonic(), told or ask
            if code:
                return _ended(code, text)
            result = self._lines(text)
            if result is not None:
                return parsed(self._action, result)

    def asked(self) -> bool:
        """Whether somebody wants the call to stop."""
        return self._signaled or os.getppid() != self._parent or os.path.exists(os.environ.get(STOP, ""))

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Have signals ask the module to stop, where they can be had; without this, they end us and not the module."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, *_ignored: Any) -> None:
        self._signaled = True

    def _execute(self, line: dict[str, Any]) -> dict[str, Any]:
        return executed(self._action, {**self._args, "_line": line}, self._variables)

    def _told(self, code: int, text: str) -> dict[str, Any]:
        """What a fork server has answered."""
        if code:
            return _ended(code, text)
        return {"detached": text.strip()} if text.startswith("/") else parsed(self._action, text)

    def _poll(self, folder: str, ask: bool) -> tuple[int, str]:
        words = {"folder": shlex.quote(folder), "at": self._at, "next": self._at + 1, "end": END}
        return heard(self._action._low_level_execute_command(POLL.format(stop="true > stop; " if ask else "", **words)))

    def _lines(self, text: str) -> str | None:
        """Show what is new; the result, if that was the end. A terminal may lie between: no line is taken by its bytes.

        Each line is an object, so that none can be taken for the end.
        """
        told, end, result = f"\n{text}".partition(f"\n{END}\n")
        for line in filter(str.strip, told.split("\n")):
            self._at += 1
            if os.getppid() == self._parent:  # nobody reads what an orphan says
                self._show(line)
        return result if end else None

    def _show(self, line: str) -> None:
        try:
            told = {**json.loads(line), "host": self._host}
        except ValueError:
            return
        if STOP in os.environ:
            Display().display(PROGRESS + json.dumps(told))
        else:
            Display().display(spoken(told))


def _ended(code: int, text: str) -> dict[str, Any]:
    return {"failed": True, "changed": False, "msg": ENDS.get(code) or f"the poll failed: {text.strip()}"}


def parsed(action: Any, text: str) -> dict[str, Any]:
    """What a module has printed, read as if Ansible had executed it just now."""
    profile = {"profile": "modern"} if "profile" in signature(action._parse_returned_data).parameters else {}
    told = action._parse_returned_data({"rc": 0, "stdout": text, "stderr": ""}, **profile)
    if hasattr(told, "as_result_dict"):  # from ansible-core 2.21 on
        told = told.as_result_dict(for_round_trip=True)
    internal = [name for name in told if name.startswith("_ansible_") and name != "_ansible_parsed"]
    empty = [name for name in ("warnings", "deprecations") if not told.get(name)]
    return {name: value for name, value in told.items() if name not in (*internal, *empty)}


def spoken(told: Mapping[str, Any]) -> str:
    """A line for people: ``web1: 3/9 await: healthy for less than 5 s``."""
    if told.get("phase") == "log":
        return f"{told['host']} | {told.get('msg', '')}"
    if told.get("phase") == "out":
        return str(told.get("msg", ""))
    count = f"{told['n']}/{told['of']} " if told.get("n") and told.get("of") else ""
    return f"{told['host']}: {count}{told.get('phase', '')}: {told.get('msg', '')}"
