"""A real HAProxy in a container of its own, with busybox web servers in its slots."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Backend
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.host import HostEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import (
    Admin,
    Master,
    ProxyUnreachable,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import (
    Settings,
    layout,
    proxy_container,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import HAProxy
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.setup import Setup
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Locks
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Health
from tests.lab import debian, images
from tests.lab.building import LABEL, docker

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "collection" / "roles" / "stackswap" / "files" / "haproxy_image.sh"
NAME, THIRD, PORT = f"stackswap-test-{os.getpid()}", os.getpid() % 256, 8080  # two runs at once, beside each other
NETWORK, SUBNET = f"{NAME}-web", f"10.177.{THIRD}.0/24"
ADDRESSES = {
    "blue": (f"10.177.{THIRD}.11", f"10.177.{THIRD}.12"),
    "green": (f"10.177.{THIRD}.21", f"10.177.{THIRD}.22"),
}
SERVICE = "test.door"
NEWER = "forky"  # has the release of HAProxy that the official image calls lts

# Answers its slot at /, is healthy at /health, and at /cgi-bin/ sleeps, fails, or tells what it was sent.
SERVE = """mkdir -p /www/cgi-bin /www/health; echo {name} >/www/index.html; cd /www/cgi-bin
printf '#!/bin/sh\\necho; sleep $QUERY_STRING; echo {name}' >sleep
printf '#!/bin/sh\\necho; env' >env; chmod 755 sleep env
printf '#!/bin/sh\\necho "Status: 500 Oops"; echo; echo {name}' >fail; chmod 755 fail
echo ok >/www/health/index.html; exec httpd -f -p 8080 -h /www"""


def offered() -> list[str]:
    """The suites whose HAProxy is tried: '' is what this machine prefers, those of its sources, and a newer one."""
    listed = subprocess.run(["apt-cache", "madison", "haproxy"], capture_output=True, text=True)
    suites = re.findall(r"(\S+)/main", listed.stdout)
    own = subprocess.run(["apt-cache", "policy", "haproxy"], capture_output=True, text=True).stdout.partition(
        "Candidate: "
    )[2]
    others = [s for s in ("bookworm", "trixie") if s in suites]
    ours = {s for s in others if _version(listed.stdout, s) == own.split("\n")[0][:3]}
    return ["", *(s for s in others if s not in ours), NEWER]


def _version(listed: str, suite: str) -> str:
    found = re.search(rf"\| *(\S{{3}})\S* \|[^|]*\b{suite}/main", listed)
    return found[1] if found else ""


@cache
def image(suite: str) -> str:
    """The image of HAProxy from Debian's package; of the newer suite, which no source of this machine names."""
    with tempfile.TemporaryDirectory() as folder:
        known = debian.apart(Path(folder), suite) if suite == NEWER else os.environ
        env = {**known, "SUITE": suite, "LABELS": LABEL}
        made = subprocess.run(["sh", str(SCRIPT)], env=env, capture_output=True, text=True, check=True)
    return made.stdout.split()[-1]


def free_port() -> int:
    """A port of the loopback that nobody has now."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


class Site:
    """The proxy under test: its verbs, its sockets, and requests through its door."""

    def __init__(self, suite: str, home: Path) -> None:
        self.port = free_port()
        self.settings = Settings(
            home=str(home),
            listen=(f"127.0.0.1:{self.port}",),
            maxconn=500,
            container=f"stackswap-test-proxy-{self.port}",
            image=image(suite),
            labels=(("stackswap.test", "1"),),
        )
        self.paths = layout(self.settings)
        self.engine = HostEngine()
        self.admin, self.master = Admin(self.paths.admin), Master(self.paths.master)
        self.proxy = HAProxy(self.settings, Locks(str(home)).proxy, self.run)
        self.number = 0

    def run(self, argv: Any) -> tuple[int, str]:
        """A command in the proxy's container."""
        return self.engine.exec(self.settings.container, argv)

    def start(self) -> None:
        """Make the files and the container, and wait for its socket."""
        files.install(self.settings)
        os.makedirs(self.paths.place(1))
        files.aim(self.paths, 1)
        self.engine.run_service(proxy_container(self.settings))
        until(self.answers)

    def answers(self) -> bool:
        """Whether the admin socket answers."""
        with suppress(ProxyUnreachable):
            return "Pid:" in self.admin.call("show info")[0]
        return False

    def stop(self) -> None:
        """Take the container away."""
        docker("rm", "--force", self.settings.container)
        shutil.rmtree(self.settings.home, ignore_errors=True)

    def service(self) -> str:
        """A service key of its own for a test."""
        self.number += 1
        return f"test.s{self.number}"

    @property
    def key(self) -> str:
        """The server's key."""
        return files.server_key(self.settings)

    def get(self, host: str, path: str = "/", timeout: float = 20.0, **headers: str) -> Reply:
        """One request on a new connection, never repeated."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = {"Host": host, **{name.replace("_", "-"): text for name, text in headers.items()}}
        try:
            connection.request("GET", path, headers=sent)
            answer = connection.getresponse()
            body = answer.read().decode().strip()
            return Reply(answer.status, body, answer.getheader("x-stackswap-slot"))
        except (OSError, HTTPException) as error:
            return Reply(0, type(error).__name__, None)
        finally:
            connection.close()

    def confirm(self, service: str, path: str = "/") -> Reply:
        """One request for a service by the server's key."""
        return self.get("any", path, x_stackswap_key=self.key, x_stackswap_service=service)

    def settle(self, service: str, slot: str) -> None:
        """Wait until the proxy has proof that a slot is healthy."""
        until(lambda: all(self.proven(service, slot)))

    def proven(self, service: str, slot: str) -> list[bool]:
        """For each replica of a slot, whether it is up by a check."""
        servers = [s for s in self.proxy.view(service).servers if s.slot == slot]
        return [(s.status, s.check) == ("UP", "L7OK") for s in servers] or [False]


