"""Traffic that is shared between two slots, on every HAProxy that apt offers: how it is dealt, and how it ends."""

from __future__ import annotations

from http.client import HTTPConnection

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import ProxyError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import NotRegistered
from tests.contract.proxies import Site, slot, stopped, until
from tests.lab.building import docker

pytestmark = [pytest.mark.engine, pytest.mark.slow]
MANY = 400


def answers(site: Site, host: str, count: int = MANY, source: str = "127.0.0.1") -> list[str]:
    """Who answers so many requests of one client over one connection."""
    link = HTTPConnection("127.0.0.1", site.port, timeout=10, source_address=(source, 0))
    found = []
    for _ in range(count):
        link.request("GET", "/", headers={"Host": host})
        found.append(link.getresponse().read().decode().strip())
    link.close()
    return found


@pytest.mark.parametrize(("share", "low", "high"), [(10, 0.04, 0.17), (50, 0.4, 0.6), (100, 1, 1)])
def test_so_many_of_a_hundred_requests_go_to_the_slot(site, live, share: int, low: float, high: float) -> None:
    """Each is dealt anew, over a kept connection, too; with 100 all of them."""
    site.proxy.share(live, "green", share, "request")
    found = answers(site, live)
    assert low <= found.count("green1") / MANY <= high, found.count("green1")
    assert set(found) <= {"blue1", "green1"}
    site.proxy.share(live, "green", 0, "request")
    assert set(answers(site, live, 50)) == {"blue1"}


def test_a_client_that_is_dealt_one_slot_keeps_it_while_the_share_grows(site, live) -> None:
    """By its address: of many clients about the share, and nobody goes back."""
    clients = [f"127.0.{n // 200}.{n % 200 + 1}" for n in range(120)]
    dealt: list[set[str]] = []
    for share in (20, 60):
        site.proxy.share(live, "green", share, "client")
        found = {one: set(answers(site, live, 2, one)) for one in clients}
        assert all(len(seen) == 1 for seen in found.values())
        dealt.append({one for one, seen in found.items() if seen == {"green1"}})
    assert 0.08 < len(dealt[0]) / 120 < 0.34 and 0.45 < len(dealt[1]) / 120 < 0.75
    assert dealt[0] < dealt[1]


def test_a_share_is_seen_and_outlasts_a_restart_and_a_reload(site, live) -> None:
    """The file has it before the runtime; one that only the file has is told as such."""
    assert site.proxy.view(live).canary == ""
    site.proxy.share(live, "green", 10, "client")
    assert site.proxy.view(live).canary == "green:10"
    docker("restart", "-t", "1", site.settings.container)
    until(site.answers)
    assert site.proxy.view(live).canary == "green:10"
    site.proxy.share(live, "green", 50, "client")
    site.proxy.configure(live, "green", slot("green", replicas=2))
    assert site.proxy.view(live).canary == "green:50"
    site.admin.call(f"set map {site.paths.canary} {live} green.blue:20:client")
    assert site.proxy.view(live).canary == "green:?"
    site.proxy.share(live, "green", 0, "client")
    assert site.proxy.view(live).canary == "" and live not in files.read(site.paths.canary)


def test_whoever_has_the_key_is_dealt_nothing(site, live) -> None:
    """A confirmation is of what is live."""
    site.proxy.share(live, "green", 100, "request")
    assert {site.confirm(live).told for _ in range(5)} == {f"{live}:blue blue1 blue"}


def test_what_the_slot_cannot_take_the_live_one_takes(site, live) -> None:
    """A candidate that dies with a share costs nobody a request that was not in flight on it."""
    site.proxy.share(live, "green", 50, "request")
    with stopped("green1"):
        assert set(answers(site, live, 60)) == {"blue1"}


def test_a_slot_that_has_a_share_is_not_called_down(site, live) -> None:
    """As one that is live."""
    site.proxy.share(live, "green", 10, "request")
    with pytest.raises(ProxyError, match="the green slot of"):
        site.proxy.force_down(live, "green")
    site.proxy.share(live, "green", 0, "request")
    site.proxy.force_down(live, "green")


@pytest.mark.parametrize(("share", "by"), [(101, "request"), (-1, "request"), (10, "cookie")])
def test_what_is_no_share_is_refused(site, live, share: int, by: str) -> None:
    """And so is one for a service that is not known."""
    with pytest.raises(BadInput):
        site.proxy.share(live, "green", share, by)
    with pytest.raises(NotRegistered):
        site.proxy.share("test.nobody", "green", 10, "request")
    assert files.read(site.paths.canary) == ""
