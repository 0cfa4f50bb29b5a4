"""Engines of their own, each in a server of the lab, which this machine reaches by a socket.

    with engines(2) as (one, two):
        one.docker("image", "ls")

They run this machine's programs with disks of their own, and no network for containers: for images alone.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.lab.host import Host, hosts

PROGRAMS = ("dockerd", "containerd", "containerd-shim-runc-v2", "runc", "docker-init")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
FOLDER = "/engines"
WITHIN = 60
CONTAINERD = MappingProxyType({"features": {"containerd-snapshotter": True}})
OFFLINE = {"iptables": False, "ip6tables": False, "bridge": "none", "userland-proxy": False}
PLAIN: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Engine:
    """A running engine, and the server in which it runs."""

    host: Host
    socket: Path

    @property
    def address(self) -> str:
        """Return what DOCKER_HOST would say."""
        return f"unix://{self.socket}"

    def docker(self, *words: str, check: bool = True) -> str:
        """Run the docker command on it and return what it prints."""
        done = subprocess.run(["docker", "-H", self.address, *words], capture_output=True, text=True)
        if check and done.returncode:
            raise RuntimeError(f"{self.host.name}: docker {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def has(self, image: str) -> bool:
        """Tell whether it has the image."""
        return bool(self.docker("image", "inspect", "--format={{.Id}}", image, check=False))

    def copy(self, image: str) -> None:
        """Give it an image of this machine's engine."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saving:
            load = ["docker", "-H", self.address, "load", "--quiet"]
            subprocess.run(load, stdin=saving.stdout, check=True, capture_output=True)

    @contextlib.contextmanager
    def reaching(self, port: int) -> Iterator[None]:
        """Have a port of this machine's 127.0.0.1 there, too, until the block ends."""
        way = ["ssh", "-N", "-i", str(self.host.key), *self.host.args, "-o", "ExitOnForwardFailure=yes"]
        way += ["-R", f"127.0.0.1:{port}:127.0.0.1:{port}", f"root@{self.host.address}"]
        with subprocess.Popen(way) as forward:
            try:
                yield
            finally:
                forward.terminate()

    @property
    def interface(self) -> str:
        """Return this machine's end of its network, which a test may shape or count."""
        number = self.host.run("cat /sys/class/net/eth0/iflink")
        found = (path for path in Path("/sys/class/net").iterdir() if (path / "ifindex").read_text().strip() == number)
        return next(found).name


@contextlib.contextmanager
def engines(count: int = 1, settings: Mapping[str, Any] = PLAIN, *flags: str) -> Iterator[list[Engine]]:
    """Start this many, wait until all answer, remove them at the end."""
    with tempfile.TemporaryDirectory(prefix="stackswap-engines-") as folder:
        mounts = [f"--volume={path}:{path}:ro" for path in map(program, PROGRAMS)]
        with hosts(count, "", f"--volume={folder}:{FOLDER}", *mounts, *flags) as made:
            started = [Engine(host, Path(folder, f"{host.name}.sock")) for host in made]
            for engine in started:
                start(engine, settings)
            for engine in started:
                answers(engine)
            yield started


def program(name: str) -> str:
    """Return where this machine has a program of its engine."""
    found = shutil.which(name, path=PATH)
    if not found:
        raise RuntimeError(f"this machine's engine has no {name} here")
    return found


def start(engine: Engine, settings: Mapping[str, Any]) -> None:
    """Start it in the background."""
    told = json.dumps({**OFFLINE, **settings})
    command = f"export PATH={PATH}; mkdir -p /etc/docker; echo '{told}' >/etc/docker/daemon.json; "
    command += f"setsid dockerd -H unix://{FOLDER}/{engine.socket.name} >/var/log/dockerd 2>&1 </dev/null &"
    engine.host.run(command)


def answers(engine: Engine) -> None:
    """Wait until it does, or raise with its last words."""
    until = time.monotonic() + WITHIN
    while time.monotonic() < until:
        if engine.docker("version", "--format={{.Server.Version}}", check=False):
            return
        time.sleep(0.1)
    raise RuntimeError(engine.host.run("tail -20 /var/log/dockerd"))
