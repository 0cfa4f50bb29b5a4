# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands the module prune what it needs of the services of the inventory, and nothing that is secret."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.stackswap.bluegreen.plugins.module_utils import pruned, spare
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError, untouched
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.narrowed import narrowed
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.piped import piped

IMAGE = "stackswap.bluegreen.image"


class ActionModule(ActionBase):
    """Only the services are touched; all else is the module's. A builder is asked service by service."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        given = dict(self._task.args)
        servers = given.pop("servers", None)
        try:
            args = narrowed(given)
        except StackswapError as error:
            return {"failed": True, "msg": untouched(error.what), "cause": error.cause, "services": []}
        piped(self._connection, task_vars)
        if servers:
            return self._builder(servers, args["services"], task_vars)
        return self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)

    def _builder(self, variable: str, windows: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """Of each service what no server keeps; a builder that is a server has been pruned as one."""
        servers, host = list(task_vars["groups"].get("stackswap", ())), self._task.delegate_to or "the builder"
        told = {server: task_vars["hostvars"][server].get(variable) or {} for server in servers}
        lines, changed = [], False
        for name, window in windows.items() if host not in servers else ():
            keep, since = spare.folded(told, servers, name)
            if since and window["built"]:
                asked = {"state": "pruned", "name": window["image"], "built": name, "keep": list(keep), "since": since}
                done = self._execute_module(module_name=IMAGE, module_args=asked, task_vars=task_vars)
                changed = changed or bool(done.get("changed"))
                lines += pruned.builder_lines(name, host, done, bool(self._task.check_mode))
        return {"changed": changed, "lines": lines}
