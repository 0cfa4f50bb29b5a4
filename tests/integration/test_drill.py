"""The way back, tried on a real stack: where users' requests go meanwhile, and how one that is none is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import images
from tests.lab.calls import Place, inside, kill
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]
CANARY = [{"share": 50, "seconds": 0.5}]


@pytest.fixture
def shop() -> Iterator[Place]:
    """A service that serves its first version, with a drill in each deploy."""
    images.app("1.0"), images.app("1.1")
    with Stack.made() as stack:
        place = Place(stack, "shop", drill=True)
        assert place.call("1.0").result.error is None
        yield place


def test_users_are_with_the_old_release_for_a_moment_and_lose_nothing(shop: Place) -> None:
    """After the last share of a canary and its bake; WebSockets of the new release stay open all the while."""
    values: list[str] = []

    def note(point: str) -> None:
        if point == "within drill":
            values.append(shop.look().seen.runtime)

    with shop.load(100, websocket=1, session=3) as load:
        done = shop.call("1.1", {"canary": CANARY, "bake": 1}, at=note)
    report = load.report()
    assert done.result.error is None and report.lost == 0, (done.result.error, str(report))
    assert values == ["blue.green", "green.blue"] and "drill" not in done.report["figures"]
    assert 0 < done.report["figures"]["drill_ms"] < 2000, done.report["figures"]
    assert done.verbs.index("fence") == done.verbs.index("drill") + 1 and "share" not in done.verbs[-6:]
    assert {r.version for r in shop.live()} == {"1.1"} and shop.look().seen.runtime == "green"


def test_a_way_back_that_has_died_is_told_and_the_new_release_stays(shop: Place) -> None:
    """Nobody is sent to it, and no request is lost; the report has a warning and no milliseconds."""
    old = shop.live()[0]
    with shop.load(100) as load:
        done = shop.call("1.1", at=lambda point: kill(old) if point == "before drill" else None)
    report = load.report()
    assert done.result.error is None and report.lost == 0, (done.result.error, str(report))
    assert "drill_ms" not in done.report["figures"] and done.report["figures"]["drill"] == "it is not healthy"
    assert done.report["warnings"][:1] == [
        "there is no way back to the old release, and the new one stays: it is not healthy"
    ]
    assert done.report["serving"]["version"] == "1.1"


def test_a_release_that_turns_sick_in_its_drill_goes(shop: Place) -> None:
    """Users had the old one at that moment, and keep it."""

    def sicken(point: str) -> None:
        if point == "within drill":
            inside(next(r for r in shop.look().replicas if r.version == "1.1"), "touch", "/tmp/sick")

    with shop.load(100) as load:
        done = shop.call("1.1", at=sicken)
    report = load.report()
    assert done.failed["cause"] == "drill_failed" and report.lost == 0, (done.failed, str(report))
    assert done.report["serving"]["version"] == "1.0" and shop.look().seen.runtime == "blue"
