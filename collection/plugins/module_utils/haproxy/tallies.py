# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From HAProxy's ``show stat`` to what a worker has counted, service by service. The same of 2.6 and 3.x.

Only backends with servers are looked at: one that answers by itself, a page of maintenance say, loses nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Count, Tally
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.stats import BACKEND_ROW, NUMBERED, SERVER_ROW

FRONTEND_ROW = "0"
ANSWERS = tuple(f"hrsp_{kind}" for kind in ("1xx", "2xx", "3xx", "4xx", "5xx", "other"))
COLUMNS = ("hrsp_4xx", "hrsp_5xx", "econ", "eresp", "wretr", "wredis", "cli_abrt", "srv_abrt")
Row = Mapping[str, str]


def tallies(stat: str, worker: str, old: bool = False) -> dict[str, Tally]:
    """What this worker has counted, by service; under '' what is true of a service that it does not know."""
    found = rows(stat)
    empty = Tally(worker, old, sum(number(row, "scur") for row in found if row["type"] == FRONTEND_ROW))
    names = dict.fromkeys(row["pxname"].partition(":")[0] for row in found if _ours(row))
    return {"": empty, **{name: _tally(empty, _of(found, name)) for name in names}}


def rows(stat: str) -> list[dict[str, Any]]:
    """The lines of ``show stat``."""
    lines = [line for line in stat.splitlines() if line]
    if not lines or not lines[0].startswith("# pxname"):
        raise ValueError(f"not the statistics of HAProxy: {stat[:200]!r}")
    return list(csv.DictReader([lines[0][2:], *lines[1:]]))


def number(row: Row, *names: str) -> int:
    """The sum of these columns."""
    return sum(int(row.get(name) or 0) for name in names)


def _ours(row: Row) -> bool:
    return row["type"] == SERVER_ROW and ":" in row["pxname"]


def _of(found: Iterable[Row], service: str) -> list[Row]:
    """The rows of a service's backends that have servers."""
    ours = [row for row in found if row["pxname"].startswith(f"{service}:")]
    served = {row["pxname"] for row in ours if row["type"] == SERVER_ROW}
    return [row for row in ours if row["pxname"] in served]


def _tally(empty: Tally, found: list[Row]) -> Tally:
    slots: dict[str, Count] = {}
    requests = unanswered = 0
    for row in found:
        slot = NUMBERED.match(row["svname"])
        if row["type"] == SERVER_ROW:
            unanswered -= number(row, "hrsp_5xx")
        if row["type"] == SERVER_ROW and slot:
            slots[slot[1]] = slots.get(slot[1], Count()).plus(_count(row))
        if row["type"] == BACKEND_ROW:
            ended = number(row, "stot") - number(row, "scur")
            requests += ended
            unanswered += ended - number(row, *ANSWERS) + number(row, "hrsp_5xx")
    return empty._replace(requests=requests, unanswered=unanswered, slots=slots)


def _count(row: Row) -> Count:
    return Count(number(row, *ANSWERS), *(number(row, name) for name in COLUMNS))
