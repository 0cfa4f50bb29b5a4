"""A fleet: servers as containers with sshd and an engine of their own, booted in seconds, as `setup` leaves them.

    with fleet(3, "stackswap-test/app:1.0") as stack:
        ran = stack.play("deploy.yml", "1.0")
        stack.servers[0].power_cut()

They run this machine's engine programs. Real SSH, fixed addresses, one network; all of it ends with the block.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.contract import proxies
from tests.lab import host, images
from tests.lab.alone import alone
from tests.lab.building import tagged
from tests.lab.engines import FOLDER, PATH, PROGRAMS, Engine, answers, program
from tests.lab.host import hosts

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PACKAGES = ("python3", "python3-docker", "iptables", "procps", "cron")
SITE, SECRET = "shop.test", "let-me-in"
VERSIONS = ("1.0", "1.1")
APPS = tuple(f"stackswap-test/app:{version}" for version in VERSIONS)
SHOP = MappingProxyType(
    {
        "image": "stackswap-test/app",
        "port": 8080,
        "shared": False,
        "routes": [{"host": SITE}],
        "health": {"path": "/health", "deadline": 20, "min_healthy_time": 0},
        "bake": 0.2,
    }
)
EXPIRE = 'sed -i \'s/"expires": [0-9.]*/"expires": 1.0/\' /var/lib/stackswap/services/test/*/record.json'
HELD, SHUT = "/etc/engine.held", "/etc/sshd.held"
DISK = ("--mount=type=tmpfs,dst=/var/lib/docker,tmpfs-size=200m",)
KEPT = ("HOME", "PATH", "LANG", "DOCKER_HOST")
PIPELINED = {"ANSIBLE_PIPELINING": "1", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOST_KEY_CHECKING": "0"}
ALIVE = "-C -o ControlMaster=auto -o ControlPersist=120s -o ServerAliveInterval=3 -o ServerAliveCountMax=3"

# Engine and sshd as an init system has them: started at boot, started again when they end, unless they are held down.
ENGINE = f"""#!/bin/sh
export PATH={PATH}
(while :; do
  [ -e {HELD} ] || dockerd -H unix:///var/run/docker.sock -H unix://{FOLDER}/$(hostname).sock >>/var/log/dockerd 2>&1
  sleep 0.2
done) &
mkdir -p /etc/keys; echo "$KEY" >/etc/keys/asks
while :; do
  [ -e {SHUT} ] || sh /boot.sh
  sleep 0.2
done
"""
DAEMON = {"live-restore": True, "userland-proxy": False, "ip6tables": False}
DOCKERFILE = f"""FROM host:bare
RUN apt-get update -qq && apt-get install -qqy --no-install-recommends {" ".join(PACKAGES)} && apt-get clean
COPY engine /engine.sh
COPY daemon.json /etc/docker/daemon.json
RUN ssh-keygen -qA && mkdir -p /mnt/shared && chmod 1777 /mnt/shared && \\
    useradd -m -s /bin/bash asks && echo asks:{SECRET} | chpasswd && echo 'asks ALL=(ALL) ALL' >/etc/sudoers.d/asks
CMD ["sh", "/engine.sh"]
"""
IMAGE = tagged("server", host.BARE, ENGINE, DAEMON, DOCKERFILE)


@alone("server")
def image() -> str:
    """Make the image of a server that has all that setup installs but the engine's programs."""
    if images.exists(IMAGE):
        return IMAGE
    files = {"Dockerfile": DOCKERFILE, "engine": ENGINE, "daemon.json": json.dumps(DAEMON)}
    packed = images.context({name: text.encode() for name, text in files.items()})
    return images.build(IMAGE, packed, {"host:bare": host.image()})


