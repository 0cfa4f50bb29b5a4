#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: prune
short_description: Takes away what of services nobody would go back to
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Of each service it keeps what is live, what a rollback goes to, and as many releases before as C(keep) of the
    service says. What is older goes, its stopped containers, its images, its manifests and its secret files.
  - An image goes only if a release of the service was made from it, and if no container, no other service and no name
    of somebody else needs it. What carries no label of the service is never touched.
  - A service that another job holds is left as it is, and the call fails in the end.
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.server
  - stackswap.bluegreen.server.call
  - stackswap.bluegreen.proxy
options:
  environment:
    description: The name of the environment.
    type: str
    required: true
  services:
    description:
      - The services to prune, by name. One that the server does not know is passed over.
      - In a play they are the C(stackswap_services) of the inventory, and only what is needed of them is sent.
    type: dict
    required: true
  overrides:
    description: What this environment has otherwise, by the names of services.
    type: dict
  name:
    description: The name of the one service to prune. Without it all of O(services) are.
    type: raw
  servers:
    description:
      - Only for the builder, which a play delegates to. The name of the variable in which each server of the play has
        what this module told of it.
      - Of services that have a source, the images of their builds go there that no server keeps, and that are older
        than what is live everywhere. Where a server has not told, nothing goes. It never fails.
    type: str
  wait:
    description: How long to wait for another call on a service on this server, in seconds.
    type: float
    default: 0
attributes:
  check_mode:
    support: full
    details: What would go is answered with its bytes, and nothing is changed.
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Prune one service
  stackswap.bluegreen.prune:
    environment: production
    services: "{{ stackswap_services }}"
    name: shop
"""

RETURN = r"""
services:
  description: One entry a service that the server knows.
  returned: always
  type: list
  elements: dict
  contains:
    service:
      description: The name of the service.
      type: str
    pruned:
      description: What was C(removed), what was C(left) and why, and how many C(bytes) the disk has more.
      type: dict
    stays:
      description: The ids and versions of images that stay, and when the one was made that is live.
      type: dict
lines:
  description: What was done on the builder, a line each service.
  returned: with O(servers)
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (  # noqa: F401 pylint: disable=unused-import
    compiled,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.prune_module import run_prune
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import (
    CALL_ARGUMENTS,
    PROXY_ARGUMENTS,
    SERVER_ARGUMENTS,
)


def main() -> None:
    spec = {
        **PROXY_ARGUMENTS,
        "environment": {"type": "str", "required": True},
        "services": {"type": "dict", "required": True},
        # No sub-options here, so all of it is masked: in a play the control node sends none of it.
        "overrides": {"type": "dict", "no_log": True},
        "name": {"type": "raw"},
        "servers": {"type": "str"},
        **CALL_ARGUMENTS,
        "wait": {"type": "float", "default": 0},
        **SERVER_ARGUMENTS,
    }
    run_prune(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
