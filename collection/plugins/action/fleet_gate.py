# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folds what every server said at a rung into one gate, and shuts it when too many are bad."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.stackswap.bluegreen.plugins.module_utils import agreement, fleet, joining
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, untouched


class ActionModule(ActionBase):
    """Runs once for all servers, also when the first of them is down."""

    BYPASS_HOST_LOOP = True
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = self._task.args
        among = args.get("among", task_vars["ansible_play_hosts_all"])
        results = {server: task_vars["hostvars"][server].get(args["result"]) for server in among}
        limit = args.get("max_fail")
        most = None if limit in (None, "") else int(limit)
        known, needed, on_fail = args.get("known") or {}, args.get("needed") or (), args.get("on_fail") or "back"
        last = boolean(args.get("last") or False)
        gate = fleet.folded(known, results, args["rung"], most, needed, on_fail, last)
        differ, joins = _agreed(args, gate) if args.get("job") and not gate["shut"] else ("", {})
        if differ:
            gate.update(shut=True, bad=list(among), whys=dict.fromkeys(among, untouched(differ)))
        if args.get("why") and not gate["whys"]:  # no server's own word: what failed, failed for all of them
            gate["whys"] = dict.fromkeys(among, str(args["why"]))
        gate = fleet.approved(gate, str(args.get("expect") or ""))
        if gate["shut"]:
            told = differ or "; ".join(f"{server}: {gate['whys'][server]}" for server in gate["bad"])
            return {**gate, "failed": True, "msg": f"Not beyond {args['rung']}. {told}"}
        return {**gate, "joining": joins, "changed": False, "warnings": _parted(args, gate)}


def _agreed(args: Any, gate: Any) -> tuple[str, dict[str, Any]]:
    """Why the job may not begin on servers that differ, or what those join that serve nothing."""
    differ = agreement.refusal(gate["reports"], args["job"])
    try:
        return differ, {} if differ else joining.joined(gate["reports"], _others(args), args["job"])
    except BadInput as refused:
        return refused.what, {}


def _others(args: Any) -> dict[str, Any]:
    """What was told of the servers that this run leaves out."""
    looked = (args.get("others") or {}).get("results") or ()
    return {one["item"]: next(iter(one.get("services") or ()), {}) for one in looked}


def _parted(args: Any, gate: Any) -> list[str]:
    """What is to be told of servers that this run leaves out."""
    others = _others(args)
    return agreement.parted(others, gate["reports"], args["job"]) if others else []
