#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: Which releases this server runs, and which of them users get
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Tells of every service of this server, or of one, what is live, what a rollback would go to, and what stands by.
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.server
  - stackswap.bluegreen.proxy
options:
  name:
    description: The name of a service. Without one, all services that this server knows.
    type: str
  history:
    description: How many lines of each service's history are told, the newest first.
    type: int
    default: 0
  kept:
    description: Whether the releases that can be gone back to are told, with what stands in the way of each.
    type: bool
    default: false
  backing:
    description:
      - All backing services by name, as C(stackswap_backing) of the inventory has them.
      - With it those of this server are told, too, unless O(name) asks for a service alone.
    type: dict
  environment:
    description: The environment whose backing services these are, with its C(name).
    type: dict
  servers:
    description: The servers of the stack, in the order of the inventory.
    type: list
    elements: str
  server:
    description: The name of this server in the inventory.
    type: str
attributes:
  check_mode:
    support: full
    details: It only looks.
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: See what serves
  stackswap.bluegreen.release_info:
    name: shop
  register: found

- name: See what can be gone back to, and the last ten jobs
  stackswap.bluegreen.release_info:
    name: shop
    kept: true
    history: 10
"""

RETURN = r"""
services:
  description: One entry a service.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The name of the service.
      type: str
      sample: shop
    environment:
      description: The environment that it runs in.
      type: str
      sample: production
    serving:
      description: The release that users get, with its version, digest, slot, health and since when its container runs.
      type: dict
    previous:
      description: The release that a rollback without a version goes to.
      type: dict
    route:
      description: The value in the proxy's live map.
      type: str
      sample: green
    file:
      description: The value in the map's file, which a restart of the proxy would read.
      type: str
      sample: green
    maintenance:
      description: Whether users get the maintenance page, whatever is live.
      type: bool
    routes:
      description: The host names and paths that lead to the service.
      type: list
      elements: str
    containers:
      description: Every container of the service in every state.
      type: list
      elements: dict
    processes:
      description: The processes that take no requests, each with the version of it that runs, and how many of how many.
      type: list
      elements: dict
    schedules:
      description: The processes that cron runs, each with when, of which version, and how its last runs ended.
      type: list
      elements: dict
    claim:
      description: The job that has claimed the service on this server, and until when.
      type: dict
    holder:
      description: The call that is changing the service at this moment, as it tells of itself.
      type: dict
    draining:
      description: The slot that is no longer routed and still has sessions, and how many.
      type: dict
backing:
  description:
    - One entry for each backing service that is on this server or ought to be.
    - Nothing of them is told without O(backing).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: redis
    environment:
      description: The environment that it is of.
      type: str
      sample: production
    image:
      description: The image that its container is made from.
      type: str
      sample: redis:7
    state:
      description: The state of its container in the engine's words, empty where there is none.
      type: str
      sample: running
    health:
      description:
        - V(healthy), V(unhealthy) or V(starting), by its check, else by whether it takes connections.
        - Empty where it does not run or nobody knows its port.
      type: str
      sample: healthy
    since:
      description: Since when its container runs.
      type: str
    restarts:
      description: How often the engine has started it again.
      type: int
    drift:
      description:
        - How it is not as O(backing) says. V(absent), V(differs), V(unknown) if O(backing) does not have it, or
          V(elsewhere) if that has it on another server.
        - Empty where it is as it ought to be.
      type: str
server:
  description: What all services of the server share.
  returned: success
  type: dict
  contains:
    proxy:
      description: A hash of the proxy's configuration, without the services' sections.
      type: str
      sample: 5d1f0c9a3b7e
    as_asked:
      description: Whether the configuration is what O(proxy) asks for.
      type: bool
    drained:
      description: Whether a balancer in front is told to leave the server out.
      type: bool
    network:
      description: The addresses of the network that containers are in.
      type: str
      sample: 172.30.64.0/20
    strangers:
      description: The containers that have the labels of a service that this server does not know.
      type: list
      elements: str
    kept:
      description:
        - The releases that have served and do not now, the one that served last first.
        - C(hindrance) says why it cannot be gone back to, and is empty where it can.
      returned: when O(kept)
      type: list
      elements: dict
    history:
      description: What jobs have come to, the newest first.
      returned: when O(history) is more than 0
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (  # noqa: F401 pylint: disable=unused-import
    compiled,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.info_module import run_release_info
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import PROXY_ARGUMENTS, SERVER_ARGUMENTS


def main() -> None:
    spec = {
        **PROXY_ARGUMENTS,
        "name": {"type": "str"},
        "history": {"type": "int", "default": 0},
        "kept": {"type": "bool", "default": False},
        # No sub-options here: the names are the inventory's own. So all of it is masked.
        "backing": {"type": "dict", "no_log": True},
        "environment": {"type": "dict"},
        "servers": {"type": "list", "elements": "str"},
        "server": {"type": "str"},
        **SERVER_ARGUMENTS,
    }
    run_release_info(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
