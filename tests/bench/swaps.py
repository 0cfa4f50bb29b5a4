"""What users feel of a swap: what is lost under load, how long the switch takes, when the new version answers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from tests.bench import figure
from tests.bench.figure import Figure, say
from tests.bench.site import SETTINGS, SUBNET, VERSIONS, quick, swap
from tests.lab.client import Load, peak
from tests.lab.report import Report
from tests.lab.stack import HOST, Stack

NAMES = ("swap_loss", "switch_call", "first_answer")
SWAPS, PATIENT, SHARE = 50, 5, 0.7  # in the first ones, requests and streams take seconds
CALLS, RATE = 15, 400


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """Measure on a stack of their own."""
    if "swap_loss" in names:
        with Stack.made(SUBNET) as stack:
            yield loss(stack)
    if {"switch_call", "first_answer"} & set(names):
        with Stack.made(SUBNET) as stack:
            yield from (one for one in switches(stack) if one.name in names)


def loss(stack: Stack) -> Figure:
    """Swap again and again at a share of the peak rate; count what was not answered and what was cut."""
    service, door = quick(stack), ("127.0.0.1", stack.port)
    swap(stack, service, 0)
    rate = SHARE * peak(*door, HOST, seconds=5)
    say(f"swap_loss: {SWAPS} swaps at {rate:.0f} requests a second")
    with Load(*door, host=HOST, rate=rate, seconds=3600, count=10_000_000, websocket=2, session=1) as load:
        with Load(*door, host=HOST, rate=2, mix={"new": 1}, seconds=3600, stream=1, slow=1) as patient:
            done = [swap(stack, service, number) for number in range(1, PATIENT + 1)]
        done += [swap(stack, service, number) for number in range(PATIENT + 1, SWAPS + 1)]
        load.under_way()
    reports, cut = (load.report(), patient.report()), sum(one.figures["cut"] for one in done)
    for report in reports:
        say(str(report))
    lost = sum(report.lost for report in reports)
    told = {
        "lost": lost,
        "cut": cut,
        **seen(rate, reports),
        "settings": SETTINGS,
        "swaps": SWAPS,
        "swaps_with_slow": PATIENT,
    }
    told["switch_ms"] = median(one.figures["switch_ms"] for one in done)
    return Figure("swap_loss", lost + cut, "requests", SWAPS, goal=0, more=told)


def seen(rate: float, reports: tuple[Report, Report]) -> dict[str, Any]:
    """What the clients asked for and how fast."""
    load = reports[0]
    sums = {name: sum(getattr(one, name) for one in reports) for name in ("requests", "streams", "websockets")}
    return {"rate_asked": round(rate), "rate": round(load.rate), **sums, "p99_ms": round(load.p99_ms, 1)}


def switches(stack: Stack) -> Iterator[Figure]:
    """Swap beside a light load: how long the proxy's switch took, and the first new answer after it."""
    service, calls, answers = quick(stack), [], []
    swap(stack, service, 0)
    for number in range(1, CALLS + 1):
        ended: list[float] = []
        with Load("127.0.0.1", stack.port, host=HOST, rate=RATE, mix={"new": 2, "get": 2}, seconds=600) as load:
            done = swap(stack, service, number, at=lambda at, ended=ended: note(at, ended))
        first = load.report().versions[VERSIONS[number % len(VERSIONS)]].first
        calls.append(done.figures["switch_ms"])
        answers.append(max(0.0, first - ended[0]) * 1000)
    told = {"settings": SETTINGS, "rate": RATE}
    yield figure.of("switch_call", "ms", calls, goal=5, more=told)
    yield figure.of("first_answer", "ms", answers, goal=50, more=told)


def note(point: str, times: list[float]) -> None:
    """Keep the time at which the switch had been made."""
    if point == "after route":
        times.append(time.monotonic())
