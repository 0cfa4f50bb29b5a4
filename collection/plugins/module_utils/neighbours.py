# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How soon this machine finds a container at its address.

The proxy checks the addresses of an empty slot, so the kernel is asking for them (ARP) when a container starts there.
It asks once a second: until its next question neither the proxy nor anybody else here gets through to that container.
The network is a bridge of this machine's own, on which an answer takes microseconds, and so it may ask more often.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator
from contextlib import suppress

ROUTES, LINKS, SETTINGS = "/proc/net/route", "/sys/class/net", "/proc/sys/net/ipv4/neigh"
MILLISECONDS = 100  # after three questions without an answer there is none, and the next packet asks anew


def ask_often(subnet: str, routes: str = ROUTES, links: str = LINKS, settings: str = SETTINGS) -> None:
    """Have the kernel repeat its question soon on the bridge with these addresses, if there is one that may be told."""
    with suppress(OSError):
        for name in _interfaces(subnet, routes):
            if os.path.isdir(os.path.join(links, name, "bridge")):
                with open(os.path.join(settings, name, "retrans_time_ms"), "w") as file:
                    file.write(str(MILLISECONDS))


def _interfaces(subnet: str, routes: str) -> Iterator[str]:
    """The interfaces whose own addresses these are; proc(5) describes the table."""
    network = ipaddress.ip_network(subnet)
    own = (int(network.network_address), 0, int(network.netmask))
    with open(routes) as file:
        for line in file.readlines()[1:]:
            name, to, by, *_more, mask, _mtu, _window, _rtt = line.split()
            if (_number(to), _number(by), _number(mask)) == own:
                yield name


def _number(told: str) -> int:
    """An address of the table, as this machine's memory has it."""
    return int.from_bytes(int(told, 16).to_bytes(4, sys.byteorder), "big")
