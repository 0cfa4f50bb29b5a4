# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the steps of a plan: heed, guard, act, tell. It decides nothing that the plan has not.

The verbs themselves are in verbs/, a short handler each.
"""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils.course import refusal
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import Moved
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Step
from ansible_collections.stackswap.bluegreen.plugins.module_utils.verbs import CREW, VERBS
from ansible_collections.stackswap.bluegreen.plugins.module_utils.words import sentence
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import Work

GUARDED = ("start", "await", "configure", "share", "route", "drill", "fence", "stop", "discard")


def run(work: Work, plan: tuple[Step, ...]) -> None:
    """Every step in order; Moved if the world is not as planned, StepFailed with the step if one ends badly."""
    if plan:
        work.fx.proxy.close_preview(work.service.key)
    for number, step in enumerate(plan, 1):
        work.fx.tell(step.verb, sentence(step), n=number, of=len(plan))
        work.heed(step)
        work.fx.at(f"before {step.verb}")
        began = work.fx.clock()
        _guard(work, step)
        (CREW if step.process else VERBS)[step.verb](work, step)
        work.done.append((step, work.fx.clock() - began))
        work.fx.at(f"after {step.verb}")


def _guard(work: Work, step: Step) -> None:
    """R4: what must be so is read again at the moment of the step."""
    refused = refusal(work.look().seen, step) if step.verb in GUARDED else ""
    if refused:
        raise Moved(f"{sentence(step)}: {refused}", step=step)
