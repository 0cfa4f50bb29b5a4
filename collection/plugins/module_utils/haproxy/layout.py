# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the proxy's files lie, and the container that has them at the same paths."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.addresses import dynamic_range
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.payload import CONFIG

LABEL, NUMBER = "stackswap.proxy", "stackswap.proxy.number"
RUN = "STACKSWAP_RUN"  # in the container: the folder of its own sockets
HAPROXY = "haproxy"
LISTEN = re.compile(r"^(?:(?P<address>[0-9.]+|\[[0-9A-Fa-f:.]+\]|\*):)?(?P<port>[0-9]{1,5})$")
FOLDER = re.compile(r"^/[A-Za-z0-9_./-]+$")
PATH = re.compile(r"^/[A-Za-z0-9/._~-]*$")
LOGS = ("json", "http", "none")
SPARE_DESCRIPTORS = 1024


@dataclass(frozen=True)
class Settings:
    """The proxy of one server. listen: ``80``, ``127.0.0.1:8080``, ``[::]:80``.

    certificates: the folder that they are copied from. redirect: everyone who comes by http is sent to https. hsts: for
    so many seconds browsers come by https alone. acme: where challenges are answered. access_log: json, http or none.

    trusted: networks whose word about the client is believed, told by the PROXY protocol with
    proxy_protocol, else by X-Forwarded-* headers.
    """

    home: str = "/var/lib/stackswap"
    listen: tuple[str, ...] = ("80",)
    certificates: str = ""
    trusted: tuple[str, ...] = ()
    proxy_protocol: bool = False
    redirect: bool = False
    hsts: int = 0
    health_path: str = ""
    acme: str = ""
    access_log: str = "none"
    maxconn: int = 4000
    container: str = "stackswap-proxy"
    image: str = "docker.io/library/haproxy:lts"
    network: str = "stackswap"
    subnet: str = "172.30.64.0/20"
    labels: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what HAProxy would read as something else."""
        for text in filter(None, (self.home, self.certificates)):
            if not FOLDER.match(text):
                raise BadInput(f"{text!r} is not an absolute path of letters, digits and _ . -")
        ports = [port for _address, port in binds(self)]
        if not ports:
            raise BadInput("the proxy listens nowhere: give it at least one port")
        if 443 in ports and not self.certificates:
            raise BadInput("the proxy is to listen on 443 and has no folder of certificates")
        if self.redirect and 443 not in ports and not self.trusted:
            raise BadInput("redirect leads to https: listen on 443, or trust the proxy in front that speaks it")
        if self.health_path and not PATH.match(self.health_path):
            raise BadInput(f"{self.health_path!r} is no path: letters, digits and / . _ ~ - after a /")
        if self.access_log not in LOGS:
            raise BadInput(f"the access log may be {', '.join(LOGS)}, not {self.access_log!r}")
        refuse_no_place(self.acme)
        for text in (self.subnet, *self.trusted):
            network(text)
        networks(self)


@dataclass(frozen=True)
class Layout:
    """The paths below a home."""

    home: str

    @property
    def base(self) -> str:
        """All of the proxy's files; for root alone."""
        return f"{self.home}/proxy"

    @property
    def config(self) -> str:
        """The base configuration, which knows no service."""
        return f"{self.base}/haproxy.cfg"

    @property
    def fragments(self) -> str:
        """One file a service."""
        return f"{self.base}/conf.d"

    @property
    def maps(self) -> str:
        """The map files."""
        return f"{self.base}/maps"

    @property
    def live(self) -> str:
        """Service to value."""
        return f"{self.maps}/live.map"

    @property
    def route(self) -> str:
        """Host and path to service."""
        return f"{self.maps}/route.map"

    @property
    def preview(self) -> str:
        """The word of a preview to service and slot."""
        return f"{self.maps}/preview.map"

    @property
    def versions(self) -> str:
        """Service and slot to the version in it, for the access log."""
        return f"{self.maps}/versions.map"

    @property
    def drain(self) -> str:
        """Whether the balancer in front is to leave this server out."""
        return f"{self.maps}/drain.map"

    @property
    def canary(self) -> str:
        """Service to the value that shares its traffic, the share, and whether by request or client."""
        return f"{self.maps}/canary.map"

    @property
    def closed(self) -> str:
        """A service in maintenance to the seconds after which clients may come again."""
        return f"{self.maps}/closed.map"

    @property
    def bypass(self) -> str:
        """Service and addresses that a maintenance lets by."""
        return f"{self.maps}/bypass.map"

    @property
    def held(self) -> str:
        """A service whose requests wait to the time of day when that ends."""
        return f"{self.maps}/held.map"

    @property
    def gate(self) -> str:
        """What HAProxy runs for a request that waits."""
        return f"{self.base}/gate.lua"

    @property
    def pages(self) -> str:
        """The pages of services in maintenance, named by what they hold."""
        return f"{self.base}/pages"

    @property
    def key(self) -> str:
        """The server's key, for confirmations."""
        return f"{self.maps}/key.lst"

    @property
    def run(self) -> str:
        """The folders of sockets, one a container, by number."""
        return f"{self.base}/run"

    @property
    def current(self) -> str:
        """The folder of the container that is the proxy now: a link."""
        return f"{self.run}/current"

    def place(self, number: int) -> str:
        """The folder of sockets of the container with this number."""
        return f"{self.run}/{number}"

    @property
    def admin(self) -> str:
        """The socket of the serving worker."""
        return f"{self.current}/admin.sock"

    @property
    def master(self) -> str:
        """The socket of the process above the workers."""
        return f"{self.current}/master.sock"

    @property
    def certificates(self) -> str:
        """The copies of certificates that were proven."""
        return f"{self.base}/certificates"

    @property
    def stage(self) -> str:
        """Where a change is checked before it moves in."""
        return f"{self.base}/stage"

    @property
    def pending(self) -> str:
        """Marks of fragments moved in that no reload has confirmed yet."""
        return f"{self.base}/pending"

    @property
    def counted(self) -> str:
        """What workers had counted when they were last read before they ended."""
        return f"{self.base}/counted.json"

    def fragment(self, service: str) -> str:
        """The file of one service."""
        return f"{self.fragments}/{service}.cfg"

    @property
    def folders(self) -> tuple[str, ...]:
        """All folders, parents first."""
        return (self.base, self.fragments, self.maps, self.pages, self.certificates, self.run, self.stage, self.pending)


