#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: exec
short_description: A command in the live container of a service
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Runs a command in the first container of the release that is live on this server, without a shell of its own.
  - What it says is shown as it comes and is no part of the result. It fails if the command does.
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.server.named
  - stackswap.bluegreen.server.inside
  - stackswap.bluegreen.job.line
  - stackswap.bluegreen.server
  - stackswap.bluegreen.proxy
options:
  command:
    description: The command and its arguments.
    type: list
    elements: raw
    required: true
attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
  idempotent:
    support: none
"""

EXAMPLES = r"""
- name: See which release the application takes itself for
  stackswap.bluegreen.exec:
    name: shop
    environment: {name: production}
    command: [cat, /app/VERSION]

- name: Ask a worker what it has under way
  stackswap.bluegreen.exec:
    name: shop
    environment: {name: production}
    process: worker
    command: [celery, -A, shop, inspect, active]
"""

RETURN = r"""
exit_code:
  description: The command's own.
  returned: when the command ran
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (  # noqa: F401 pylint: disable=unused-import
    compiled,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.inside_module import run_exec
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
        "command": {"type": "list", "elements": "raw", "required": True},
        **LINE_ARGUMENTS,
        **SERVER_ARGUMENTS,
    }
    run_exec(AnsibleModule(argument_spec=spec))


if __name__ == "__main__":
    main()
