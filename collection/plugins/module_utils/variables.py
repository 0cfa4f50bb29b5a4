# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a job besides its service: how each is read, and what Ansible is told of it.

To Ansible they are ``raw``: a survey sends an empty text for what was left open, in any type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import forms, kinds
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.kinds import Reader, Wrong
from ansible_collections.stackswap.bluegreen.plugins.module_utils.options import (
    ATTACHED,
    BACKINGS,
    REGISTRY,
    Option,
    section,
)

ROOM = "stackswap_room"
KINDS = (
    "setup",
    "build",
    "deploy",
    "build-and-deploy",
    "rollback",
    "remove",
    "restart",
    "logs",
    "exec",
    "drain",
    "undrain",
    "maintenance",
    "backing",
    "status",
    "prune",
    "selftest",
)
WAVE = re.compile(r"[1-9][0-9]{0,3}|(100|[1-9][0-9]?)%")
FLAGS = {"true": True, "yes": True, "false": False, "no": False}


def flag(value: Any) -> bool:
    """True or false, or the word for it: surveys know no truth values, and -e sends text."""
    found = kinds.plain(value)
    return kinds.yes_no(FLAGS.get(found.lower(), value) if isinstance(found, str) else value)


def listed(read: Reader) -> Reader:
    """A list, or its one item; commas part items of a text."""

    def read_all(value: Any) -> Any:
        found = kinds.plain(value)
        parts = [part.strip() for part in found.split(",")] if isinstance(found, str) else value
        one = not isinstance(parts, (list, tuple))
        return kinds.items(read)([parts] if one else parts)

    return read_all


def wave(value: Any) -> str:
    """A number of servers, or a share of them."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    found = str(int(value)) if whole else kinds.plain(value)
    if not isinstance(found, str) or not WAVE.fullmatch(found):
        raise Wrong(f"must be a number of servers or a share, as 1 or 25%, not {kinds.shown(value)}")
    return found


def promote(value: Any) -> str:
    """yes, no or only: YAML and surveys may have made truth values of the first two."""
    found = kinds.plain(value)
    said = found.lower() if isinstance(found, str) else found
    words = {True: "yes", False: "no", "true": "yes", "false": "no"}
    return str(kinds.choice("yes", "no", "only")(words.get(said, said) if isinstance(said, (bool, str)) else said))


def named(options: Mapping[str, Option]) -> Reader:
    """Dictionaries of these options, each by its name."""
    return kinds.pairs(forms.some, section(options))


def memory_size(value: Any) -> str:
    """A size as Docker writes it; a plain number is one of bytes."""
    return str(forms.size(str(value) if isinstance(value, int) and not isinstance(value, bool) else value))


OF_ROOM = {"disk": Option(memory_size), "memory": Option(memory_size), "check": Option(flag)}
VARIABLES = {
    "stackswap_version": Option(forms.version),
    "stackswap_rollback_to": Option(forms.version),
    "stackswap_job": Option(forms.some),
    "stackswap_job_kind": Option(kinds.choice(*KINDS)),
    "stackswap_wait_claim": Option(kinds.seconds()),
    "stackswap_claim_seconds": Option(kinds.number(60, 86400, " of seconds")),
    "stackswap_waves": Option(listed(wave)),
    "stackswap_max_fail": Option(kinds.number(0, 10000)),
    "stackswap_on_fail": Option(kinds.choice("back", "hold")),
    "stackswap_main": Option(forms.some),
    "stackswap_now": Option(flag),
    "stackswap_drill": Option(flag),
    "stackswap_force": Option(flag),
    "stackswap_exit_status": Option(flag),
    "stackswap_drain_server": Option(forms.some),
    "stackswap_drain_wait": Option(kinds.seconds()),
    "stackswap_tail": Option(kinds.number(0, 1_000_000, " of lines")),
    "stackswap_follow": Option(flag),
    "stackswap_previous": Option(flag),
    "stackswap_process": Option(forms.short_name),
    "stackswap_command": Option(kinds.items(kinds.text)),
    "stackswap_expect": Option(forms.plan_hash),
    "stackswap_unmounted": Option(listed(forms.some)),
    "stackswap_no_cache": Option(flag),
    "stackswap_history": Option(kinds.number(0, 10000)),
    "stackswap_kept": Option(flag),
    "stackswap_promote": Option(promote),
    "stackswap_preview": Option(forms.preview, no_log=True),
    "stackswap_maintenance": Option(kinds.choice("start", "end")),
    ROOM: Option(section(OF_ROOM)),
    "stackswap_env": Option(kinds.pairs(forms.variable, kinds.text)),
    "stackswap_attached": Option(named(ATTACHED)),
    "stackswap_backing": Option(BACKINGS),
    "stackswap_backing_name": Option(forms.short_name),
    "stackswap_backing_state": Option(kinds.choice("present", "absent")),
    "stackswap_registries": Option(named(REGISTRY)),
    "stackswap_base_images": Option(kinds.pairs(forms.some, forms.some)),
    "stackswap_before": Option(listed(forms.some)),
    "stackswap_after": Option(listed(forms.some)),
}


def parse_variables(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of these variables that are given, read by their whole names."""
    try:
        return section(VARIABLES)(given)
    except Wrong as wrong:
        raise BadInput(wrong.what) from None
