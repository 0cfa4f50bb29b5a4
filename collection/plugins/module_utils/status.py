# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a job that only looked: the fleet in one view, what can be gone back to, what jobs came to before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import history
from ansible_collections.stackswap.bluegreen.plugins.module_utils.drift import (
    Finding,
    Found,
    Places,
    drift,
    entries,
    short,
    sick,
    standing,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.fleet import UNCHANGED, UNKNOWN, blank

BACKING_HEAD = ("SERVER", "BACKING", "IMAGE", "STATE", "HEALTH", "SINCE", "NOTE")
BACKING_NOTES = {
    "absent": "it is not there",
    "differs": "not made as the inventory asks",
    "unknown": "the inventory does not know it",
    "elsewhere": "the inventory has it on another server",
}
HEAD = ("SERVER", "SERVICE", "LIVE", "DIGEST", "SLOT", "HEALTH", "SINCE", "PREVIOUS", "NOTE")


def status_of(
    found: Found,
    gate: Mapping[str, Any],
    job: Mapping[str, Any],
    strict: bool = False,
    places: Places | None = None,
) -> dict[str, Any]:
    """stackswap_report for a job that only looked. places: as in drift.

    strict: what is sick or differs makes it fail.
    """
    told: dict[str, Any] = {}
    for server, entry in entries(found):
        seen = {**blank(entry["service"], entry["environment"], "observed"), **entry, "before": entry["serving"]}
        service = told.setdefault(entry["service"], {"outcome": UNCHANGED, "servers": {}})
        service["servers"][server] = {**seen, "outcome": UNCHANGED}
        service["version"] = (entry["serving"] or {}).get("version", "")
    ill, differing = sick(found), drift(found, places)
    unheard = dict(gate.get("whys") or {})
    answers = {**(_blamed([*ill, *differing]) if strict else {}), **unheard}
    return {
        "v": 1,
        "job": {name: job[name] for name in ("id", "kind", "environment") if name in job},
        "status": "failed" if answers else "successful",
        "outcome": UNKNOWN if unheard else UNCHANGED,
        "services": told,
        "answers": answers,
        "sick": [one.what for one in ill],
        "drift": [one.what for one in differing],
        **_backing(found),
        "line": "\n".join(
            [*table(found), *backing_table(found), *_details(found), *_said(found, ill, differing, unheard)]
        ),
    }


def _backing(found: Found) -> dict[str, Any]:
    """The backing services by server, where there are any."""
    told = {server: [dict(one) for one in result.get("backing") or ()] for server, result in found.items()}
    return {"backing": {server: rows for server, rows in told.items() if rows}} if any(told.values()) else {}


def _details(found: Found) -> list[str]:
    return [line for server, entry in entries(found) for line in details(entry["service"], server, entry)]


def _said(found: Found, ill: Sequence[Finding], differing: Sequence[Finding], unheard: Mapping[str, str]) -> list[str]:
    """What is to be known besides the table."""
    out = [server for server, result in found.items() if (result.get("server") or {}).get("drained")]
    lines = [f"DRAINED: {server} is left out by the balancer: stackswap undrain {server}" for server in out]
    lines += [f"SICK: {one.what}" for one in ill] + [f"DRIFT: {one.what}" for one in differing]
    return lines + [f"UNHEARD: {server}: {text.splitlines()[0]}" for server, text in unheard.items()]


def _blamed(findings: Sequence[Finding]) -> dict[str, str]:
    """For each server all that is about it."""
    told: dict[str, list[str]] = {}
    for one in findings:
        for server in one.servers:
            told.setdefault(server, []).append(one.what)
    return {server: "; ".join(whats) for server, whats in told.items()}


def details(name: str, server: str, seen: Mapping[str, Any]) -> list[str]:
    """What was asked for besides, of a service on a server."""
    lines = [f"  {kept_line(one)}" for one in seen.get("kept", ())]
    lines += [f"  {history.told(one)}" for one in seen.get("history", ())]
    lines += ["  there is nothing to go back to"] if seen.get("kept") == [] else []
    lines += ["  no job has changed it yet"] if seen.get("history") == [] else []
    return [f"{name} on {server}:", *lines] if lines else []


def kept_line(one: Mapping[str, Any]) -> str:
    """A release that has served, and whether it can be gone back to."""
    how = {"running": "still runs", "kept": "its container is kept", "none": "from its image"}[one["containers"]]
    secrets = {"none": "", "then": ", secrets of then", "now": ", secrets of now"}[one["secrets"]]
    word = f"NO WAY BACK: {one['hindrance']}" if one["hindrance"] else f"{how}, settings of {one['settings']}{secrets}"
    return f"{one['version']}  {word}{'; it was gone back from' if one['rejected'] else ''}"


# -- the table --------------------------------------------------------------------------------------------------------


def table(found: Found) -> list[str]:
    """A line for each service on each server, in columns."""
    rows = [_row(server, entry) for server, entry in entries(found)]
    if not rows:
        return [f"no service is known: {' '.join(found)}"]
    return _columns(HEAD, rows)


def backing_table(found: Found) -> list[str]:
    """The same for the backing services, where there are any."""
    rows = [_backing_row(server, one) for server, one in standing(found)]
    return _columns(BACKING_HEAD, rows) if rows else []


def _columns(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in (head, *rows)]


def _backing_row(server: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    health = "NOT HEALTHY" if one["health"] == "unhealthy" else one["health"]
    notes = [BACKING_NOTES[one["drift"]]] if one["drift"] else []
    notes += [f"restarted {one['restarts']} times"] if one["restarts"] else []
    cells = (one["image"], one["state"], health, _moment(one["since"]))
    return (server, one["name"], *(str(cell or "-") for cell in cells), "; ".join(notes))


def _moment(at: Any) -> str:
    """A time of the engine's, to the minute."""
    return str(at)[:16].replace("T", " ")


def _row(server: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    now, back = entry["serving"] or {}, entry["previous"] or {}
    health = ("healthy" if now.get("healthy") else "NOT HEALTHY") if now else "-"
    since = _moment(now.get("since", ""))
    cells = (now.get("version"), short(now.get("digest", "")), now.get("slot"), health, since, back.get("version"))
    return (server, entry["service"], *(str(cell or "-") for cell in cells), _note(entry))


def _note(entry: Mapping[str, Any]) -> str:
    claim, holder, draining = entry.get("claim"), entry.get("holder"), entry.get("draining")
    notes = [f"claimed by job {claim['job']}"] if claim else []
    notes += ["users get the maintenance page"] if entry.get("maintenance") else []
    notes += [f"being changed by process {holder.get('pid')}"] if holder else []
    notes += [f"{draining['slot']} drains, {draining['sessions']} sessions"] if draining else []
    notes += [_process(one) for one in entry.get("processes", ())]
    notes += [_schedule(one) for one in entry.get("schedules", ())]
    return "; ".join(notes)


def _schedule(one: Mapping[str, Any]) -> str:
    """A process of cron's, and how its last run ended."""
    last = next(iter(one["runs"]), None)
    if last is None:
        return f"{one['process']} {one['version']} at {one['schedule']}, has not run yet"
    how = f"FAILED: {last['error']}" if last["error"] else f"exit code {last['exit_code']} in {last['seconds']} s"
    return f"{one['process']} {one['version']} at {one['schedule']}, last {_moment(last['at'])}: {how}"


def _process(one: Mapping[str, Any]) -> str:
    """A process without requests: which version of it runs, and how many where it is not one."""
    count = "" if one["running"] == one["of"] == 1 else f", {one['running']} of {one['of']} run"
    return f"{one['process']} {one['version']}{count}"
