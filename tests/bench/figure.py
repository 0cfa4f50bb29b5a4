"""One figure as a line of JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

RECORDED = "recorded in another run on a machine of the same kind"


@dataclass(frozen=True)
class Figure:
    """A median of n values, beside its goal and an anchor where there are such; more holds what else was seen."""

    name: str
    value: float
    unit: str
    n: int = 1
    goal: float | None = None
    baseline: str = ""
    baseline_value: float | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """Write it as JSON, with the ratio to the anchor and without what it has not."""
        told = {"name": self.name, "value": rounded(self.value), "unit": self.unit, "n": self.n}
        if self.goal is not None:
            told["goal"] = self.goal
        if self.baseline_value:
            told |= {"baseline": self.baseline, "baseline_value": rounded(self.baseline_value)}
            told["ratio"] = round(self.value / self.baseline_value, 3)
        return json.dumps(told | self.more)


def of(name: str, unit: str, values: Sequence[float], **more: Any) -> Figure:
    """Make the figure of these values: their median, with the least and the most of them."""
    told = {"least": rounded(min(values)), "most": rounded(max(values)), **more.pop("more", {})}
    return Figure(name, median(values), unit, len(values), more=told, **more)


def rounded(value: float) -> float:
    """Keep what is worth reading."""
    return round(value, 3)


def say(text: str) -> None:
    """Tell people what is going on, beside the figures."""
    print(f"# {text}", file=sys.stderr, flush=True)
