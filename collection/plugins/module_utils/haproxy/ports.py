# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on a port of this server, from /proc: no tool is asked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput

LISTENS = "0A"
EVERY = ("", "*", "0.0.0.0", "[::]")


class PortTaken(BadInput):
    """Somebody else listens where the proxy is to. facts: port, owner."""

    cause = "port_taken"


@dataclass(frozen=True)
class Listener:
    """A socket that listens. every: on all addresses."""

    address: str
    port: int
    inode: str

    @property
    def every(self) -> bool:
        """Whether it is on all addresses."""
        return not self.address.strip("0")


def refuse_taken(wanted: Iterable[tuple[str, int]], ours: str, root: str = "/proc") -> None:
    """Refuse ports that have another owner; a process with ours in its command line is none."""
    found = [one for table in ("tcp", "tcp6") for one in listeners(text_of(f"{root}/net/{table}"))]
    for address, port in wanted:
        for one in found:
            if one.port == port and overlap(address, one):
                refuse_owner(address, one, ours, root)


def refuse_owner(address: str, one: Listener, ours: str, root: str) -> None:
    """Refuse this listener, unless it is the proxy itself."""
    pid = owner(one.inode, root)
    command = text_of(f"{root}/{pid}/cmdline").replace("\0", " ").strip() if pid else ""
    if ours in command.split():
        return
    name = text_of(f"{root}/{pid}/comm").strip() if pid else ""
    who = f"{name} (process {pid}: {command[:120]})" if pid else "a process that does not show"
    place = f"{address}:{one.port}" if address else f"port {one.port}"
    raise PortTaken(
        f"the proxy cannot listen on {place}: {who} does. Nothing was changed. Stop it, or give the proxy another port",
        port=one.port,
        owner=name,
    )


def listeners(table: str) -> Iterator[Listener]:
    """The sockets of /proc/net/tcp or tcp6 that listen."""
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 9 and words[3] == LISTENS:
            address, _colon, port = words[1].partition(":")
            yield Listener(address, int(port, 16), words[9])


def overlap(address: str, one: Listener) -> bool:
    """Whether both cannot listen on the same port: the same address, or one of them on all."""
    return address in EVERY or one.every or packed(address) == one.address


def packed(address: str) -> str:
    """An IPv4 address as /proc/net/tcp of a little endian machine writes it."""
    parts = address.split(".") if re.match(r"^[0-9.]+$", address) else []
    return "".join(f"{int(part):02X}" for part in reversed(parts))


def owner(inode: str, root: str) -> str:
    """The process that holds a socket, '' where none shows."""
    for pid in filter(str.isdigit, os.listdir(root)):
        with suppress(OSError):
            for handle in os.listdir(f"{root}/{pid}/fd"):
                with suppress(OSError):
                    if os.readlink(f"{root}/{pid}/fd/{handle}") == f"socket:[{inode}]":
                        return pid
    return ""


def text_of(path: str) -> str:
    """The text of a file of /proc, '' where it is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
