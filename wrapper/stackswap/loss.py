"""What users lost, summed over servers, and the sessions that were cut: as the collection's own report has it.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

FEW = 20


def summed(told: Iterable[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """One verdict of several; None where nobody has counted. Who has not told leaves it untold."""
    heard = list(told)
    known = [one for one in heard if one]
    if not known:
        return None
    verdicts = {one["verdict"] for one in known}
    if len(known) < len(heard):
        verdicts.add("not_counted")
    requests = sum(one["requests"] for one in known)
    asked = requests + sum((one.get("probe") or {}).get("count", 0) for one in known)
    otherwise = "none" if asked >= FEW else "too_little"
    verdict = next((word for word in ("lost", "not_counted") if word in verdicts), otherwise)
    lost = sum(one["lost"] or 0 for one in known)
    return {
        "verdict": verdict,
        "lost": None if verdict == "not_counted" else lost,
        "requests": requests,
    }


def sentence(told: Mapping[str, Any] | None) -> str:
    """The sum for people."""
    if not told:
        return ""
    requests = f"{told['requests']:,} request{'' if told['requests'] == 1 else 's'}"
    ends = {
        "none": ", lost 0.",
        "lost": f", LOST {told['lost'] or 0:,}.",
        "too_little": ", lost 0: too little traffic to tell.",
        "not_counted": "; what was lost could not be counted.",
    }
    return requests + ends[told["verdict"]]


def cut(servers: Iterable[Mapping[str, Any]]) -> str:
    """What was cut at the end of the drains, for people; '' for nothing."""
    cuts = [one["cut"] for server in servers for one in server.get("drains", ())]
    told = [one for one in cuts if one["count"]]
    if not told:
        return ""
    kinds = sorted({kind for one in told for kind in one["kinds"]})
    each = [(kind, sum(one["kinds"].get(kind, 0) for one in told)) for kind in kinds]
    named = ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in each)
    oldest = max(one["oldest"] for one in told)
    return f"Cut at the drain's end: {named}; the oldest was {oldest:,.0f} s old."
