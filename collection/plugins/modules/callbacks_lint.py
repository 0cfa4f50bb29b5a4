#!/usr/bin/python
# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: callbacks_lint
short_description: Tells what is wrong with an application's callbacks
version_added: 0.1.0
author: stackswap contributors (@stackswap)
description:
  - Reads the scripts C(build.sh), C(entrypoint.sh), C(release.sh), C(verify.sh) and C(after.sh) of a callbacks folder,
    and the Dockerfile beside it. Nothing is run and nothing is changed.
  - An error keeps a callback from running, such as Windows line ends in its first line.
  - A warning is what it may come to, such as no exec bit, no C(#!) line, no C(set -e), or a C(CMD) in shell form.
  - A build refuses what is an error, and tells what is a warning in the report of its job.
attributes:
  check_mode:
    description: Can run in check mode and say what it would do.
    support: full
  diff_mode:
    description: Shows what changed.
    support: none
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
options:
  path:
    description: The application's folder.
    type: path
    required: true
  folder:
    description: The name of the callbacks folder in it. It need not be there.
    type: str
    default: .artifakt
  dockerfile:
    description: The Dockerfile in it. It need not be there.
    type: str
    default: Dockerfile
  fail_on:
    description:
      - When the module fails.
      - V(error) fails on errors, V(warning) also on warnings, V(never) answers them alone.
    type: str
    choices: [error, warning, never]
    default: error
seealso:
  - module: stackswap.bluegreen.image_build
"""

EXAMPLES = r"""
- name: Check the callbacks of shop
  stackswap.bluegreen.callbacks_lint:
    path: /srv/code/shop
    fail_on: warning
"""

RETURN = r"""
findings:
  description: What is wrong, errors first.
  returned: always, but where the folder cannot be read
  type: list
  elements: dict
  contains:
    level:
      description: V(error) or V(warning).
      type: str
      sample: error
    file:
      description: The file, below the application's folder.
      type: str
      sample: .artifakt/build.sh
    what:
      description: What is wrong with it.
      type: str
      sample: "is not executable: it is made so in the image"
cause:
  description: What kind of failure it was.
  returned: failure
  type: str
  sample: callbacks
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (  # noqa: F401 pylint: disable=unused-import
    compiled,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.lint_module import run_lint


def main() -> None:
    spec = {
        "path": {"type": "path", "required": True},
        "folder": {"type": "str", "default": ".artifakt"},
        "dockerfile": {"type": "str", "default": "Dockerfile"},
        "fail_on": {"type": "str", "choices": ["error", "warning", "never"], "default": "error"},
    }
    run_lint(AnsibleModule(argument_spec=spec, supports_check_mode=True))


if __name__ == "__main__":
    main()
