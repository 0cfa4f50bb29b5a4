# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module callbacks_lint: reads an application's callbacks and Dockerfile, answers what is wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import findings, folder
from ansible_collections.stackswap.bluegreen.plugins.module_utils.answer import Answer
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.findings import ERROR, WARNING, Finding

FAILS = {ERROR: (ERROR,), WARNING: (ERROR, WARNING), "never": ()}


def run_lint(module: AnsibleModule) -> None:
    """The module callbacks_lint."""
    answer = Answer(module, {})
    try:
        found = look(module.params)
    except StackswapError as error:
        answer.fail(error)
    except OSError as error:
        answer.crash(error)
    told = [{"level": one.level, "file": one.file, "what": one.what} for one in found]
    if any(one.level in FAILS[module.params["fail_on"]] for one in found):
        module.fail_json(msg=said(found), cause="callbacks", findings=told, changed=False)
    answer.give(changed=False, msg=said(found), findings=told)


def look(params: Mapping[str, Any]) -> tuple[Finding, ...]:
    """What is wrong with the application at this path, errors first."""
    path, name = params["path"], params["dockerfile"]
    if not folder.is_folder(path):
        raise BadInput(f"path: there is no folder {path}")
    callbacks = folder.callbacks(os.path.join(path, params["folder"]))
    text = folder.text_of(os.path.join(path, name))
    found = findings.of_folder(callbacks) if callbacks else ()
    found += findings.of_dockerfile(name, text, callbacks)
    return tuple(sorted(found, key=lambda one: (one.level, one.file)))


def said(found: tuple[Finding, ...]) -> str:
    """How many there are, and the first of them."""
    if not found:
        return "nothing is wrong with the callbacks"
    errors = sum(one.level == ERROR for one in found)
    return f"{errors} errors and {len(found) - errors} warnings in callbacks; the first: {found[0]}"
