"""A stand-in for the collection's own report: sums up what each server's registered results say."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """results: names of registered results, in their order."""

    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Set the stats, and answer why each server failed."""
        hostvars, args = task_vars["hostvars"], self._task.args
        hosts = list(task_vars["ansible_play_hosts_all"])
        said = {host: [hostvars[host].get(name) or {} for name in args["results"]] for host in hosts}
        servers = {host: _server(results) for host, results in said.items()}
        answers = {host: why for host, results in said.items() if (why := _answer(results))}
        found = {server["outcome"] for server in servers.values()}
        outcome = found.pop() if len(found) == 1 else "unknown" if "unknown" in found else "mixed"
        report = {
            "v": 1,
            "job": {"id": args["job"], "kind": args["kind"], "environment": "test"},
            "status": "failed" if answers else "successful",
            "outcome": outcome,
            "services": {"shop": {"version": "1.10", "outcome": outcome, "servers": servers}},
            "answers": answers,
            "line": f"shop: {outcome}",
        }
        stats = {"data": {"stackswap_report": report}, "per_host": False, "aggregate": False}
        return {"changed": False, "ansible_stats": stats, "answers": answers}


def _server(results):
    reports = [result["stackswap"] for result in results if result.get("stackswap")]
    if not reports:
        return {"v": 1, "service": "shop", "environment": "test", "rung": "observed",
                "changed": False, "before": None, "serving": None, "steps": [], "failed": None,
                "heard": False, "outcome": "unknown"}  # fmt: skip
    steps = [step for report in reports for step in report["steps"]]
    told = {**reports[-1], "before": reports[0]["before"], "steps": steps}
    told["changed"] = any(report["changed"] for report in reports)
    told["figures"] = {k: v for one in reports for k, v in one.get("figures", {}).items()}
    told["failed"] = next((one["failed"] for one in reports if one["failed"]), None)
    if len(reports) > 1:
        told["heard"] = True
    moved = told["serving"]["release"] != told["before"]["release"]
    back = any(step["verb"] == "route" for step in steps)
    heard = [result for result in results if result.get("stackswap") or result.get("unreachable")]
    lost = heard[-1].get("unreachable", False)
    told["outcome"] = "unknown" if lost else "new" if moved else "back" if back else "unchanged"
    return told


def _answer(results):
    whys = [
        result["msg"] if result.get("unreachable") else result["stackswap"]["failed"]["what"]
        for result in results
        if result.get("unreachable") or (result.get("stackswap") or {}).get("failed")
    ]
    return whys[-1] if whys else ""
