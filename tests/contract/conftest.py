"""What the contracts of the real proxy stand on: web servers in the slots, a proxy of every version, a live service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Route
from tests.contract.proxies import BOTH, Site, offered, web_servers


@pytest.fixture(scope="module")
def servers() -> Iterator[None]:
    """Web servers for the slots."""
    with web_servers():
        yield


@pytest.fixture(scope="module", params=offered(), ids=lambda suite: suite or "preferred")
def site(request, servers, tmp_path_factory) -> Iterator[Site]:
    """A proxy that runs."""
    made = Site(request.param, tmp_path_factory.mktemp("home"))
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def live(site) -> Iterator[str]:
    """A service with blue live and green proven, and a host name that is its key."""
    name = site.service()
    site.proxy.register(name, BOTH)
    site.settle(name, "blue")
    site.settle(name, "green")
    site.proxy.point(name, "blue")
    site.proxy.open(name, (Route(name),))
    yield name
    site.proxy.remove(name)
