"""What distance costs: the same deploy over SSH, with a round trip of 0, 25 and 100 ms in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from statistics import median

from tests.bench import figure
from tests.bench.figure import Figure, say
from tests.bench.site import SETTINGS, VERSIONS, Site, site, write
from tests.lab.delay import delayed

NAMES = ("rtt_cost",)
TRIPS, ROUNDS = (0, 25, 100), 7  # milliseconds


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """In turns, after one of each that is not counted; the wire without delay is there in all of them."""
    took: dict[int, list[float]] = {trip: [] for trip in TRIPS}
    with site("ssh") as made, ExitStack() as wires:
        far(made, wires)
        for number in range(ROUNDS + 1):
            for trip in TRIPS:
                version = VERSIONS[made.turn % len(VERSIONS)]
                seconds = made.playbook("deploy", f"far{trip}", "-e", f"stackswap_version={version}").seconds
                say(f"round {number}, {trip} ms: {seconds:.2f} s")
                took[trip] += [seconds] if number else []
    added = {trip: [far - near for far, near in zip(took[trip], took[0], strict=True)] for trip in TRIPS}
    told = {f"added_by_{trip}_ms_s": figure.rounded(median(added[trip])) for trip in TRIPS[1:]}
    told |= {f"at_{trip}_ms_s": figure.rounded(median(took[trip])) for trip in TRIPS}
    more = told | {"settings": SETTINGS | {"connection": "ssh", "pipelining": True, "image": "there"}}
    yield figure.of("rtt_cost", "s", added[max(TRIPS)], goal=1.2, more=more)


def far(made: Site, wires: ExitStack) -> None:
    """An inventory for each distance; the host is known by its own address, whichever port leads there."""
    server = made.server
    if not server:
        raise RuntimeError("the site has no SSH server")
    for trip in TRIPS:
        port = wires.enter_context(delayed(server.address, server.port, trip / 1000))
        known = f"{server.hostvars['ansible_ssh_common_args']} -o HostKeyAlias={server.address}"
        place = {"ansible_host": "127.0.0.1", "ansible_port": port, "ansible_ssh_common_args": known}
        write(made, f"far{trip}", {**server.hostvars, **place})
