# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet: what every server said, folded into one word each, one outcome, and the decision to go on or not.

Plain data in, plain data out: servers are names, results are what Ansible registered, reports are HostReports.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, explain
from ansible_collections.stackswap.bluegreen.plugins.module_utils.outcomes import (
    BACK,
    GONE,
    MIXED,
    NEW,
    UNCHANGED,
    UNKNOWN,
    outcome,
)

__all__ = [
    "AFTER",
    "BACK",
    "CLAIMED",
    "CLIMBS",
    "DONE",
    "FAILED",
    "GONE",
    "LISTS",
    "MISSING",
    "MIXED",
    "NEW",
    "TAKEN",
    "UNCHANGED",
    "UNKNOWN",
    "UNREACHABLE",
    "blank",
    "brought",
    "ended",
    "folded",
    "merged",
    "outcome",
    "refused",
    "scripts",
    "waves",
    "why",
    "word",
]
DONE, FAILED, UNREACHABLE, MISSING = "done", "failed", "unreachable", "missing"
CLIMBS = ("live", "settled", "absent")  # who is asked for these and not heard of may serve either
TAKEN = ("claimed", "held", "superseded")  # another job's servers are in no budget: one job deploys everywhere
AFTER = "after"  # what is folded when the job has ended
CLAIMED = "claimed"  # who has claimed tells what it has
FETCHED = "fetched"  # who has fetched tells which image it has
LISTS = ("callbacks", "warnings", "drains", "notes")


# -- the gate ---------------------------------------------------------------------------------------------------------


def word(result: Mapping[str, Any] | None) -> str:
    """What a server's registered result says; what was not heard from is bad, and so is one that was not claimed."""
    if not result or result.get("unclaimed"):
        return MISSING
    if result.get("unreachable"):
        return UNREACHABLE
    return FAILED if result.get("failed") else DONE


def folded(
    known: Mapping[str, Any],
    results: Mapping[str, Mapping[str, Any] | None],
    rung: str,
    max_fail: int | None,
    needed: Sequence[str] = (),
    on_fail: str = "back",
    last: bool = False,
) -> dict[str, Any]:
    """The gate after a rung: each server's word and report laid over what was known; shut if too many are bad.

    known: an earlier gate. results: of the servers that this rung was for. max_fail: None folds and never shuts.
    needed: servers without which nobody goes on. on_fail: with ``hold``, who is live already is held there. Who
    fails to settle always is: it serves what the others, who have settled, serve. last: the job is to end at this rung.
    """
    fleet, reports, whys = (dict(known.get(name) or {}) for name in ("fleet", "reports", "whys"))
    climbed = {*known.get("climbed", ()), *(server for server, result in results.items() if _climbs(rung, result))}
    for server, result in results.items():
        skipped = bool((result or {}).get("skipped")) and server in fleet  # it was not asked: what is known stands
        if not skipped and (fleet.get(server, DONE) == DONE or max_fail is None):
            fleet[server] = word(result)
        report = (result or {}).get("stackswap")
        if report:
            reports[server] = {**merged(reports.get(server), report), "lost": False}
        elif word(result) != DONE and server in reports and server in climbed:
            reports[server] = {**reports[server], "lost": True}
        if word(result) != DONE:
            whys.setdefault(server, why(rung, result))
    bad = sorted(server for server, said in fleet.items() if said != DONE)
    gate: dict[str, Any] = {"fleet": fleet, "reports": reports, "whys": whys, "bad": bad, "rung": rung}
    gate["climbed"] = sorted(climbed)
    gate["shut"] = max_fail is not None and _shuts(gate, max_fail, needed)
    late = {server for server in results if rung == "settled" and (known.get("fleet") or {}).get(server, DONE) == DONE}
    gate["held"] = sorted(late & {*bad} if rung == "settled" else climbed - {*bad} if on_fail == "hold" else ())
    gate["notes"] = {**(known.get("notes") or {}), **_noted(results)}
    gate["images"] = {**(known.get("images") or {}), **(_imaged(results) if rung == FETCHED else {})}
    came_to = rung if last and not bad else known.get("outcome") if rung == AFTER else ended(gate)
    return {**gate, "scripts": scripts(reports), "brought": brought(gate["images"]), "outcome": came_to}


def _climbs(rung: str, result: Mapping[str, Any] | None) -> bool:
    """Whether a server was asked to switch: before that, whatever becomes of it, its users keep what they have."""
    return rung in CLIMBS and not (result or {}).get("skipped")


def _shuts(gate: Mapping[str, Any], max_fail: int, needed: Sequence[str]) -> bool:
    """Whether too many are bad, or one that counts for all."""
    causes = {((gate["reports"].get(server) or {}).get("failed") or {}).get("cause") for server in gate["bad"]}
    taken = not causes.isdisjoint(TAKEN)
    return taken or len(gate["bad"]) > max_fail or not set(needed).isdisjoint(gate["bad"])


