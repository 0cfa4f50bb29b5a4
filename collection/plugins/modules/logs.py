#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: logs
short_description: What the containers of a service say
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Shows the last lines of the containers of the release that is live on this server, each with the server's name.
    They are those of O(process).
  - In following it goes on with what they say, also with those of a release that goes live meanwhile.
  - Lines are shown as they come and are no part of the result. Nothing is changed.
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.proxy
options:
  name:
    description: The name of the service. It need not be in the inventory.
    type: raw
    required: true
  environment:
    description: The environment that it runs in, a dictionary with its C(name).
    type: dict
    required: true
  tail:
    description: How many of the last lines of each container to show first.
    type: int
    default: 100
  follow:
    description: Whether to go on until the job is stopped.
    type: bool
    default: false
  previous:
    description: Whether the containers of the release that a rollback would go to are meant instead.
    type: bool
    default: false
  process:
    description:
      - The process that is meant, by its name in the service, such as V(worker).
      - Without one it is V(web), or on a server without that any other that is no affair of cron.
    type: str
    default: ""
  cursor:
    description: How far earlier calls have read, as they answered it.
    type: dict
  _line:
    description: How the caller listens to the call. It is set by the action plugin of the same name.
    type: dict
  docker_host:
    description: The address of the engine. Defaults to C(DOCKER_HOST), else the server's own socket.
    type: str
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Show what shop has said
  stackswap.bluegreen.logs:
    name: shop
    environment: {name: production}
    tail: 20
"""

RETURN = r"""
cursor:
  description: How far each container's log was read.
  returned: success
  type: dict
stopped:
  description: Whether following was ended from outside.
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils.inside_module import run_logs
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import PROXY_ARGUMENTS


def main() -> None:
    spec = {
        **PROXY_ARGUMENTS,
        "name": {"type": "raw", "required": True},
        "environment": {"type": "dict", "required": True},
        "tail": {"type": "int", "default": 100},
        "follow": {"type": "bool", "default": False},
        "previous": {"type": "bool", "default": False},
        "process": {"type": "str", "default": ""},
        "cursor": {"type": "dict"},
        "_line": {"type": "dict"},
        "docker_host": {"type": "str"},
    }
    run_logs(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
