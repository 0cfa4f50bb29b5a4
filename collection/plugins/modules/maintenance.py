#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance
short_description: A page in the place of a service, while it is worked on
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Has this server's proxy answer requests for a service with a page and status 503, or has it answer as before.
  - Which release is live stays as it is. Deploys go on underneath and do not end it, and it outlasts restarts.
  - Whoever has the server's key or the word of a preview gets to the service all the while.
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.server
  - stackswap.bluegreen.server.call
  - stackswap.bluegreen.proxy
options:
  name:
    description: The name of the service. It must have been deployed to this server.
    type: raw
    required: true
  environment:
    description: The environment of the service, as M(stackswap.bluegreen.release) has it.
    type: dict
    required: true
    suboptions:
      name:
        description: The name of the environment, such as V(production).
        type: raw
      criticality:
        description: How critical the environment is. Not used here.
        type: raw
      env:
        description: Variables of the environment. Not used here.
        type: dict
  state:
    description: Whether the page is shown, or requests reach the service.
    type: str
    choices: [started, ended]
    default: started
  page:
    description:
      - The page as HTML, 12,000 bytes at the most. Without one a plain page is shown.
    type: str
  retry_after:
    description: After how many seconds clients may come again, as the header C(Retry-After) tells them.
    type: int
    default: 300
  bypass:
    description: Addresses and networks that get to the service all the while.
    type: list
    elements: raw
  health:
    description:
      - The path that the proxy answers with status 200 all the while.
      - So a load balancer in front keeps the server.
    type: raw
  holder:
    description: Who runs the job, for the history of the service.
    type: raw
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Show a page while the database is moved
  stackswap.bluegreen.maintenance:
    name: shop
    environment: {name: production}
    page: "{{ lookup('ansible.builtin.file', 'maintenance.html') }}"
    retry_after: 600
    bypass: [203.0.113.0/24]
    health: /health

- name: Let users in again
  stackswap.bluegreen.maintenance:
    name: shop
    environment: {name: production}
    state: ended
"""

RETURN = r"""
stackswap:
  description: What the call did on this server, as report.schema.json of the collection describes it under C(host).
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (  # noqa: F401 pylint: disable=unused-import
    compiled,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.maintenance_module import run_maintenance
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import (
    CALL_ARGUMENTS,
    PROXY_ARGUMENTS,
    SERVER_ARGUMENTS,
    SERVICE_ARGUMENTS,
)


def main() -> None:
    spec = {
        **PROXY_ARGUMENTS,
        "name": {"type": "raw", "required": True},
        "environment": SERVICE_ARGUMENTS["environment"],
        "state": {"type": "str", "choices": ["started", "ended"], "default": "started"},
        "page": {"type": "str"},
        "retry_after": {"type": "int", "default": 300},
        "bypass": {"type": "list", "elements": "raw", "no_log": False},
        "health": {"type": "raw"},
        **CALL_ARGUMENTS,
        "holder": {"type": "raw"},
        **SERVER_ARGUMENTS,
    }
    run_maintenance(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
