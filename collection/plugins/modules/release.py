#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: A release of a service climbs on this server
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Has a release of a service be ready beside the live one, go live without losing a request, and settle; or go back.
  - What is there is observed anew, and only what is missing is done. A run that was cut off is finished by the next.
  - It fails with what failed, what users get now, what was kept, and what to type next.
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.server
  - stackswap.bluegreen.job.line
  - stackswap.bluegreen.service
  - stackswap.bluegreen.service.release
  - stackswap.bluegreen.job
  - stackswap.bluegreen.job.turn
  - stackswap.bluegreen.proxy
  - stackswap.bluegreen.room
options:
  rollback:
    description:
      - Whether the release is gone back to. It is then one that has served here, by O(release), by O(version), or the
        previous one, with the settings that it had. What it replaces is rejected, and is not gone back to by itself.
    type: bool
    default: false
  restart:
    description:
      - Whether new containers of the release that is live take over from those that run, with the settings and the
        secrets that it has. It needs O(job), which tells one restart from the next; the same job restarts once.
    type: bool
    default: false
  release:
    description:
      - The name of the release on this server, as an earlier call of the job has answered it.
      - Only for O(rollback).
    type: raw
  local_env:
    description:
      - Environment variables that differ from server to server. They are no part of the release's identity.
    type: dict
  env:
    description:
      - Environment variables of the job alone, names and values as text. They win over those of O(environment) and
        O(service), and are part of the release's identity.
    type: dict
  attached:
    description:
      - The attached services by name, each with a C(kind), one of V(mysql), V(postgresql), V(redis) and V(es),
        and with C(host), C(port), C(user), C(password), C(database) and C(prefix) as far as it has them.
      - The application is told of those that the option C(attach) of O(service) names. A C(password) is kept as
        secrets are.
    type: dict
  processes:
    description:
      - What of the service this server has, by the names of its processes, as V(web). Without it, all of them.
      - What is not among them is left alone, but for what of the release that climbs is there and no longer belongs.
    type: list
    elements: str
  server:
    description: The name of the server, as the callback C(verify.sh) is told it. Defaults to the host name.
    type: raw
  promote:
    description:
      - What becomes of a release that is ready. With V(no) the job ends there, and its claim with it.
      - With V(only) the release is one that waits so on this server, as it was made, and nothing is started.
    type: str
    choices: ["yes", "no", "only"]
    default: "yes"
  preview:
    description:
      - A word of your own, 16 to 128 letters, digits and C(_) C(-). Requests through the public door with it in their
        header C(X-Stackswap-Preview) reach the release that is ready, until it goes live or is stopped.
      - Only for V(ready) as O(state).
    type: str
  force:
    description:
      - Whether O(rollback) goes back past a version that bars it by its C(migrations). What it goes past is told.
    type: bool
    default: false
  unmounted:
    description:
      - The mount points that are gone on purpose. Without that, a folder of the server that is in the service's volumes
        and was on a mount of its own at an earlier deploy must be so now.
    type: list
    elements: str
    default: []
  kind:
    description: What the job is called in the history, such as V(deploy). Defaults to V(deploy) or V(rollback).
    type: raw
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
    details: The plan is answered, and nothing is changed. It works on a server that has no engine yet.
  diff_mode:
    support: full
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Deploy a version in one task
  stackswap.bluegreen.release:
    name: shop
    environment: {name: production}
    service:
      image: registry.example.com/acme/shop
      port: 8080
      routes: [{host: shop.example.com}]
      health: /health
    version: "1.4.2"
"""

RETURN = r"""
stackswap:
  description: What the call did on this server, as report.schema.json of the collection describes it under C(host).
  returned: always
  type: dict
steps:
  description: What was done, in words and in order.
  returned: success
  type: list
  elements: str
  sample: [started shop 1.1 in green, "routed to shop 1.1 in green: green.blue"]
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
from ansible_collections.stackswap.bluegreen.plugins.module_utils.module import run_release
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import (
    JOB_ARGUMENTS,
    LINE_ARGUMENTS,
    PROXY_ARGUMENTS,
    RELEASE_ARGUMENTS,
    SERVER_ARGUMENTS,
    SERVICE_ARGUMENTS,
    TURN_ARGUMENTS,
)


def main() -> None:
    spec = {
        **SERVICE_ARGUMENTS,
        **RELEASE_ARGUMENTS,
        **JOB_ARGUMENTS,
        **PROXY_ARGUMENTS,
        "rollback": {"type": "bool", "default": False},
        "restart": {"type": "bool", "default": False},
        "release": {"type": "raw"},
        "local_env": {"type": "dict"},
        "env": {"type": "dict"},
        # No sub-options here: the names are the inventory's own. So all of it is masked, as overrides are.
        "attached": {"type": "dict", "no_log": True},
        "processes": {"type": "list", "elements": "str"},
        "server": {"type": "raw"},
        "promote": {"type": "str", "choices": ["yes", "no", "only"], "default": "yes"},
        "preview": {"type": "str", "no_log": True},
        "force": {"type": "bool", "default": False},
        "unmounted": {"type": "list", "elements": "str", "default": []},
        "kind": {"type": "raw"},
        "holder": {"type": "raw"},
        "wait": {"type": "float", "default": 0},
        **SERVER_ARGUMENTS,
        "room": {"type": "raw"},
        **TURN_ARGUMENTS,
        **LINE_ARGUMENTS,
    }
    run_release(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
