# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job has lost: requests that the proxy had to answer itself or could not, and what the own prober missed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Ledger
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer, Probed

FEW = 20  # requests, fewer of which prove nothing
NONE, LOST, TOO_LITTLE, NOT_COUNTED = "none", "lost", "too_little", "not_counted"


def failed(answer: Answer) -> bool:
    """Whether a visitor would have been lost: no answer, or an error of the proxy, which names no server then."""
    return bool(answer.error) or (answer.status >= 500 and "<NOSRV>" in answer.told)


def together(one: Probed, other: Probed) -> Probed:
    """What two probers got."""
    count, failed, missed = one.count + other.count, one.failed + other.failed, one.missed + other.missed
    return Probed(count, failed, missed, max(one.gap_ms, other.gap_ms))


class Loss(NamedTuple):
    """The verdict, and why in words. lost: None where it cannot be told; requests: without our own."""

    verdict: str
    lost: int | None
    requests: int
    why: str = ""


def judge(ledger: Ledger, probed: Probed, own: int = 0) -> Loss:
    """The verdict on what was counted. own: requests of ours among them, those of the prober left out."""
    known = max(0, ledger.unanswered) + probed.missed
    requests = max(0, ledger.requests - own - (probed.count - probed.missed))
    untold = ledger.blind or (_unseen(ledger.unseen) if ledger.unseen else "")
    if known:
        more = f"at least: {untold}" if untold else ""
        return Loss(LOST, known, requests, more)
    if untold:
        return Loss(NOT_COUNTED, None, requests, untold)
    if requests + probed.count < FEW:
        return Loss(TOO_LITTLE, 0, requests, f"fewer than {FEW} requests prove nothing")
    return Loss(NONE, 0, requests)


def _unseen(count: int) -> str:
    connections = "connection was" if count == 1 else "connections were"
    return f"{count} {connections} open when a worker of the proxy was last read before it ended"


# -- of several servers, as their reports tell it ---------------------------------------------------------------------


def summed(told: Iterable[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """One verdict of several; None where nobody has counted. A server that has not told leaves it untold."""
    heard = list(told)
    known = [one for one in heard if one]
    if not known:
        return None
    verdicts = {one["verdict"] for one in known} | ({NOT_COUNTED} if len(known) < len(heard) else set())
    requests = sum(one["requests"] for one in known)
    asked = requests + sum((one.get("probe") or {}).get("count", 0) for one in known)
    lost = sum(one["lost"] or 0 for one in known)
    verdict = next((word for word in (LOST, NOT_COUNTED) if word in verdicts), NONE if asked >= FEW else TOO_LITTLE)
    return {"verdict": verdict, "lost": None if verdict == NOT_COUNTED else lost, "requests": requests}


def sentence(told: Mapping[str, Any] | None) -> str:
    """The sum for people."""
    if not told:
        return ""
    requests = f"{told['requests']:,} request{'' if told['requests'] == 1 else 's'}"
    ends = {
        NONE: ", lost 0.",
        LOST: f", LOST {told['lost'] or 0:,}.",
        TOO_LITTLE: ", lost 0: too little traffic to tell.",
        NOT_COUNTED: "; what was lost could not be counted.",
    }
    return requests + ends[told["verdict"]]