class Door(Site):
    """A proxy with other settings, set up as the module does it, with a service that is live in blue."""

    def __init__(self, suite: str, home: Path, **settings: Any) -> None:
        super().__init__(suite, home)
        own = {"network": f"stackswap-test-{self.port}", "subnet": f"10.178.{secrets.randbelow(256)}.0/24"}
        self.settings = replace(self.settings, **own, **settings)
        self.proxy = HAProxy(self.settings, Locks(str(home)).proxy, self.run)

    def setup(self, **settings: Any) -> list[str]:
        """What was done to have these settings, too."""
        return Setup(replace(self.settings, **settings), HostEngine(), Locks(self.settings.home).proxy).present()

    def __enter__(self) -> Door:
        try:
            self.setup()
            self.proxy.register(SERVICE, {"blue": slot("blue")})
            until(lambda: all(self.proven(SERVICE, "blue")))
            self.proxy.point(SERVICE, "blue")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take all of it away."""
        super().stop()
        with suppress(RuntimeError):
            docker("network", "rm", self.settings.network)

    def environment(self, first: bytes = b"", **headers: str) -> str:
        """What the application is sent, or what the proxy answers, after these first bytes."""
        given = {"Host": "x", "x-stackswap-key": self.key, "x-stackswap-service": SERVICE}
        given |= {name.replace("_", "-"): text for name, text in headers.items()}
        return self.raw(self.port, first, "/cgi-bin/env", given)

    def raw(self, port: int, first: bytes, path: str, headers: Mapping[str, str]) -> str:
        """The whole answer to one request."""
        head = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
        with socket.create_connection(("127.0.0.1", port), 5) as stream:
            stream.sendall(first + f"GET {path} HTTP/1.0\r\n{head}\r\n".encode())
            return b"".join(iter(lambda: stream.recv(65536), b"")).decode()


class Reply:
    """What a client got: told is the confirm header, status 0 no answer at all."""

    def __init__(self, status: int, body: str, told: str | None) -> None:
        self.status, self.body, self.told = status, body, told

    def __repr__(self) -> str:
        return f"Reply({self.status}, {self.body!r}, {self.told!r})"


def slot(name: str, replicas: int = 1, path: str = "/health/", kind: str = "http") -> Backend:
    """A slot with the web servers that run."""
    return Backend(ADDRESSES[name][:replicas], PORT, Health(kind=kind, path=path))


BOTH = {"blue": slot("blue"), "green": slot("green")}


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Look again until it is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


@contextmanager
def web_servers() -> Iterator[None]:
    """Two web servers for each slot, on a network of their own."""
    names = [f"{NAME}-{name}{n}" for name in ADDRESSES for n in (1, 2)]
    with suppress(RuntimeError):
        docker("rm", "--force", *names)
        docker("network", "rm", NETWORK)
    docker("network", "create", f"--label={LABEL}", f"--subnet={SUBNET}", NETWORK)
    try:
        for name, addresses in ADDRESSES.items():
            for n, address in enumerate(addresses, 1):
                web_server(f"{name}{n}", address)
        yield
    finally:
        docker("rm", "--force", *names)
        docker("network", "rm", NETWORK)


def web_server(name: str, address: str) -> None:
    """Start one."""
    flags = [f"--label={LABEL}", f"--network={NETWORK}", f"--ip={address}", "--init"]
    named = f"--name={NAME}-{name}"
    serve = SERVE.format(name=name)
    docker("run", "--detach", named, *flags, images.busybox(), "sh", "-c", serve)


@contextmanager
def stopped(name: str) -> Iterator[Callable[[], None]]:
    """A web server killed; the value starts it again, and leaving does."""
    docker("kill", f"{NAME}-{name}")
    try:
        yield lambda: started(name)
    finally:
        started(name)


def started(name: str) -> None:
    """A web server that runs and answers."""
    docker("start", f"{NAME}-{name}")
    until(lambda: accepts(name))


def accepts(name: str) -> bool:
    """Whether a web server takes connections."""
    address = ADDRESSES[name[:-1]][int(name[-1]) - 1]
    with suppress(OSError), socket.create_connection((address, PORT), 0.5):
        return True
    return False


class Background:
    """A request that goes on beside the test."""

    def __init__(self, ask: Callable[[], Reply]) -> None:
        self.replies: list[Reply] = []
        self._thread = threading.Thread(target=lambda: self.replies.append(ask()))
        self._thread.start()

    def reply(self) -> Reply:
        """What it got in the end."""
        self._thread.join(30)
        return self.replies[0]
