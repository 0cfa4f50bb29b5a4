"""The recorded event streams, for tests to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stackswap.events import Event, translate
from stackswap.fold import Fold

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> tuple[int | None, list[Event]]:
    """How ansible-playbook ended, and what it said before."""
    first, *rest = (RECORDED / f"{name}.ndjson").read_text().splitlines()
    raw: list[dict[str, Any]] = [json.loads(line) for line in rest]
    return json.loads(first)["rc"], [event for one in raw for event in translate(one)]


def folded(events: list[Event]) -> Fold:
    """The tally of these events."""
    fold = Fold("j1", "deploy", "shop", "1.10")
    for event in events:
        fold.add(event)
    return fold
