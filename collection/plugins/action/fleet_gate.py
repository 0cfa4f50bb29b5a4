# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folds what every server said at a rung into one gate, and shuts it when too many are bad."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.stackswap.bluegreen.plugins.module_utils import agreement, calls, fleet, joining, turns
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, untouched


class ActionModule(ActionBase):
    """Runs once for all servers, also when the first of them is down."""

    BYPASS_HOST_LOOP = True
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = self._task.args
        among = args.get("among", task_vars["ansible_play_hosts_all"])
        results = {server: _result(task_vars, server, args) for server in among}
        known = args.get("known") or {}
        if not args.get("turn"):
            gate, differ = _folded(args, known, among, results)
            return {**gate, **_end(args, {"": gate}, differ)}
        job, turn = args["turns"], args["turn"]
        if args.get("why"):
            args = {**args, "why": turns.taken_along(known, job, turn) or args["why"]}
        gate, differ = _folded(args, turns.gate_of(known, job, turn), among, results)
        if args["rung"] == fleet.CLAIMED:
            images = calls.at_hand(job["services"][turn], gate["reports"])
            gate.update(images=images, brought=fleet.brought(images))
        if args.get("built"):
            gate["built"] = {name: args["built"][name] for name in ("image", "notes") if name in args["built"]}
        gates = turns.approved(turns.passed(known, job, turn, gate), str(args.get("expect") or ""))
        if args["rung"] == fleet.CLAIMED:
            servers = job["services"][turn]["servers"]
            gates["unclaimed"] = [name for name in servers if _result(task_vars, name, args).get("unclaimed")]
        return {**gates, **_end(args, gates["services"], differ)}


def _result(task_vars: Any, server: str, args: Any) -> Any:
    """What the rung's task has answered for a server; {} where it has not run there."""
    return task_vars["hostvars"][server].get(args["result"]) or {}


def _folded(args: Any, known: Any, among: Any, results: Any) -> tuple[dict[str, Any], str]:
    """The gate after this rung, and why the job may not begin on servers that differ."""
    limit, last = args.get("max_fail"), boolean(args.get("last") or False)
    most = None if limit in (None, "") else int(limit)
    needed, on_fail = args.get("needed") or (), args.get("on_fail") or "back"
    gate = fleet.folded(known, results, args["rung"], most, needed, on_fail, last)
    differ, joins = _agreed(args, gate) if args.get("job") and not gate["shut"] else ("", {})
    if differ:
        gate.update(shut=True, bad=list(among), whys=dict.fromkeys(among, untouched(differ)))
    along = bool(args.get("why")) and not gate["whys"]  # no server's own word: what failed, failed for all of them
    if along:
        gate["whys"] = dict.fromkeys(among, str(args["why"]))
    return {**gate, "joining": joins, "along": along}, differ


def _end(args: Any, services: Any, differ: str) -> dict[str, Any]:
    """How the task ends: of several services, the one that keeps all of them back is named."""
    turn, alone = args.get("turn") or "", len(services) == 1
    shut = [name for name, gate in services.items() if gate.get("shut")]
    if not shut or (turn and args.get("max_fail") in (None, "")):  # on the way back the others are shut still
        return {"changed": False, "warnings": _parted(args, services[turn])}
    told = {name: _not_beyond(args["rung"], services[name], differ if name == turn else "") for name in shut}
    return {"failed": True, "msg": " ".join(text if alone else f"{name}: {text}" for name, text in told.items())}


def _not_beyond(rung: str, gate: Any, differ: str) -> str:
    """Why nobody goes on."""
    told = differ or "; ".join(f"{server}: {gate['whys'][server]}" for server in gate["bad"])
    return f"Not beyond {rung}. {told}"


def _agreed(args: Any, gate: Any) -> tuple[str, dict[str, Any]]:
    """Why the job may not begin on servers that differ, or what those join that serve nothing."""
    differ = agreement.refusal(gate["reports"], args["job"])
    try:
        return differ, {} if differ else joining.joined(gate["reports"], _others(args), args["job"])
    except BadInput as refused:
        return refused.what, {}


def _others(args: Any) -> dict[str, Any]:
    """What was told of the servers that this run leaves out."""
    return {one["item"]: next(iter(one.get("services") or ()), {}) for one in args.get("others") or ()}


def _parted(args: Any, gate: Any) -> list[str]:
    """What is to be told of servers that this run leaves out."""
    others = _others(args)
    return agreement.parted(others, gate["reports"], args["job"]) if others else []
