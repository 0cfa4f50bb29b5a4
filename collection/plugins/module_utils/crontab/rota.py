# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cron runs on a server: one run of a process with a schedule, in its own container, and a line of how it ended.

This file is put on the server as it is, and needs nothing but Python: no line of cron's has a secret in it, for the new
container is made as the engine's record has the release's own, which waits there and never runs. Where one still runs,
another is not begun.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import socket
import sys
import time
import urllib.parse
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

SERVICE, CALLBACK, MOMENT, VERSION = "stackswap.service", "stackswap.callback", "stackswap.moment", "stackswap.version"
OURS = "stackswap."
KEPT = 20  # runs that are remembered

Ask = Callable[..., Any]


class Refused(Exception):
    """The engine does not do it."""


class Socket(http.client.HTTPConnection):
    """A connection to an engine by its socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def asking(address: str) -> Ask:
    """Something to ask an engine with: a method, a path, and a document."""

    def ask(method: str, path: str, document: Any = None) -> Any:
        link = Socket(urllib.parse.urlparse(address).path)
        try:
            body = None if document is None else json.dumps(document)
            link.request(method, path, body, {"Content-Type": "application/json"})
            answer = link.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            link.close()
        if answer.status >= 300 and answer.status != 304:
            raise Refused(text.strip() or f"status {answer.status}")
        return json.loads(text) if text.startswith(("{", "[")) else text

    return ask


def run(ask: Ask, service: str, process: str, pattern: str, clock: Callable[[], float] = time.time) -> dict[str, Any]:
    """One run, from begin to end; what is told of it. pattern: the release's own container, which never runs."""
    mine = {CALLBACK: service, MOMENT: process}
    told: dict[str, Any] = {"process": process, "version": "", "exit_code": None, "error": ""}
    for one in listed(ask, mine):
        if one["State"] == "running":
            return {**told, "error": "the run before it is still under way"}
        ask("DELETE", f"/containers/{one['Id']}?v=1")
    made_as = ask("GET", f"/containers/{pattern}/json")
    told["version"] = made_as["Config"]["Labels"].get(VERSION, "")
    name = f"{pattern}-{int(clock())}"
    container = ask("POST", f"/containers/create?name={name}", like(made_as, mine))["Id"]
    ask("POST", f"/containers/{container}/start")
    ended = ask("POST", f"/containers/{container}/wait")
    return {**told, "exit_code": ended["StatusCode"], "container": name}


def listed(ask: Ask, labels: dict[str, str]) -> list[dict[str, Any]]:
    """The containers with these labels, in all states."""
    wanted = json.dumps({"label": [f"{name}={text}" for name, text in labels.items()]})
    found: list[dict[str, Any]] = ask("GET", f"/containers/json?all=1&filters={urllib.parse.quote(wanted)}")
    return found


def like(pattern: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """The document of a container like this one, under other labels of ours."""
    config = dict(pattern["Config"])
    theirs = {name: text for name, text in (config.get("Labels") or {}).items() if not name.startswith(OURS)}
    kept = {name: text for name, text in config["Labels"].items() if name == VERSION}
    if pattern["Id"].startswith(config.get("Hostname") or "-"):  # it was never asked for one
        config.pop("Hostname")
    networks: dict[str, Any] = {name: {} for name in pattern["NetworkSettings"]["Networks"]}
    return {
        **config,
        "Labels": {**theirs, **kept, **labels},
        "HostConfig": pattern["HostConfig"],
        "NetworkingConfig": {"EndpointsConfig": networks},
    }


def note(path: str, line: dict[str, Any]) -> None:
    """Remember a run; the oldest are forgotten."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()[-KEPT + 1 :]
    except FileNotFoundError:
        lines = []
    draft = f"{path}.new"
    with open(draft, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write("".join(f"{one}\n" for one in (*lines, json.dumps(line))))
    os.rename(draft, path)


def main(words: Sequence[str]) -> int:
    """A line of cron's: where runs are remembered, the engine, the service's key, the process, whom to be like."""
    folder, engine, service, process, pattern = words[:5]
    began, at = time.monotonic(), datetime.now(timezone.utc).isoformat(timespec="seconds")
    told: dict[str, Any] = {"process": process, "version": "", "exit_code": None, "error": ""}
    with open(os.path.join(folder, f"{process}.lock"), "a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            told = run(asking(engine), service, process, pattern)
        except BlockingIOError:
            told["error"] = "the run before it is still under way"
        except (OSError, ValueError, KeyError, Refused, http.client.HTTPException) as error:
            told["error"] = f"{type(error).__name__}: {error}"
        line = {"at": at, "seconds": round(time.monotonic() - began, 1), **told}
        note(os.path.join(folder, f"{process}.runs"), line)
    if told["error"]:
        sys.stderr.write(f"{service} {process}: {told['error']}\n")
    return 1 if told["error"] else int(told["exit_code"])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
