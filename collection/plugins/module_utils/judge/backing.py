# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a backing service serves: it runs, takes connections, is well by its check if it has one, for long enough."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import PASS, Verdict, failed, steady, waiting
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge.health import (
    Sample,
    exit_sentence,
    started_again,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Health

CAUSE = "backing_failed"


def judge(samples: Sequence[Sample], health: Health, port: int, since: float | None) -> Verdict:
    """The verdict at the last sample. since: when it came to be well, for the last time.

    An image may start its program for a moment to set it up, so that it is not well any more is no end before the
    deadline is over.
    """
    last = samples[-1]
    if not last.replicas:
        return failed(CAUSE, "is gone: somebody has removed its container")
    ended = next((r for r in last.replicas if not r.running or started_again(r, samples[0])), None)
    if ended is not None:
        return failed(CAUSE, exit_sentence(ended, samples))
    trouble = trouble_of(last, health, port)
    if trouble and last.at >= health.deadline:
        return failed(CAUSE, f"was not up within {health.deadline:g} s: {trouble}")
    if trouble:
        return waiting(trouble)
    if since is not None and last.at - since >= health.min_healthy_time:
        return PASS
    return waiting(f"works for less than {health.min_healthy_time:g} s")


def trouble_of(sample: Sample, health: Health, port: int) -> str:
    """What keeps it from serving at this moment; '' for nothing."""
    why = next((answer.error for answer in sample.answers if answer.error), "")
    return f"it takes no connection at port {port}: {why}" if why else steady.trouble_of(sample, health)
