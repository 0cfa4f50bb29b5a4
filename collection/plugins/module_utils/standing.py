# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backing services of a server beside those that it ought to have, as a status tells them. Plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils.backing import LABEL
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image

ABSENT, DIFFERS, UNKNOWN, ELSEWHERE = "absent", "differs", "unknown", "elsewhere"
CHECKED = ("healthy", "unhealthy", "starting")  # what a check says
DIGITS = 12


class Wanted(NamedTuple):
    """One that the inventory has on this server. mark: what it is to be made from, '' where its image is not here."""

    image: str
    mark: str


class Box(NamedTuple):
    """A container of one, as the engine tells it. image: how people call its own. error: of a probe at its port."""

    told: Mapping[str, Any]
    image: str
    error: str | None = None

    @property
    def key(self) -> str:
        """Which backing service it is of."""
        return str(self.told["labels"][LABEL])


def name_of(image: Image | None, id: str) -> str:
    """How people call an image that a container is made from."""
    names = (*image.tags, *image.digests) if image else ()
    return next(iter(names), id.rpartition(":")[2][:DIGITS])


def rows(
    boxes: Sequence[Box], wanted: Mapping[str, Wanted], environment: str, elsewhere: Collection[str] = ()
) -> list[dict[str, Any]]:
    """One for each, by name. elsewhere: the keys of those that the inventory has on another server.

    What another environment has here is told, too, and nobody knows whether it ought to be so.
    """
    keys = sorted({*wanted, *(box.key for box in boxes)})
    found = {key: _one(boxes, key, wanted.get(key)) for key in keys}
    return [
        _row(key, found[key], wanted.get(key), _drift(key, found[key], wanted, environment, elsewhere)) for key in keys
    ]


def _one(boxes: Sequence[Box], key: str, wanted: Wanted | None) -> Box | None:
    """The container that counts: the one that is as asked, else one that runs."""
    mark = wanted.mark if wanted else ""
    mine = [box for box in boxes if box.key == key]
    return max(mine, key=lambda box: (box.told["config"] == mark, box.told["state"] == "running"), default=None)


def _drift(
    key: str, box: Box | None, wanted: Mapping[str, Wanted], environment: str, elsewhere: Collection[str]
) -> str:
    """How it is not as the inventory has it; '' where it is, or where that is not known."""
    if box is None:
        return ABSENT
    if key in wanted:
        return "" if box.told["config"] == wanted[key].mark else DIFFERS
    if key.partition(".")[0] != environment:
        return ""
    return ELSEWHERE if key in elsewhere else UNKNOWN


def _row(key: str, box: Box | None, wanted: Wanted | None, drift: str) -> dict[str, Any]:
    environment, dummy, name = key.partition(".")
    told = box.told if box else {}
    return {
        "name": name,
        "environment": environment,
        "image": wanted.image if wanted and not drift else box.image if box else "",
        "state": str(told.get("state", "")),
        "health": _health(box) if box else "",
        "since": str(told.get("started", "")),
        "restarts": int(told.get("restarts", 0)),
        "drift": drift,
    }


def _health(box: Box) -> str:
    """By its check, else by whether it takes connections; '' where it does not run, or nobody knows its port."""
    if box.told["state"] != "running":
        return ""
    if box.told["health"] in CHECKED:
        return str(box.told["health"])
    return "" if box.error is None else "unhealthy" if box.error else "healthy"
