#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: selftest
short_description: Prove on this very server what is promised of a swap
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Deploys a small sample service through the server's own engine and proxy while visitors who never try twice ask for
    it, and breaks it in the ways that releases break. Tells which promises were kept, with figures.
  - Nothing else on the server is touched, and no daemon is restarted. What was made is taken away in the end.
  - The sample runs from the image that the proxy runs, so nothing has to be fetched.
extends_documentation_fragment:
  - stackswap.bluegreen.attributes
  - stackswap.bluegreen.server
  - stackswap.bluegreen.server.call
  - stackswap.bluegreen.job.line
  - stackswap.bluegreen.proxy
options:
  environment:
    description: The environment of the stack, with its C(name). The sample is its service C(selftest).
    type: dict
    required: true
  rate:
    description: How many requests a second the visitors make, all together.
    type: float
    default: 60
  image:
    description: An image of HAProxy for the sample. Defaults to the one that the proxy runs.
    type: raw
attributes:
  check_mode:
    support: full
    details: Nothing is deployed.
  diff_mode:
    support: none
  idempotent:
    support: none
"""

EXAMPLES = r"""
- name: Prove it here
  stackswap.bluegreen.selftest:
    environment: {name: production}
"""

RETURN = r"""
checks:
  description: One entry a promise.
  returned: always but where it could not begin
  type: list
  elements: dict
  contains:
    name:
      description: What it is called.
      type: str
      sample: swaps
    promise:
      description: What is promised.
      type: str
      sample: swaps under load lose no request
    held:
      description: Whether it was kept.
      type: bool
    why:
      description: Why it was not; empty if it was.
      type: str
    requests:
      description: How many requests the visitors made meanwhile.
      type: int
    lost:
      description: How many of them were lost.
      type: int
    seconds:
      description: How long it took.
      type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (  # noqa: F401 pylint: disable=unused-import
    compiled,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.selftest_module import run_selftest
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import (
    CALL_ARGUMENTS,
    LINE_ARGUMENTS,
    PROXY_ARGUMENTS,
    SERVER_ARGUMENTS,
)


def main() -> None:
    spec = {
        **PROXY_ARGUMENTS,
        "environment": {"type": "dict", "required": True},
        "rate": {"type": "float", "default": 60},
        "image": {"type": "raw"},
        **CALL_ARGUMENTS,
        **SERVER_ARGUMENTS,
        **LINE_ARGUMENTS,
    }
    run_selftest(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