@dataclass(frozen=True)
class Server(Engine):
    """A server of the fleet, and all that may happen to it."""

    network: str = ""

    @property
    def name(self) -> str:
        """Return its name in the inventory."""
        return self.host.name

    def reboot(self) -> None:
        """Stop it in order and start it."""
        self.host.reboot(5)
        answers(self)

    def power_cut(self) -> None:
        """Stop it at once and start it."""
        self.off()
        self.on()

    def off(self) -> None:
        """Take its power."""
        images.docker("kill", "--signal=KILL", self.host.container)

    def on(self) -> None:
        """Give it power, and wait until it answers."""
        images.docker("start", self.host.container)
        self.host.answers()
        answers(self)

    def unplug(self) -> None:
        """Take its cable: nobody reaches it, it reaches nobody."""
        images.docker("network", "disconnect", self.network, self.host.container)

    def plug(self) -> None:
        """Give it back, at its address."""
        images.docker("network", "connect", f"--ip={self.host.address}", self.network, self.host.container)

    @contextlib.contextmanager
    def partitioned(self) -> Iterator[None]:
        """Nobody reaches it inside the block."""
        self.unplug()
        try:
            yield
        finally:
            self.plug()
            self.host.answers()

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """It takes connections and answers nothing inside the block."""
        images.docker("pause", self.host.container)
        try:
            yield
        finally:
            images.docker("unpause", self.host.container)
            self.host.answers()

    @contextlib.contextmanager
    def without_engine(self) -> Iterator[None]:
        """Its engine is killed and stays down inside the block; its containers run on."""
        self.host.run(f"touch {HELD}; kill -KILL $(cat /var/run/docker.pid)")
        try:
            yield
        finally:
            self.host.run(f"rm {HELD}")
            answers(self)

    @contextlib.contextmanager
    def without_sshd(self) -> Iterator[None]:
        """Its sshd is killed with all its sessions and stays down inside the block; all else runs on."""
        self.inside(f"touch {SHUT}; kill -KILL $(pgrep '^sshd')")
        try:
            yield
        finally:
            self.inside(f"rm {SHUT}")
            self.host.answers()

    @contextlib.contextmanager
    def without_power(self) -> Iterator[None]:
        """It has none inside the block."""
        self.off()
        try:
            yield
        finally:
            self.on()

    def inside(self, command: str) -> str:
        """Run a command line on it, whether it can be reached or not."""
        return images.docker("exec", self.host.container, "sh", "-c", command)

    @contextlib.contextmanager
    def slow_link(self, rate: str = "2mbit") -> Iterator[None]:
        """What it sends goes no faster than this inside the block."""
        self.host.run(f"tc qdisc add dev eth0 root tbf rate {rate} burst 32kb latency 400ms")
        try:
            yield
        finally:
            self.host.run("tc qdisc del dev eth0 root")

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """The disk of its engine, a tmpfs of a size, has no room left inside the block."""
        self.host.run("dd if=/dev/zero of=/var/lib/docker/filler bs=1M 2>/dev/null; df /var/lib/docker", check=False)
        try:
            yield
        finally:
            self.host.run("rm -f /var/lib/docker/filler")

    def answer(self, site: str = SITE, path: str = "/") -> str:
        """Return what its users get now; '' for an error of its proxy's, or none."""
        link = http.client.HTTPConnection(self.host.address, 80, timeout=5)
        try:
            link.request("GET", path, headers={"Host": site})
            got = link.getresponse()
            body = got.read().decode()
            return body if got.status == 200 else ""
        except OSError:
            return ""
        finally:
            link.close()

    def busy(self) -> bool:
        """Tell whether a call on the service is under way on it."""
        lock = "/var/lib/stackswap/locks/service-test.shop.lock"
        return self.host.run(f"flock -n {lock} true || echo busy") == "busy"

    def record(self, key: str = "test/shop") -> dict[str, Any]:
        """Return what it remembers of a service."""
        return self.record_of(f"services/{key}/record")

    def record_of(self, name: str) -> dict[str, Any]:
        """Return what is in one of its files; {} where there is none."""
        text = self.host.run(f"cat /var/lib/stackswap/{name}.json", check=False)
        return json.loads(text) if text.startswith("{") else {}


