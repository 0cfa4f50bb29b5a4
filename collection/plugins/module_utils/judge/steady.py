# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a process without traffic works: every container of it runs on, and its own check says so, if it has one."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import PASS, Verdict, failed, waiting
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge.health import (
    Sample,
    exit_sentence,
    started_again,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Health


def judge(samples: Sequence[Sample], health: Health, since: float | None) -> Verdict:
    """The verdict at the last sample. since: when it was first well."""
    last = samples[-1]
    ended = next((r for r in last.replicas if not r.running or started_again(r, samples[0])), None)
    if ended is not None:
        return failed("candidate_exited", exit_sentence(ended, samples))
    trouble = trouble_of(last, health)
    if trouble and (since is not None or last.at >= health.deadline):
        late = "was healthy and is not" if since is not None else f"was not healthy within {health.deadline:g} s"
        return failed("candidate_unhealthy", f"{late}: {trouble}")
    if trouble:
        return waiting(trouble)
    if since is not None and last.at - since >= health.min_healthy_time:
        return PASS
    return waiting(f"works for less than {health.min_healthy_time:g} s")


def trouble_of(sample: Sample, health: Health) -> str:
    """What keeps it from working at this moment; '' for nothing."""
    if not sample.replicas:
        return "it has no containers"
    if health.kind == "none":
        return ""
    sick = next((r for r in sample.replicas if r.health != "healthy"), None)
    return f"its health check says {sick.health or 'nothing'}" if sick else ""
