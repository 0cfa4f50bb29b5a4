"""What the way through the proxy costs beside the application asked directly: requests a second, and milliseconds.

The client is wrk: the strict one is slower than the proxy. Both ways in turns.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from statistics import median

from tests.bench import figure
from tests.bench.figure import Figure, say
from tests.bench.site import SUBNET, quick, swap
from tests.lab import debian
from tests.lab.stack import HOST, Stack

NAMES = ("proxy_throughput", "proxy_latency")
ROUNDS, SECONDS = 7, 4
MANY, ONE = 16, 1  # connections
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
RATE, HALF, LATE = r"Requests/sec:\s+([\d.]+)()", r"50%\s+([\d.]+)(\w+)", r"99%\s+([\d.]+)(\w+)"


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """On a stack of their own, with one release live."""
    debian.need("wrk", "wrk")
    with Stack.made(SUBNET) as stack:
        service = quick(stack)
        swap(stack, service, 0)
        (replica,) = stack.look(service).replicas
        ways = {"proxy": f"127.0.0.1:{stack.port}", "direct": f"{replica.address}:{service.port}"}
        for name in names:
            yield (throughput if name == "proxy_throughput" else latency)(ways)


def throughput(ways: dict[str, str]) -> Figure:
    """As many as there may be, over many connections that stay."""
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for _round in range(ROUNDS):
        for way, place in ways.items():
            rates[way].append(read(asked(place, MANY), RATE))
    told = {"connections": MANY, "seconds": SECONDS, "share_of_direct": share(rates)}
    direct = {"baseline": "the application asked directly", "baseline_value": median(rates["direct"])}
    return figure.of("proxy_throughput", "requests a second", rates["proxy"], more=told, **direct)


def latency(ways: dict[str, str]) -> Figure:
    """One after the other, over one connection that stays."""
    told: dict[str, dict[str, list[float]]] = {way: {"half": [], "late": []} for way in ways}
    for _round in range(ROUNDS):
        for way, place in ways.items():
            said = asked(place, ONE)
            told[way]["half"].append(read(said, HALF))
            told[way]["late"].append(read(said, LATE))
    half = {way: median(found["half"]) for way, found in told.items()}
    late = {way: figure.rounded(median(found["late"])) for way, found in told.items()}
    more = {"connections": ONE, "p99_ms": late["proxy"], "direct_p99_ms": late["direct"]}
    more["added_ms"] = figure.rounded(half["proxy"] - half["direct"])
    direct = {"baseline": "the application asked directly", "baseline_value": half["direct"]}
    return figure.of("proxy_latency", "ms", told["proxy"]["half"], more=more, **direct)


def share(rates: dict[str, list[float]]) -> float:
    """What part of the direct way's rate goes through the proxy."""
    return figure.rounded(median(rates["proxy"]) / median(rates["direct"]))


def asked(place: str, connections: int) -> str:
    """Ask as fast as answers come, and return what wrk says."""
    words = ["-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-H", f"Host: {HOST}", f"http://{place}/"]
    done = subprocess.run(["wrk", *words], capture_output=True, text=True, check=True)
    wrong = re.search(r"(Non-2xx.*|Socket errors.*)", done.stdout)
    if wrong:
        raise RuntimeError(f"{place}: {wrong[1]}")
    say(f"{place}: {read(done.stdout, RATE):.0f} a second, half within {read(done.stdout, HALF):.2f} ms")
    return done.stdout


def read(said: str, what: str) -> float:
    """One figure of it; times are milliseconds."""
    found = re.search(what, said)
    if not found:
        raise RuntimeError(f"wrk says nothing of {what}: {said}")
    return float(found[1]) * UNITS.get(found[2], 1.0)
