"""A stand-in for the collection's gate: shuts unless every server's registered result is well."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """result: the name of a registered result."""

    BYPASS_HOST_LOOP = True
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Fail, and so send the whole fleet to the rescue."""
        said = {
            host: task_vars["hostvars"][host].get(self._task.args["result"]) or {}
            for host in task_vars["ansible_play_hosts_all"]
        }
        bad = [h for h, one in said.items() if one.get("failed") or one.get("unreachable")]
        return {"changed": False, "failed": bool(bad), "msg": f"not ready: {' '.join(bad)}"}
