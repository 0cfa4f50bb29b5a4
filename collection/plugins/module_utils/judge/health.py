# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a candidate is healthy: each replica runs, answers, and the proxy's fresh checks say so, for long enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Count
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer, Server
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import PASS, Verdict, failed, waiting
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import KILLED, Health, Replica

MOMENT = 0.5  # seconds after an end in which the engine says that memory ran out


class Sample(NamedTuple):
    """All that one look at a slot tells. at: seconds since the wait began; pid: the proxy's worker that was asked.

    traffic: what its servers have done since the switch.
    """

    at: float
    replicas: tuple[Replica, ...]
    servers: tuple[Server, ...]
    answers: tuple[Answer, ...]
    pid: int = 0
    traffic: Count = Count()


def judge(samples: Sequence[Sample], health: Health, expected: str, since: float | None) -> Verdict:
    """The verdict at the last sample. expected: the check code that proves; since: when it was first healthy."""
    last = samples[-1]
    ended = next((r for r in last.replicas if has_ended(r, samples[0])), None)
    if ended is not None and unexplained(ended, samples):
        return waiting(exit_sentence(ended, samples))
    if ended is not None:
        return failed("candidate_exited", exit_sentence(ended, samples))
    trouble = trouble_of(last, health, expected)
    if trouble and since is None and last.at >= health.deadline:
        return failed("candidate_unhealthy", f"was not healthy within {health.deadline:g} s: {trouble}")
    if trouble and since is None:
        return waiting(trouble)
    if trouble:
        again = len(samples) > 1 and trouble_of(samples[-2], health, expected)
        return failed("candidate_unhealthy", f"was healthy and is not: {trouble}") if again else waiting(trouble)
    if since is not None and last.at - since >= health.min_healthy_time:
        return PASS
    return waiting(f"healthy for less than {health.min_healthy_time:g} s")


def has_ended(replica: Replica, first: Sample) -> bool:
    """Whether it runs no more, or has been started again since."""
    return replica.state in ("exited", "dead") or started_again(replica, first) > 0


def unexplained(replica: Replica, samples: Sequence[Sample]) -> bool:
    """Whether the engine may still say why it was killed: that memory ran out it tells a moment after the end."""
    ended = [s.at for s in samples for r in s.replicas if r.id == replica.id and has_ended(r, samples[0])]
    killed = replica.exit_code == KILLED and not replica.oom_killed
    return killed and samples[-1].at - ended[0] < MOMENT


def started_again(replica: Replica, first: Sample) -> int:
    """How often the engine has started it again since the first sample: what was before is not held against it."""
    return replica.restarts - {r.id: r.restarts for r in first.replicas}.get(replica.id, 0)


def trouble_of(sample: Sample, health: Health, expected: str) -> str:
    """What keeps the slot from being healthy at this moment; '' for nothing."""
    idle = next((r for r in sample.replicas if not r.running), None)
    if idle is not None or not sample.replicas:
        return f"{idle.name} is {idle.state}" if idle else "it has no containers"
    if health.kind == "image":
        sick = next((r for r in sample.replicas if r.health != "healthy"), None)
        if sick is not None:
            return f"the image's health check says {sick.health or 'nothing'}"
    bad = next((a for a in sample.answers if not well(a, health)), None)
    if bad is not None:
        return answer_sentence(bad, health)
    return down(sample, expected)


def down(sample: Sample, expected: str) -> str:
    """What keeps the proxy from having found them well; '' for nothing."""
    bad = [s for s in sample.servers if (s.status, s.check) != ("UP", expected)]
    if bad or len(sample.servers) < len(sample.replicas):
        return f"the proxy's check says {bad[0].status} {bad[0].check}".strip() if bad else "the proxy has no check"
    return ""


def well(answer: Answer, health: Health) -> bool:
    """Whether the own probe was answered as a healthy replica answers."""
    return not answer.error and (health.kind != "http" or 200 <= answer.status < 400)


def answer_sentence(answer: Answer, health: Health) -> str:
    """The last probe for people: what came, and where."""
    if answer.error:
        return f"last probe: {answer.error}"
    body = f": {answer.body.strip()[:120]}" if answer.body.strip() else ""
    return f"last probe of {health.path}: status {answer.status}{body}"


def exit_sentence(replica: Replica, samples: Sequence[Sample]) -> str:
    """How a replica ended, by the last sample."""
    at, restarts = samples[-1].at, started_again(replica, samples[0])
    if replica.oom_killed:
        return f"ran out of memory after {at:.1f} s"
    if restarts:
        times = "once" if restarts == 1 else f"{restarts} times"
        return f"restarted {times} within {at:.1f} s, last exit code {replica.exit_code}"
    return f"exited {replica.exit_code} after {at:.1f} s"
