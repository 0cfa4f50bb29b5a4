# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether nobody comes to a server any more: no session and no new request for a while."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import PASS, Verdict, waiting


class Sample(NamedTuple):
    """One look: seconds since the first, sessions that are open, and a count that each new request changes."""

    at: float
    sessions: int
    count: Any


def judge(samples: Sequence[Sample], quiet: float) -> Verdict:
    """The verdict on what was seen so far; quiet: seconds in which nobody may have come."""
    last = samples[-1]
    since = last.at
    for one in reversed(samples):
        if one.sessions or one.count != last.count:
            break
        since = one.at
    if not last.sessions and last.at - since >= quiet:
        return PASS
    return waiting(f"{last.sessions} sessions are open" if last.sessions else "requests still come")
