"""An SSH server on this machine that is reached like a remote one: its sshd in another network.

The sshd listens in a network namespace of its own behind a veth pair, which a test may shape or
count; sessions come back to this network, file system and Docker socket, so what is deployed is
deployed here.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from tests.lab import debian

PORT = 22
NETS = ip_network("198.18.0.0/24").subnets(new_prefix=30)  # the range kept for test benches
CONFIG = """ListenAddress {address}:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/client_key.pub
PidFile none
StrictModes no
UsePAM {pam}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
MaxStartups 100
MaxSessions 100
Subsystem sftp {sftp}
ForceCommand {folder}/session
SetEnv SHLVL=1{environ}
"""  # SHLVL: else bash reads the person's ~/.bashrc in each session, which may take a second
SESSION = """#!/bin/sh
exec nsenter --net={network} -- /bin/sh -c "${{SSH_ORIGINAL_COMMAND:-exec $SHELL -l}}"
"""
SFTP = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server")


@dataclass(frozen=True)
class Server:
    """How to reach the server, and the interface on this side of the pair."""

    address: str
    port: int
    user: str
    key: Path
    known_hosts: Path
    interface: str

    @property
    def args(self) -> tuple[str, ...]:
        """Return the options for ssh, which hold also for `ansible_ssh_common_args`."""
        return (
            *("-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "StrictHostKeyChecking=yes"),
            *("-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=2"),
        )

    @property
    def hostvars(self) -> dict[str, object]:
        """Return the variables by which Ansible reaches the server."""
        return {
            "ansible_host": self.address,
            "ansible_port": self.port,
            "ansible_user": self.user,
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": " ".join(self.args),
        }

    def command(self, *words: str) -> list[str]:
        """Return the command line that runs these words on the server."""
        way = ["ssh", "-p", str(self.port), "-i", str(self.key), *self.args]
        return [*way, f"{self.user}@{self.address}", *words]

    def carried(self) -> tuple[int, int]:
        """Return the bytes that went to the server and came from it."""
        counts = Path("/sys/class/net", self.interface, "statistics")
        return tuple(int((counts / name).read_text()) for name in ("tx_bytes", "rx_bytes"))


@contextlib.contextmanager
def server(**environ: str) -> Iterator[Server]:
    """Yield a running server; its network, process, keys and folder end with the block. environ: of its sessions."""
    debian.need("iproute2", "ip")
    debian.need("openssh-server", "sshd")
    debian.need("openssh-client", "ssh")
    with tempfile.TemporaryDirectory(prefix="stackswap-ssh-") as name, pair() as (space, inside):
        folder = Path(name)
        made = write(folder, space, inside, environ)
        daemon = subprocess.Popen(sshd(folder, space), stderr=(folder / "log").open("w"))
        try:
            answers(inside, daemon, folder / "log")
            yield made
        finally:
            daemon.terminate()
            daemon.wait(10)


def ip(*words: str) -> str:
    """Run the ip command and return what it prints."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def pair() -> Iterator[tuple[str, str]]:
    """Make a namespace behind a veth pair, yield its name and address, and remove both."""
    for number, net in zip(itertools.count(), NETS, strict=False):
        space, (outer, inner) = f"swapssh{number}", map(str, net.hosts())
        if taken(space, str(net)):
            continue
        ip("netns", "add", space)
        try:
            ip("link", "add", space, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("address", "add", f"{outer}/30", "dev", space)
            ip("link", "set", space, "up")
            for words in (f"address add {inner}/30 dev eth0", "link set eth0 up", "link set lo up"):
                ip("-n", space, *words.split())
            yield space, inner
        finally:
            for pid in ip("netns", "pids", space).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGTERM)
            subprocess.run(["ip", "link", "delete", space], capture_output=True)
            ip("netns", "delete", space)
        return
    raise RuntimeError("no free network for an SSH server")


def taken(space: str, net: str) -> bool:
    """Tell whether a namespace or interface has this name or a route leads to this network."""
    spaces = [line.split()[0] for line in ip("netns", "list").splitlines()]
    there = space in spaces or Path("/sys/class/net", space).exists()
    return there or bool(ip("route", "show", "root", net).strip())


def write(folder: Path, space: str, address: str, environ: Mapping[str, str]) -> Server:
    """Write keys, configuration and known hosts, and return how to reach the server."""
    for key in ("host_key", "client_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", folder / key]
        subprocess.run(command, check=True)
    sftp = next((path for path in SFTP if os.path.exists(path)), "internal-sftp")
    pam = "yes" if locked() else "no"
    fields = {"address": address, "port": PORT, "folder": folder, "pam": pam, "sftp": sftp}
    fields["environ"] = "".join(f' {name}="{value}"' for name, value in environ.items())
    (folder / "config").write_text(CONFIG.format(**fields))
    session = folder / "session"
    session.write_text(SESSION.format(network=f"/proc/{os.getpid()}/ns/net"))
    session.chmod(0o755)
    known = folder / "known_hosts"
    known.write_text(f"{address} {(folder / 'host_key.pub').read_text()}")
    return Server(address, PORT, "root", folder / "client_key", known, space)


def locked() -> bool:
    """Tell whether root's password is locked in the way that sshd takes as no account at all."""
    lines = Path("/etc/shadow").read_text().splitlines()
    return any(line.startswith("root:!") for line in lines)


def sshd(folder: Path, space: str) -> list[str]:
    """Return the command line of the daemon; the mounts stay this machine's."""
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or "/usr/sbin/sshd"
    config = str(folder / "config")
    return ["nsenter", f"--net=/run/netns/{space}", "--", program, "-D", "-e", "-f", config]


def answers(address: str, daemon: subprocess.Popen[bytes], log: Path, within: float = 5) -> None:
    """Wait until the server takes connections, or raise with what it said."""
    until = time.monotonic() + within
    while daemon.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((address, PORT), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"sshd does not answer: {log.read_text()[-1000:]}")
