"""Two repositories deploy to the same servers: neither touches what is the other's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.lab.fleet import SHOP, Fleet, ended

pytestmark = [pytest.mark.engine, pytest.mark.slow]

BLOG = {**SHOP, "routes": [{"host": "blog.test"}]}


@pytest.fixture(scope="module")
def blog(servers: Fleet) -> Path:
    """The inventory of another repository: same servers, another environment and service."""
    return servers.inventory("blog", stackswap_environment={"name": "press"}, stackswap_services={"blog": BLOG})


def standing(stack: Fleet, service: str) -> list[Any]:
    """What there is of a service on each server: its containers and its part of the proxy's configuration."""
    listed = [one.docker("ps", "-aq", "--no-trunc", f"--filter=name=-{service}-") for one in stack.servers]
    parts = [one.host.run(f"cat /var/lib/stackswap/proxy/conf.d/*{service}*") for one in stack.servers]
    return [listed, parts]


def test_either_may_come_first_and_both_may_come_at_once(servers: Fleet, blog: Path) -> None:
    """Each job leaves the other's containers, routes and records alone; both are served on every server."""
    now, then = servers.even()
    shop = standing(servers, "shop")
    first = servers.play("deploy.yml", now, inventory=blog, service="blog")
    assert (first.code, servers.answers("blog.test")) == (0, [now] * 3), first.said
    assert standing(servers, "shop") == shop and servers.answers() == [now] * 3
    both = [servers.begin("deploy.yml", then), servers.begin("deploy.yml", then, inventory=blog, service="blog")]
    done = [ended(one) for one in both]
    assert [one.code for one in done] == [0, 0], [one.said for one in done]
    assert servers.answers() == servers.answers("blog.test") == [then] * 3
    press = standing(servers, "blog")
    back = servers.play("rollback.yml")
    assert (back.code, servers.answers(), servers.answers("blog.test")) == (0, [now] * 3, [then] * 3), back.said
    assert standing(servers, "blog") == press
