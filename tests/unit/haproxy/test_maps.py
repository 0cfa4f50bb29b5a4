"""Map files as text, their values, and routes as their keys."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import maps
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Route

TEXT = "prod.shop blue\nprod.blog green.blue\n"


def test_entries_are_read_in_order() -> None:
    """Comments, empty lines and blanks at the ends are nothing, as they are to HAProxy."""
    text = "# by hand\n\n  prod.shop   blue  \nprod.blog green.blue\n"
    assert list(maps.parse(text).items()) == [("prod.shop", "blue"), ("prod.blog", "green.blue")]


def test_a_key_twice_is_refused() -> None:
    """HAProxy would keep both and use the first."""
    with pytest.raises(maps.MapBroken, match=r"live\.map names prod\.shop twice"):
        maps.parse(TEXT + "prod.shop green\n", "live.map")


@pytest.mark.parametrize(
    ("value", "slots"),
    [
        ("none", ("", "")),
        ("blue", ("blue", "")),
        ("green", ("green", "")),
        ("blue.green", ("blue", "green")),
        ("green.blue", ("green", "blue")),
        ("", None),
        ("red", None),
        ("blue.blue", None),
        ("blue+green", None),
        ("BLUE", None),
    ],
)
def test_a_value_is_a_live_slot_and_its_backup(value, slots) -> None:
    """Whatever else is no value."""
    assert maps.parse_value(value) == slots


@pytest.mark.parametrize(
    ("route", "key"),
    [
        (Route("shop.example"), "shop.example/"),
        (Route("Shop.Example.", "/"), "shop.example/"),
        (Route("shop.example", "/api"), "shop.example/api/"),
        (Route("shop.example", "/api/"), "shop.example/api/"),
        (Route("shop.example", "/api/v2"), "shop.example/api/v2/"),
        (Route("[::1]"), "[::1]/"),
    ],
)
def test_a_route_is_a_prefix_that_ends_with_a_slash(route, key) -> None:
    """And is read back without it."""
    assert maps.route_key(route) == key
    assert maps.route_key(maps.route_of(key)) == key


def test_a_route_comes_back_as_it_is_written() -> None:
    """Without a slash at its end."""
    assert maps.route_of("shop.example/api/v2/") == Route("shop.example", "/api/v2")
    assert maps.route_of("shop.example/") == Route("shop.example", "/")


@pytest.mark.parametrize(
    "route",
    [
        Route(""),
        Route("shop.example:80"),
        Route("shop example"),
        Route("bücher.example"),
        Route("shop.example/x"),
        Route("*.example"),
        Route("shop.example", "api"),
        Route("shop.example", "/a b"),
        Route("shop.example", "/a;b"),
        Route("shop.example", "/a?b"),
        Route("shop.example", "//a"),
        Route("shop.example", "/a\nb"),
    ],
)
def test_what_is_no_route_is_refused(route) -> None:
    """A blank or a semicolon would end a command to HAProxy."""
    with pytest.raises(BadInput):
        maps.route_key(route)


def test_routes_that_are_the_same_count_once() -> None:
    """HAProxy would hold two entries."""
    assert maps.route_keys([Route("A.b"), Route("a.b", "/"), Route("a.b", "/x")]) == (
        "a.b/",
        "a.b/x/",
    )


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
        ("203.0.113.0/24", "203.0.113.255", "203.0.114.0"),
        ("203.0.113.64/26", "203.0.113.127", "203.0.113.128"),
        ("10.0.0.0/9", "10.127.255.255", "10.128.0.0"),
        ("203.0.113.0/24", "::ffff:203.0.113.9", "::ffff:203.0.112.9"),
        ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
        ("2001:db8::7", "2001:db8::7", "2001:db8::8"),
    ],
)
def test_an_address_is_found_by_the_digits_it_begins_with(network: str, inside: str, outside: str) -> None:
    """As the look-up by prefix does it: inside a network and not beside it, for this service and no other."""
    keys = maps.bypass_keys("prod.shop", [network])
    digits = [ip_address(text).packed.hex() for text in (inside, outside)]
    found = [any(f"prod.shop/{one}".startswith(key) for key in keys) for one in digits]
    assert found == [True, False]
    assert not any(f"prod.shopx/{digits[0]}".startswith(key) for key in keys)
