"""Who listens on a port of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

LISTENS = "0A"


def owner(port: int) -> str:
    """Return who listens on the port: command and process, 'somebody', or '' if nobody does."""
    sockets = set(listening(port))
    if not sockets:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return "somebody"


def listening(port: int) -> Iterator[str]:
    """Yield the listening sockets of a port, as links of open files name them."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with contextlib.suppress(OSError):
            for fields in map(str.split, table.read_text().splitlines()[1:]):
                if fields[3] == LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield f"socket:[{fields[9]}]"
