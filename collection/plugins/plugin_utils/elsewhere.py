# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action on another host than its own: over that one's connection, by that one's variables.

A builder's user stays who it is there; on a server of the stack it becomes who the play says.
"""

from __future__ import annotations

import os
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.loader import become_loader

LOCAL = ("localhost", "127.0.0.1", "::1")


def elsewhere(action: Any, host: str, task_vars: Any, become: bool = False) -> Any:
    """This action for another host. become: as on the action's own."""
    variables = _variables(host, task_vars)
    kind = variables.get("ansible_connection") or ("local" if host in LOCAL else constants.DEFAULT_TRANSPORT)
    task, context = action._task.copy(exclude_parent=True), action._play_context.copy()
    become = become and boolean(variables.get("ansible_become", action._task.become) or False)
    task.become, task.delegate_to, context.become = become, None, become
    context.remote_addr = variables.get("ansible_host", host)
    context.remote_user = variables.get("ansible_user")
    loader = action._shared_loader_obj.connection_loader
    connection = loader.get(kind, context, None, task_uuid=task._uuid, ansible_playbook_pid=str(os.getppid()))
    if not connection:
        raise AnsibleActionFail(f"{host} has no connection of the kind {kind}")
    options = {**variables, "inventory_hostname": host}
    connection.set_options(var_options=options)
    connection._shell.set_options(var_options=options)
    if become:
        _become(connection, task, options)
    other = type(action)(task, connection, context, action._loader, action._templar, action._shared_loader_obj)
    other.variables = variables
    return other


def _become(connection: Any, task: Any, options: Any) -> None:
    method = options.get("ansible_become_method") or task.become_method or constants.DEFAULT_BECOME_METHOD
    plugin = become_loader.get(method)
    if not plugin:
        raise AnsibleActionFail(f"there is no way to become another user by the name of {method}")
    connection.set_become_plugin(plugin)
    plugin.set_options(task_keys=task.dump_attrs(), var_options=options)


def _variables(host: str, task_vars: Any) -> dict[str, Any]:
    """The variables of another host; the control node's Python is the one that Ansible runs on."""
    found = dict(task_vars["hostvars"][host])
    if host in LOCAL:
        found.setdefault("ansible_python_interpreter", task_vars.get("ansible_playbook_python"))
    return found
