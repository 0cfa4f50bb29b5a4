# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The maps that choose: which service a request is for, and which of its slots answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import (
    BadInput,
    StackswapError,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import BLUE, GREEN, Route, other

NONE = "none"
VALUES: Mapping[str, tuple[str, str]] = {
    NONE: ("", ""),
    BLUE: (BLUE, ""),
    GREEN: (GREEN, ""),
    f"{BLUE}.{GREEN}": (BLUE, GREEN),
    f"{GREEN}.{BLUE}": (GREEN, BLUE),
}
WORD = re.compile(r"^[A-Za-z0-9_-]{16,128}$")
SERVICE = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
HOST = re.compile(r"^[a-z0-9_-]+(\.[a-z0-9_-]+)*$|^\[[0-9a-f:.]+\]$")
PATH = re.compile(r"^/([A-Za-z0-9._~%!$&'()*+,=:@-]+/)*[A-Za-z0-9._~%!$&'()*+,=:@-]*$")


class MapBroken(StackswapError):
    """A map file holds what it must not; nothing was written."""

    cause = "map_broken"


def parse_value(value: str) -> tuple[str, str] | None:
    """The live slot and its backup, '' for no slot; None for a value that is none of ours."""
    return VALUES.get(value)


def parse(text: str, name: str = "the map file") -> dict[str, str]:
    """The entries, in order. A key twice is refused: HAProxy would keep both, and use the first."""
    entries: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("#"):
            continue
        key, _blank, value = line.partition(" ")
        if key in entries:
            raise MapBroken(f"{name} names {key} twice: leave one line of them")
        entries[key] = value.strip()
    return entries


def render(entries: Mapping[str, str]) -> str:
    """The text of a map file."""
    return "".join(f"{key} {value}\n" for key, value in entries.items())


def checked_service(service: str) -> str:
    """The key of a service, or why it cannot be one in a map, a file name and a backend's name."""
    if not SERVICE.match(service):
        raise BadInput(f"{service!r} is no service key: letters, digits and _ . - only")
    return service


def route_key(route: Route) -> str:
    """The route as a prefix of ``host/path/``: its last slash keeps /api from fitting /apix."""
    host, path = route.host.lower().rstrip("."), route.path or "/"
    if not HOST.match(host):
        raise BadInput(f"{route.host!r} is no host name: write it without port and in ASCII")
    if not PATH.match(path):
        raise BadInput(f"{route.path!r} is no path prefix: write it as /, /api or /api/v2")
    return f"{host}{path.rstrip('/')}/"


def route_of(key: str) -> Route:
    """The route that a key of the map stands for."""
    host, _slash, path = key.partition("/")
    return Route(host, f"/{path}".rstrip("/") or "/")


def route_keys(routes: Iterable[Route]) -> tuple[str, ...]:
    """The keys of these routes, each once."""
    return tuple(dict.fromkeys(map(route_key, routes)))


def previews(entries: Mapping[str, str], service: str) -> tuple[str, ...]:
    """The words that lead to a slot of this service."""
    return tuple(key for key, backend in entries.items() if backend.partition(":")[0] == service)


def canary_value(slot: str, share: int, by: str) -> str:
    """What shares a service's traffic: a slot with the live one as its backup, its share, and by what it is dealt."""
    return f"{slot}.{other(slot)}:{share}:{by}"


def canary_of(runtime: str, file: str) -> str:
    """The slot and its share, told of both values: ``?`` for a share where they differ, '' where there is none."""
    slot, share = _dealt(runtime or file)
    return f"{slot}:{share if runtime == file else '?'}" if slot else ""


def _dealt(value: str) -> tuple[str, str]:
    served, _colon, rest = value.partition(":")
    return served.partition(".")[0], rest.partition(":")[0]


def bypass_keys(service: str, networks: Iterable[str]) -> tuple[str, ...]:
    """The keys whose look-up by prefix finds an address of these networks: its hexadecimal digits, cut to the network.

    A network that ends within a digit has a key for each of that digit's values. An address of IPv4 may come as one of
    IPv6 (::ffff:192.0.2.1), where a socket takes both.
    """
    found = [ip_network(text, strict=False) for text in networks]
    mapped = [ip_network(f"::ffff:{n.network_address}/{n.prefixlen + 96}") for n in found if n.version == 4]
    return tuple(dict.fromkeys(f"{service}/{digits}" for n in (*found, *mapped) for digits in _digits(n)))


def _digits(network: IPv4Network | IPv6Network) -> list[str]:
    """The digits that all addresses of the network begin with, in as many spellings as its last digit leaves open."""
    size, free = -(-network.prefixlen // 4), -network.prefixlen % 4
    if not size:
        return [""]
    first = int(network.network_address) >> (network.max_prefixlen - size * 4)
    return [f"{first + one:0{size}x}" for one in range(1 << free)]


def owned(entries: Mapping[str, str], service: str) -> tuple[str, ...]:
    """The keys that lead to this service."""
    return tuple(key for key, owner in entries.items() if owner == service)
