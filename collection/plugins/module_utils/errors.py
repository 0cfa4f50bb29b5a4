# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes of failure, and the four sentences an error owes: what failed, what serves, what was kept, what to type next.

StackswapError
 +-- BadInput         refused before anything changed
 +-- Moved            the world is not as planned: nothing done, plan again
 +-- Superseded       another job has taken over, or the candidate behind the gate is gone
 +-- Claimed          another job holds the service on this server
 +-- StepFailed       a step did not reach its end; carries the step and evidence
      +-- Canceled    it was asked to stop
 +-- (effects raise children of their own, each with its cause)
"""

from __future__ import annotations

from typing import Any


class StackswapError(Exception):
    """The root. cause is a slug that never changes; evidence holds a few lines for people (never secrets)."""

    cause = "error"

    def __init__(self, what: str, evidence: tuple[str, ...] = (), **facts: Any) -> None:
        super().__init__(what)
        self.what, self.evidence, self.facts = what, tuple(evidence), facts


class BadInput(StackswapError):
    """Refused before anything changed: unknown key, wrong type, empty name, missing file."""

    cause = "bad_input"


class Moved(StackswapError):
    """A guard found the world other than planned; nothing was done."""

    cause = "moved"


class Superseded(StackswapError):
    """The claim is foreign or the candidate behind the gate is gone; nothing was done."""

    cause = "superseded"


class Claimed(StackswapError):
    """Another job holds the service on this server."""

    cause = "claimed"


class StepFailed(StackswapError):
    """A step did not reach its end. facts: step, and what the judge said."""

    cause = "step_failed"


class Canceled(StepFailed):
    """A stop was asked for, or the control side is gone; nothing is fenced yet."""

    cause = "canceled"


def untouched(what: str) -> str:
    """What was refused, and that this was before anything changed."""
    return f"{what}{'' if what.endswith(('.', '?', '!')) else '.'} Nothing was changed."


def explain(cause: str, what: str, service: str, asked: str, serving: str, kept: str) -> dict[str, str]:
    """The four sentences. asked and serving are versions ('' for none); kept is what stands stopped for a look."""
    serves = f"users get {service} {serving}, as before" if serving else f"{service} is not served on this server"
    if serving == asked and asked:
        serves = f"users get {service} {serving}"
    advice = ADVICE.get(cause, "read the cause, mend it, and run the same job again: it goes on from what is found")
    return {
        "cause": cause,
        "what": what,
        "serves": serves,
        "kept": kept or "nothing",
        "next": advice.format(service=service, asked=asked),
    }


ADVICE = {
    "candidate_exited": "the log of the kept container tells more; mend it, then: stackswap deploy {service} {asked}",
    "candidate_unhealthy": "check health.path, the port and the log; then: stackswap deploy {service} {asked}",
    "bake_failed": "the log of the kept container tells why; mend it, then: stackswap deploy {service} {asked}",
    "drill_failed": "the log of the kept container tells why; mend it, then: stackswap deploy {service} {asked}",
    "verify_failed": "its verify.sh tells more; mend it, then: stackswap deploy {service} {asked}",
    "callback_failed": "its last lines tell more; mend it, then: stackswap deploy {service} {asked}",
    "callback_cut_off": "see what release.sh has left half done, then run the same job again with callbacks.release of"
    " {service} as {{idempotent: true}} to have it run again, or as {{run: none}} to go on without it",
    "barrier": "to go back all the same, run the same with stackswap_force=true; or deploy a version that is mended",
    "not_confirmed": "check the proxy and the routes: stackswap status {service}",
    "claimed": "wait for the other job, or run this one with stackswap_wait_claim: 300",
    "held": "wait for the other job, or run this one with stackswap_wait_claim: 300",
    "superseded": "see what serves now: stackswap status {service}; then deploy again",
    "canceled": "nothing; to try again: stackswap deploy {service} {asked}",
    "image_missing": "build it or name another version: stackswap build {service}",
    "not_ready": "make one ready first: stackswap deploy {service} VERSION -e stackswap_promote=no",
    "nothing_kept": "name a version that is kept, or deploy one: stackswap deploy {service} VERSION",
    "no_space": "free space on the disk of the engine, then run the same job again",
    "no_memory": "lower container.memory or replicas of {service}, or stop what else runs there; to try all the same:"
    " stackswap_room: {{check: false}}",
    "bad_input": "correct the inventory or the command, then run the same job again",
    "proxy_unreachable": "is the proxy set up and running? stackswap setup",
    "engine_unreachable": "is the engine set up and running? stackswap setup",
    "engine_missing": "stackswap setup installs it",
    "mount_lost": "mount it again, then run the same job again; or say that it is gone on purpose, by its path:"
    " -e stackswap_unmounted=PATH",
    "not_held": "stackswap setup, with an image of HAProxy that has Lua; or overlap: true",
    "moved": "run the same job again: it plans on what is found",
}
