"""A service's addresses: allotted once, never moved, never anybody else's."""

from __future__ import annotations

import ipaddress
import random

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.addresses import (
    MOST_REPLICAS,
    AddressTaken,
    SubnetFull,
    allot,
    dynamic_range,
    fixed,
    rebuilt,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput

WIDE, SMALL = "172.30.64.0/20", "10.1.2.0/25"
SHOP, BLOG = "production.shop", "production.blog"


def addresses(blocks) -> list[str]:
    """All addresses of these blocks."""
    return [one for block in blocks.values() for slot in block.values() for one in slot]


def test_the_first_service_has_the_block_after_the_gateways() -> None:
    """Eight addresses a slot, from .16 on."""
    assert allot({SHOP: 1}, {}, {}, WIDE)[SHOP] == {
        "blue": [f"172.30.64.{n}" for n in range(16, 24)],
        "green": [f"172.30.64.{n}" for n in range(24, 32)],
    }


def test_more_replicas_move_nothing() -> None:
    """A block has room for all the replicas that a service may ever have."""
    before = allot({SHOP: 1}, {}, {}, WIDE)
    assert allot({SHOP: MOST_REPLICAS}, before, {}, WIDE) == before


def test_stored_blocks_of_services_not_asked_for_stay() -> None:
    """Another repository's services keep their addresses, and nobody gets them."""
    before = allot({BLOG: 2}, {}, {}, WIDE)
    after = allot({SHOP: 1}, before, {}, WIDE)
    assert after[BLOG] == before[BLOG]
    assert set(after) == {SHOP, BLOG}


def test_a_block_that_became_free_is_given_again() -> None:
    """The first free block is taken, in the middle too."""
    three = allot({"a.a": 1, "a.b": 1, "a.c": 1}, {}, {}, WIDE)
    freed = three.pop("a.b")
    assert allot({"a.d": 1}, three, {}, WIDE)["a.d"] == freed


def test_lost_blocks_are_those_in_which_addresses_are_found() -> None:
    """One address of a block is enough; what is stored stays, what lies elsewhere is nobody's."""
    known = allot({SHOP: 1, BLOG: 1}, {}, {}, WIDE)
    tenants = {known[BLOG]["green"][3]: BLOG, "172.30.72.9": "a.c", known[SHOP]["blue"][1]: "a.d"}
    assert rebuilt({SHOP: known[SHOP]}, tenants, WIDE) == known
    assert rebuilt({}, {}, WIDE) == {}


def test_the_answer_shares_nothing_with_what_was_stored() -> None:
    """Changing it does not change what the caller holds."""
    before = allot({SHOP: 1}, {}, {}, WIDE)
    allot({SHOP: 1}, before, {}, WIDE)[SHOP]["blue"].clear()
    assert len(before[SHOP]["blue"]) == MOST_REPLICAS


def test_a_stranger_in_a_stored_block_is_named() -> None:
    """It cannot move, so the stranger has to."""
    stored = allot({SHOP: 1}, {}, {}, WIDE)
    with pytest.raises(
        AddressTaken,
        match=r"172\.30\.64\.25 of production\.shop is held by adminer: .* upper half",
    ):
        allot({SHOP: 1}, stored, {"172.30.64.25": "adminer"}, WIDE)


def test_a_strangers_block_is_passed_over_for_a_new_service() -> None:
    """Nothing of the new one is there to be moved."""
    found = allot({SHOP: 1}, {}, {"172.30.64.16": "adminer"}, WIDE)
    assert found[SHOP]["blue"][0] == "172.30.64.32"


def test_strangers_elsewhere_disturb_nobody() -> None:
    """Addresses that the engine hands out are in the other half."""
    assert allot({SHOP: 1}, {}, {"172.30.72.1": "adminer"}, WIDE) == allot({SHOP: 1}, {}, {}, WIDE)


def test_a_full_subnet_is_refused() -> None:
    """Three blocks of the lower half of a /25 are for services."""
    full = allot({f"a.{n}": 1 for n in range(3)}, {}, {}, SMALL)
    with pytest.raises(SubnetFull, match=r"10\.1\.2\.0/26 has no block .* a\.3: take a wider"):
        allot({"a.3": 1}, full, {}, SMALL)


def test_a_subnet_full_of_strangers_names_them() -> None:
    """The last free block is held by a container with a name."""
    full = allot({f"a.{n}": 1 for n in range(2)}, {}, {}, SMALL)
    with pytest.raises(AddressTaken, match=r"for a\.3: the last free ones are held by adminer"):
        allot({"a.3": 1}, full, {"10.1.2.63": "adminer"}, SMALL)


@pytest.mark.parametrize(
    ("subnet", "upper"),
    [(WIDE, "172.30.72.0/21"), (SMALL, "10.1.2.64/26"), ("10.9.0.0/26", "10.9.0.32/27")],
)
def test_the_engine_hands_out_the_upper_half(subnet: str, upper: str) -> None:
    """What it hands out is never a slot's."""
    assert dynamic_range(subnet) == upper


def test_what_may_be_allotted_is_the_lower_half_without_the_gateways_block() -> None:
    """What allot gives is always among these."""
    asked = fixed(SMALL)
    assert (asked[0], asked[-1], len(asked)) == ("10.1.2.16", "10.1.2.63", 48)
    assert set(addresses(allot({f"a.{n}": 1 for n in range(3)}, {}, {}, SMALL))) == set(asked)


@pytest.mark.parametrize(
    ("subnet", "why"),
    [
        ("172.30.64.1/20", r"'172\.30\.64\.1/20' is not a subnet \(.*host bits set\): write it as"),
        ("many", r"'many' is not a subnet"),
        ("fd00::/64", r"'fd00::/64' is not a subnet"),
        ("10.0.0.0/27", r"subnet 10\.0\.0\.0/27 has no room for a service: /26 is the smallest"),
    ],
)
def test_a_subnet_that_will_not_do_is_refused(subnet: str, why: str) -> None:
    """The message says how to write one."""
    with pytest.raises(BadInput, match=why):
        dynamic_range(subnet)


@pytest.mark.parametrize("replicas", [0, 9])
def test_replicas_beyond_a_block_are_refused(replicas: int) -> None:
    """A slot has eight addresses."""
    with pytest.raises(BadInput, match=rf"wants {replicas} replicas; 1 to 8 are possible"):
        allot({SHOP: replicas}, {}, {}, WIDE)


def test_another_subnet_is_refused_while_addresses_are_stored() -> None:
    """Containers that were kept have addresses in the old one."""
    stored = allot({SHOP: 1}, {}, {}, WIDE)
    with pytest.raises(BadInput, match=r"172\.30\.64\.16, which is outside .* cannot change"):
        allot({SHOP: 1}, stored, {}, SMALL)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_comes_and_goes_nobody_moves_and_nobody_shares(seed: int) -> None:
    """100 random arrivals and removals: addresses stay and have one owner."""
    dice = random.Random(seed)
    lower = next(ipaddress.IPv4Network("10.0.0.0/23").subnets())
    gateways = {str(lower[n]) for n in range(16)}
    taken = {str(lower[dice.randrange(16, 256)]): "stranger" for _ in range(dice.randrange(3))}
    stored: dict = {}
    for _ in range(100):
        if stored and dice.random() < 0.4:
            stored.pop(dice.choice(sorted(stored)))
        try:
            after = allot({f"e.{dice.randrange(30)}": 1}, stored, taken, "10.0.0.0/23")
        except (SubnetFull, AddressTaken):
            continue
        found = addresses(after)
        assert all(after[key] == block for key, block in stored.items())
        assert len(found) == len(set(found)) == 16 * len(after)
        assert not gateways.union(taken).intersection(found)
        assert all(ipaddress.IPv4Address(one) in lower for one in found)
        stored = after
