"""How soon the old release has the traffic again, from the start of the module on the server to the old one's answer.

The module is called as Ansible calls it, with nothing of a play around it; when its Python began is written down by a
Python of the bench's own, which then becomes the real one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Any

from tests.bench import figure
from tests.bench.figure import Figure, say
from tests.bench.site import BIN, KEPT, NAME, PIPELINED, ROOT, SETTINGS, VERSIONS, Site, app, site, variables
from tests.lab.client import Load
from tests.lab.stack import HOST

NAMES = ("flip_back", "start_back")
COLLECTION = "stackswap.bluegreen"
TIMES, RATE = 7, 100
RUNG = {"flip_back": "live", "start_back": "settled"}  # the old one still runs beside the new one, or stands stopped
PYTHON = """#!/bin/sh
date +%s.%N >{noted}
exec {python} "$@"
"""


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """In turns, on a stack of their own, beside a light load."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with site("local") as made:
        noting(made)
        for number in range(1, 2 * TIMES + 2, 2):
            for name in names:
                times = back(made, name, number)
                say(f"{name}: {times[0]:.3f} s, the whole command {times[1]:.3f} s")
                took[name] += [times] if number > 1 else []  # the first has the server compile the module
    for name, values in took.items():
        goal = {"goal": 0.3} if name == "flip_back" else {}
        told = {"settings": SETTINGS, "rate": RATE, "before": RUNG[name]}
        told["from_command_s"] = figure.rounded(median(whole for dummy, whole in values))
        yield figure.of(name, "s", [module for module, dummy in values], more=told, **goal)


def noting(made: Site) -> None:
    """Put the Python in the inventory that writes down when it began."""
    python, hosts = made.folder / "python", made.folder / "local" / "hosts.json"
    python.write_text(PYTHON.format(noted=made.folder / "began", python=sys.executable))
    python.chmod(0o700)
    told = json.loads(hosts.read_text())
    told["all"]["children"]["stackswap"]["hosts"]["server1"]["ansible_python_interpreter"] = str(python)
    hosts.write_text(json.dumps(told))


def back(made: Site, name: str, number: int) -> tuple[float, float]:
    """A version settled, the next at this rung, and back: seconds of module and command until the old one answers."""
    old = VERSIONS[(number - 1) % len(VERSIONS)]
    call(made, old, number - 1, state="settled")
    call(made, VERSIONS[number % len(VERSIONS)], number, state=RUNG[name])
    with Load("127.0.0.1", made.stack.port, host=HOST, rate=RATE, mix={"new": 2, "get": 2}, seconds=600) as load:
        sleep(0.2)
        began = monotonic()
        call(made, None, number, state="live", rollback=True)
        module = float((made.folder / "began").read_text()) - time.time() + monotonic()
        sleep(0.2)
    report = load.report()
    if report.lost:
        raise RuntimeError(f"{name} lost requests: {report}")
    return report.versions[old].first - module, report.versions[old].first - began


def call(made: Site, version: str | None, number: int, **options: Any) -> None:
    """Call the module for a release that no other turn has; it must end well."""
    known = variables(made.stack)
    service = {**known["stackswap_services"][NAME], "env": {"TURN": str(number)}}
    if version:
        app(version)
    asked: Mapping[str, Any] = {"name": NAME, "service": service, "version": version, **options}
    named = {"environment": known["stackswap_environment"], "proxy": known["stackswap_proxy"]}
    command: list[str | Path] = [BIN / "ansible", "server1", "-i", made.folder / "local", "-m", f"{COLLECTION}.release"]
    environ = {one: os.environ[one] for one in KEPT if one in os.environ} | PIPELINED
    environ |= {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections")}
    done = subprocess.run(
        [*command, "-a", json.dumps({**asked, **named})], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{options} of {version} failed: {done.stdout[-3000:]}{done.stderr[-1000:]}")
