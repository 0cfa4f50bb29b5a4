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

from ansible_collections.stackswap.bluegreen.plugins.module_utils import approval
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, explain
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import loss
from ansible_collections.stackswap.bluegreen.plugins.module_utils.last_line import line
from ansible_collections.stackswap.bluegreen.plugins.module_utils.outcomes import (
    BACK,
    GONE,
    MIXED,
    NEW,
    UNCHANGED,
    UNKNOWN,
    got,
    outcome,
    together,
    whole,
)

__all__ = [
    "AFTER",
    "BACK",
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
    "approved",
    "blank",
    "ended",
    "folded",
    "line",
    "merged",
    "outcome",
    "refused",
    "report_of",
    "scripts",
    "together",
    "waves",
    "why",
    "word",
]
DONE, FAILED, UNREACHABLE, MISSING = "done", "failed", "unreachable", "missing"
CLIMBS = ("live", "settled", "absent")  # who is asked for these and not heard of may serve either
TAKEN = ("claimed", "held", "superseded")  # another job's servers are in no budget: one job deploys everywhere
AFTER = "after"  # what is folded when the job has ended
LISTS = ("callbacks", "warnings", "drains", "notes")


# -- the gate ---------------------------------------------------------------------------------------------------------


def word(result: Mapping[str, Any] | None) -> str:
    """What a server's registered result says; what was not heard from is bad."""
    if not result:
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
    came_to = rung if last and not bad else known.get("outcome") if rung == AFTER else ended(gate)
    return {**gate, "scripts": scripts(reports), "outcome": came_to}


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


def scripts(reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The callbacks that the image in question has, as the servers tell that have looked at it."""
    return sorted({name for report in reports.values() for name in (report.get("asked") or {}).get("scripts", ())})


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


def approved(gate: Mapping[str, Any], expected: str) -> dict[str, Any]:
    """The gate after a plan was looked at anew: shut if any server's is other than was expected."""
    if not expected or gate["shut"]:
        return dict(gate)
    reports = gate["reports"]
    others = approval.differing(expected, {server: str(reports[server].get("plan_hash", "")) for server in reports})
    if not others:
        return dict(gate)
    whys = {**gate["whys"], **{server: approval.told(reports[server]) for server in others}}
    fleet = {**gate["fleet"], **dict.fromkeys(others, FAILED)}
    return {**gate, "fleet": fleet, "whys": whys, "bad": sorted({*gate["bad"], *others}), "shut": True}


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


def report_of(
    gate: Mapping[str, Any], servers: Sequence[str], job: Mapping[str, Any], built: Any, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """stackswap_report: the one document that a job gives out. notes: what the build has told."""
    reports = gate.get("reports") or {}
    climbed = gate.get("climbed", ())
    told = {s: {**(reports.get(s) or _unheard(job)), "outcome": got(reports.get(s), s in climbed)} for s in servers}
    users = whole(told)
    answers = {server: text for server, text in (gate.get("whys") or {}).items() if server in servers}
    service: dict[str, Any] = {"version": job.get("version") or "", "outcome": users, "servers": told}
    counted = loss.summed(server.get("loss") for server in told.values())
    if counted:
        service["loss"] = counted
    notes = [*notes, *(f"{server}: {note}" for server, told in (gate.get("notes") or {}).items() for note in told)]
    service.update({name: value for name, value in (("image", built), ("notes", notes)) if value})
    if job.get("promote") == "no":
        service["promote"] = "no"
    report = {
        "v": 1,
        "job": {name: job[name] for name in ("id", "kind", "environment", "by") if name in job},
        "status": "failed" if answers or gate.get("shut") else "successful",
        "outcome": users,
        "services": {job["service"]: service} if job.get("service") else {},
        "answers": answers,
        **({"loss": counted} if counted and job.get("service") else {}),
        "line": "",
    }
    hashes = {s: one["plan_hash"] for s, one in told.items() if one.get("check") and one.get("plan_hash")}
    if hashes and len(hashes) == len(told) and not answers:
        report["plan_hash"] = approval.token(hashes)
    text = str(job.get("said") or "") or line(report, str(job.get("service") or ""))
    return {**report, "line": " ".join([f"{text.rstrip('.')}.", *(f"{note}." for note in notes)]) if notes else text}


def _unheard(job: Mapping[str, Any]) -> dict[str, Any]:
    """The report of a server that never answered."""
    return {**blank(str(job.get("service") or ""), job["environment"], "observed"), "heard": False}


def blank(service: str, environment: str, rung: str, job: str = "") -> dict[str, Any]:
    """The report of a call that has done nothing."""
    told: dict[str, Any] = {"v": 1, "service": service, "environment": environment, "job": job, "rung": rung}
    return {**told, "changed": False, "before": None, "serving": None, "steps": [], "failed": None}


def refused(service: str, environment: str, rung: str, job: str, cause: str, what: str) -> dict[str, Any]:
    """The report of a call that was refused before it began."""
    failed = {**explain(cause, what, service, "", "", ""), "serves": "this call has changed nothing", "evidence": []}
    return {**blank(service, environment, rung, job), "failed": failed}
