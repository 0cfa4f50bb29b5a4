"""A thousand swaps under load: what is lost, what is cut, and what they cost those who wait the longest.

They end after STACKSWAP_BENCH_SECONDS (3600) or STACKSWAP_BENCH_SWAPS (1000), whichever comes first.

What swaps cost is measured twice. swap_p99 swaps as a service does that sets nothing, from the start of the candidate
to the stop of the old release. swap_p99_bare waits for nothing, so that containers start and stop all the time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Bake, Health, Service
from tests.bench import figure
from tests.bench.figure import Figure, say
from tests.bench.site import NAME, SETTINGS, SUBNET, quick, swap
from tests.lab.client import Load, peak
from tests.lab.report import Report
from tests.lab.stack import HOST, Stack

NAMES = ("swap_loss_1000", "swap_p99", "swap_p99_bare")
SWAPS = int(os.environ.get("STACKSWAP_BENCH_SWAPS", "1000"))
SECONDS = float(os.environ.get("STACKSWAP_BENCH_SECONDS", "3600"))
ROUND, MOST = 20, 10_000_000  # swaps under one load, whose report stays small; requests that end it, which is a fault
EIGHTH = 8  # in one round of so many, requests of 5 s and streams are under way, for which each swap waits
ASKED = 0.74  # of the peak, so that about 0.7 is reached: turns that a client misses are not made up
SESSION = 0.3  # seconds that a WebSocket lasts
ROUNDS, EACH = 7, 6.0  # steady and with swaps in turns, so many seconds each
CALM = 0.35  # of the peak: beyond half of it, two cores have none left for the swap itself


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """Each on a stack of its own."""
    for name, made in {"swap_loss_1000": loss, "swap_p99": usual, "swap_p99_bare": bare}.items():
        if name in names:
            with Stack.made(SUBNET) as stack:
                yield made(stack)


def loss(stack: Stack) -> Figure:
    """Swap again and again at a share of the peak rate; count what was not answered and what was cut."""
    service, door = quick(stack), ("127.0.0.1", stack.port)
    swap(stack, service, 0)
    best = peak(*door, HOST, seconds=5)
    rate = ASKED * best
    say(f"swap_loss_1000: peak {best:.0f} requests a second, {SWAPS} swaps or {SECONDS:.0f} s at {rate:.0f}")
    until, done, slow, reports = time.monotonic() + SECONDS, list[Result](), 0, list[Report]()
    for turn in range(SWAPS):
        if len(done) >= SWAPS or time.monotonic() >= until:
            break
        patient = not turn % EIGHTH
        came, seen_of = under_load(stack, service, rate, len(done) + 1, patient, until)
        done, reports, slow = done + came, reports + seen_of, slow + patient * len(came)
        say(f"{len(done)} swaps, lost {sum(one.lost for one in reports)}")
    lost, cut = sum(one.lost for one in reports), sum(one.figures["cut"] for one in done)
    told = {"lost": lost, "cut": cut, "swaps": len(done), "swaps_with_slow": slow, **together(rate, reports)}
    told |= {"peak": round(best), "share": figure.rounded(told["rate"] / best)}
    told |= {"settings": SETTINGS | {"session": SESSION}}
    return Figure("swap_loss_1000", lost + cut, "requests", len(done), goal=0, more=told)


def under_load(
    stack: Stack, service: Any, rate: float, number: int, patient: bool, until: float
) -> tuple[list[Result], list[Report]]:
    """A round of swaps with all the load beside it from its first to its last, and what the clients saw."""
    door = ("127.0.0.1", stack.port)
    few = {"mix": {"new": 1}, "rate": 2, **({"stream": 1, "slow": 1} if patient else {})}
    last = min(SWAPS, number + ROUND - 1)
    with (
        Load(*door, host=HOST, rate=rate, seconds=3600, count=MOST, websocket=2, session=SESSION) as load,
        Load(*door, host=HOST, seconds=3600, **few) as other,
    ):
        done = swaps(stack, service, number, last, until)
        load.under_way()
        other.under_way()
    reports = [load.report(), other.report()]
    for report in reports if sum(one.lost for one in reports) else ():
        say(str(report))
    return done, reports


def together(rate: float, reports: Sequence[Report]) -> dict[str, Any]:
    """What all clients asked for, how fast, and the longest time in which nobody had an answer."""
    loads = reports[::2]
    sums = {name: sum(getattr(one, name) for one in reports) for name in ("requests", "streams", "websockets")}
    reached = sum(one.rate * one.seconds for one in loads) / sum(one.seconds for one in loads)
    told = {
        "rate_asked": round(rate),
        "rate": round(reached),
        **sums,
        "seconds": round(sum(one.seconds for one in loads)),
    }
    gap = max(figure.rounded(one.longest_gap_ms) for one in loads)
    return told | {"p99_ms": figure.rounded(median(one.p99_ms for one in loads)), "gap_ms": gap}


def swaps(stack: Stack, service: Any, number: int, last: int, until: float) -> list[Result]:
    """Swap from this one to the last, or until this time."""
    done = []
    while number + len(done) <= last and time.monotonic() < until:
        done.append(swap(stack, service, number + len(done)))
    return done


def usual(stack: Stack) -> Figure:
    """With the waits that a service has by itself."""
    service = stack.service(NAME, health=Health("http", "/health"), bake=Bake())
    settings = {"bake": service.bake.seconds, "min_healthy_time": service.health.min_healthy_time}
    return waits("swap_p99", stack, service, settings)


def bare(stack: Stack) -> Figure:
    """With nothing to wait for."""
    return waits("swap_p99_bare", stack, quick(stack), SETTINGS)


def waits(name: str, stack: Stack, service: Service, settings: dict[str, Any]) -> Figure:
    """The time that all but one in a hundred requests take, with swaps one after the other beside that without any."""
    door, number = ("127.0.0.1", stack.port), 1
    swap(stack, service, 0)
    rate = CALM * peak(*door, HOST, seconds=5)
    steady, swapped = list[float](), list[float]()
    for _round in range(ROUNDS):
        with Load(*door, host=HOST, rate=rate, seconds=EACH) as load:
            steady.append(load.wait().p99_ms)
        until = time.monotonic() + EACH
        with Load(*door, host=HOST, rate=rate, seconds=600) as load:
            while time.monotonic() < until:
                swap(stack, service, number)
                number += 1
        report = load.report()
        swapped.append(report.p99_ms)
        say(f"{name}: {steady[-1]:.1f} ms steady, {swapped[-1]:.1f} ms with swaps, lost {report.lost}")
    ratios = [ours / theirs for ours, theirs in zip(swapped, steady, strict=True)]
    told = {"rate": round(rate), "swaps": number - 1, "settings": settings}
    told |= {"least": figure.rounded(min(ratios)), "most": figure.rounded(max(ratios))}
    told |= {"steady_ms": figure.rounded(median(steady)), "with_swaps_ms": figure.rounded(median(swapped))}
    # of the medians: from round to round the steady time alone varies threefold
    return Figure(name, median(swapped) / median(steady), "times steady", ROUNDS, goal=2, more=told)
