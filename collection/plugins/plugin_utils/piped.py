# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the options of a module, secrets among them, off the disks of both sides.

By Ansible's default a module and its options are a file for a while, here and on the server.
"""

from __future__ import annotations

from typing import Any

from ansible import constants
from ansible.errors import AnsibleError

OPTION = "pipelining"
NAMES = ("ansible_pipelining", "ansible_ssh_pipelining")


def piped(connection: Any, variables: Any) -> None:
    """Have the connection send modules through its pipe, unless somebody has said that it must not (or must).

    variables: of a task or of a host. A task's do not tell: Ansible itself has put the value in effect there.
    """
    try:
        host = variables["hostvars"][variables["inventory_hostname"]] if "hostvars" in variables else variables
        said = {name: host[name] for name in NAMES if name in host}
        asked = {"plugin_type": "connection", "plugin_name": connection._load_name, "variables": said}
        dummy, origin = constants.config.get_config_value_and_origin(OPTION, **asked)
        if origin == "default":
            connection.set_option(OPTION, True)
    except (AnsibleError, KeyError):  # a connection that has no such choice
        return
