# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a release that is live stays healthy while its backup runs, and fails no more than that one did."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Count
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import PASS, Verdict, failed, waiting
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge.health import (
    Sample,
    exit_sentence,
    started_again,
    trouble_of,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Bake, Health

STRIKES = 3  # samples in a row: one bad answer is not a bad release
FEWEST = 5  # failed requests: fewer are chance, whatever their share


def judge(samples: Sequence[Sample], health: Health, expected: str, bake: Bake, before: Count) -> Verdict:
    """The verdict at the last sample of a bake. before: what the old release's servers did before the switch."""
    last = samples[-1]
    ended = next((r for r in last.replicas if not r.running or started_again(r, samples[0])), None)
    if ended is not None:
        return failed("bake_failed", exit_sentence(ended, samples))
    if worse(last.traffic, before, bake):
        return failed("bake_failed", f"fails too often in the bake: {compared(last.traffic, before)}")
    recent = [trouble_of(sample, health, expected) for sample in samples[-STRIKES:]]
    if len(recent) == STRIKES and all(recent):
        return failed("bake_failed", f"turned unhealthy in the bake: {recent[-1]}")
    if last.at >= bake.seconds and not any(recent):
        return PASS
    return waiting(next(filter(None, reversed(recent)), "") or f"watched for {last.at:.0f} of {bake.seconds:g} s")


def worse(count: Count, before: Count, bake: Bake) -> bool:
    """Whether it has been asked often enough to be judged, and fails by so much more often than the old one did."""
    if count.tried < bake.min_requests or count.failed < FEWEST:
        return False
    return _share(count) > _share(before) + bake.max_error_share


def compared(count: Count, before: Count) -> str:
    """Both in figures."""
    then = f"{before.failed:,} of {before.tried:,}" if before.tried else "none was counted"
    return f"{count.failed:,} of {count.tried:,} requests failed; of the old release before the switch {then}"


def said(count: Count, before: Count, bake: Bake) -> str:
    """What a bake that was passed is worth."""
    if not count.tried:
        return "no request came in the bake: only its health was watched"
    if count.tried < bake.min_requests:
        return f"{count.tried} requests came in the bake, too few to judge its errors by: only its health was watched"
    return compared(count, before)


def _share(count: Count) -> float:
    return count.failed / count.tried if count.tried else 0.0
