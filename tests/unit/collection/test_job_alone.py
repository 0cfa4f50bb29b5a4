"""Whole calls for a service whose releases may not run side by side: one runs, users wait and miss nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import NotTaken
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.plan import live_release
from tests.lab.fake import FakeServer
from tests.unit.collection.test_job import APPS, ONE, SHOP, TWO, Site, at, release

LONE = replace(SHOP, overlap=False, hold=30, drain_timeout=5.0)
RATE = 10.0


class Lone(Site):
    """A server on which never two of the service's containers run, looked at whenever time passes."""

    most = 0

    def watch(self) -> None:
        """Look how many run."""
        sleep = self.server.sleep

        def looked(seconds: float) -> None:
            self.most = max(self.most, sum(box.lives() for box in self.server.engine.boxes.values()))
            sleep(seconds)

        self.server.sleep = looked  # type: ignore[method-assign]

    def lost(self) -> int:
        """Requests that got no answer, once nobody waits any more."""
        self.server.sleep(40.0)
        told = self.server.proxy.tallies(LONE.key)
        assert sum(one.requests for one in told) > 100
        return sum(one.unanswered for one in told)


@pytest.fixture
def site() -> Lone:
    """A server on which the first release serves, and users come."""
    made = Lone(FakeServer(**APPS))
    assert made.run(ONE, service=LONE).error is None
    made.watch()
    made.server.proxy.rate = RATE
    return made


def test_a_deploy_stops_the_old_release_before_the_new_one_starts(site: Lone) -> None:
    """Users wait meanwhile, and all of them are answered."""
    result = site.run(TWO, service=LONE)
    assert result.error is None, result.error
    assert site.serving() == TWO.name and site.most == 1
    assert site.server.proxy.waited > RATE and site.lost() == 0
    assert result.figures and 1000 < result.figures["held_ms"] < 10_000
    assert site.verbs(site.run(TWO, service=LONE)) == ["confirm"]


def test_ready_runs_nothing_and_live_starts_what_was_made(site: Lone) -> None:
    """The gate of a fleet lies between the two; what is not there behind it is not made again."""
    assert site.verbs(site.run(TWO, "ready", LONE, job="7")) == ["make"]
    assert site.serving() == ONE.name and site.server.proxy.waited == 0
    assert site.run(TWO, "settled", LONE, job="7").error is None
    assert site.serving() == TWO.name
    three = release("3")
    site.run(three, "ready", LONE, job="8")
    for box in [box for box in site.server.engine.boxes.values() if box.state == "created"]:
        site.server.engine.remove(box.id)
    assert "is gone" in str(site.run(three, "settled", LONE, job="8").error)
    assert site.serving() == TWO.name and site.lost() == 0


@pytest.mark.parametrize("image", ["exits", "silent", "broken", "shy"])
def test_a_candidate_that_fails_gives_way_to_the_old_release(site: Lone, image: str) -> None:
    """Which is started again, awaited, and answers all who waited."""
    result = site.run(release("2", image), service=LONE)
    assert result.error is not None
    assert "retreat" not in result.error.facts
    assert site.serving() == ONE.name and site.most == 1
    assert site.server.proxy.waited > 1 and site.lost() == 0
    assert not site.seen().held


def test_no_candidate_is_waited_for_longer_than_requests_wait(site: Lone) -> None:
    """The hold's time ends before the deadline of its health."""
    short = replace(LONE, hold=4, drain_timeout=1.0)
    result = site.run(release("2", "silent"), service=short)
    assert "was not healthy within 3" in str(result.error) or "was not healthy within 4" in str(result.error)
    assert site.serving() == ONE.name and site.lost() == 0


