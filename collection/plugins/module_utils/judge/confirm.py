# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the public door leads to the slot that was just written: by the proxy's own word, several times in a row."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import PASS, Verdict, waiting


def judge(samples: Sequence[Answer], service: str, value: str, times: int) -> Verdict:
    """The verdict on the answers so far: the last ones must all tell this backend, this slot's servers, this value."""
    recent = samples[-times:]
    if len(recent) == times and all(led(answer, service, value) for answer in recent):
        return PASS
    last = samples[-1]
    return waiting(last.error or f"the proxy told {last.told or 'nothing'}, status {last.status}")


def led(answer: Answer, service: str, value: str) -> bool:
    """Whether the proxy's header names the backend, a server of the live slot, and the value."""
    backend, dummy, rest = answer.told.partition(" ")
    server, dummy, told = rest.partition(" ")
    return backend == f"{service}:{value}" and server.startswith(value.split(".")[0]) and told == value
