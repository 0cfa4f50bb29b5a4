# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users got of a job: of one server, and of the stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

UNCHANGED, NEW, BACK, GONE, MIXED, UNKNOWN = "unchanged", "new", "back", "gone", "mixed", "unknown"


def outcome(report: Mapping[str, Any] | None) -> str:
    """What users of a server got."""
    if not report or not report.get("heard", True) or report.get("lost"):
        return UNKNOWN
    before, now = report.get("before") or {}, report.get("serving") or {}
    if before and not now:
        return GONE
    if before.get("release") != now.get("release"):
        return NEW
    return BACK if any(step["verb"] == "route" for step in report.get("steps", ())) else UNCHANGED


def got(report: Mapping[str, Any] | None, climbed: bool) -> str:
    """What users of a server got of a job: nothing new where it was never asked to switch, heard or not."""
    found = outcome(report)
    return UNCHANGED if found == UNKNOWN and not climbed else found


def together(outcomes: Sequence[str]) -> str:
    """One outcome for the stack. Who went back and who never left are where they were."""
    found = set(outcomes)
    if len(found) == 1:
        return outcomes[0]
    if found == {BACK, UNCHANGED}:
        return BACK
    return UNKNOWN if UNKNOWN in outcomes or not outcomes else MIXED


def whole(told: Mapping[str, Mapping[str, Any]]) -> str:
    """One outcome for the stack, by what its servers serve: those that had it already joined by the others is new."""
    found = together([server["outcome"] for server in told.values()])
    serving = {(server.get("serving") or {}).get("version") for server in told.values()}
    return NEW if found == MIXED and len(serving) == 1 and None not in serving else found
