# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server has room for a release beside the one that serves: for the image on disk, for both in memory.

Where nobody knows how much is needed, a floor stands for it. What cannot be seen refuses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils.archive import chains
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.payload import size
from ansible_collections.stackswap.bluegreen.plugins.module_utils.pruned import counted
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import in_words
from ansible_collections.stackswap.bluegreen.plugins.module_utils.variables import ROOM, parse_variables

NOTHING: Mapping[str, Any] = MappingProxyType({"removed": (), "bytes": 0})
TO_TRY = "to try all the same: stackswap_room: {check: false}"


class NoRoom(StackswapError):
    """The server's disk has no room for the image beside what is there."""

    cause = "no_room"


class NoMemory(StackswapError):
    """The server has no memory for the candidate beside what runs."""

    cause = "no_memory"


@dataclass(frozen=True)
class Floors:
    """What is asked of a server in bytes: of its disk for an image of unknown size, of its memory for a replica."""

    disk: int
    memory: int
    check: bool


class Disk(NamedTuple):
    """Where an engine keeps images, and how many bytes are free there. shared: archives come to the same disk."""

    path: str
    free: int
    shared: bool = False


def floors_of(given: Any) -> Floors:
    """The floors, as ``stackswap_room`` has them."""
    told = parse_variables({ROOM: given or {}})[ROOM]
    return Floors(size(told.get("disk", "1g")), size(told.get("memory", "0")), told.get("check", True))


def lacking(layers: Sequence[str], sizes: Sequence[int], has: Collection[str]) -> int | None:
    """How many bytes of an image a server lacks that has these chains; None where the sizes are not told."""
    if len(layers) != len(sizes) or not layers:
        return None
    return sum(weight for chain, weight in zip(chains(layers), sizes) if chain not in has)


def refuse_full(name: str, needed: int | None, disk: Disk | None, floors: Floors) -> None:
    """Refuse an image for which a disk has no room. needed: None where nobody knows how large it is."""
    if not floors.check or disk is None:
        return
    least = floors.disk if needed is None else needed * (1 + disk.shared)
    if disk.free >= least:
        return
    why = "of which nobody knows the size" if needed is None else "with what is not there yet"
    why += " and the archive that it comes in" if needed and disk.shared else ""
    raise NoRoom(
        f"the disk of {disk.path} has {in_words(disk.free)} free, and {name} needs {in_words(least)}, {why}",
        short=least - disk.free,
    )


def refusal(what: str, service: str, found: Mapping[str, Any], short: int) -> str:
    """What failed, what users get, what prune would free, and what to type.

    found: prune's answer for the service in check mode; {} where it has none, for the service is not here yet.
    """
    version = (found.get("serving") or {}).get("version", "")
    users = f"Users get {service} {version}, as before. " if version else ""
    again = f"then run the same job again; {TO_TRY}"
    plan = _plan(found.get("pruned") or NOTHING, service, short)
    return f"{what}. Nothing was changed. {users}Next: {plan}, {again}."


def _plan(pruned: Mapping[str, Any], service: str, short: int) -> str:
    """What prune would free, by its answer in check mode."""
    prune, would, size = f"stackswap prune {service}", counted(pruned), int(pruned["bytes"])
    if not would:
        return f"free {in_words(short)} there ({prune} would free nothing)"
    lacks = f", and {in_words(short - size)} more are to be freed by hand" if size < short else ""
    return f"{prune} would free {in_words(size)} ({would}){lacks}"


class Start(NamedTuple):
    """So many containers of a process that a job is to start.

    uses: what each of those that run of it uses now. alone: these are stopped first.
    """

    process: str
    replicas: int
    uses: tuple[int, ...] = ()
    alone: bool = False


class Peak(NamedTuple):
    """When memory is scarcest: after so many starts. needed: what these may use then. free: what there is for them."""

    after: int
    needed: int
    free: int


def peak(starts: Sequence[Start], each: Sequence[int], available: int) -> Peak:
    """They start in this order. What was there before runs on, but for what stops to make room."""
    passed = [Peak(0, 0, available)]
    for number, (start, weight) in enumerate(zip(starts, each), start=1):
        before, room = passed[-1], sum(start.uses) if start.alone else 0
        passed.append(Peak(number, before.needed + start.replicas * weight, before.free + room))
    return min(passed, key=lambda one: one.free - one.needed)


def refuse_scarce(name: str, starts: Sequence[Start], each: int, available: int | None) -> None:
    """Refuse a release whose containers may use more memory than is available; each: its limit."""
    if available is None:
        return
    worst = peak(starts, [each] * len(starts), available)
    if worst.needed <= worst.free:
        return
    parts = [f"{one.replicas} x {in_words(each)}{_of(one, starts)}" for one in starts[: worst.after]]
    raise NoMemory(
        f"{in_words(worst.free)} of memory are available on this server, and {name} may use "
        f"{in_words(worst.needed)} beside what runs: {', '.join(parts)}"
    )


def scarce(name: str, starts: Sequence[Start], available: int | None) -> str:
    """The same of a release without a limit, as a warning: it may come to use what each of the live ones uses now."""
    each = [max(one.uses, default=0) for one in starts]
    worst = peak(starts, each, available or 0)
    if available is None or worst.needed <= worst.free:
        return ""
    now = ", ".join(f"{in_words(weight)} a replica{_of(one, starts)}" for one, weight in zip(starts, each) if weight)
    more = sum(one.replicas for one in starts[: worst.after])
    return (
        f"{in_words(worst.free)} of memory are available on this server, and {name} uses {now} now: {more} more may "
        "not fit in. Give it a limit, container.memory, to have that refused"
    )


def _of(start: Start, starts: Sequence[Start]) -> str:
    """Which process it is, where there are several."""
    return f" of {start.process}" if len(starts) > 1 else ""
