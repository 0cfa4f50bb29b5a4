# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each step about a process without traffic makes of an observed server: the part of world that has no slots.

stages as there: every state in between, in order.
"""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    ALWAYS,
    Observed,
    Step,
    Worker,
    served_with,
)

Stages = tuple[Observed, ...]


def rebooted(seen: Observed) -> Observed:
    """The server after a reboot: what ran and is kept comes back, in another start, and all else is stopped."""
    for one in seen.workers:
        back = one.policy == ALWAYS and not one.clocked and one.present == "all"
        seen = seen.employ(one._replace(awaited=False, running="all" if back else "none"))
    return seen


def _start(seen: Observed, step: Step) -> Stages:
    old = seen.worker(step.process, step.release)
    made = Worker(step.process, step.release, running="none", fresh=old is None or old.fresh)
    if old is not None:
        made = made._replace(policy=old.policy, proven=old.proven)
    ran = made._replace(fresh=False, running="all")
    parts = (made._replace(present="some"),) if old is None or old.present != "all" else ()
    return tuple(seen.employ(one) for one in (*parts, made, ran._replace(running="some"), ran))


def _await(seen: Observed, step: Step) -> Stages:
    return (seen.employ(_worker(seen, step)._replace(awaited=True, proven=True)),)


def _keep(seen: Observed, step: Step) -> Stages:
    return (seen.employ(_worker(seen, step)._replace(policy=step.value)),)


def _stop(seen: Observed, step: Step) -> Stages:
    marked = _worker(seen, step)._replace(stopping=True)
    done = marked._replace(running="none", awaited=False)
    halves = (marked, marked._replace(running="some")) if marked.running != "none" else (marked,)
    return tuple(seen.employ(one) for one in (*halves, done, done._replace(stopping=False)))


def _discard(seen: Observed, step: Step) -> Stages:
    half = seen.employ(_worker(seen, step)._replace(present="some", running="none", awaited=False, proven=False))
    return (half, half.dismiss(step.process, step.release))


def _schedule(seen: Observed, step: Step) -> Stages:
    stages, names = [], step.value.split()
    for name in names:
        if seen.worker(name, step.release) is None:
            seen = seen.employ(Worker(name, step.release, running="none", fresh=True, clocked=True))
            stages.append(seen)
    return (*stages, seen._replace(scheduled=tuple((name, step.release) for name in names)))


def _unschedule(seen: Observed, step: Step) -> Stages:
    return (seen._replace(scheduled=()),)


def _confirm(seen: Observed, step: Step) -> Stages:
    served, rejected = served_with(seen.served, step.release), seen.rejected - {step.release}
    return (seen._replace(served=served, rejected=rejected, behind=step.value),)


def _fence(seen: Observed, step: Step) -> Stages:
    return (seen._replace(behind=""),)


def _reject(seen: Observed, step: Step) -> Stages:
    return (seen._replace(rejected=seen.rejected | {step.release}),)


def _worker(seen: Observed, step: Step) -> Worker:
    found = seen.worker(step.process, step.release)
    if found is None:
        raise ValueError(f"{step.verb} of {step.process} of {step.release}, which has no such containers")
    return found


VERBS = {
    "start": _start,
    "await": _await,
    "keep": _keep,
    "stop": _stop,
    "discard": _discard,
    "confirm": _confirm,
    "fence": _fence,
    "reject": _reject,
    "schedule": _schedule,
    "unschedule": _unschedule,
}
