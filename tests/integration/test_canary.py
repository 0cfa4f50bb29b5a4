"""A deploy by canary on a real stack: the share it gets of a strict client's requests, and how a bad one ends."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.lab import images
from tests.lab.calls import Place, admin, candidate, inside
from tests.lab.client import Load
from tests.lab.report import Report
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]
SOON = 200  # milliseconds, on a machine that is busy; a few on one that is not
STEPS = {"canary": [{"share": 20, "seconds": 4}, {"share": 60, "seconds": 4}]}


@pytest.fixture
def shop() -> Iterator[Place]:
    """A service that serves its first version."""
    images.app("1.0"), images.app("1.1")
    with Stack.made() as stack:
        place = Place(stack, "shop", **STEPS)
        assert place.call("1.0").result.error is None
        yield place


class Measured:
    """A load for each step of a canary: what it got, by the order of the steps."""

    def __init__(self, shop: Place) -> None:
        self.shop, self.reports = shop, list[Report]()
        self.load: Load | None = None

    def at(self, point: str) -> None:
        """Begin when traffic is shared, end before it is shared otherwise."""
        if point == "after share":
            self.load = self.shop.load(100).__enter__()
        elif point == "after watch" and self.load:
            self.reports.append(self.load.report())
            self.load = None


def test_each_step_gets_its_share_and_nothing_is_lost(shop: Place) -> None:
    """Of the requests of a client that keeps its connections; then all go over."""
    measured = Measured(shop)
    with shop.load(50, websocket=1, session=0.5) as load:
        done = shop.call("1.1", at=measured.at)
    whole = load.report()
    assert done.result.error is None and whole.lost == 0, (done.result.error, str(whole))
    assert done.verbs.count("share") == 3 and done.report["figures"]["cut"] == 0
    shares = [one.versions["1.1"].answers / one.requests for one in measured.reports[:2]]
    assert all(one.lost == 0 and one.requests > 100 for one in measured.reports[:2]), [str(o) for o in measured.reports]
    assert 0.08 < shares[0] < 0.32 and 0.46 < shares[1] < 0.74, shares
    assert admin(shop.stack, "show map " + shop.stack.settings.home + "/proxy/maps/canary.map")[0] == ""


def test_a_release_that_turns_sick_with_a_share_loses_it(shop: Place) -> None:
    """The share is taken away as soon as the verdict is there; users have the live one, which was never touched."""
    before, ended, withdrawn = shop.live(), list[float](), list[float]()

    def sicken(point: str) -> None:
        withdrawn.extend([time.monotonic()] * (point == "after share"))
        if point == "after share" and not ended:
            inside(candidate(shop, "1.1"), "touch", "/tmp/sick")
            ended.append(time.monotonic())

    done = shop.call("1.1", at=sicken)
    assert done.failed["cause"] == "bake_failed" and "route" not in done.verbs
    assert "share" in done.verbs and shop.live() == before
    taken = done.when("verdict")
    assert taken - ended[0] < 10, "three bad samples"
    took, gone = done.report["figures"]["withdraw_ms"], (withdrawn[-1] - taken) * 1000
    print(f"back in {took} ms, {gone:.0f} ms after the verdict; sick for {taken - ended[0]:.1f} s until then")
    assert done.verbs.count("share") == 2 and took < SOON and gone < 1000
    with shop.load(50, seconds=2) as load:
        report = load.wait()
    assert report.lost == 0 and set(report.versions) == {"1.0"}, str(report)
