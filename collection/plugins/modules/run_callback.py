#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: run_callback
short_description: Runs release.sh or after.sh of an application
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Runs a callback of the application in a container of its own, made of the release's image with its environment, its
    secrets, its mounts and its network, and removed afterwards. The image's entrypoint is not run.
  - It is for the main server alone. What is not in the image, or is switched off, is not due, and nothing is done.
  - C(release.sh) runs once for a release, and neither for one that is live nor for one that is gone back to.
    One that was cut off runs again only if the service says that it is C(idempotent).
  - C(after.sh) never fails.
  - C(verify.sh) is run by M(stackswap.bluegreen.release). Time, user and what a failure means are the service's, below
    its C(callbacks), for all of them.
  - The callback is told its circumstances in the variables C(STACKSWAP_*), and in the JSON file that
    C(STACKSWAP_CONTEXT) names.
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.server
  - stackswap.bluegreen.job.line
  - stackswap.bluegreen.service
  - stackswap.bluegreen.job
  - stackswap.bluegreen.job.turn
  - stackswap.bluegreen.proxy
options:
  moment:
    description: Which callback. V(release) is C(release.sh), V(after) is C(after.sh).
    type: str
    choices: [release, after]
    required: true
  outcome:
    description:
      - What C(after.sh) is told of the job. V(live) if the release serves everywhere, V(back) if it served and was gone
        back from, else V(failed).
    type: str
    choices: [live, failed, back]
  version:
    description: The version, which names the image. Without one it is the image that is live.
    type: raw
  image:
    description: The image, by name or id, if it is another than O(version) names.
    type: raw
  rollback:
    description: Whether the release is one that is gone back to, as in M(stackswap.bluegreen.release).
    type: bool
    default: false
  release:
    description: The name of the release on this server. Only for O(rollback).
    type: raw
  local_env:
    description: Environment variables that differ from server to server, as in M(stackswap.bluegreen.release).
    type: dict
  env:
    description: Environment variables of the job alone, as in M(stackswap.bluegreen.release).
    type: dict
  attached:
    description: The attached services by name, as in M(stackswap.bluegreen.release).
    type: dict
  server:
    description: The name of the server, as the callback is told it. Defaults to the host name.
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
    details: The callback is not run.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details: C(release.sh) runs once for a release, C(after.sh) each time.
"""

EXAMPLES = r"""
- name: Run the migrations of a version
  stackswap.bluegreen.run_callback:
    moment: release
    name: shop
    environment: {name: production}
    service:
      image: registry.example.com/acme/shop
    version: "1.4.2"
"""

RETURN = r"""
stackswap:
  description: What the call did on this server, as report.schema.json of the collection describes it under C(host).
  returned: always but where after.sh could not be run
  type: dict
callbacks:
  description: What was run, with its exit code, its seconds and its last lines; empty where nothing was due.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (  # noqa: F401 pylint: disable=unused-import
    compiled,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_module import run_callback
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import (
    JOB_ARGUMENTS,
    LINE_ARGUMENTS,
    PROXY_ARGUMENTS,
    SERVER_ARGUMENTS,
    SERVICE_ARGUMENTS,
    TURN_ARGUMENTS,
)


def main() -> None:
    spec = {
        **SERVICE_ARGUMENTS,
        **JOB_ARGUMENTS,
        **PROXY_ARGUMENTS,
        "moment": {"type": "str", "choices": ["release", "after"], "required": True},
        "outcome": {"type": "str", "choices": ["live", "failed", "back"]},
        "version": {"type": "raw"},
        "image": {"type": "raw"},
        "rollback": {"type": "bool", "default": False},
        "release": {"type": "raw"},
        "local_env": {"type": "dict"},
        "env": {"type": "dict"},
        # No sub-options here: the names are the inventory's own. So all of it is masked, as overrides are.
        "attached": {"type": "dict", "no_log": True},
        "server": {"type": "raw"},
        "holder": {"type": "raw"},
        "wait": {"type": "float", "default": 0},
        **SERVER_ARGUMENTS,
        **TURN_ARGUMENTS,
        **LINE_ARGUMENTS,
    }
    run_callback(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
