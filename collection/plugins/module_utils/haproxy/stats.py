# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What HAProxy tells: its answers as small frozen values. The same of 2.6 and 3.x."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from dataclasses import dataclass

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Left, Server

SERVER_ROW = "2"
BACKEND_ROW = "1"
NUMBERED = re.compile(r"^(blue|green)([0-9]+)$")
PROVEN = ("L7OK", "L4OK")
UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
ANSWERING = 0x4000000  # of an answer, nothing is to be done but to pass its body on
SESSION = re.compile(
    r"^(0x[0-9a-f]+): .*? be=(\S+) srv=(\S+) .*? age=(\S+)"
    r" .*? rq\[[^]]*?an=([0-9a-f]+)h[^]]*] rp\[[^]]*?an=([0-9a-f]+)h",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Row:
    """A line of ``show stat``: a backend or a server. check is the last check's code alone."""

    backend: str
    server: str
    kind: str
    status: str
    check: str
    address: str
    tracked: str
    sessions: int
    queued: int


@dataclass(frozen=True)
class Entry:
    """A line of ``show map``; ref names this very line, also where the key is there twice."""

    ref: str
    key: str
    value: str


@dataclass(frozen=True)
class Worker:
    """A process of HAProxy: master, worker or old; failed counts refused reloads."""

    pid: int
    kind: str
    reloads: int = 0
    failed: int = 0


@dataclass(frozen=True)
class ServerState:
    """A line of ``show servers state``. admin is 0 where nobody forced it; op is 2 for up."""

    backend: str
    server: str
    address: str
    op: int
    admin: int
    weight: int
    configured: int


@dataclass(frozen=True)
class Session:
    """A line of ``show sess``; left is its kind and age."""

    id: str
    backend: str
    server: str
    left: Left


def rows(text: str) -> tuple[Row, ...]:
    """The backends and servers of ``show stat``."""
    lines = [line for line in text.splitlines() if line]
    if not lines or not lines[0].startswith("# pxname"):
        raise ValueError(f"not the statistics of HAProxy: {text[:200]!r}")
    lines[0] = lines[0][2:]
    kinds = (BACKEND_ROW, SERVER_ROW)
    return tuple(row_of(fields) for fields in csv.DictReader(lines) if fields["type"] in kinds)


def row_of(fields: dict[str, str]) -> Row:
    """A row from its columns."""
    return Row(
        backend=fields["pxname"],
        server=fields["svname"],
        kind=fields["type"],
        status=fields["status"],
        check=(fields.get("check_status") or "").replace("* ", ""),
        address=host_of(fields.get("addr") or ""),
        tracked=fields.get("tracked") or "",
        sessions=int(fields["scur"] or 0),
        queued=int(fields["qcur"] or 0),
    )


def host_of(address: str) -> str:
    """The address without its port."""
    return address.rpartition(":")[0].strip("[]")


def holders(text: str, service: str, slot: str) -> tuple[Row, ...]:
    """The servers of a slot that are checked themselves, and track no other."""
    wanted = re.compile(rf"^{re.escape(service)}:{slot}(\.[a-z]+)?$")
    return tuple(
        row
        for row in rows(text)
        if row.kind == SERVER_ROW and wanted.match(row.backend) and row.server.startswith(slot) and not row.tracked
    )


def servers(text: str, service: str, slot: str) -> tuple[Server, ...]:
    """The replicas of a slot as the proxy judges them; of two judgements the worse counts."""
    worst: dict[int, Row] = {}
    for row in holders(text, service, slot):
        number = int(row.server[len(slot) :])
        held = worst.get(number)
        if held is None or goodness(row) < goodness(held):
            worst[number] = row
    return tuple(Server(slot, number, row.address, row.status, row.check) for number, row in sorted(worst.items()))


def goodness(row: Row) -> tuple[bool, bool]:
    """The order of rows from bad to good."""
    return row.status == "UP", row.check in PROVEN


def backends(text: str) -> frozenset[str]:
    """The names of all backends."""
    return frozenset(row.backend for row in rows(text) if row.kind == BACKEND_ROW)


def slot_rows(text: str, addresses: Collection[str]) -> tuple[Row, ...]:
    """The server rows of these addresses, whatever their backend."""
    return tuple(row for row in rows(text) if row.kind == SERVER_ROW and row.address in addresses)


def slot_sessions(text: str, addresses: Collection[str]) -> int:
    """The sessions of these addresses in one worker: each is in exactly one server row."""
    return sum(row.sessions + row.queued for row in slot_rows(text, addresses))


def taken(text: str) -> int:
    """How many requests and sessions all backends of services have taken since the worker began."""
    lines = [line for line in text.splitlines() if line]
    lines[0] = lines[0][2:]
    found = csv.DictReader(lines)
    return sum(int(one.get("stot") or 0) for one in found if one["type"] == BACKEND_ROW and ":" in one["pxname"])


def pairs(text: str) -> dict[str, str]:
    """The fields of ``show info``."""
    split = (line.partition(": ") for line in text.splitlines() if ": " in line)
    return {name: value.strip() for name, _colon, value in split}


def pid(info: str) -> int:
    """Which worker answered."""
    return int(pairs(info).get("Pid", "0"))


def worker_id(info: str) -> str:
    """What no other worker has, nor one of a proxy that was restarted: process id and start."""
    told = pairs(info)
    return f"{told.get('Pid', '0')}@{told.get('Start_time_sec', '0')}"


def entries(text: str) -> tuple[Entry, ...]:
    """The lines of ``show map`` in the order that look-ups use."""
    split = (line.split(" ", 2) for line in text.splitlines() if line.startswith("0x"))
    return tuple(Entry(ref, key, value.strip()) for ref, key, value in split)


def entries_of(text: str, key: str) -> tuple[Entry, ...]:
    """The lines of ``show map`` with this key: one, where all is well."""
    return tuple(entry for entry in entries(text) if entry.key == key)


def workers(text: str) -> tuple[Worker, ...]:
    """The processes of ``show proc``."""
    found, kind = [], "master"
    for line in text.splitlines():
        if line.startswith("#"):
            kind = {"# workers": "worker", "# old workers": "old"}.get(line.strip(), kind)
            kind = "program" if line.startswith("# programs") else kind
        elif line.split():
            found.append(worker_of(line, kind))
    return tuple(found)


def worker_of(line: str, kind: str) -> Worker:
    """A process from its line: pid, type, reloads, perhaps ``[failed: n]``."""
    words, failed = line.split(), re.search(r"\[failed: ([0-9]+)\]", line)
    return Worker(int(words[0]), kind, int(words[2]), int(failed[1]) if failed else 0)


def states(text: str) -> tuple[ServerState, ...]:
    """The servers of ``show servers state``."""
    lines = [line.split(" ") for line in text.splitlines() if line[:1].isdigit()]
    return tuple(state_of(words) for words in lines if len(words) > 8)


def state_of(words: list[str]) -> ServerState:
    """A server from its columns."""
    numbers = [int(word) for word in words[5:9]]
    return ServerState(words[1], words[3], words[4], *numbers)


def forced(text: str, service: str) -> tuple[str, ...]:
    """The servers of a service whose state or weight somebody changed by hand."""
    ours = [s for s in states(text) if s.backend.startswith(f"{service}:")]
    return tuple(f"{s.backend}/{s.server}" for s in ours if s.admin or s.weight != s.configured)


def sessions(text: str) -> tuple[Session, ...]:
    """The sessions of ``show sess``."""
    return tuple(Session(one[1], one[2], one[3], left(one[4], one[5], one[6])) for one in SESSION.finditer(text))


def left(age: str, asked: str, answered: str) -> Left:
    """A session by its age, and by what HAProxy still has to do for the two directions."""
    if not int(asked, 16) and not int(answered, 16):
        return Left("websocket", seconds(age))  # nothing but passing on: it was upgraded, or is a tunnel
    return Left("stream" if int(answered, 16) == ANSWERING else "request", seconds(age))


def seconds(age: str) -> float:
    """``1h2m3s`` in seconds."""
    return float(sum(int(number) * UNITS[unit] for number, unit in re.findall(r"([0-9]+)([dhms])", age)))


def complaints(text: str) -> tuple[str, ...]:
    """The lines of HAProxy's own log that make a configuration unfit."""
    return tuple(line for line in text.splitlines() if re.search(r"\[(ALERT|WARNING)\]", line))
