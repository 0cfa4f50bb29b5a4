# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a judge says of samples, and the one shape that all judges have."""

from __future__ import annotations

from typing import NamedTuple

WAITING, PASSED, FAILED = "waiting", "passed", "failed"


class Verdict(NamedTuple):
    """waiting, passed or failed; why is a sentence's end for people; cause is the error's slug."""

    word: str
    why: str = ""
    cause: str = ""


def waiting(why: str) -> Verdict:
    """Not yet; why is what would be said if the time were over now."""
    return Verdict(WAITING, why)


PASS = Verdict(PASSED)


def failed(cause: str, why: str) -> Verdict:
    """Final, before the time is over."""
    return Verdict(FAILED, why, cause)
