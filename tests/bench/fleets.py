"""What more servers cost: the same deploy on one, two, four and eight of them, and one that has nothing to do.

The servers are containers with sshd and an engine of their own on this machine: what they do at once shares its cores.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench import figure
from tests.bench.figure import Figure, say
from tests.lab import images
from tests.lab.fleet import APPS, SHOP, VERSIONS, Fleet, fleet

NAMES = ("fleet_scale", "fleet_noop")
SIZES, ROUNDS = (1, 2, 4, 8), 3
SECONDS = 240  # after so many no round begins
SETTINGS = {"bake": 0, "min_healthy_time": 0, "connection": "ssh", "pipelining": True, "image": "there"}


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """The sizes in turns, each time with settings that no server has live; after the largest, it again."""
    images.app(VERSIONS[0])
    took: dict[int, list[float]] = {size: [] for size in SIZES}
    again: list[float] = []
    with fleet(max(SIZES), APPS[0], stackswap_services={"shop": {**SHOP, "bake": 0}}) as stack:
        say(f"{max(SIZES)} servers on {os.cpu_count()} cores")
        deploy(stack, max(SIZES), 0)
        until = time.monotonic() + SECONDS
        for number in range(1, ROUNDS + 1):
            if took[1] and time.monotonic() > until:
                break
            for place, size in enumerate(SIZES):
                took[size].append(deploy(stack, size, number * len(SIZES) + place))
            again.append(deploy(stack, max(SIZES), (number + 1) * len(SIZES) - 1))
    told: dict[str, Any] = {"settings": SETTINGS, "cores": os.cpu_count()}
    if "fleet_scale" in names:
        half = {f"on_{size}_s": figure.rounded(median(took[size])) for size in SIZES}
        ratios = [many / one for many, one in zip(took[max(SIZES)], took[1], strict=True)]
        yield figure.of("fleet_scale", "times one server", ratios, goal=2.5, more=half | told)
    if "fleet_noop" in names:
        yield figure.of("fleet_noop", "s", again, more={"servers": max(SIZES)} | told)


def deploy(stack: Fleet, size: int, number: int) -> float:
    """Deploy settings of this number to the first servers, over connections that are new; its seconds."""
    over = {"shop": {"env": {"TURN": str(number)}}}
    with tempfile.TemporaryDirectory(prefix="swap-") as name:
        part = replace(stack, servers=stack.servers[:size], folder=Path(name))
        ran = part.play("deploy.yml", VERSIONS[0], overrides=over)
    if ran.code:
        raise RuntimeError(f"a deploy to {size} servers failed: {ran.said[-3000:]}")
    say(f"{size} servers: {ran.seconds:.2f} s, {ran.line}")
    return ran.seconds
