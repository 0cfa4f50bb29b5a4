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
  - stackswap.bluegreen.server.named
  - stackswap.bluegreen.server.inside
  - stackswap.bluegreen.job.line
  - stackswap.bluegreen.server
  - stackswap.bluegreen.attributes.plain
  - stackswap.bluegreen.proxy
options:
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
  cursor:
    description: How far earlier calls have read, as they answered it.
    type: dict
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

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (  # noqa: F401 pylint: disable=unused-import
    compiled,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.inside_module import run_logs
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import (
    INSIDE_ARGUMENTS,
    LINE_ARGUMENTS,
    NAMED_ARGUMENTS,
    PROXY_ARGUMENTS,
    SERVER_ARGUMENTS,
)


def main() -> None:
    spec = {
        **PROXY_ARGUMENTS,
        **NAMED_ARGUMENTS,
        **INSIDE_ARGUMENTS,
        "tail": {"type": "int", "default": 100},
        "follow": {"type": "bool", "default": False},
        "previous": {"type": "bool", "default": False},
        "cursor": {"type": "dict"},
        **LINE_ARGUMENTS,
        **SERVER_ARGUMENTS,
    }
    run_logs(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
