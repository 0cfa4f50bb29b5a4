# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logs of a service's containers from where one has read to, and lines out of what comes in pieces.

A line is known by the time that the engine gave it, and by its number among those of the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

Line = tuple[str, str]


def fresh(lines: Sequence[Line], read: Sequence[Any]) -> Iterator[str]:
    """The texts that come after what was read: a time, and how many lines of that time."""
    last, seen = (str(read[0]), int(read[1])) if read else ("", 0)
    for at, text in lines:
        if at == last and seen:
            seen -= 1
        elif at >= last:
            yield text


def read_to(lines: Sequence[Line], read: Sequence[Any]) -> list[Any]:
    """How far one has read, with these lines."""
    if not lines:
        return list(read)
    last = lines[-1][0]
    return [last, sum(1 for at, dummy in lines if at == last)]


def second(read: Sequence[Any]) -> int:
    """The second of a time of the engine's, from which its log is read again; 0 where there is none."""
    if not read or not read[0]:
        return 0
    at = datetime.strptime(str(read[0])[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return int(at.timestamp())


class Pieces:
    """Takes pieces of output and tells whole lines, up to so many bytes in all. left: what was told no more."""

    def __init__(self, tell: Callable[[str], None], most: int) -> None:
        self._tell, self._room, self._rest, self.left = tell, most, b"", 0

    def take(self, piece: bytes) -> None:
        """Some more."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._line(line)

    def end(self) -> None:
        """What came last may lack its end."""
        if self._rest:
            self._line(self._rest)
        self._rest = b""

    def _line(self, line: bytes) -> None:
        self._room -= len(line)
        if self._room < 0:
            self.left += len(line)
        else:
            self._tell(line.decode("utf-8", "replace").rstrip("\r"))


def named(known: Mapping[str, Any], container: str) -> Sequence[Any]:
    """How far a container's log was read; nothing of one that is new."""
    found: Sequence[Any] = known.get(container) or ()
    return found
