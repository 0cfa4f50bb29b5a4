"""A stack of one server with an inventory of its own, so that the product's playbooks drive its proxy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Bake, Health, Service
from tests.lab import images, ssh
from tests.lab.stack import HOST, Stack

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SUBNET = "172.30.252.0/24"  # not that of any test: both may run at once
NAME, VERSIONS = "shop", ("1.0", "1.1")
DEADLINE, SILENCE = 20.0, 3.0
SETTINGS = {"bake": 0, "min_healthy_time": 0}
KEPT = ("HOME", "PATH", "LANG", "DOCKER_HOST")
# As the wrapper has it, for those who run playbooks bare.
PIPELINED = {
    "ANSIBLE_PIPELINING": "1",
    "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=120s",
    "ANSIBLE_NOCOLOR": "1",
}


@dataclass(frozen=True)
class Ran:
    """One command: its seconds by the clock, and the processor's seconds on the control side."""

    seconds: float
    cpu: float


@dataclass
class Site:
    """The stack, the folder of its inventory, and the SSH server that leads to it where there is one."""

    stack: Stack
    folder: Path
    server: ssh.Server | None = None
    turn: int = 0

    def playbook(self, job: str, connection: str, *words: str, same: bool = False) -> Ran:
        """Run a whole playbook for the service; each time with another variable, or the same again."""
        command = [str(BIN / "ansible-playbook"), f"playbooks/{job}.yml", "-e", f"stackswap_service={NAME}", *words]
        return self.run(command, connection, same)

    def run(self, command: Sequence[str], connection: str, same: bool = False) -> Ran:
        """Run a command of the product in this inventory, over a connection that is new."""
        self.turn += 0 if same else 1
        turn = json.dumps({"stackswap_overrides": {NAME: {"env": {"TURN": str(self.turn)}}}})
        sockets = tempfile.mkdtemp(dir=self.folder)
        environ = {name: os.environ[name] for name in KEPT if name in os.environ} | PIPELINED
        environ |= {"ANSIBLE_SSH_CONTROL_PATH_DIR": sockets, "XDG_STATE_HOME": str(self.folder)}
        return timed([*command, "-i", str(self.folder / connection), "-e", turn], environ)


@contextmanager
def site(*connections: str) -> Iterator[Site]:
    """A site that is reached over these connections; all of it ends with the block."""
    for version in VERSIONS:
        images.app(version)
    with tempfile.TemporaryDirectory(prefix="stackswap-bench-") as name, Stack.made(SUBNET) as stack:
        made = Site(stack, Path(name))
        write(made, "local", {"ansible_connection": "local"})
        if "ssh" not in connections:
            yield made
            return
        with ssh.server() as server:
            made.server = server
            write(made, "ssh", server.hostvars)
            yield made


def write(made: Site, connection: str, reached: Mapping[str, object]) -> None:
    """Write an inventory of one server that is this machine, reached so; its Python has what modules need."""
    host = {"ansible_python_interpreter": sys.executable, **reached}
    children = {"stackswap": {"hosts": {"server1": host}}}
    folder = made.folder / connection
    folder.mkdir()
    (folder / "hosts.json").write_text(json.dumps({"all": {"children": children, "vars": variables(made.stack)}}))


def variables(stack: Stack) -> dict[str, Any]:
    """What the inventory says of the stack: a service with nothing to wait for, and the stack's own proxy."""
    proxy = {name: value for name, value in asdict(stack.settings).items() if value}
    service = {
        "image": "stackswap-test/app",
        "port": 8080,
        "shared": False,
        "routes": [{"host": HOST}],
        "health": {"path": "/health", "deadline": DEADLINE, "min_healthy_time": 0},
        "bake": 0,
    }
    return {
        "stackswap_environment": {"name": stack.name},
        "stackswap_proxy": proxy | {"labels": dict(stack.settings.labels)},
        "stackswap_services": {NAME: service},
    }


def timed(command: Sequence[str], environ: Mapping[str, str]) -> Ran:
    """Run a command to its good end and measure it with all that it started and waited for."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
        _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{said.read()[-4000:]}")
    return Ran(time.monotonic() - began, used.ru_utime + used.ru_stime)


def quick(stack: Stack, deadline: float = DEADLINE) -> Service:
    """The service of the stack with nothing to wait for, for runs without a playbook."""
    return stack.service(NAME, health=Health("http", "/health", deadline, 0.0), bake=Bake(0.0), drain_timeout=15.0)


@cache
def app(version: str) -> str:
    """The image of a version, asked for once: asking takes a tenth of what a swap does."""
    return images.app(version)


def swap(stack: Stack, service: Service, number: int, **options: Any) -> Result:
    """Swap to one release more; it must end well."""
    image = app(VERSIONS[number % len(VERSIONS)])
    done = stack.run(service, stack.release(service, str(number), image, env=(("TURN", str(number)),)), **options)
    if done.error:
        raise RuntimeError(f"swap {number}: {done.error} {done.error.evidence}")
    return done
