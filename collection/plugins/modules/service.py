#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service
short_description: A service leaves this server
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Removes all of a service from this server, which are its routes, its entry and sections at the proxy, its
    containers in every state, its addresses, records and secrets.
  - First nobody new is let in, then what runs may finish, then it stops. Images, volumes and the directory that
    releases share stay, and so does all that other services have.
  - The service has to be named, for there is no word for all. One that is not on the server is fine.
  - A run that was cut off is finished by the next.
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.server.named
  - stackswap.bluegreen.server
  - stackswap.bluegreen.job
  - stackswap.bluegreen.proxy
options:
  state:
    description:
      - V(absent) removes the service.
      - V(claimed) only claims it for the job, so that a job can claim it on all servers before any changes.
      - V(released) ends the claim of the job.
    type: str
    choices: [absent, claimed, released]
    default: absent
  drain_timeout:
    description: How long requests and sessions may take to finish, in seconds.
    type: float
    default: 30
  holder:
    description: Who runs the job, for those whom its claim keeps out.
    type: raw
  wait:
    description: How long to wait for another call on this service on this server, in seconds.
    type: float
    default: 0
attributes:
  check_mode:
    support: full
    details: The plan is answered, and nothing is changed.
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Have a service leave
  stackswap.bluegreen.service:
    name: shop
    environment: {name: production}
    state: absent
"""

RETURN = r"""
stackswap:
  description: What the call did on this server, as report.schema.json of the collection describes it under C(host).
  returned: always
  type: dict
plan:
  description: What would be done, in words and in order.
  returned: in check mode
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (  # noqa: F401 pylint: disable=unused-import
    compiled,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import (
    JOB_ARGUMENTS,
    NAMED_ARGUMENTS,
    PROXY_ARGUMENTS,
    SERVER_ARGUMENTS,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service_module import run_service


def main() -> None:
    spec = {
        **JOB_ARGUMENTS,
        **PROXY_ARGUMENTS,
        **NAMED_ARGUMENTS,
        "state": {"type": "str", "choices": ["absent", "claimed", "released"], "default": "absent"},
        "drain_timeout": {"type": "float", "default": 30},
        "holder": {"type": "raw"},
        "wait": {"type": "float", "default": 0},
        **SERVER_ARGUMENTS,
    }
    run_service(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
