"""A thousand swaps under load: what is lost, what is cut, and what they cost those who wait the longest.

It ends after STACKSWAP_BENCH_SECONDS (400) or STACKSWAP_BENCH_SWAPS (1000), whichever comes first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Result
from tests.bench import figure
from tests.bench.figure import Figure, say
from tests.bench.site import SETTINGS, SUBNET, quick, swap
from tests.bench.swaps import SHARE, seen
from tests.lab.client import Load, peak
from tests.lab.stack import HOST, Stack

NAMES = ("swap_loss_1000", "swap_p99")
SWAPS = int(os.environ.get("STACKSWAP_BENCH_SWAPS", "1000"))
SECONDS = float(os.environ.get("STACKSWAP_BENCH_SECONDS", "400"))
PATIENT = 1 / 4  # of the time: then requests of 5 s and streams are under way, for which each swap waits
SESSION = 0.3  # seconds that a WebSocket lasts
ROUNDS, EACH = 5, 6.0  # steady and with swaps in turns, so many seconds each
CALM = 0.35  # of the peak: beyond half of it, two cores have none left for the swap itself


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """Each on a stack of its own."""
    for name, made in (("swap_loss_1000", loss), ("swap_p99", waits)):
        if name in names:
            with Stack.made(SUBNET) as stack:
                yield made(stack)


def loss(stack: Stack) -> Figure:
    """Swap again and again at a share of the peak rate; count what was not answered and what was cut."""
    service, door = quick(stack), ("127.0.0.1", stack.port)
    swap(stack, service, 0)
    best = peak(*door, HOST, seconds=5)
    rate = SHARE * best
    say(f"swap_loss_1000: peak {best:.0f} requests a second, {SWAPS} swaps or {SECONDS:.0f} s at {rate:.0f}")
    until, done = time.monotonic() + SECONDS, list[Result]()
    with Load(*door, host=HOST, rate=rate, seconds=3600, websocket=2, session=SESSION) as load:
        with Load(*door, host=HOST, rate=2, mix={"new": 1}, seconds=3600, stream=1, slow=1) as patient:
            done += swaps(stack, service, 1, until - (1 - PATIENT) * SECONDS)
        slow = len(done)
        done += swaps(stack, service, slow + 1, until)
    reports, cut = (load.report(), patient.report()), sum(one.figures["cut"] for one in done)
    for report in reports:
        say(str(report))
    lost = sum(report.lost for report in reports)
    told = {"lost": lost, "cut": cut, "swaps": len(done), "swaps_with_slow": slow, "peak": round(best)}
    told |= {**seen(rate, reports), "settings": SETTINGS | {"session": SESSION}, "gap_ms": gap(reports[0])}
    return Figure("swap_loss_1000", lost + cut, "requests", len(done), goal=0, more=told)


def gap(report: Any) -> float:
    """The longest time in which nobody had an answer."""
    return figure.rounded(report.longest_gap_ms)


def swaps(stack: Stack, service: Any, number: int, until: float) -> list[Result]:
    """Swap until this time, or until there were enough."""
    done = []
    while number + len(done) <= SWAPS and time.monotonic() < until:
        done.append(swap(stack, service, number + len(done)))
        if not (number + len(done)) % 50:
            say(f"{number + len(done)} swaps")
    return done


def waits(stack: Stack) -> Figure:
    """The time that all but one in a hundred requests take, with swaps one after the other beside that without any."""
    service, door, number = quick(stack), ("127.0.0.1", stack.port), 1
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
        say(f"swap_p99: {steady[-1]:.1f} ms steady, {swapped[-1]:.1f} ms with swaps, lost {report.lost}")
    told = {"rate": round(rate), "swaps": number - 1, "settings": SETTINGS}
    ratios = [ours / theirs for ours, theirs in zip(swapped, steady, strict=True)]
    told |= {"steady_ms": figure.rounded(min(steady)), "with_swaps_ms": figure.rounded(min(swapped))}
    return figure.of("swap_p99", "times steady", ratios, goal=2, more=told)
