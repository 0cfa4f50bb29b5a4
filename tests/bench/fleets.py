"""What more servers cost: the same deploy on one, two, four and eight of them, and one that has nothing to do.

The servers are containers with sshd and an engine of their own on this machine: what they do at once shares its cores,
and eight of them have no more processor than one. fleet_scale_own gives each server the same small part of a core,
however many there are, as servers have; what is left is the control node's.
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

NAMES = ("fleet_scale", "fleet_noop", "fleet_scale_own")
SIZES, ROUNDS = (1, 2, 4, 8), 7
SECONDS = 300  # after so many no round begins
OWN = 0.2  # of a core: eight servers leave a fifth of two cores to the control node
SETTINGS = {"bake": 0, "min_healthy_time": 0, "connection": "ssh", "pipelining": True, "image": "there"}


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """On one stack, first with all cores for whoever wants them."""
    images.app(VERSIONS[0])
    with fleet(max(SIZES), APPS[0], stackswap_services={"shop": {**SHOP, "bake": 0}}) as stack:
        say(f"{max(SIZES)} servers on {os.cpu_count()} cores")
        deploy(stack, max(SIZES), 0)
        if {"fleet_scale", "fleet_noop"} & set(names):
            took, again = sizes(stack, 1)
            if "fleet_scale" in names:
                yield scale("fleet_scale", took)
            if "fleet_noop" in names:
                yield figure.of("fleet_noop", "s", again, more={"servers": max(SIZES), **told()})
        if "fleet_scale_own" in names:
            for server in stack.servers:
                images.docker("update", "--cpus", str(OWN), server.host.container)
            took, _again = sizes(stack, ROUNDS + 2)
            yield scale("fleet_scale_own", took, cores_each=OWN)


def sizes(stack: Fleet, first: int) -> tuple[dict[int, list[float]], list[float]]:
    """The seconds for each size, in turns, with settings that no server has live; and for the largest again."""
    took: dict[int, list[float]] = {size: [] for size in SIZES}
    again: list[float] = []
    until = time.monotonic() + SECONDS
    for number in range(first, first + ROUNDS):
        if took[1] and time.monotonic() > until:
            break
        for place, size in enumerate(SIZES):
            took[size].append(deploy(stack, size, number * len(SIZES) + place))
        again.append(deploy(stack, max(SIZES), (number + 1) * len(SIZES) - 1))
    return took, again


def scale(name: str, took: dict[int, list[float]], **more: Any) -> Figure:
    """How many times one server's seconds the largest size takes."""
    each = {f"on_{size}_s": figure.rounded(median(took[size])) for size in SIZES}
    ratios = [many / one for many, one in zip(took[max(SIZES)], took[1], strict=True)]
    return figure.of(name, "times one server", ratios, goal=2.5, more={**each, **more, **told()})


def told() -> dict[str, Any]:
    """How it was measured."""
    return {"settings": SETTINGS, "cores": os.cpu_count()}


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
