# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one document that a job gives out, stackswap_report, as report.schema.json describes it.

Plain data in, plain data out: gates are what fleet.folded makes, a part is what a job came to for one service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import approval
from ansible_collections.stackswap.bluegreen.plugins.module_utils.fleet import blank
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import loss
from ansible_collections.stackswap.bluegreen.plugins.module_utils.last_line import line
from ansible_collections.stackswap.bluegreen.plugins.module_utils.outcomes import got, together, whole


@dataclass(frozen=True)
class Part:
    """What a job came to for one service. ask: what was asked of it. built, notes: its image, what the build told."""

    gate: Mapping[str, Any]
    servers: Sequence[str]
    ask: Mapping[str, Any]
    built: Any = None
    notes: Sequence[str] = ()

    @property
    def service(self) -> str:
        """Its name; '' of a job on servers alone."""
        return str(self.ask.get("service") or "")

    @property
    def answers(self) -> dict[str, str]:
        """Why each server must fail."""
        return {server: text for server, text in (self.gate.get("whys") or {}).items() if server in self.servers}

    @property
    def told(self) -> list[str]:
        """What is to be said besides."""
        noted = (self.gate.get("notes") or {}).items()
        return [*self.notes, *(f"{server}: {note}" for server, notes in noted for note in notes)]

    @property
    def failed(self) -> bool:
        """Whether the job failed for it."""
        return bool(self.answers or self.gate.get("shut"))


def report_of(
    gate: Mapping[str, Any], servers: Sequence[str], job: Mapping[str, Any], built: Any, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """stackswap_report of a job on one service, or on servers alone. notes: what the build has told."""
    return of_parts(job, [Part(gate, servers, job, built, notes)])


def of_parts(job: Mapping[str, Any], parts: Sequence[Part]) -> dict[str, Any]:
    """stackswap_report of a job on any number of services."""
    services = {part.service: _service(part) for part in parts}
    outcomes = [service["outcome"] for service in services.values()]
    report = {
        "v": 1,
        "job": {name: job[name] for name in ("id", "kind", "environment", "by") if name in job},
        "status": "failed" if any(part.failed for part in parts) else "successful",
        "outcome": outcomes[0] if len(parts) == 1 else together(outcomes),
        "services": {name: service for name, service in services.items() if name},
        "answers": _answers(parts),
        **_counted(services),
        "line": "",
    }
    hashes = _hashes(parts, services)
    if hashes and report["status"] == "successful":
        report["plan_hash"] = approval.token(hashes)
    return {**report, "line": _lines(report, parts, str(job.get("said") or ""))}


def _service(part: Part) -> dict[str, Any]:
    """What users of a service got, on every server."""
    reports, climbed, ask = part.gate.get("reports") or {}, part.gate.get("climbed", ()), part.ask
    told = {
        name: {**(reports.get(name) or _unheard(ask)), "outcome": got(reports.get(name), name in climbed)}
        for name in part.servers
    }
    made: dict[str, Any] = {"version": ask.get("version") or "", "outcome": whole(told), "servers": told}
    counted = loss.summed(server.get("loss") for server in told.values())
    more = {"loss": counted, "image": part.built, "notes": part.told}
    made.update({name: value for name, value in more.items() if value})
    return {**made, "promote": "no"} if ask.get("promote") == "no" else made


def _answers(parts: Sequence[Part]) -> dict[str, str]:
    """Why each server must fail; of several services, each with its name."""
    if len(parts) == 1:
        return parts[0].answers
    found: dict[str, list[str]] = {}
    for part in parts:
        for server, text in part.answers.items():
            found.setdefault(server, []).append(f"{part.service}: {text}")
    return {server: "\n".join(texts) for server, texts in found.items()}


def _counted(services: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What users of all services lost."""
    servers = [one for name, service in services.items() if name for one in service["servers"].values()]
    counted = loss.summed(server.get("loss") for server in servers)
    return {"loss": counted} if counted else {}


def _hashes(parts: Sequence[Part], services: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The hash of every plan by its place; {} where one is not known."""
    every = {(name, server): one for name, told in services.items() for server, one in told["servers"].items()}
    found = {
        approval.place(name, server, len(parts) == 1): str(one["plan_hash"])
        for (name, server), one in every.items()
        if one.get("check") and one.get("plan_hash")
    }
    return found if len(found) == len(every) else {}


def _lines(report: Mapping[str, Any], parts: Sequence[Part], said: str) -> str:
    """A line for each service, and at the end what an approval needs."""
    lines = [_line(report, part, said) for part in parts]
    bind = f"To do exactly this, or nothing if anything is other by then: --expect {report.get('plan_hash')}"
    return "\n".join([*lines, bind] if report.get("plan_hash") else lines)


def _line(report: Mapping[str, Any], part: Part, said: str) -> str:
    mine = {"status": "failed" if part.failed else "successful", "answers": part.answers}
    text = said or line({**report, **mine}, part.service)
    return " ".join([f"{text.rstrip('.')}.", *(f"{note}." for note in part.told)]) if part.told else text


def _unheard(job: Mapping[str, Any]) -> dict[str, Any]:
    """The report of a server that never answered."""
    return {**blank(str(job.get("service") or ""), job["environment"], "observed"), "heard": False}
