"""A service's door on the real HAProxy: whom it lets in, how they are to come, and lines of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.fragments import CheckRefused
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import OPEN, Route
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Door as Policy
from tests.contract.proxies import SERVICE, Door, offered, slot, until, web_servers
from tests.lab.building import docker

pytestmark = [pytest.mark.engine, pytest.mark.slow]
HERE, THERE = Route("here.example"), Route("there.example")
OTHER = "test.other"


@pytest.fixture(scope="module", autouse=True)
def servers() -> Iterator[None]:
    """Web servers for the slots."""
    with web_servers():
        yield


@pytest.fixture(scope="module", params=offered(), ids=lambda suite: suite or "preferred")
def running(request, servers, tmp_path_factory) -> Iterator[Door]:
    """A proxy behind another, with a second service."""
    with Door(request.param, tmp_path_factory.mktemp("door"), trusted=("127.0.0.0/8", "::1/128")) as made:
        made.proxy.register(OTHER, {"green": slot("green")})
        made.settle(OTHER, "green")
        made.proxy.point(OTHER, "green")
        made.proxy.open(OTHER, (THERE,))
        yield made


@pytest.fixture
def door(running) -> Iterator[Door]:
    """The same, with the first service's door open before and after."""
    running.proxy.open(SERVICE, (HERE,))
    yield running
    running.proxy.open(SERVICE, (HERE,))


def status(door: Door, client: str, host: str = HERE.host, **headers: str) -> int:
    """What a client gets that the proxy in front tells of."""
    return door.get(host, "/", x_forwarded_for=client, **headers).status


def test_only_listed_addresses_are_let_in(door) -> None:
    """As the trusted proxies tell them: what a client says before them counts for nothing."""
    policy = Policy(allow=("203.0.113.0/24", "2001:db8::/32"), deny=("203.0.113.7/32",))
    assert door.proxy.open(SERVICE, (HERE,), policy) is True
    assert door.proxy.open(SERVICE, (HERE,), policy) is False
    wanted = {
        "203.0.113.5": 200,
        "203.0.113.7": 403,
        "198.51.100.1": 403,
        "2001:db8::9": 200,
        "2001:db9::9": 403,
        "203.0.113.5, 198.51.100.1": 403,
        "198.51.100.1, 203.0.113.5": 200,
        "198.51.100.1, 203.0.113.5, 127.0.0.9": 200,
        "198.51.100.1, 203.0.113.7, 127.0.0.9, 127.0.0.8": 403,
    }
    assert {client: status(door, client) for client in wanted} == wanted
    assert door.get(HERE.host).status == 403
    assert status(door, "198.51.100.1", THERE.host) == 200


def test_a_denied_address_is_let_in_no_more_and_all_others_are(door) -> None:
    """Without a list of those who may."""
    door.proxy.open(SERVICE, (HERE,), Policy(deny=("203.0.113.0/24",)))
    assert [status(door, client) for client in ("203.0.113.5", "198.51.100.1")] == [403, 200]


def test_the_servers_key_and_a_previews_word_pass_every_list(door) -> None:
    """A deploy confirms and verifies from the server itself."""
    door.proxy.open(SERVICE, (HERE,), Policy(allow=("203.0.113.0/24",), redirect=True))
    assert door.confirm(SERVICE).told == f"{SERVICE}:blue blue1 blue"
    word = "0123456789abcdef-word"
    door.proxy.preview(SERVICE, "blue", word)
    assert door.get(HERE.host, x_stackswap_preview=word).body == "blue1"
    door.proxy.close_preview(SERVICE)
    assert status(door, "198.51.100.1") == 403


def test_a_service_sends_its_clients_to_https_alone(door) -> None:
    """The other service's are not sent; who came by https, as the proxy in front tells, is there."""
    door.proxy.open(SERVICE, (HERE,), Policy(redirect=True, hsts=60))
    sent = door.raw(door.port, b"", "/a?b=c", {"Host": "here.example:80"})
    assert sent.startswith("HTTP/1.1 308") and "location: https://here.example/a?b=c\r\n" in sent
    there = door.raw(door.port, b"", "/", {"Host": "here.example", "X-Forwarded-Proto": "https"})
    assert " 200 " in there.splitlines()[0] and "strict-transport-security: max-age=60\r\n" in there
    other = door.raw(door.port, b"", "/", {"Host": THERE.host, "X-Forwarded-Proto": "https"})
    assert " 200 " in other.splitlines()[0] and "strict-transport" not in other


def test_a_services_own_lines_are_for_it_alone(door) -> None:
    """They answer, add and limit; the other service knows nothing of them."""
    lines = (
        "http-request return status 410 content-type text/plain string gone if { path /old }",
        "http-response set-header x-own yes",
        "stick-table type ip size 1k expire 10s store http_req_rate(10s)",
        "timeout server 5s",
    )
    door.proxy.open(SERVICE, (HERE,), Policy(raw=lines))
    assert (door.get(HERE.host, "/old").status, door.get(HERE.host, "/old").body) == (410, "gone")
    assert "x-own: yes" in door.raw(door.port, b"", "/", {"Host": HERE.host})
    assert door.get(THERE.host, "/old").status == 404
    assert "x-own" not in door.raw(door.port, b"", "/", {"Host": THERE.host})


@pytest.mark.parametrize(
    "line", ["http-request bogus", "acl x nosuchfetch -m found", "timeout server soon", "balance x"]
)
def test_lines_that_haproxy_refuses_change_nothing(door, line) -> None:
    """Neither file nor worker nor anybody's answers."""
    before, pid = files.read(door.paths.fragment(SERVICE)), door.master.serving()
    for refused in (door.proxy.examine, lambda name, policy: door.proxy.open(name, (HERE,), policy)):
        with pytest.raises(CheckRefused):
            refused(SERVICE, Policy(raw=(line,)))
    with pytest.raises(CheckRefused):
        door.proxy.examine("test.new", Policy(raw=(line,)))
    assert (files.read(door.paths.fragment(SERVICE)), door.master.serving()) == (before, pid)
    assert os.listdir(door.paths.stage) == os.listdir(door.paths.pending) == []
    assert (door.get(HERE.host).body, door.get(THERE.host).body) == ("blue1", "green1")


def test_lines_that_reach_beyond_are_refused_before_haproxy_sees_them(door) -> None:
    """It would take them."""
    pid = door.master.serving()
    for line in ("server evil 127.0.0.1:1", "use-server blue1 if TRUE", "http-request deny if { src -f /etc/hosts }"):
        with pytest.raises(BadInput, match="line 1 of raw"):
            door.proxy.open(SERVICE, (HERE,), Policy(raw=(line,)))
    assert door.master.serving() == pid


def test_a_door_stays_through_whatever_becomes_of_the_slots(door) -> None:
    """Another configuration of a slot, and a restart."""
    door.proxy.open(SERVICE, (HERE,), Policy(deny=("203.0.113.0/24",)))
    assert door.proxy.configure(SERVICE, "green", slot("green")) is True
    docker("restart", "--time=1", door.settings.container)
    until(door.answers)
    until(lambda: status(door, "198.51.100.1") == 200)
    assert status(door, "203.0.113.5") == 403
    view = door.proxy.view(SERVICE)
    assert view.door == Policy(deny=("203.0.113.0/24",))
    assert door.proxy.open(SERVICE, (HERE,)) is True
    assert door.proxy.view(SERVICE).door == OPEN
