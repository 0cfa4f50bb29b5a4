"""How soon the old release has the traffic again: from the beginning of the call to the old one's first answer.

The call is made in a process of its own, whose start and imports are told beside it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from statistics import median
from time import monotonic, sleep

from tests.bench import figure
from tests.bench.figure import Figure, say
from tests.bench.site import ROOT, SETTINGS, SUBNET, VERSIONS, quick, swap
from tests.lab import images
from tests.lab.client import Load
from tests.lab.stack import HOST, Stack

NAMES = ("flip_back", "start_back")
TIMES, RATE = 7, 100
CODE = """import sys
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Settings
from tests.bench.flips import go_back
from tests.lab.stack import Stack
go_back({stack!r}, {number})
"""
RUNG = {"flip_back": "live", "start_back": "settled"}  # the old one still runs beside the new one, or stands stopped


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """In turns, on a stack of their own, beside a light load."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with Stack.made(SUBNET) as stack:
        for number in range(1, 2 * TIMES, 2):
            for name in names:
                took[name].append(back(stack, name, number))
                say(f"{name}: {took[name][-1][0]:.3f} s, of its process {took[name][-1][1]:.3f} s")
    for name, values in took.items():
        goal = {"goal": 0.3} if name == "flip_back" else {}
        told = {"settings": SETTINGS, "rate": RATE, "before": RUNG[name]}
        told["from_process_s"] = figure.rounded(median(whole for _, whole in values))
        yield figure.of(name, "s", [call for call, _ in values], more=told, **goal)


def back(stack: Stack, name: str, number: int) -> tuple[float, float]:
    """A version settled, the next one at this rung, and back: seconds until the old one answers, call and process."""
    service = quick(stack)
    swap(stack, service, number - 1)
    swap(stack, service, number, state=RUNG[name])
    with Load("127.0.0.1", stack.port, host=HOST, rate=RATE, mix={"new": 2, "get": 2}, seconds=600) as load:
        sleep(0.2)
        began = monotonic()
        command = [sys.executable, "-c", CODE.format(stack=stack, number=number - 1)]
        called = float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    report = load.report()
    if report.lost:
        raise RuntimeError(f"{name} lost requests: {report}")
    first = report.versions[VERSIONS[(number - 1) % len(VERSIONS)]].first
    return first - called, first - began


def go_back(stack: Stack, number: int) -> None:
    """One call, as the module makes it, in a process that has just begun; it tells when the call began."""
    service = quick(stack)
    release = stack.release(service, str(number), images.app(VERSIONS[number % len(VERSIONS)]), env=turn(number))
    sys.stdout.write(f"{monotonic()}\n")
    error = stack.run(service, release, "live", back=True).error
    if error:
        raise RuntimeError(f"going back failed: {error}")


def turn(number: int) -> tuple[tuple[str, str], ...]:
    """What tells the releases of a bench apart."""
    return (("TURN", str(number)),)
