# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a prune: what went on which server, what stayed and why, and how much that was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.drift import Found, entries
from ansible_collections.stackswap.bluegreen.plugins.module_utils.fleet import UNCHANGED, UNKNOWN, blank
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import in_words


def pruned_of(
    found: Found, gate: Mapping[str, Any], job: Mapping[str, Any], builder: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """stackswap_report for a prune. found: what the module told, by server; builder: what it told of the builder."""
    told: dict[str, Any] = {}
    for server, entry in entries(found):
        told_here = {name: value for name, value in entry.items() if name != "stays"}
        seen = {**blank(entry["service"], entry["environment"], "observed"), **told_here, "before": entry["serving"]}
        service = told.setdefault(entry["service"], {"outcome": UNCHANGED, "servers": {}})
        service["servers"][server] = {**seen, "outcome": UNCHANGED}
        service["version"] = (entry["serving"] or {}).get("version", "")
    answers = dict(gate.get("whys") or {})
    lines = [line for server, entry in entries(found) for line in lines_of(server, entry)]
    lines += [f"{server}: {text.splitlines()[0]}" for server, text in answers.items()]
    lines += list((builder or {}).get("lines") or ())
    return {
        "v": 1,
        "job": {name: job[name] for name in ("id", "kind", "environment") if name in job},
        "status": "failed" if answers else "successful",
        "outcome": UNKNOWN if answers and not told else UNCHANGED,
        "services": told,
        "answers": answers,
        "line": "\n".join(lines) or f"no service is known: {' '.join(found)}",
    }


def lines_of(server: str, entry: Mapping[str, Any]) -> list[str]:
    """What went of a service on a server, and below it the images that would go by their age, and stay."""
    pruned = entry["pruned"]
    stays = [f"  {one['image'][:19]} stays: {one['why']}" for one in pruned["left"]]
    return [f"{entry['service']} on {server}: {_went(pruned, bool(entry.get('check')))}", *stays]


def builder_lines(service: str, host: str, done: Mapping[str, Any], check: bool) -> list[str]:
    """What went of a service on the builder, or why nothing did."""
    if done.get("failed") or done.get("unreachable"):
        return [f"{service} on builder {host}: not pruned: {str(done.get('msg', '')).splitlines()[0]}"]
    return lines_of(f"builder {host}", {"service": service, "pruned": done["pruned"], "check": check})


def counted(pruned: Mapping[str, Any]) -> str:
    """How many of what kind go, and of which versions; '' where nothing does."""
    kinds = [one["kind"] for one in pruned["removed"]]
    counts = [f"{kinds.count(kind)} {_many(kind, kinds.count(kind))}" for kind in dict.fromkeys(kinds)]
    versions = " ".join(dict.fromkeys(one["version"] for one in pruned["removed"] if one["version"]))
    return f"{', '.join(counts)}{f' of {versions}' if versions else ''}"


def _went(pruned: Mapping[str, Any], check: bool) -> str:
    found = counted(pruned)
    verbs = ("would remove", "would be free") if check else ("removed", "are free")
    return f"{verbs[0]} {found}; {in_words(pruned['bytes'])} {verbs[1]}" if found else "nothing to prune"


def _many(kind: str, count: int) -> str:
    return kind if count == 1 or kind.endswith("s") else f"{kind}s"
