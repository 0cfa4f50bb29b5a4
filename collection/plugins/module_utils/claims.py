# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The right to change a service on a server: one job has it, for a while, and renews it with every call (R10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import Claimed

REMEMBERED = 20


def claimed(found: Mapping[str, Any] | None, job: str, holder: str, now: float, seconds: float) -> dict[str, Any]:
    """The claim of this job, made or renewed; a living foreign one is refused. now: seconds of the server's clock.

    What the job has done so far goes with it.
    """
    refuse_foreign(found, job, now)
    made = {"job": job, "holder": holder, "expires": now + seconds}
    known = found if found and ours(found, job) else {}
    return {**made, **{name: known[name] for name in ("rung", "story") if name in known}}


def refuse_foreign(found: Mapping[str, Any] | None, job: str, now: float) -> None:
    """Refuse while another job has a claim that has not run out."""
    if not found or found.get("job") == job or float(found.get("expires", 0)) <= now:
        return
    left = float(found["expires"]) - now
    raise Claimed(
        f"claimed by job {found.get('job')} of {found.get('holder') or 'somebody'} for {left:.0f} s more",
        holder=dict(found),
    )


def ours(found: Mapping[str, Any] | None, job: str) -> bool:
    """Whether the claim is this job's; one that has run out is, until another job takes it."""
    return bool(found) and (found or {}).get("job") == job


def made_ready(found: Mapping[str, Any] | None, job: str) -> bool:
    """Whether this job has made its candidate ready: from then on it is behind the gate."""
    return ours(found, job) and (found or {}).get("rung") == "ready"


def overtaken(record: Mapping[str, Any], job: str) -> bool:
    """Whether another job has taken the service over from this one, though it may be done since."""
    return bool(job) and job in record.get("overtaken", ())


def overtakes(record: Mapping[str, Any], job: str) -> list[str]:
    """The jobs that have no say any more once this one has the claim: the holder of one that has run out joins them."""
    last = (record.get("claim") or {}).get("job")
    known = list(record.get("overtaken", ()))
    return [*known, last][-REMEMBERED:] if last and last != job and last not in known else known
