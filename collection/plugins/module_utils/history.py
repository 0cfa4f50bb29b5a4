# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job has come to on a server, as one line for people: nothing reads it to decide.

A job is several calls: what it has done so far goes with its claim, and the last call writes the line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Step

LAST = ("settled", "back", "absent", "released")  # a job's last call here is for one of these
WAITING = ("await", "confirm", "watch", "drain")
CUT_OFF = "it was cut off: another job has taken over"
KINDS = {"back": "rollback", "absent": "remove"}


def begun(known: Mapping[str, Any] | None, now: float, live: str, kind: str = "") -> dict[str, Any]:
    """What this job has done so far: what is known of it, else that it begins now beside this live release."""
    return dict(known) if known else {"began": now, "from": live, "kind": kind}


def after(story: Mapping[str, Any], done: Sequence[Step], failed: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    """The same after a call: what it did, why it failed, and what was lost or cut by it."""
    verbs = {step.verb for step in done}
    counted = {name: figures[name] for name in ("loss", "cut", "drill") if name in figures}
    return {
        **story,
        **counted,
        "changed": bool(story.get("changed") or verbs - set(WAITING)),
        "routed": bool(story.get("routed") or "route" in verbs),
        "failed": story.get("failed") or failed,
    }


def worth(story: Mapping[str, Any]) -> bool:
    """Whether there is anything to tell: a job that found all as it should be has no line."""
    return bool(story.get("changed") or story.get("failed"))


def line(
    story: Mapping[str, Any], job: str, by: str, live: str | None, now: float, manifests: Mapping[str, Any]
) -> dict[str, Any]:
    """Who, which job, from which version to which, the digest, what came of it, what it cost, how long it took.

    live: the release that serves now; None where that cannot be told.
    """
    was, to = str(story.get("from", "")), manifests.get(live or "", {})
    outcome = "unknown" if live is None else "new" if was != live else "back" if story.get("routed") else "unchanged"
    return {
        "job": job,
        "kind": story.get("kind") or "deploy",
        "by": by,
        "from": str(manifests.get(was, {}).get("version", "")),
        "to": str(to.get("version", "")),
        "release": live or "",
        "digest": str(to.get("digest", "")),
        "outcome": outcome,
        "failed": story.get("failed") or "",
        "seconds": round(max(0.0, now - float(story.get("began", now))), 1),
        **{name: story[name] for name in ("loss", "cut", "drill") if name in story},
    }


def broken_off(claim: Mapping[str, Any], live: str, now: float, manifests: Mapping[str, Any]) -> dict[str, Any]:
    """The line of a job that never came to its end, written by the one that takes over; what it did is not known."""
    story = {**(claim.get("story") or {}), "changed": True}
    told = line(story, str(claim.get("job", "")), str(claim.get("holder", "")), live, now, manifests)
    return {**told, "outcome": "unknown", "failed": told["failed"] or CUT_OFF, "seconds": None}


def told(one: Mapping[str, Any]) -> str:
    """A line of the history as it is shown."""
    moved = f"{one.get('from') or 'nothing'} -> {one.get('to') or 'nothing'}"
    parts = [str(one.get("at", ""))[:19], str(one.get("kind", "")), moved, str(one.get("outcome", ""))]
    seconds, loss = one.get("seconds"), one.get("loss")
    parts += [f"{seconds:g} s"] if isinstance(seconds, (int, float)) else []
    parts += [f"lost {loss['lost']}"] if isinstance(loss, Mapping) and loss.get("lost") is not None else []
    parts += [f"job {one['job']}"] if one.get("job") else []
    parts += [f"by {one['by']}"] if one.get("by") else []
    text = "  ".join(filter(None, parts))
    return f"{text}  FAILED: {one['failed']}" if one.get("failed") else text
