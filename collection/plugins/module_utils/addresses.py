# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which fixed addresses a service's slots have on a server: sixteen each, allotted once and kept.

They lie in the lower half of the subnet, the engine hands out the upper half. The first block is
the gateway's. So the proxy's configuration stays true over restarts, which move addresses that
are handed out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import SLOTS

MOST_REPLICAS = 8
BLOCK = MOST_REPLICAS * len(SLOTS)
SMALLEST = 26  # the prefix of a subnet whose lower half holds the gateway's block and one more

Allotted = Mapping[str, Mapping[str, Sequence[str]]]
Blocks = dict[str, dict[str, list[str]]]


class AddressTaken(BadInput):
    """Somebody else has an address of ours."""

    cause = "address_taken"


class SubnetFull(BadInput):
    """There is no block left."""

    cause = "subnet_full"


def allot(services: Mapping[str, int], stored: Allotted, taken: Mapping[str, str], subnet: str) -> Blocks:
    """The blocks of these services by slot, with all that were stored before, as they were.

    services: replicas by key. taken: addresses that are not ours, and the names of their holders.
    """
    lower = _halves(subnet)[0]
    blocks = {key: {slot: list(block[slot]) for slot in SLOTS} for key, block in stored.items()}
    for key, replicas in services.items():
        if not 1 <= replicas <= MOST_REPLICAS:
            raise BadInput(f"{key} wants {replicas} replicas; 1 to {MOST_REPLICAS} are possible")
        if key in blocks:
            _refuse_foreign(key, _addresses(blocks[key]), taken, lower)
        else:
            blocks[key] = _free_block(key, blocks, taken, lower)
    return blocks


def rebuilt(stored: Allotted, tenants: Mapping[str, str], subnet: str) -> Blocks:
    """The stored blocks, and those of services that have lost theirs: the ones in which their addresses lie.

    tenants: addresses that services have on the server, and their keys. A block has one service.
    """
    blocks = {key: {slot: list(block[slot]) for slot in SLOTS} for key, block in stored.items()}
    owned = {address for block in blocks.values() for address in _addresses(block)}
    for block in _all_blocks(_halves(subnet)[0]):
        key = next((tenants[address] for address in block if address in tenants), "")
        if key and key not in blocks and owned.isdisjoint(block):
            blocks[key] = _parted(block)
    return blocks


def fixed(subnet: str) -> tuple[str, ...]:
    """All addresses that may be allotted: those to ask the engine about before allot."""
    return tuple(address for block in _all_blocks(_halves(subnet)[0]) for address in block)


def dynamic_range(subnet: str) -> str:
    """The upper half of a subnet: what the engine hands out to all others."""
    return str(_halves(subnet)[1])


def _halves(subnet: str) -> tuple[ipaddress.IPv4Network, ipaddress.IPv4Network]:
    try:
        whole = ipaddress.IPv4Network(subnet)
    except ValueError as error:
        raise BadInput(f"{subnet!r} is not a subnet ({error}): write it as 172.30.64.0/20") from None
    if whole.prefixlen > SMALLEST:
        raise BadInput(f"subnet {subnet} has no room for a service: /{SMALLEST} is the smallest")
    lower, upper = whole.subnets()
    return lower, upper


def _refuse_foreign(key: str, block: Sequence[str], taken: Mapping[str, str], lower: ipaddress.IPv4Network) -> None:
    """A stored block cannot move: the proxy and kept containers have its addresses."""
    for address in block:
        if ipaddress.IPv4Address(address) not in lower:
            raise BadInput(
                f"{key} has address {address}, which is outside the lower half of the subnet "
                f"({lower}): a subnet cannot change while services have addresses in it"
            )
    refuse_held(key, block, taken)


def refuse_held(key: str, addresses: Iterable[str], taken: Mapping[str, str]) -> None:
    """Refuse addresses of a service that somebody else has, by name."""
    for address in addresses:
        if address in taken:
            raise AddressTaken(
                f"address {address} of {key} is held by {taken[address]}: remove that container from the network, "
                "or give it an address from the upper half of the subnet"
            )


def _free_block(
    key: str, blocks: Allotted, taken: Mapping[str, str], lower: ipaddress.IPv4Network
) -> dict[str, list[str]]:
    """The first block without an address of another service or of a stranger."""
    ours = {address for block in blocks.values() for address in _addresses(block)}
    free = (block for block in _all_blocks(lower) if ours.isdisjoint(block))
    held = []
    for block in free:
        strangers = sorted({taken[address] for address in block if address in taken})
        if not strangers:
            return _parted(block)
        held += strangers
    why = f"the last free ones are held by {', '.join(sorted(set(held)))}" if held else ""
    full = f"{lower} has no block of {BLOCK} addresses left for {key}"
    raise (AddressTaken if held else SubnetFull)(f"{full}: {why or 'take a wider subnet'}")


def _parted(block: Sequence[str]) -> dict[str, list[str]]:
    return {"blue": list(block[:MOST_REPLICAS]), "green": list(block[MOST_REPLICAS:])}


def _all_blocks(lower: ipaddress.IPv4Network) -> Iterator[list[str]]:
    """The blocks of the lower half, without the gateway's."""
    for first in range(BLOCK, lower.num_addresses, BLOCK):
        yield [str(lower[first + n]) for n in range(BLOCK)]


def _addresses(block: Mapping[str, Sequence[str]]) -> list[str]:
    return [address for slot in SLOTS for address in block[slot]]