@dataclass(frozen=True)
class Ran:
    """A run of ansible-playbook: exit code, its one document, all it said on one line, and its seconds."""

    code: int
    said: str
    report: Mapping[str, Any]
    seconds: float = 0.0

    @property
    def line(self) -> str:
        """Return the last line, for people."""
        return str(self.report.get("line", ""))

    @property
    def outcomes(self) -> dict[str, str]:
        """Return what each server's users got."""
        return {name: one["outcome"] for name, one in self.servers.items()}

    @property
    def servers(self) -> Mapping[str, Any]:
        """Return the servers of the only service."""
        (service,) = self.report["services"].values()
        return service["servers"]

    def steps(self, server: str) -> list[str]:
        """Return the verbs of what was done on a server."""
        return [step["verb"] for step in self.servers[server]["steps"]]


@dataclass
class Fleet:
    """The servers, the folder of their inventory, and the variables in it."""

    servers: Sequence[Server]
    folder: Path
    variables: dict[str, Any]
    hostvars: dict[str, dict[str, Any]] = field(default_factory=dict)

    def inventory(self, name: str = "hosts", **variables: Any) -> Path:
        """Write an inventory of all servers; variables go over those of the fleet."""
        hostvars = {one.name: {**one.host.hostvars, **self.hostvars.get(one.name, {})} for one in self.servers}
        stack = {"hosts": hostvars, "vars": {**self.variables, **variables}}
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({"all": {"children": {"stackswap": stack}}}))
        return path

    def play(self, play: str, version: str = "", *words: str, **more: Any) -> Ran:
        """Run a playbook for the service to its end."""
        process = self.begin(play, version, *words, **more)
        return ended(process)

    def begin(
        self,
        play: str,
        version: str = "",
        *words: str,
        inventory: Path | None = None,
        service: str = "shop",
        commands: Path = BIN,
        **more: Any,
    ) -> subprocess.Popen[str]:
        """Start one: words go to ansible-playbook, more are variables without stackswap_ before their names."""
        named = {"version": version} if version and play != "rollback.yml" else {"rollback_to": version}
        extra = {"stackswap_service": service} | {f"stackswap_{name}": one for name, one in {**named, **more}.items()}
        where = inventory or self.inventory()
        command = [commands / "ansible-playbook", "-i", where, "-e", json.dumps(extra), *words, f"playbooks/{play}"]
        return begun(command, self.environ)

    def job(self, *words: str, home: str = "home", **more: Any) -> subprocess.Popen[str]:
        """Start a job by the wrapper, on the control node whose home this is: more are variables, as for begin."""
        (self.folder / home).mkdir(exist_ok=True)
        environ = {**self.environ, "HOME": str(self.folder / home), "XDG_STATE_HOME": str(self.folder / home)}
        extra = ["-e", json.dumps({f"stackswap_{name}": one for name, one in more.items()})] if more else []
        return begun([BIN / "stackswap", *words, "-i", self.inventory(), "--output", "json", *extra], environ)

    @property
    def environ(self) -> dict[str, str]:
        """Return the surroundings of a run: nothing of the caller's own settings."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        sockets = {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp"), "ANSIBLE_FORKS": "8"}
        sockets |= {"ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp")}  # other tests look at what is left in the usual one
        reported = {"ANSIBLE_SHOW_CUSTOM_STATS": "1"}
        return {**kept, **PIPELINED, **sockets, **reported, "ANSIBLE_SSH_ARGS": ALIVE, "ANSIBLE_TIMEOUT": "4"}

    def answers(self, site: str = SITE) -> list[str]:
        """Return what each server's users get now."""
        return [server.answer(site).strip() for server in self.servers]

    def running(self, service: str = "shop") -> list[list[str]]:
        """Return the versions of the service's containers that run on each server."""
        shown = ["ps", f"--filter=name=-{service}-", '--format={{.Label "stackswap.version"}}']
        return [sorted(server.docker(*shown).split()) for server in self.servers]

    def claims(self) -> list[Any]:
        """Return who has the service on each server."""
        return [server.record().get("claim") for server in self.servers]

    def even(self) -> tuple[str, str]:
        """Have all servers serve one of two versions, and return it and the other; the inventory is as it was."""
        self.hostvars.clear()
        found = self.answers()
        now = found[0] if found[0] in VERSIONS else VERSIONS[0]
        if found != [now] * len(found) or any(self.claims()):
            self.expire_claims()
            ran = self.play("deploy.yml", now)
            assert ran.code == 0, ran.said
        return now, VERSIONS[now == VERSIONS[0]]

    def expire_claims(self) -> None:
        """Have all claims run out now, as they do when their time is up."""
        for server in self.servers:
            server.host.run(EXPIRE, check=False)


