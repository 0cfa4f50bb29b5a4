#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drain
short_description: Have a balancer leave this server out
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - While a server drains, its proxy answers the path C(health_path) of O(proxy) with status 503, so that a balancer in
    front sends nobody new. All else is served as before, and nothing of services, releases or slots changes.
  - It waits until nobody comes any more. That this takes longer than O(wait) is told and is no failure.
  - The word survives restarts of the proxy and of the server.
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.attributes.plain
  - stackswap.bluegreen.proxy
options:
  state:
    description:
      - V(drained) has the server left out, and waits.
      - V(serving) has it taken in again.
    type: str
    choices: [drained, serving]
    default: drained
  wait:
    description: How long to wait for the last sessions, in seconds.
    type: float
    default: 60
  quiet:
    description: For how long nobody may have come until the server counts as idle, in seconds.
    type: float
    default: 5
  server:
    description: The name of the server, as the answer tells it.
    type: raw
"""

EXAMPLES = r"""
- name: Take the server out of the balancer
  stackswap.bluegreen.drain:
    proxy: {health_path: /balancer}
"""

RETURN = r"""
drained:
  description: Whether the balancer is told to leave the server out.
  returned: success
  type: bool
idle:
  description: Whether nobody came any more; null where that was not waited for.
  returned: success
  type: bool
sessions:
  description: The sessions that were open in the end.
  returned: when it was waited
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (  # noqa: F401 pylint: disable=unused-import
    compiled,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.drain_module import run_drain
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import PROXY_ARGUMENTS


def main() -> None:
    spec = {
        **PROXY_ARGUMENTS,
        "state": {"type": "str", "choices": ["drained", "serving"], "default": "drained"},
        "wait": {"type": "float", "default": 60},
        "quiet": {"type": "float", "default": 5},
        "server": {"type": "raw"},
    }
    run_drain(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
