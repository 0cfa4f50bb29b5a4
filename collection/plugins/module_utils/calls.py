# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the calls of a job on a server are given, by what was asked of the service and what its gate knows by now.

Plain data in, plain data out. asked: what preflight answered for the service. gate: what fleet_gate came to for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import presence

OF_CALLBACK = (
    *("name", "version", "image", "rollback", "release", "local_env"),
    *("job", "holder", "server", "wait", "claim_seconds"),
)
ANYWHERE = "auto"  # an image that comes from wherever its name tells


def options(asked: Mapping[str, Any], gate: Mapping[str, Any], server: str) -> dict[str, Any]:
    """The options of release for this server, but those that are read from its own variables."""
    back, main = bool(asked["rollback"]), server == asked["main"]
    known = ((gate.get("reports") or {}).get(server) or {}).get("asked") or {}
    return {
        "name": asked["service"],
        "version": asked["version"],
        "image": ((gate.get("images") or {}).get(server) or {}).get("id") or "",
        "rollback": back,
        "restart": asked["restart"],
        "release": str(known.get("release") or "") if back else "",
        "local_env": {
            "ARTIFAKT_IS_MAIN_INSTANCE": "1" if main else "0",
            "ARTIFAKT_REPLICA_LIST": asked["replicas"],
            "STACKSWAP_SERVER": server,
        },
        "processes": list(asked["places"][server]),
        "promote": asked["promote"],
        "kind": asked["kind"],
        "job": asked["id"],
        "holder": asked["by"],
        "server": server,
        **asked["manner"],
    }


def callback_options(asked: Mapping[str, Any], gate: Mapping[str, Any], server: str) -> dict[str, Any]:
    """Those of run_callback."""
    told = options(asked, gate, server)
    return {name: told[name] for name in OF_CALLBACK if name in told}


def at_hand(asked: Mapping[str, Any], reports: Mapping[str, Any]) -> dict[str, Any]:
    """The image that the job is for on each server that has it, as its claim tells: these are not asked for it again.

    reports: of the servers. Of an image that the job builds, or that comes from a builder or a server, none tells.
    """
    wanted = asked.get("image") or {}
    if wanted.get("from") != ANYWHERE or asked.get("build"):
        return {}
    told = {server: presence.at_hand(wanted, report.get("here")) for server, report in reports.items()}
    return {server: one["image"] for server, one in told.items() if one}