def test_a_rollback_and_a_restart_take_the_same_way(site: Lone) -> None:
    """The kept container is started; a restart makes another one."""
    assert site.run(TWO, service=LONE).error is None
    back = site.run(ONE, service=LONE, back=True)
    assert back.error is None and site.serving() == ONE.name
    assert "make" not in site.verbs(back) and "start" in site.verbs(back)
    assert TWO.name in site.record()["rejected"]
    again = site.run(replace(ONE, restart="abc123"), service=LONE)
    assert again.error is None and site.serving() == f"{ONE.name}-rabc123"
    assert site.most == 1 and site.lost() == 0


def test_a_fleet_goes_back_from_what_is_live_and_well(site: Lone) -> None:
    """Another server's candidate has failed: here the release before is served again."""
    assert site.run(TWO, "live", LONE, job="7").error is None
    assert site.run(TWO, "back", LONE, job="7").error is None
    assert site.serving() == ONE.name and site.most == 1 and site.lost() == 0


POINTS = ["after hold", "after drain", "within stop", "after stop", "within start", "after start", "after await"]
POINTS += ["after keep", "after route"]


@pytest.mark.parametrize("follow", ["the same", "another", "back"])
@pytest.mark.parametrize("point", POINTS)
def test_a_job_that_is_cut_off_is_finished_or_taken_back_by_the_next(site: Lone, point: str, follow: str) -> None:
    """Whatever the point: one runs, and it serves; who waits no longer than the hold lasts is answered."""

    def gone() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site.run(TWO, service=LONE, at=at(point, gone))
    wanted, state = {"the same": (TWO, "settled"), "another": (release("3"), "settled"), "back": (TWO, "back")}[follow]
    result = site.run(wanted, state, LONE)
    assert result.error is None, result.error
    assert site.serving() == (wanted.name if state == "settled" else ONE.name)
    assert site.most <= 1 and not site.seen().held and site.lost() == 0


def test_a_hold_whose_job_is_gone_ends_by_the_clock(site: Lone) -> None:
    """Nobody waits for ever: cut off before the stop, the old release serves again by itself."""

    def gone() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site.run(TWO, service=LONE, at=at("after hold", gone))
    assert site.seen().held == "on"
    site.server.sleep(LONE.hold + 1.0)
    assert site.seen().held == "?" and live_release(site.seen()) == ONE.name and site.lost() == 0


def test_the_proxy_that_restarts_in_a_hold_holds_on(site: Lone) -> None:
    """The file says so, until it is over."""
    result = site.run(TWO, service=LONE, at=at("after start", site.server.proxy.restart))
    assert result.error is None and site.serving() == TWO.name


def test_a_drain_that_outlasts_its_time_is_cut_and_the_hold_is_begun_anew(site: Lone) -> None:
    """What the old release has left may take its part of the hold, not all of it."""
    address = next(box.spec.address for box in site.server.engine.boxes.values() if box.lives())
    site.server.proxy.sessions_of[site.server.proxy.pid, address] = 2
    result = site.run(TWO, service=LONE)
    assert result.error is None and result.figures and result.figures["cut"] == 2
    assert result.drains[0]["seconds"] >= LONE.drain_timeout
    assert site.serving() == TWO.name and site.lost() == 0


def test_a_proxy_that_cannot_hold_stops_nobody(site: Lone, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old release runs on, and the candidate is never started."""

    def cannot(service: str, until: float) -> bool:
        raise NotTaken("this server's proxy cannot hold requests")

    monkeypatch.setattr(site.server.proxy, "hold", cannot)
    assert "cannot hold requests" in str(site.run(TWO, service=LONE).error)
    assert site.serving() == ONE.name and site.lost() == 0


def test_a_service_may_change_its_mind_in_either_direction(site: Lone) -> None:
    """From side by side to alone and back."""
    ways: tuple[tuple[Service, str], ...] = ((SHOP, "2"), (LONE, "3"), (SHOP, "4"), (LONE, "5"))
    for service, version in ways:
        assert site.run(release(version), service=service).error is None
        assert site.serving() == release(version).name
    assert site.lost() == 0
