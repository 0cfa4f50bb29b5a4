"""What a job tells of its users: on a server in memory whose users ask while it is swapped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import job
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer, Probed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.host_report import host_report
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    NO,
    Bake,
    Container,
    Health,
    Observed,
    Release,
    Route,
    Service,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.plan import live_release
from tests.lab.fake import App, FakeServer

HEALTH = Health("http", "/health", deadline=10.0, min_healthy_time=1.0)
SHOP = Service("test", "shop", routes=(Route("shop.test"),), health=HEALTH, bake=Bake(5.0), drain_timeout=20.0)
APPS = {
    "good": App(),
    "fails": App(fails=4.0),
    "stubborn": App(stubborn=True),
    "mortal": App(exits=30.0, code=0),
}
RATE = 50.0


def release(version: str, image: str = "good", health: Health = HEALTH) -> Release:
    """A release of the shop."""
    return Release(SHOP.key, version, f"sha256:{version}", Container(image), health=health)


class Site:
    """A server with the shop's first release and its users."""

    def __init__(self, rate: float = RATE, first: str = "good") -> None:
        self.server = FakeServer(**APPS)
        assert self.run("1", image=first).error is None
        self.server.proxy.rate = rate

    def run(self, version: str, state: str = "settled", service: Service = SHOP, **options: Any) -> Result:
        """One call."""
        names = {name: options.pop(name) for name in ("image", "health") if name in options}
        order = Order(state, job=options.pop("job", ""), back=options.pop("back", False))
        return job.run(self.server.effects(**options), service, release(version, **names), order)

    def seen(self) -> Observed:
        """What is there now."""
        return look(self.server.effects(), SHOP).seen


@pytest.fixture
def site() -> Site:
    """Fifty requests a second."""
    return Site()


def loss(result: Result) -> dict[str, Any]:
    """What the call tells of it."""
    assert result.loss is not None
    return dict(result.loss)


def once(point: str, act: Callable[[], object]) -> Callable[[str], None]:
    """Do something when the job first comes to a point."""
    left = [1]

    def reached(here: str) -> None:
        if here == point and left[0]:
            left[0] -= 1
            act()

    return reached


# -- the figures ------------------------------------------------------------------------------------------------------


def test_a_swap_under_traffic_tells_that_nothing_was_lost(site: Site) -> None:
    """Of every request of its time, each answered by a slot; at the switch, at the bake's end, and in the end."""
    told = loss(site.run("2"))
    assert (told["verdict"], told["lost"], told["why"]) == ("none", 0, "")
    assert told["requests"] > 5 * RATE
    blue, green = told["slots"]["blue"], told["slots"]["green"]
    assert blue["requests"] + green["requests"] == told["requests"] + SHOP.confirmations
    assert list(told["moments"]) == ["switch", "bake", "retire"]
    switch, bake = told["moments"]["switch"]["slots"], told["moments"]["bake"]["slots"]
    assert (switch["green"]["requests"], bake["blue"]["requests"]) == (0, blue["requests"])


def test_nobody_there_is_lost(site: Site) -> None:
    """A live release that ends by itself, with no other: what the proxy had to answer is counted."""
    site.run("2", image="mortal")
    for box in [*site.server.engine.boxes.values()]:
        site.server.engine.keep(box.id, NO)
    site.server.sleep(40.0)
    told = loss(site.run("3"))
    assert told["verdict"] == "lost" and told["lost"] and told["lost"] <= told["requests"]


def test_a_quiet_service_passes_its_bake_and_proves_nothing(site: Site) -> None:
    """Both in their own words, and neither is a failure."""
    site.server.proxy.rate = 0.0
    result = site.run("2")
    assert result.error is None and result.figures
    assert result.figures["bake"].startswith("5 requests came in the bake, too few")
    assert (loss(result)["verdict"], loss(result)["lost"]) == ("too_little", 0)