def layout(settings: Settings) -> Layout:
    """The paths of this proxy."""
    return Layout(settings.home)


def binds(settings: Settings) -> list[tuple[str, int]]:
    """The addresses and ports to listen on; an empty address is every one of IPv4."""
    found = [(text, LISTEN.match(text)) for text in settings.listen]
    for text, match in found:
        if not match or not 0 < int(match["port"]) < 65536:
            raise BadInput(f"cannot listen on {text!r}: write 80, 127.0.0.1:8080 or [::]:80")
    return [(match["address"] or "", int(match["port"])) for _text, match in found if match]


def refuse_no_place(text: str) -> None:
    """Refuse what is neither '' nor a port nor an address with one: HAProxy would look a name up, and not start."""
    match = LISTEN.match(text)
    if text and not (match and 0 < int(match["port"]) < 65536 and match["address"] != "*"):
        raise BadInput(f"{text!r} is nowhere to send challenges to: write 8402, 192.0.2.9:8402 or [2001:db8::9]:8402")


def networks(settings: Settings) -> tuple[str, str]:
    """The subnet and the part of it that the engine may hand out: not where the slots are."""
    return settings.subnet, dynamic_range(settings.subnet)


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A network, or why it is none."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is no network: {error}") from error


def start_command(settings: Settings, number: int = 1, before: int = 0) -> list[str]:
    """HAProxy's arguments. From the container numbered before, if one is, it takes over the listening sockets."""
    paths = layout(settings)
    master = f"{paths.place(number)}/master.sock,mode,660,level,admin"
    taken = ["-x", f"{paths.place(before)}/admin.sock"] if before else []
    return [HAPROXY, "-W", "-db", "-S", master, *taken, "-f", paths.config, "-f", f"{paths.fragments}/"]


def check_command(config: str, fragments: str) -> list[str]:
    """The check of a configuration inside the container."""
    return [HAPROXY, "-dW", "-c", "-f", config, "-f", f"{fragments}/"]


def proxy_container(settings: Settings, number: int = 1, before: int = 0) -> dict[str, Any]:
    """The engine's own document for the proxy's container, with its name under ``name``.

    number: which folder of sockets it has. before: from which container it takes over. Neither makes it another one.
    """
    same = digest(document_of(settings, 1, 0))
    labels = {**dict(settings.labels), LABEL: settings.container, NUMBER: str(number), CONFIG: same}
    return {**document_of(settings, number, before), "Labels": labels}


def document_of(settings: Settings, number: int, before: int) -> dict[str, Any]:
    """The same without labels."""
    paths = layout(settings)
    command = start_command(settings, number, before)
    limit = 2 * settings.maxconn + SPARE_DESCRIPTORS
    return {
        "name": settings.container,
        "Image": settings.image,
        "Entrypoint": command[:1],
        "Cmd": command[1:],
        "Env": [f"{RUN}={paths.place(number)}"],
        "User": "0:0",
        "StopSignal": "SIGUSR1",  # as the official image has it; one that engine 20.10 imports cannot
        "HostConfig": {
            "NetworkMode": "host",
            "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
            "Ulimits": [{"Name": "nofile", "Soft": limit, "Hard": limit}],
            "Mounts": [mount(paths.base)],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        },
    }


def mount(folder: str) -> dict[str, Any]:
    """A folder at the same path in the container. Not single files: renames are seen so."""
    return {"Type": "bind", "Source": folder, "Target": folder, "ReadOnly": False}


def digest(document: Mapping[str, Any]) -> str:
    """What tells one container's configuration from another's."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:12]
