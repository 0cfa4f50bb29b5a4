# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a slot has finished what it had: no session in any worker of the proxy, twice in a row. And what it had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Left
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import PASS, Verdict, waiting

EVERY, MEMORY = 1.0, 60  # seconds between two notes of a book, and the notes in it


def judge(samples: Sequence[int]) -> Verdict:
    """The verdict on the numbers of sessions seen so far."""
    if len(samples) > 1 and samples[-1] == samples[-2] == 0:
        return PASS
    return waiting(f"{samples[-1]} sessions left")


def summed(left: Sequence[Left]) -> dict[str, Any]:
    """Sessions in figures: how many of each kind, and the age of the oldest in seconds."""
    kinds = sorted({one.kind for one in left})
    each = {kind: sum(one.kind == kind for one in left) for kind in kinds}
    return {"count": len(left), "oldest": max((one.age for one in left), default=0.0), "kinds": each}


class Book:
    """What a slot had, over the time of its drain: noted when it changes, at the most once a second.

    A long one is thinned out, and keeps its first note.
    """

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def due(self, at: float, count: int) -> bool:
        """Whether the number is news."""
        last = self.lines[-1] if self.lines else None
        return last is None or (last["count"] != count and (at - last["at"] >= EVERY or not count))

    def note(self, at: float, left: Sequence[Left]) -> None:
        """What there was at this second of the drain."""
        if len(self.lines) >= MEMORY:
            self.lines = self.lines[::2]
        self.lines.append({"at": round(at, 1), **summed(left)})


def sentence(cuts: Iterable[Mapping[str, Any]]) -> str:
    """What was cut at the end of several drains, for people; '' for nothing."""
    told = [cut for cut in cuts if cut["count"]]
    if not told:
        return ""
    kinds = sorted({kind for cut in told for kind in cut["kinds"]})
    each = [(kind, sum(cut["kinds"].get(kind, 0) for cut in told)) for kind in kinds]
    named = ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in each)
    oldest = max(cut["oldest"] for cut in told)
    return f"Cut at the drain's end: {named}; the oldest was {oldest:,.0f} s old."
