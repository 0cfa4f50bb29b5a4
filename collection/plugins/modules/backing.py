#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backing
short_description: Run the backing services of this server
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Has backing services run on this server, as a database or a cache for a small stack, one container each.
  - One that is to be otherwise is stopped before the new container starts, so two never write the same data. Where
    the new one takes no connections in time, the one before runs again.
  - A deploy of a service never touches them, and none is removed that is not named. Volumes are never removed.
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.server
  - stackswap.bluegreen.server.call
  - stackswap.bluegreen.attributes.plain
  - stackswap.bluegreen.proxy
options:
  backing:
    description: All backing services by name, as C(stackswap_backing) of the inventory has them.
    type: dict
  names:
    description: The names of those that are on this server and that the call is about.
    type: list
    elements: str
    required: true
  environment:
    description: The environment, with its C(name).
    type: dict
    required: true
  servers:
    description: The servers of the stack, in the order of the inventory.
    type: list
    elements: str
    required: true
  state:
    description:
      - With V(present) they run as O(backing) says.
      - With V(absent) their containers are stopped and removed. Their volumes stay.
    type: str
    choices: [present, absent]
    default: present
  registries:
    description: The registries to log in to, by their names, each with C(username) and C(password).
    type: dict
"""

EXAMPLES = r"""
- name: Run a cache
  stackswap.bluegreen.backing:
    names: [redis]
    backing:
      redis: {image: "redis:7", volumes: ["redis:/data"]}
    environment: {name: production}
    servers: [web1]
"""

RETURN = r"""
seconds:
  description: How long it took.
  returned: always
  type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (  # noqa: F401 pylint: disable=unused-import
    compiled,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.backing_module import run_backing
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import (
    CALL_ARGUMENTS,
    PROXY_ARGUMENTS,
    SERVER_ARGUMENTS,
)


def main() -> None:
    spec = {
        **PROXY_ARGUMENTS,
        # No sub-options here: the names are the inventory's own. So all of it is masked.
        "backing": {"type": "dict", "no_log": True},
        "names": {"type": "list", "elements": "str", "required": True},
        "environment": {"type": "dict", "required": True},
        "servers": {"type": "list", "elements": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "registries": {"type": "dict", "no_log": True},
        **CALL_ARGUMENTS,
        **SERVER_ARGUMENTS,
    }
    run_backing(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
