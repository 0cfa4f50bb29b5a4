"""A release that changes one megabyte of two hundred, on its way to servers with engines of their own: bytes and time.

Each server is reached over SSH by a network of its own. The registry is the lab's, which sends layers as they are; the
servers pull from it over networks that are shaped alike. All runs are the module image, called by Ansible.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any

from tests.bench import figure
from tests.bench.figure import Figure, say
from tests.bench.site import BIN, KEPT, PIPELINED, ROOT, timed
from tests.lab import images, ssh
from tests.lab.engines import Engine, engines
from tests.lab.host import RANGE
from tests.lab.registry import Registry

NAMES = ("ship_bytes", "ship_time")
SERVERS, ROUNDS, CALLS = 4, 3, 2
MEGABYTE = 1024 * 1024
BASE = "stackswap-test/ship-base:1"
BASE_FILE = b"FROM busybox:1\nCOPY base /base\n"
FILE = b"FROM base:1\nCOPY code /code\n"
LINKS = {"unshaped": (), "50 Mbit/s": ("tbf", "rate", "50mbit", "burst", "256kb", "latency", "100ms")}
ARCHIVE = "the whole archive of 200 MB"


@dataclass
class Lab:
    """The servers with their engines, the registry, and the releases made so far."""

    folder: Path
    registry: Registry
    engines: list[Engine]
    servers: list[ssh.Server]
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    made: list[str] = field(default_factory=list)

    def release(self) -> str:
        """Build a release with a megabyte of its own, and have it in the registry under the same name."""
        name = f"ship{next(self.numbers)}"
        tag = f"{self.registry.address}/{name}:1"
        code = {"Dockerfile": FILE, "code": os.urandom(MEGABYTE)}
        images.build(tag, images.context(code), {"base:1": BASE})
        self.made.append(tag)
        self.registry.hold(name, tag)
        return tag

    def run(self, name: str, servers: int, origin: str) -> float:
        """Bring the image to so many servers and answer the seconds of the whole command."""
        options: dict[str, Any] = {"name": name, "from": origin, "docker_host": "{{ engine }}"}
        options |= {"builder": "localhost", "builder_host": "unix:///var/run/docker.sock"}
        command = [str(BIN / "ansible"), "-i", str(self.folder / "hosts.json"), f"servers[0:{servers - 1}]"]
        command += ["-m", "stackswap.bluegreen.image", "-a", json.dumps(options)]
        environ = {one: os.environ[one] for one in KEPT if one in os.environ and one != "DOCKER_HOST"} | PIPELINED
        environ |= {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections")}
        environ |= {"ANSIBLE_SSH_CONTROL_PATH_DIR": tempfile.mkdtemp(dir=self.folder)}
        return timed(command, environ).seconds

    def forget(self, name: str) -> None:
        """Take the image away from the servers, but not what is below it."""
        for engine in self.engines:
            for listed in engine.docker("image", "ls", "--quiet", "--no-trunc", name.rpartition(":")[0]).split():
                engine.docker("image", "rm", "--force", listed)

    def carried(self) -> int:
        """Return the bytes that went to the first server over SSH."""
        return self.servers[0].carried()[0]


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """Measure on one lab; all servers have a release before, by a pull."""
    with lab() as made:
        made.run(made.release(), SERVERS, "registry")
        if "ship_bytes" in names:
            yield bytes_of(made)
        for link, words in LINKS.items() if "ship_time" in names else ():
            with shaped(made, words):
                for servers in (1, SERVERS):
                    yield times_of(made, link, servers)


def bytes_of(made: Lab) -> Figure:
    """What went over the wire for the release, without what Ansible's own calls weigh, per byte of its changed layer.

    A run that finds the image there is one call: Ansible sends the module. One that ships it is two.
    """
    ratios = []
    for number in range(ROUNDS + 1):
        name = made.release()
        before = made.carried()
        made.run(name, 1, "builder")
        shipped = made.carried() - before
        made.run(name, 1, "builder")
        call = made.carried() - before - shipped
        say(f"round {number}: {shipped} bytes, {call} for a call that ships nothing; layer {layer(name)}")
        ratios += [(shipped - CALLS * call) / layer(name)] if number else []
    told = {"changed": "1 MiB of 200", "all_bytes": shipped, "calls": CALLS, "call_bytes": call, "layer": layer(name)}
    return figure.of("ship_bytes", "bytes per byte of the changed layer", ratios, goal=1.1, more=told)


def times_of(made: Lab, link: str, servers: int) -> Figure:
    """The same release shipped, taken away, and pulled; in turn."""
    shipped, pulled = [], []
    for number in range(ROUNDS):
        name = made.release()
        shipped.append(made.run(name, servers, "builder"))
        made.forget(name)
        pulled.append(made.run(name, servers, "registry"))
        say(f"{link}, {servers} servers, round {number}: shipped {shipped[-1]:.2f} s, pulled {pulled[-1]:.2f} s")
    anchor = {"baseline": "the same release by the same module from the lab's registry, pushed before"}
    told = {"servers": servers, "link": link}
    return figure.of("ship_time", "s", shipped, baseline_value=sorted(pulled)[len(pulled) // 2], more=told, **anchor)


def layer(name: str) -> int:
    """The bytes of the release's own layer, as an archive has it."""
    with tempfile.TemporaryFile() as file:
        subprocess.run(["docker", "save", name], stdout=file, check=True)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            top = json.load(archive.extractfile("manifest.json"))[0]["Layers"][-1]
            return archive.getmember(top).size


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """Make the base, the engines, the ways to them and the registry; all but the base ends with the block."""
    base()
    insecure = {"insecure-registries": [str(RANGE)]}
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="stackswap-ships-")))
        started = ends.enter_context(engines(SERVERS, insecure))
        servers = [ends.enter_context(ssh.server()) for dummy in started]
        gateway = str(ip_address(started[0].host.address) - 10)
        made = Lab(folder, ends.enter_context(Registry(gateway)), started, servers)
        ends.callback(lambda: subprocess.run(["docker", "image", "rm", "--force", *made.made], capture_output=True))
        python = {"ansible_python_interpreter": sys.executable}
        pairs = zip(started, servers, strict=True)
        known = {one.host.name: {**server.hostvars, **python, "engine": one.address} for one, server in pairs}
        inventory = {"all": {"children": {"servers": {"hosts": known}}}}
        (folder / "hosts.json").write_text(json.dumps(inventory))
        yield made


def base() -> None:
    """Make the two hundred megabytes that do not change, once."""
    if not images.exists(BASE):
        say(f"making {ARCHIVE}")
        files = {"Dockerfile": BASE_FILE, "base": os.urandom(200 * MEGABYTE)}
        images.build(BASE, images.context(files), {"busybox:1": images.busybox()})


@contextlib.contextmanager
def shaped(made: Lab, words: Sequence[str]) -> Iterator[None]:
    """Shape both ways to each server, the one by SSH and the one to the registry."""
    ways = [server.interface for server in made.servers] + [engine.interface for engine in made.engines]
    try:
        for way in ways if words else ():
            subprocess.run(["tc", "qdisc", "add", "dev", way, "root", *words], check=True)
        yield
    finally:
        for way in ways if words else ():
            subprocess.run(["tc", "qdisc", "del", "dev", way, "root"], capture_output=True)
