"""Servers as containers: bare Debian with sshd and nothing else, each with a network of its own.

    with hosts(2) as (one, two):
        one.run("uname -a")

A host may run an engine of its own: it has all capabilities but those that reach the whole machine
(its clock, its resource limits). Keys, addresses, network and containers end with the block.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from types import MappingProxyType

from tests.lab import debian, images
from tests.lab.alone import alone
from tests.lab.building import tagged

PACKAGES = ("openssh-server", "sudo", "ca-certificates", "iproute2", "procps")
RANGE = ip_network("198.18.128.0/17")  # of the range kept for test benches
KEPT_BACK = {"SYS_RESOURCE": 24, "SYS_TIME": 25}  # by their numbers: they reach the whole machine
OPEN = ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")
WITHIN = 30
NONE: Mapping[str, Sequence[str]] = MappingProxyType({})

# What the machine gives a container read-only, its own engine has to write.
BOOT = """#!/bin/sh
for folder in /sys/fs/cgroup /sys/fs/cgroup/*; do
  if mountpoint -q "$folder"; then mount -o remount,rw,bind "$folder" 2>/dev/null; fi
done
mount -o remount,rw /proc/sys 2>/dev/null
mkdir -p /run/sshd /etc/keys
echo "$KEY" | tee /etc/keys/root /etc/keys/ops >/dev/null
exec /usr/sbin/sshd -D -e -o AuthorizedKeysFile=/etc/keys/%u
"""

DOCKERFILE = """FROM host:bare
COPY boot /boot.sh
RUN rm -f /etc/ssh/ssh_host_* && useradd -m -s /bin/bash ops && \\
    echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops
CMD ["sh", "-c", "ssh-keygen -A && exec sh /boot.sh"]
"""
BARE = tagged("host", PACKAGES, BOOT, DOCKERFILE)


@dataclass(frozen=True)
class Host:
    """A running server and how to reach it."""

    name: str
    container: str
    address: str
    key: Path

    @property
    def args(self) -> tuple[str, ...]:
        """Return the options for ssh."""
        unknown = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
        return (*unknown, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR")

    @property
    def hostvars(self) -> dict[str, object]:
        """Return the variables by which Ansible reaches the server."""
        return {
            "ansible_host": self.address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": " ".join(self.args),
        }

    def run(self, command: str, check: bool = True) -> str:
        """Run a command line on the server over SSH and return what it prints."""
        way = ["ssh", "-i", str(self.key), *self.args, f"root@{self.address}", command]
        done = subprocess.run(way, capture_output=True, text=True)
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {command}: {(done.stderr or done.stdout).strip()}")
        return done.stdout.strip()

    def reboot(self, seconds: int = 10) -> None:
        """Stop the server in order, start it, and wait until it answers."""
        images.docker("restart", "-t", str(seconds), self.container)
        self.answers()

    def answers(self, within: float = WITHIN) -> None:
        """Wait until a command runs over SSH."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            with contextlib.suppress(RuntimeError):
                self.run("true")
                return
            time.sleep(0.1)
        logs = images.docker("logs", "--tail", "20", self.container)
        raise RuntimeError(f"{self.name} does not answer over SSH: {logs}")


@alone("host")
def image() -> str:
    """Make the image of a bare server: minimal Debian, sshd, and `ops` who may become root."""
    if images.exists(BARE):
        return BARE
    debian.need("mmdebstrap", "mmdebstrap")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "host.tar")
        debian.system(archive, PACKAGES)
        images.docker("import", f"--change=LABEL {images.LABEL}", str(archive), f"{BARE}-bare")
    packed = images.context({"Dockerfile": DOCKERFILE.encode(), "boot": BOOT.encode()})
    return images.build(BARE, packed, {"host:bare": f"{BARE}-bare"})


@contextlib.contextmanager
def hosts(
    count: int = 1, base: str = "", *flags: str, own: Mapping[str, Sequence[str]] = NONE
) -> Iterator[Sequence[Host]]:
    """Boot this many servers on a network of their own, wait for all, remove them at the end. own: flags by name."""
    base = base or image()
    debian.need("openssh-client", "ssh")
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="stackswap-hosts-")))
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        network, net = ends.enter_context(own_network())
        addresses = map(str, itertools.islice(net.hosts(), 10, 10 + count))
        named = [(n, f"{network}-{n}", one) for n, one in enumerate(addresses, 1)]
        made = [Host(f"server{n}", name, one, key) for n, name, one in named]
        ends.callback(remove, made)
        with ThreadPoolExecutor(max(1, count)) as pool:
            list(pool.map(lambda host: boot(host, network, base, [*flags, *own.get(host.name, ())]), made))
        yield made


@contextlib.contextmanager
def own_network() -> Iterator[tuple[str, IPv4Network]]:
    """Make a network on the first free range, yield its name and range, and remove it."""
    for net in RANGE.subnets(new_prefix=24):
        name = f"stackswap-hosts-{net.network_address}"
        try:
            images.docker("network", "create", f"--label={images.LABEL}", f"--subnet={net}", name)
        except RuntimeError as error:
            if "overlap" not in str(error) and "already exists" not in str(error):
                raise
            continue
        try:
            yield name, net
        finally:
            images.docker("network", "rm", name)
        return
    raise RuntimeError("no free network for hosts")


def boot(host: Host, network: str, base: str, flags: Sequence[str]) -> None:
    """Start one server and wait until it answers."""
    dropped = [f"--cap-drop={name}" for name in droppable()]
    secured = [f"--security-opt={option}" for option in OPEN]
    disk = () if any("/var/lib/docker" in flag for flag in flags) else ("--volume=/var/lib/docker",)
    images.docker(
        *("run", "--detach", "--init", f"--name={host.container}", f"--hostname={host.name}"),
        *(f"--label={images.LABEL}", f"--network={network}", f"--ip={host.address}"),
        *("--cap-add=ALL", *dropped, *secured, "--tmpfs=/run", *disk),
        *(f"--env=KEY={host.key.with_suffix('.pub').read_text().strip()}", *flags, base),
    )
    host.answers()


def droppable() -> list[str]:
    """Return what of KEPT_BACK this machine has; an engine refuses to drop what is not there."""
    status = Path("/proc/self/status").read_text()
    bound = int(status.split("CapBnd:")[1].split()[0], 16)
    return [name for name, number in KEPT_BACK.items() if bound >> number & 1]


def remove(made: Sequence[Host]) -> None:
    """Remove the servers with their disks."""
    for host in made:
        subprocess.run(["docker", "rm", "-f", "-v", host.container], capture_output=True)