def _noted(results: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """What servers tell besides, where that is not in a HostReport."""
    found = {server: (result or {}).get("notes") for server, result in results.items()}
    return {server: notes for server, notes in found.items() if notes and not (results[server] or {}).get("stackswap")}


def _imaged(results: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """The image that each server has for the job."""
    return {server: result["image"] for server, result in results.items() if result and result.get("image")}


def scripts(reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The callbacks that the image in question has, as the servers tell that have looked at it."""
    return sorted({name for report in reports.values() for name in (report.get("asked") or {}).get("scripts", ())})


def brought(images: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The callbacks that the image for the job has, by the servers that have it."""
    return sorted({name for image in images.values() for name in image.get("scripts", ())})


def ended(gate: Mapping[str, Any]) -> str:
    """How a job ended, or would if it ended here: ``live``, ``back`` if users were taken back, else ``failed``."""
    if gate["rung"] == "settled" and not gate["bad"]:
        return "live"
    went_back = any(outcome(report) == BACK for report in gate["reports"].values())
    return "back" if went_back else "failed"


def why(rung: str, result: Mapping[str, Any] | None) -> str:
    """A server's own words for what went wrong."""
    said = word(result)
    if said == MISSING:
        return f"nothing was heard of it at {rung}"
    text = str((result or {}).get("msg") or "no reason was given").strip()
    return f"unreachable at {rung}: {text}" if said == UNREACHABLE else text


def waves(servers: Sequence[str], sizes: Any) -> list[list[str]]:
    """The servers cut into waves; a size is a count or a percentage of all, the last one repeats, none is empty.

    sizes: a list, a text with commas as a survey sends it, or the only one.
    """
    left = list(servers)
    cut: list[list[str]] = []
    given = sizes.split(",") if isinstance(sizes, str) else sizes if isinstance(sizes, (list, tuple)) else [sizes]
    asked = list(given) or ["100%"]
    while left:
        size = _size(asked[min(len(cut), len(asked) - 1)], len(servers))
        cut.append(left[:size])
        left = left[size:]
    return cut


def _size(asked: Any, total: int) -> int:
    found = re.fullmatch(r"([1-9][0-9]*)(%?)", str(asked).strip())
    if not found:
        raise BadInput(f"stackswap_waves has {asked!r}: a wave is a count such as 1, or a percentage such as 25%")
    count = int(found[1])
    return max(1, math.ceil(total * min(count, 100) / 100)) if found[2] else count


# -- reports ----------------------------------------------------------------------------------------------------------


def merged(known: Mapping[str, Any] | None, report: Mapping[str, Any]) -> dict[str, Any]:
    """A server's reports as one: the last state, the first ``before`` and the first failure, all steps and figures."""
    if not known:
        return dict(report)
    heard = report.get("heard", True)
    blind = not heard or _blind(report)
    state = {**report, "serving": known.get("serving"), "previous": known.get("previous")} if blind else dict(report)
    return {
        **known,
        **{name: value for name, value in state.items() if value is not None or name in ("serving", "previous")},
        "before": known.get("before") if known.get("heard", True) else report.get("before"),
        "steps": [*known.get("steps", ()), *report.get("steps", ())],
        "changed": bool(known.get("changed") or report.get("changed")),
        "figures": {**known.get("figures", {}), **report.get("figures", {})},
        **{name: _joined(known, report, name) for name in LISTS if name in known or name in report},
        "failed": known.get("failed") or report.get("failed"),
        "heard": known.get("heard", True) or heard,
    }


def _blind(report: Mapping[str, Any]) -> bool:
    """Whether a call failed before it could look, as where no engine answers: what serves is what was known."""
    return bool(report.get("failed")) and not any(report.get(name) for name in ("before", "serving", "steps"))


def _joined(known: Mapping[str, Any], report: Mapping[str, Any], name: str) -> list[Any]:
    """What was told in all calls; what was told before is not told again."""
    found = [*known.get(name, ()), *report.get(name, ())]
    return [one for number, one in enumerate(found) if name in ("callbacks", "drains") or one not in found[:number]]


def blank(service: str, environment: str, rung: str, job: str = "") -> dict[str, Any]:
    """The report of a call that has done nothing."""
    told: dict[str, Any] = {"v": 1, "service": service, "environment": environment, "job": job, "rung": rung}
    return {**told, "changed": False, "before": None, "serving": None, "steps": [], "failed": None}


def refused(service: str, environment: str, rung: str, job: str, cause: str, what: str) -> dict[str, Any]:
    """The report of a call that was refused before it began."""
    failed = {**explain(cause, what, service, "", "", ""), "serves": "this call has changed nothing", "evidence": []}
    return {**blank(service, environment, rung, job), "failed": failed}
