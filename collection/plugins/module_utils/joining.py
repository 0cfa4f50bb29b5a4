# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that serves nothing yet joins what the others serve, in a deploy that names no version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.agreement import Reports, shown
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput


def joined(reports: Reports, others: Reports, job: Mapping[str, Any]) -> dict[str, Any]:
    """Which servers join, what, and from whom they get the image; {} where nobody does.

    reports: of the servers of this run. others: what release_info told of those that it leaves out.
    """
    if job["kind"] != "deploy" or job["version"] or job.get("promote", "yes") != "yes":
        return {}
    empty = [server for server, report in reports.items() if not report.get("serving")]
    here, there = _serving(reports), _serving(others)
    if not empty or not (here or there):
        return {}
    version = _one({server: str(now["version"]) for server, now in (here or there).items()}, job, "versions")
    same = {server: now for server, now in {**here, **there}.items() if now["version"] == version}
    digest = _one({server: str(now["digest"]) for server, now in same.items()}, job, f"images of {version}")
    return {"servers": empty, "version": version, "digest": digest, "peers": list(same)}


def _serving(reports: Reports) -> dict[str, Mapping[str, Any]]:
    found = {server: report.get("serving") or {} for server, report in reports.items()}
    return {server: now for server, now in found.items() if now.get("version") and now.get("digest")}


def _one(values: Mapping[str, str], job: Mapping[str, Any], noun: str) -> str:
    """What all of them have; who joins cannot choose."""
    groups: dict[str, list[str]] = {}
    for server, value in values.items():
        groups.setdefault(value, []).append(server)
    if len(groups) > 1:
        what = f"a server that serves nothing is to join, and the others serve different {noun}: {shown(groups)}"
        raise BadInput(f"{what}. Name the version: stackswap deploy {job['service']} VERSION")
    return next(iter(groups))
