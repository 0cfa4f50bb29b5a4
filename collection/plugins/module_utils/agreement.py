# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the servers of a stack serve the same, before a job and after it.

Versions are compared, since a release may differ by what the inventory says of one server.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput

Reports = Mapping[str, Mapping[str, Any]]
ON = Mapping[str, Sequence[str]]


def versions(reports: Reports, name: str = "serving") -> dict[str, list[str]]:
    """Each version that is there, with its servers; a server that has none is not among them."""
    found: dict[str, list[str]] = {}
    for server, report in reports.items():
        version = str((report.get(name) or {}).get("version") or "")
        if version:
            found.setdefault(version, []).append(server)
    return found


def refusal(reports: Reports, job: Mapping[str, Any]) -> str:
    """Why a job may not begin on servers that differ; '' where they agree, or will by what it finishes (R11)."""
    serving, service = versions(reports), job["service"]
    targets = versions(reports, "asked") if job["kind"] == "rollback" else {}
    if len(targets) > 1 and not job["version"]:
        return f"a rollback would go to {shown(targets)}. Name the version: stackswap rollback {service} VERSION"
    if len(serving) < 2 or job["version"] in serving or job["kind"] == "restart":  # which changes no version
        return ""
    ways = " or ".join(f"stackswap {word} {service} VERSION" for word in ("deploy", "rollback"))
    return f"the servers differ: {shown(serving)}. Have one of these versions everywhere first: {ways}"


def parted(others: Reports, reports: Reports, job: Mapping[str, Any]) -> list[str]:
    """What is to be told of the servers that a limit leaves out, where they will serve another version than these.

    others: what release_info told of each of them; {} of one that did not answer.
    """
    to = job["version"] or ", ".join(versions(reports, "asked")) or ", ".join(versions(reports))
    told = []
    for server, found in others.items():
        version = str((found.get("serving") or {}).get("version") or "") if found else "an unknown version"
        if version != to:
            told.append(f"{server} is left out of this run and serves {version or 'nothing'}, not {to}")
    return told


def shown(on: ON) -> str:
    """Versions and their servers, for people."""
    return ", ".join(f"{version} on {' '.join(servers)}" for version, servers in on.items())


def refuse_twice(places: Mapping[str, tuple[str, int]]) -> None:
    """Refuse two names for one server: it would be asked everything twice. places: address and port by name."""
    known: dict[tuple[str, int], str] = {}
    for server, place in places.items():
        if place in known:
            raise BadInput(f"{known[place]} and {server} are one server, {place[0]} port {place[1]}: keep one name")
        known[place] = server


def main_of(servers: Sequence[str], chosen: str, places: Collection[str] | None = None) -> str:
    """The main server: the one that is chosen, else the first of the inventory, of those that have the service."""
    if chosen and chosen not in servers:
        raise BadInput(f"stackswap_main is {chosen}, which is no server of the stack: {' '.join(servers)}")
    mine = [server for server in servers if places is None or server in places]
    return chosen if chosen in mine else next(iter(mine), "")