def test_a_reload_in_the_job_loses_no_figure(site: Site) -> None:
    """A release that wants other checks: the proxy reads its configuration anew."""
    pid = site.server.proxy.pid
    told = loss(site.run("2", health=replace(HEALTH, path="/up")))
    assert site.server.proxy.pid > pid
    assert (told["verdict"], told["lost"]) == ("none", 0) and told["requests"] > 5 * RATE


def test_a_proxy_that_was_started_anew_leaves_it_untold(site: Site) -> None:
    """Its counters are gone; nobody says 0 of what was not counted."""
    told = loss(site.run("2", at=once("before fence", site.server.proxy.restart)))
    assert (told["verdict"], told["lost"]) == ("not_counted", None) and "ended" in told["why"]


def test_a_proxy_that_tells_no_counters_costs_figures_only(site: Site) -> None:
    """The swap goes on, and what was lost is not known."""
    site.server.proxy.dark = True
    result = site.run("2")
    assert result.error is None and live_release(site.seen()) == release("2").name
    assert (loss(result)["verdict"], loss(result)["lost"]) == ("not_counted", None)


def test_the_calls_of_a_job_are_counted_together(site: Site) -> None:
    """From the claim on, with what came between two calls; another job starts anew."""
    asked = 0
    for state in ("claimed", "ready", "live", "settled"):
        site.server.sleep(2.0)
        told = loss(site.run("2", state, job="job-1"))
        assert told["requests"] >= asked
        asked = told["requests"]
    assert asked > 10 * RATE and told["verdict"] == "none"
    assert loss(site.run("2", "claimed", job="job-2"))["requests"] == 0


@pytest.mark.parametrize("record", ["", "not JSON", '{"ledger": {"job": "job-1", "now": {"last": 7}}}'])
def test_a_lost_record_costs_figures_never_service(site: Site, record: str) -> None:
    """The next call counts from where it is."""
    site.run("2", "ready", job="job-1")
    kept = site.server.records.texts.get(("record", SHOP.key), "")
    site.server.records.texts["record", SHOP.key] = record or "{}"
    told = loss(site.run("2", "ready", job="job-1"))
    assert kept and told["requests"] < RATE * 3


def test_the_own_prober_asks_from_the_switch_on(site: Site) -> None:
    """As often as the service says, and what it got is told for the whole job."""
    asked: list[float] = []

    class Asker:
        """Asks twice, and has missed one."""

        def __init__(self, ask: Callable[[], Answer], rate: float) -> None:
            asked.append(rate)
            assert [ask().status, ask().status] == [200, 200]

        def end(self) -> Probed:
            """What came of it."""
            return Probed(3, 1, 1, 250.0)

    service = replace(SHOP, probe=5.0)
    assert "probe" not in loss(site.run("2", "ready", service, job="job-1", prober=Asker))
    site.run("2", "live", service, job="job-1", prober=Asker)
    told = loss(site.run("2", "settled", service, job="job-1", prober=Asker))
    assert asked == [5.0, 5.0]
    assert told["probe"] == {"count": 6, "failed": 2, "gap_ms": 250.0}
    assert (told["verdict"], told["lost"]) == ("lost", 2)


# -- the bake ---------------------------------------------------------------------------------------------------------


def test_a_release_that_answers_users_500_goes_back_by_itself(site: Site) -> None:
    """Its health is fine all the while; both figures are told, and nothing of it counts as lost."""
    site.server.sleep(5.0)
    result = site.run("2", image="fails")
    assert result.error and result.error.cause == "bake_failed"
    assert "fails too often in the bake" in result.error.what and "before the switch 0 of" in result.error.what
    assert live_release(site.seen()) == release("1").name and site.seen().runtime == "blue"
    told = loss(result)
    assert (told["verdict"], told["lost"]) == ("none", 0)
    assert told["slots"]["green"]["errors_5xx"] >= 5


def test_a_service_may_have_it_otherwise(site: Site) -> None:
    """Where no share is too great, its health alone decides."""
    lenient = replace(SHOP, bake=Bake(5.0, max_error_share=1.0))
    assert site.run("2", service=lenient, image="fails").error is None


# -- the drain --------------------------------------------------------------------------------------------------------


