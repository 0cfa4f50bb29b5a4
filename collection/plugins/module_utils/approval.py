# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan bound to the state that it was made on: its hash is all that an approval needs, and nothing is kept of it.

A server's hash changes with what is live there, with slots, images and steps; the fleet's is made of its servers'. The
parts after its first are the beginnings of the servers' own, by which one can tell where a plan differs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Observed, Release, bare

FORM = re.compile(r"[0-9a-f]{12}(-[0-9a-f]{4})+")
WHOLE, PART = 12, 4


def bound(seen: Observed, release: Release | None, digests: Mapping[str, str], plan: Sequence[str]) -> str:
    """The hash of one server's plan. digests: of the images that its containers run, by the names of releases."""
    placed = [[p.release, p.slot, p.present, p.running, digests.get(p.release, "")] for p in seen.placements]
    asked = [bare(release.name), release.digest] if release else []
    return _hash([asked, seen.runtime, seen.file, sorted(placed), list(seen.served), list(plan)])


def token(hashes: Mapping[str, str]) -> str:
    """The hash of the fleet's plan; '' where there is none. hashes: of all plans, by their places."""
    told = sorted(hashes.items())
    return "-".join([_hash(told)[:WHOLE], *(one[:PART] for dummy, one in told)]) if told else ""


def place(service: str, server: str, alone: bool) -> str:
    """Where a plan is for: a server, and with several services which of these. alone: the job is for one."""
    return server if alone else f"{service}/{server}"


def differing(expected: str, hashes: Mapping[str, str]) -> list[str]:
    """The places whose plan is other than was expected; all of them where that cannot be told apart."""
    if expected == token(hashes):
        return []
    parts, told = expected.split("-")[1:], sorted(hashes.items())
    if len(parts) != len(told):
        return [server for server, dummy in told]
    return [server for (server, one), part in zip(told, parts) if one[:PART] != part] or [
        server for server, dummy in told
    ]


def told(report: Mapping[str, Any]) -> str:
    """Of a server whose plan differs: what it is now."""
    now = report.get("serving") or {}
    live = f"{now['version']} is live in {now['slot']}" if now else "nothing is live"
    steps = "; ".join(report.get("plan") or ()) or "nothing"
    return f"its plan is other than the one that was approved: {live}, and to do is {steps}"


def _hash(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
