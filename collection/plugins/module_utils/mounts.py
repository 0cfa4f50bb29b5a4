# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server has mounted below the folders that containers share: one that was there and is lost is refused.

Without it, containers would write where nobody looks, and find nothing of what was shared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError

ON_ACCESS = "autofs"  # what it mounts comes and goes
OCTAL = re.compile(r"\\([0-7]{3})")


class MountLost(StackswapError):
    """A folder that containers share is not mounted any more."""

    cause = "mount_lost"


class Mount(NamedTuple):
    """A mount. source is the kernel's word for it, such as ``192.0.2.9:/export`` or ``/dev/sdb1``."""

    point: str
    kind: str
    source: str


def parse(text: str) -> dict[str, Mount]:
    """The mounts by their points, of what the kernel tells in mountinfo; of several at one point, the last is seen."""
    found = {}
    for line in text.splitlines():
        head, dash, tail = line.partition(" - ")
        place, told = head.split(" "), tail.split(" ")
        if dash and len(place) > 4 and len(told) > 1:
            found[_plain(place[4])] = Mount(_plain(place[4]), told[0], _plain(told[1]))
    return found


def examined(
    known: Mapping[str, Mapping[str, str]], now: Mapping[str, Mount], volumes: Sequence[str], gone: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """What is to be remembered of the folders: the mount that each is on, none of those on the system's own disk.

    known: what was remembered. gone: the mount points that are gone on purpose.
    """
    folders = [source for source in (volume.partition(":")[0] for volume in volumes) if source.startswith("/")]
    for folder in folders:
        was = known.get(folder)
        there = was is None or was["point"] in now or _comes(now, folder)
        if was and not there and not {folder, was["point"]} & {*gone}:
            raise MountLost(_sentence(folder, was))
    on = {folder: _on(now, folder) for folder in folders}
    return {folder: mount._asdict() for folder, mount in on.items() if mount and mount.point != "/"}


def _on(now: Mapping[str, Mount], folder: str) -> Mount | None:
    """The mount that a folder is on."""
    above = [point for point in now if f"{folder}/".startswith(f"{point.rstrip('/')}/")]
    return now[max(above, key=len)] if above else None


def _comes(now: Mapping[str, Mount], folder: str) -> bool:
    mount = _on(now, folder)
    return mount is not None and mount.kind == ON_ACCESS


def _sentence(folder: str, was: Mapping[str, str]) -> str:
    where = was["point"] if folder == was["point"] else f"{was['point']}, with {folder},"
    how = f"{was['kind']} from {was['source']}"
    return f"{where} was mounted at an earlier deploy ({how}) and is not now, so containers would miss what is shared"


def _plain(text: str) -> str:
    """As it is called: the kernel writes spaces and such by their numbers."""
    return OCTAL.sub(lambda found: chr(int(found[1], 8)), text)