def sessions(site: Site, count: int) -> tuple[int, str]:
    """Open so many sessions on blue."""
    address = site.server.proxy.backends[SHOP.key]["blue"].addresses[0]
    site.server.proxy.sessions_of[1, address] = count
    return 1, address


def test_what_is_cut_is_named_and_what_was_there_is_noted(site: Site) -> None:
    """When the time is over, not before: how many, of what kind, and how old."""
    sessions(site, 3)
    began = site.server.clock()
    result = site.run("2")
    (drain,) = result.drains
    assert site.server.clock() - began > SHOP.drain_timeout
    assert drain["cut"] == {"count": 3, "oldest": 5.0, "kinds": {"websocket": 3}}
    assert (drain["version"], drain["slot"], drain["over_time"][0]["count"]) == ("1", "blue", 3)
    assert SHOP.drain_timeout <= drain["seconds"] <= SHOP.drain_timeout + 1
    assert result.figures and result.figures["cut"] == 3


def test_what_ends_in_time_is_not_cut(site: Site) -> None:
    """And nobody waits any longer for it."""
    where = sessions(site, 2)

    def later(seconds: float) -> None:
        site.server.sleep(seconds)
        if site.seen().runtime == "green":
            site.server.proxy.sessions_of.pop(where, None)

    (drain,) = site.run("2", at=once("before drain", lambda: later(3.0))).drains
    assert drain["cut"]["count"] == 0 and drain["seconds"] < 5


def test_no_time_for_a_drain_cuts_at_once(site: Site) -> None:
    """A wish that may be had, and is told like any other cut."""
    sessions(site, 2)
    (drain,) = site.run("2", service=replace(SHOP, drain_timeout=0.0)).drains
    assert (drain["cut"]["count"], drain["seconds"] < 1) == (2, True)
    (drain,) = site.run("3", service=replace(SHOP, drain_timeout=0.0)).drains
    assert drain["cut"]["count"] == 0


LATER = replace(SHOP, settle="later")


def test_a_drain_may_be_left_to_the_next_job(site: Site) -> None:
    """The job ends at once; the old release runs on, unrouted, and would not come back after a reboot."""
    sessions(site, 1)
    result = site.run("2", service=LATER)
    old = site.seen().at(release("1").name, "blue")
    assert result.error is None and result.drains == () and site.seen().runtime == "green"
    assert old is not None and (old.running, old.policy) == ("all", NO)
    report = host_report(LATER, release("2"), Order("settled"), result, {})
    assert report["notes"] == ["shop 1 finishes what it has, and the next job stops it"]


@pytest.mark.parametrize("version", ["2", "3"])
def test_the_next_job_finishes_a_drain_that_was_left(site: Site, version: str) -> None:
    """Whatever it is for; with the time that is left of it, which counts from when the old one was let go."""
    sessions(site, 1)
    site.run("2", service=LATER)
    site.server.sleep(15.0)
    result = site.run(version, service=LATER)
    (drain,) = result.drains
    assert result.error is None and (drain["version"], drain["cut"]["count"]) == ("1", 1)
    assert 0 < drain["seconds"] <= SHOP.drain_timeout - 15.0 + 1
    left = site.seen().at(release("1").name, "blue")
    assert left is None or left.running == "none"


def test_the_time_of_one_drain_is_not_the_next_ones(site: Site) -> None:
    """The same release in the same slot, let go again much later, has its whole time again."""
    site.run("2")
    site.server.sleep(500.0)
    site.run("1", back=True)
    sessions(site, 1)
    (drain,) = site.run("2").drains
    assert drain["seconds"] >= SHOP.drain_timeout


def test_one_that_had_to_be_killed_is_a_warning() -> None:
    """It did not listen to its own signal within its own grace: what it had begun may be half done."""
    site = Site(first="stubborn")
    result = site.run("2")
    assert result.error is None
    assert result.warnings == ("shop 1 did not end within 10 s of its stop signal and was killed (exit code 137)",)
    assert site.run("3").warnings == ()
