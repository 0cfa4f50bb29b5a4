# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument specifications that modules share; the fragments of the same names document them."""

from __future__ import annotations

from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import options

Spec = dict[str, Any]

SERVICE: Spec = {
    "name": {"type": "raw", "required": True},
    "environment": {
        "type": "dict",
        "required": True,
        "options": options.spec_of(options.ENVIRONMENT),
    },
    "service": {"type": "dict", "required": True, "options": options.spec_of(options.OPTIONS)},
    # No sub-options here: Ansible would fill those that are not given with null, and null deletes.
    "overrides": {"type": "dict", "no_log": True},
}

RELEASE: Spec = {
    "version": {"type": "raw"},
    "image": {"type": "raw"},
    "state": {
        "type": "str",
        "choices": ["claimed", "ready", "live", "settled", "back", "absent", "released"],
        "default": "settled",
    },
    "now": {"type": "bool", "default": False},
    "drill": {"type": "bool", "default": False},
}

JOB: Spec = {
    "job": {"type": "raw"},
    "claim_seconds": {"type": "int", "default": 900},
}

SERVER: Spec = {"docker_host": {"type": "str"}}
TURN: Spec = {"turn": {"type": "str"}}  # the action plugin's, see calls.py
CALL: Spec = {"job": {"type": "raw"}}
NAMED: Spec = {"name": {"type": "raw", "required": True}, "environment": {"type": "dict", "required": True}}
INSIDE: Spec = {"process": {"type": "str", "default": ""}}

LINE: Spec = {"_line": {"type": "dict"}}  # the action plugin's, see line.py

PROXY: Spec = {"proxy": {"type": "dict", "options": options.spec_of(options.PROXY)}}
