# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job's one document: set as a statistic for wrapper and AWX, and answered server by server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (
    document,
    processes,
    pruned,
    status,
    turns,
    variables,
)


class ActionModule(ActionBase):
    """Runs once for all servers and never fails: its answers say who must."""

    BYPASS_HOST_LOOP = True
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = self._task.args
        gate = args.get("gate") or {}
        servers = args.get("servers") or task_vars["ansible_play_hosts_all"]
        if args.get("found"):
            found = {server: task_vars["hostvars"][server].get(args["found"]) or {} for server in servers}
            if args["job"]["kind"] == "prune":
                report = pruned.pruned_of(found, gate, args["job"], args.get("builder") or {})
            else:
                strict = variables.flag(args.get("strict") or False)
                report = status.status_of(found, gate, args["job"], strict, _places(self._templar, servers, task_vars))
        elif "order" in args["job"]:
            report = turns.report_of(args.get("gates") or {}, args["job"])
        else:
            report = document.report_of(gate, servers, args["job"], args.get("built") or None, args.get("notes") or ())
        Display().display(report["line"])
        stats = {"data": {"stackswap_report": report}, "per_host": False, "aggregate": False}
        told = {"changed": False, "msg": report["line"], "answers": report["answers"], "ansible_stats": stats}
        came_to = turns.came_to(args.get("gates") or {}, args["job"]) if "order" in args["job"] else ""
        return {**told, "outcome": came_to}


def _places(templar: Any, servers: Any, task_vars: Any) -> dict[str, Any]:
    """Which servers ought to have which service; of its definition no more is read, for there are secrets in it."""
    defined = task_vars.get("stackswap_services")
    known = {
        name: {key: templar.template(one[key]) for key in ("processes", *processes.SHORT) if key in one}
        for name, one in (defined.items() if isinstance(defined, Mapping) else ())
        if isinstance(one, Mapping)
    }
    return processes.known_places(known, servers, task_vars["groups"])