def begun(command: Sequence[Any], environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a command, its two outputs as one."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, env=environ, text=True, start_new_session=True, **pipes)
    process.began = time.monotonic()  # type: ignore[attr-defined]
    return process


def ended(process: subprocess.Popen[str]) -> Ran:
    """Wait for its end and read what it said."""
    said, _ = process.communicate(timeout=300)
    seconds = time.monotonic() - process.began  # type: ignore[attr-defined]
    return Ran(process.returncode, " ".join(said.split()), report_in(said), seconds)


def finished(process: subprocess.Popen[str]) -> Ran:
    """Wait for the end of a job of the wrapper's and read what it said: the exit code is the wrapper's own."""
    said, _ = process.communicate(timeout=300)
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    (told,) = [one["data"]["report"] for one in lines if one["type"] == "job.finished"]
    return Ran(process.returncode, said, told, time.monotonic() - process.began)  # type: ignore[attr-defined]


def report_in(said: str) -> dict[str, Any]:
    """Return the document among the statistics at the end of a run, {} without."""
    found = re.search(r"^\s*RUN: (\{.*\})", said, re.MULTILINE | re.DOTALL)
    text = found[1] if found else ""
    with contextlib.suppress(ValueError):
        return json.loads(text).get("stackswap_report", {})
    return {}


@contextlib.contextmanager
def fleet(count: int, *shipped: str, small: str = "", **variables: Any) -> Iterator[Fleet]:
    """Boot servers, give each these images and the proxy, remove all at the end. small: who has a disk to fill,
    which is lost with its power."""
    proxy = proxies.image("")
    with tempfile.TemporaryDirectory(prefix="stackswap-fleet-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        mounts = [f"--volume={path}:{path}:ro" for path in map(program, (*PROGRAMS, "docker"))]
        with hosts(count, image(), f"--volume={folder}:{FOLDER}", *mounts, own={small: DISK}) as made:
            network = made[0].container.rpartition("-")[0]
            servers = [Server(one, folder / f"{one.name}.sock", network) for one in made]
            with ThreadPoolExecutor(count) as pool:
                list(pool.map(lambda one: equip(one, (proxy, *shipped)), servers))
            settings = {"image": proxy}
            told = {"stackswap_environment": {"name": "test"}, "stackswap_proxy": settings, **variables}
            stack = Fleet(servers, folder, told)
            set_up(stack, settings)
            yield stack


def equip(server: Server, names: Sequence[str]) -> None:
    """Wait for its engine and load images into it."""
    answers(server)
    with subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE) as saving:
        load = ["docker", "-H", server.address, "load", "--quiet"]
        subprocess.run(load, stdin=saving.stdout, check=True, capture_output=True)


def set_up(stack: Fleet, settings: Mapping[str, Any]) -> None:
    """Run the proxy on every server: what is left of setup on a server that has the rest."""
    call = ["-m", "stackswap.bluegreen.proxy", "-a", json.dumps(settings), "--playbook-dir", "playbooks"]
    done = ended(begun([BIN / "ansible", "stackswap", "-i", stack.inventory(), *call], stack.environ))
    if done.code:
        raise RuntimeError(f"the fleet's proxies do not run: {done.said[-2000:]}")
