"""The job maintenance as people run it, on a real stack: who gets the page, and what goes on underneath."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.lab import images
from tests.lab.calls import Place
from tests.lab.jobs import Jobs
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]
OPTIONS = {"maintenance": {"page": "pages/shop.html.j2", "retry_after": 120, "bypass": ["127.0.0.2"]}}
PAGE = "<h1>{{ stackswap_environment.name }} is being worked on</h1>\n"


@pytest.fixture(scope="module")
def shop() -> Iterator[Place]:
    """A service that has been deployed."""
    images.app("1.0"), images.app("1.1")
    with Stack.made() as stack:
        place = Place(stack, "shop", **OPTIONS)
        assert place.call("1.0").result.error is None
        yield place


@pytest.fixture
def jobs(shop: Place, tmp_path: Path) -> Jobs:
    """The jobs of its inventory, beside which its page lies."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "shop.html.j2").write_text(PAGE)
    return Jobs(shop.stack, tmp_path, {"shop": shop.options})


def got(shop: Place, path: str = "/", source: str = "127.0.0.1") -> tuple[int, str, str | None]:
    """What somebody gets at the public door: status, body, when to come again."""
    link = HTTPConnection("127.0.0.1", shop.stack.port, timeout=10, source_address=(source, 0))
    link.request("GET", path, headers={"Host": shop.host})
    answer = link.getresponse()
    told = (answer.status, answer.read().decode(), answer.getheader("retry-after"))
    link.close()
    return told


def test_a_maintenance_from_its_start_to_its_end(shop: Place, jobs: Jobs) -> None:
    """Planned, started, started again, deployed underneath, seen, ended, ended again."""
    page = f"<h1>{shop.stack.name} is being worked on</h1>\n"
    planned = jobs("maintenance", "shop", "start", "--check", "--diff")
    assert planned.code == 0 and "planned, and nothing done" in planned.line, planned.printed
    assert got(shop)[0] == 200 and not planned.server("shop")["changed"]

    started = jobs("maintenance", "shop", "start")
    assert started.code == 0 and started.server("shop")["changed"], started.printed
    assert started.line == (
        "shop is in maintenance on web1; 1.0 stays live underneath. End: stackswap maintenance shop end"
    )
    assert got(shop) == (503, page, "120")
    assert got(shop, "/health")[:2] == (200, "in maintenance")
    assert got(shop, source="127.0.0.2")[:2] == (200, "1.0\n")
    assert not jobs("maintenance", "shop", "start").server("shop")["changed"]

    deployed = shop.call("1.1")
    assert deployed.result.error is None and deployed.report["maintenance"] is True
    assert "stackswap maintenance shop end" in deployed.report["warnings"][0]
    assert (got(shop)[1], got(shop, source="127.0.0.2")[1]) == (page, "1.1\n")
    assert "users get the maintenance page" in jobs("status", "shop").line

    with shop.load(50) as load:
        ended = jobs("maintenance", "shop", "end")
        assert ended.line == "shop is not in maintenance on web1; users get 1.1.", ended.printed
        assert not jobs("maintenance", "shop", "end").server("shop")["changed"]
    seen = load.report()
    assert set(seen.versions) == {"1.1"}, "the first answer may be the page, no later one"


@pytest.mark.parametrize(
    ("page", "retry", "bypass", "says"),
    [
        ("pages/none.html", 60, [], "pages/none.html, and there is no such file"),
        ("pages/large.html", 60, [], "12000 can be shown"),
        ("pages/shop.html.j2", 0, [], "shop.maintenance.retry_after must be a whole number of seconds"),
        ("pages/shop.html.j2", 60, ["here"], "shop.maintenance.bypass[0] must be an address or a network"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    shop: Place, jobs: Jobs, page: str, retry: int, bypass: list[str], says: str
) -> None:
    """By its key, before anything changes: users get the service."""
    (jobs.folder / "pages" / "large.html").write_text("x" * 13_000)
    jobs.services["shop"] = {**shop.options, "maintenance": {"page": page, "retry_after": retry, "bypass": bypass}}
    refused = jobs("maintenance", "shop", "start")
    assert refused.code == 2 and says in refused.printed, refused.printed
    assert got(shop)[0] == 200


def test_a_service_that_was_never_deployed_is_refused(shop: Place, jobs: Jobs) -> None:
    """It is told what to do."""
    jobs.services["blog"] = shop.options
    refused = jobs("maintenance", "blog", "start")
    assert refused.code == 1 and "deploy it first" in refused.printed, refused.printed
