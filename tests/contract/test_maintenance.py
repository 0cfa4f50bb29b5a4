"""A service in maintenance, on every HAProxy that apt offers: who gets the page, who does not, what it outlasts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.maintenance import (
    Maintenance,
    Notice,
    NotServed,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.page import PLAIN
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Route
from tests.contract.proxies import BOTH, Site, slot, until
from tests.lab.building import docker

pytestmark = [pytest.mark.engine, pytest.mark.slow]
PAGE = '<h1>Wartung: "fünf" #1 %[src]</h1>\n'
NOTICE = Notice(PAGE, 600, ("127.0.0.2", "127.0.1.0/26"), "/health/")
WORD = "a-word-of-sixteen-letters"


@pytest.fixture
def live(site) -> Iterator[str]:
    """A service with blue live, and a host name that is its key."""
    name = site.service()
    site.proxy.register(name, BOTH)
    site.settle(name, "blue")
    site.proxy.point(name, "blue")
    site.proxy.open(name, (Route(name),))
    yield name
    site.proxy.remove(name)


class Got:
    """What somebody got: status, body and the headers that matter."""

    def __init__(self, site: Site, host: str, path: str = "/", source: str = "127.0.0.1", **headers: str) -> None:
        link = HTTPConnection("127.0.0.1", site.port, timeout=10, source_address=(source, 0))
        link.request("GET", path, headers={"Host": host, **{n.replace("_", "-"): text for n, text in headers.items()}})
        answer = link.getresponse()
        self.status, self.body = answer.status, answer.read().decode()
        self.again, self.kind = answer.getheader("retry-after"), answer.getheader("content-type")
        link.close()


def keeper(site: Site) -> Maintenance:
    """What starts and ends it."""
    return site.proxy.maintenance


def test_everyone_gets_the_page_and_may_come_again(site, live) -> None:
    """As it is, with status 503, whatever path is asked for; and then the service again."""
    assert Got(site, live).status == 200
    keeper(site).start(live, NOTICE)
    for path in ("/", "/cgi-bin/env", "/health/more"):
        got = Got(site, live, path)
        assert (got.status, got.body, got.again, got.kind) == (503, PAGE, "600", "text/html; charset=utf-8")
    keeper(site).end(live)
    assert (Got(site, live).status, Got(site, live).body) == (200, "blue1\n")


def test_a_health_check_from_outside_is_answered_all_the_while(site, live) -> None:
    """By the proxy: a balancer in front keeps the server, whatever becomes of the application."""
    keeper(site).start(live, NOTICE)
    got = Got(site, live, "/health/?deep=1")
    assert (got.status, got.body) == (200, "in maintenance")


@pytest.mark.parametrize(
    ("source", "status"),
    [("127.0.0.2", 200), ("127.0.1.0", 200), ("127.0.1.63", 200), ("127.0.1.64", 503), ("127.0.0.3", 503)],
)
def test_addresses_and_networks_are_let_by(site, live, source: str, status: int) -> None:
    """Also a network that ends within a digit, and nobody beside it."""
    keeper(site).start(live, NOTICE)
    assert Got(site, live, source=source).status == status


def test_the_key_and_a_previews_word_get_to_the_service(site, live) -> None:
    """So deploys are confirmed and verified underneath."""
    site.settle(live, "green")
    keeper(site).start(live, NOTICE)
    site.proxy.preview(live, "green", WORD)
    assert site.confirm(live).told == f"{live}:blue blue1 blue"
    assert Got(site, live, x_stackswap_preview=WORD).body == "green1\n"
    assert Got(site, live, x_stackswap_preview="another-word-of-sixteen").status == 503


def test_what_is_live_changes_underneath(site, live) -> None:
    """And the page stays until it is taken away."""
    site.settle(live, "green")
    keeper(site).start(live, NOTICE)
    site.proxy.point(live, "green")
    view = site.proxy.view(live)
    assert (view.runtime, view.closed, Got(site, live).body) == ("green", True, PAGE)
    keeper(site).end(live)
    assert (site.proxy.view(live).closed, Got(site, live).body) == (False, "green1\n")


def test_it_outlasts_a_reload_and_a_restart(site, live) -> None:
    """Another slot is configured; the container is started anew."""
    keeper(site).start(live, NOTICE)
    assert site.proxy.configure(live, "green", slot("green", replicas=2)) is True
    assert (Got(site, live).body, Got(site, live, source="127.0.0.2").status) == (PAGE, 200)
    docker("restart", "-t", "1", site.settings.container)
    until(site.answers)
    site.settle(live, "blue")
    assert (Got(site, live).body, Got(site, live, source="127.0.0.2").status) == (PAGE, 200)
    assert site.proxy.view(live).runtime == "blue"


def test_the_same_again_changes_nothing(site, live) -> None:
    """Neither start nor end; and what is due is told before it is done."""
    assert keeper(site).due(live, NOTICE) == keeper(site).start(live, NOTICE) != []
    pid = site.master.serving()
    assert keeper(site).start(live, NOTICE) == []
    assert site.master.serving() == pid
    assert keeper(site).due(live, None) == keeper(site).end(live) != []
    assert keeper(site).end(live) == []
    assert keeper(site).start(live, NOTICE) != [] and site.master.serving() == pid, "its page was there already"


def test_what_was_cut_off_is_finished(site, live) -> None:
    """A file that says it and a runtime that does not, and the other way round."""
    keeper(site).start(live, NOTICE)
    site.admin.call(f"del map {site.paths.closed} {live}")
    assert keeper(site).start(live, NOTICE) == [f"show it for {live}"]
    files.write(site.paths.closed, "")
    assert keeper(site).end(live) != [] and Got(site, live).status == 200


def test_a_notice_changes_while_it_is_shown(site, live) -> None:
    """Another page, another time, other addresses; the page before is no longer kept."""
    keeper(site).start(live, NOTICE)
    keeper(site).start(live, Notice(PLAIN, 60, ("127.0.0.3",)))
    got = Got(site, live, "/health/")
    assert (got.status, got.body, got.again) == (503, PLAIN, "60")
    assert [Got(site, live, source=f"127.0.0.{n}").status for n in (2, 3)] == [503, 200]
    assert len([name for name in os.listdir(site.paths.pages) if name.startswith(f"{live}-")]) == 1


def test_other_services_are_left_alone(site, live) -> None:
    """Also one whose name goes on where the first one ends; and one that leaves takes its page along."""
    other = f"{live}-x"
    site.proxy.register(other, BOTH)
    site.settle(other, "blue")
    site.proxy.point(other, "blue")
    site.proxy.open(other, (Route(other),))
    keeper(site).start(live, NOTICE)
    assert (Got(site, live).status, Got(site, other).status) == (503, 200)
    keeper(site).start(other, NOTICE)
    keeper(site).end(live)
    assert (Got(site, live).status, Got(site, other).status) == (200, 503)
    site.proxy.remove(other)
    assert not [name for name in os.listdir(site.paths.pages) if name.startswith(other)]
    assert other not in files.read(site.paths.closed) + files.read(site.paths.bypass)


def test_a_service_that_the_proxy_does_not_know_has_no_page(site) -> None:
    """It is told so, and nothing is written."""
    with pytest.raises(NotServed, match="deploy it first"):
        keeper(site).start("test.nobody", NOTICE)
    assert "test.nobody" not in files.read(site.paths.closed)
