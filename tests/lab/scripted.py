"""An HAProxy that is a script: it answers what our sockets ask, and notes what was so at the moment of each change."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Settings, layout
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import HAProxy

SERVICE = "test.shop"
VALUES = ("blue", "green", "blue.green", "green.blue")
COLUMNS = "# pxname,svname,scur,qcur,status,type,check_status,addr,tracked"


@dataclass
class Worker:
    """A process of the proxy, with the sessions that it has at each address. green: what that slot is, look by look."""

    pid: int
    old: bool = False
    sessions: dict[str, int] = field(default_factory=dict)
    green: list[str] = field(default_factory=lambda: ["UP"])
    services: tuple[str, ...] = (SERVICE,)

    def stat(self) -> str:
        """``show stat``: the services' backends, each with its slot's one server."""
        lines, green = [COLUMNS], self.green.pop(0) if len(self.green) > 1 else self.green[0]
        for service, value in itertools.product(self.services, VALUES):
            slot = value.split(".")[0]
            address = f"10.0.0.{1 + ('blue', 'green').index(slot)}"
            count = self.sessions.get(address, 0) if value == slot else 0
            status = green if slot == "green" else "UP"
            lines.append(f"{service}:{value},{slot}1,{count},0,{status},2,L7OK,{address}:8080,")
            lines.append(f"{service}:{value},BACKEND,{count},0,UP,1,,,")
        return "\n".join(lines) + "\n"


@dataclass
class Change:
    """A ``set map``: what the file held at that moment, and whether the proxy's lock was held."""

    file: str
    locked: bool


class Scripted:
    """deaf: how many times no value is taken. answers: the worker at the admin socket, if another."""

    def __init__(self, home: Path, services: tuple[str, ...] = (SERVICE,)) -> None:
        self.settings = Settings(home=str(home))
        files.install(self.settings)
        self.live = Path(layout(self.settings).live)
        self.live.write_text("".join(f"{service} none\n" for service in services))
        self.entries = [(service, "none") for service in services]
        self.workers = [Worker(100, services=services)]
        self.deaf, self.answers, self.locked = 0, 0, False
        self.changes: list[Change] = []

    def proxy(self) -> HAProxy:
        """The product's proxy, speaking to this one."""
        return HAProxy(self.settings, self.lock, lambda argv: (0, ""), sleep=lambda seconds: None)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """The proxy's lock."""
        assert not self.locked, "the lock is not taken twice"
        self.locked = True
        try:
            yield
        finally:
            self.locked = False

    def ask(self, path: str, text: str, *_: Any) -> str:
        """In place of control.ask: the answers to what is sent to a socket."""
        if path == layout(self.settings).master:
            return self.master(text)
        return "".join(self.admin(command, self.workers[-1]) + "\n" for command in text.split(";"))

    def master(self, text: str) -> str:
        """The master's answer."""
        if text.startswith("@!"):
            pid, _blank, command = text[2:].partition(" ")
            return self.admin(command, next(w for w in self.workers if w.pid == int(pid)))
        serving = "".join(f"{w.pid} worker 0 0d 3.0\n" for w in self.workers if not w.old)
        old = "".join(f"{w.pid} worker 1 0d 3.0\n" for w in self.workers if w.old)
        return f"1 master 0 0d 3.0\n# workers\n{serving}# old workers\n{old}# programs\n"

    def admin(self, command: str, worker: Worker) -> str:
        """A worker's answer to one command."""
        words = command.split(" ")
        if command == "show stat":
            return worker.stat()
        if command == "show info":
            return f"Pid: {self.answers or worker.pid}\n"
        if words[:2] == ["show", "map"]:
            return "".join(f"0x{n:x} {key} {value}\n" for n, (key, value) in enumerate(self.entries, 1))
        if words[:2] == ["del", "map"]:
            del self.entries[int(words[3].removeprefix("#"), 16) - 1]
            return ""
        if words[:2] == ["set", "server"]:
            return ""
        assert words[:2] == ["set", "map"], command
        return self.set(words[3], words[4])

    def set(self, key: str, value: str) -> str:
        """``set map``: every entry of the key, and none is made."""
        self.changes.append(Change(self.live.read_text(), self.locked))
        if self.deaf:
            self.deaf -= 1
        else:
            self.entries = [(k, value if k == key else v) for k, v in self.entries]
        return ""
