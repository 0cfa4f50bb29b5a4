"""What a deploy of many servers costs the control node: its processor and its memory, with servers that answer at once.

Everything there is real but the servers: the wrapper, Ansible, our plugins and what they send.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench.figure import Figure, rounded, say
from tests.bench.site import BIN, KEPT, ROOT

NAMES = ("controller_200",)
SIZES = (50, 200)
EVERY = 0.5  # seconds between two looks at the memory
SHOP = {"image": "registry.invalid/acme/shop", "port": 8080, "routes": [{"host": "shop.test"}], "bake": 0}


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """One deploy of each size."""
    ran = {size: deploy(size) for size in SIZES}
    least, most = SIZES
    told: dict[str, Any] = {"connection": "pretend", "by": "stackswap deploy", "cores": os.cpu_count()}
    for size, one in ran.items():
        told |= {f"{name}_at_{size}": rounded(value) for name, value in one.items()}
    told["cpu_ratio"] = rounded(ran[most]["cpu_s"] / ran[least]["cpu_s"])
    yield Figure("controller_200", ran[most]["cpu_s"], "cpu s", more=told)


def deploy(size: int) -> dict[str, float]:
    """Deploy to so many servers: seconds, the processor's seconds, and the most memory that all processes had."""
    with tempfile.TemporaryDirectory(prefix="swap-") as name:
        folder = Path(name)
        inventory = folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"children": {"stackswap": stack(size)}}}))
        command = [BIN / "stackswap", "deploy", "shop", "1.1", "-i", inventory]
        environ = {one: os.environ[one] for one in KEPT if one in os.environ}
        environ |= {"ANSIBLE_CONNECTION_PLUGINS": str(Path(__file__).parent / "connections"), "XDG_STATE_HOME": name}
        began, said = time.monotonic(), folder / "said"
        with said.open("w") as out:
            process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
            watch = Watch(process.pid)
            _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds, most = time.monotonic() - began, watch.end()
        if process.returncode:
            raise RuntimeError(
                f"a deploy to {size} servers ended with {process.returncode}: {said.read_text()[-3000:]}"
            )
    told = {"seconds": seconds, "cpu_s": used.ru_utime + used.ru_stime, "memory_mb": most / (1 << 20)}
    say(f"{size} servers: " + ", ".join(f"{name} {value:.1f}" for name, value in told.items()))
    return told


def stack(size: int) -> dict[str, Any]:
    """The servers, which nobody will look for, and one service."""
    hosts = {f"web{number}": {"ansible_host": f"192.0.2.{number}"} for number in range(1, size + 1)}
    told = {"stackswap_environment": {"name": "bench"}, "stackswap_services": {"shop": SHOP}}
    return {"hosts": hosts, "vars": {**told, "ansible_connection": "pretend", "ansible_python_interpreter": "python3"}}


class Watch:
    """Looks at the memory of a process and all below it, shared pages divided among those that have them."""

    def __init__(self, pid: int) -> None:
        self.pid, self.most, self.ended = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self) -> None:
        """Again and again."""
        while not self.ended.wait(EVERY):
            self.most = max(self.most, sum(map(weight, below(self.pid))))

    def end(self) -> int:
        """Look no more, and tell the most bytes."""
        self.ended.set()
        self.thread.join()
        return self.most


def below(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for one in found:
        try:
            tasks = Path(f"/proc/{one}/task").iterdir()
            found += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def weight(pid: int) -> int:
    """Its part of the memory in bytes; 0 of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
