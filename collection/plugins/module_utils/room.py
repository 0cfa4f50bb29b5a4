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


def refuse_scarce(name: str, replicas: int, each: int, available: int | None) -> None:
    """Refuse a candidate whose replicas may use more memory than is available."""
    if available is None or replicas * each <= available:
        return
    raise NoMemory(
        f"{in_words(available)} of memory are available on this server, and {name} may use "
        f"{in_words(replicas * each)} beside what runs: {replicas} x {in_words(each)}"
    )


def scarce(name: str, replicas: int, each: int, available: int | None) -> str:
    """The same of a candidate without a limit, as a warning: it may come to use what each of the live ones uses now."""
    if available is None or not each or replicas * each <= available:
        return ""
    return (
        f"{in_words(available)} of memory are available on this server, and {name} uses {in_words(each)} a replica "
        f"now: {replicas} more may not fit in. Give it a limit, container.memory, to have that refused"
    )
