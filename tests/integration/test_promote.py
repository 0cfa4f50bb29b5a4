"""A deploy in two jobs, as people run it on a real stack: ready, looked at by a preview, promoted."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.lab import images
from tests.lab.calls import Place, candidate
from tests.lab.jobs import Jobs
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]
WORD = "MARKER-a-word-of-the-preview"


@pytest.fixture
def shop() -> Iterator[Place]:
    """A service that serves its first version."""
    images.app("1.0"), images.app("1.1")
    with Stack.made() as stack:
        place = Place(stack, "shop")
        assert place.call("1.0").result.error is None
        yield place


def seen(shop: Place, word: str) -> str:
    """What somebody sees who sends this word in the header of previews."""
    link = HTTPConnection("127.0.0.1", shop.stack.port, timeout=10)
    link.request("GET", "/", headers={"Host": shop.host, "X-Stackswap-Preview": word})
    body = link.getresponse().read().decode().strip()
    link.close()
    return body


def test_one_job_makes_ready_and_another_promotes(shop: Place, tmp_path: Path) -> None:
    """Users get the old version until the second job, which starts nothing and loses nothing."""
    jobs = Jobs(shop.stack, tmp_path, {"shop": shop.options})
    with shop.load(50) as load:
        first = jobs("deploy", "shop", "1.1", stackswap_promote="no", stackswap_preview=WORD)
        promote = "stackswap deploy shop 1.1 -e stackswap_promote=only"
        assert first.line == f"shop 1.1 is ready on web1; users get 1.0. Promote: {promote}", first.printed
        assert (first.code, first.report["outcome"]) == (0, "unchanged")
        assert WORD not in first.printed
        assert (seen(shop, WORD), seen(shop, "another-word-of-letters")) == ("1.1", "1.0")
    report = load.report()
    assert report.lost == 0 and set(report.versions) == {"1.0"}

    waiting = candidate(shop, "1.1")
    with shop.load(50) as load:
        second = jobs("deploy", "shop", "1.1", stackswap_promote="only")
    report = load.report()
    assert (second.code, second.report["outcome"]) == (0, "new"), second.printed
    assert report.lost == 0 and set(report.versions) == {"1.0", "1.1"}, str(report)
    assert [replica.id for replica in shop.live()] == [waiting.id]
    assert not {"start", "await"} & {step["verb"] for step in second.server("shop")["steps"]}

    third = jobs("deploy", "shop", "2.0", stackswap_promote="only")
    assert third.code == 1 and "no release of shop 2.0 waits on this server" in third.printed, third.printed
    assert shop.live()[0].id == waiting.id
