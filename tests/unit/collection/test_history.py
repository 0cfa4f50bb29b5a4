"""What a job came to, as one line on each server, whatever became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import history, job, status
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.kept import kept
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Bake,
    Container,
    Health,
    Release,
    Route,
    Service,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import look
from tests.lab.fake import App, FakeServer

HEALTH = Health("http", "/health", deadline=10.0, min_healthy_time=1.0)
SHOP = Service("test", "shop", routes=(Route("shop.test"),), health=HEALTH, bake=Bake(1.0), confirmations=3)


def release(version: str, image: str = "good", **options: Any) -> Release:
    """A release of the shop."""
    return Release(SHOP.key, version, f"sha256:{version}", Container(image), health=HEALTH, **options)


@dataclass
class Site:
    """A server in memory, and jobs on it, each of several calls."""

    server: FakeServer = field(default_factory=lambda: FakeServer(good=App(), other=App(), exits=App(exits=0.8)))

    def call(self, job_id: str, wanted: Release | None, state: str = "settled", **order: Any) -> Result:
        """One call of a job."""
        effects = self.server.effects()
        return job.run(effects, SHOP, wanted, Order(state, job=job_id, holder="ada", **order))

    def lines(self) -> list[dict[str, Any]]:
        """The history, the newest first."""
        return self.server.records.history(SHOP.key, 100)


@pytest.fixture
def site() -> Site:
    """A server on which the shop's first release serves."""
    made = Site()
    assert made.call("j1", release("1")).error is None
    return made


def test_a_job_of_one_call_has_one_line(site: Site) -> None:
    """From nothing, to the first version."""
    (line,) = site.lines()
    shown = {name: line[name] for name in ("job", "by", "kind", "from", "to", "digest", "outcome", "failed")}
    assert shown == {
        "job": "j1",
        "by": "ada",
        "kind": "deploy",
        "from": "",
        "to": "1",
        "digest": "sha256:1",
        "outcome": "new",
        "failed": "",
    }
    assert line["seconds"] > 0


def test_a_job_of_many_calls_has_one_line_and_all_of_its_time(site: Site) -> None:
    """Claimed, ready, live and settled are one job, and what waits between its calls counts."""
    for state in ("claimed", "ready", "live", "settled"):
        assert site.call("j2", release("2"), state, kind="build-and-deploy").error is None
        site.server.sleep(10)
    newest, first = site.lines()
    assert first["job"] == "j1"
    assert (newest["kind"], newest["from"], newest["to"], newest["outcome"]) == ("build-and-deploy", "1", "2", "new")
    assert newest["seconds"] >= 30 and newest["cut"] == 0


def test_a_job_that_found_all_as_it_should_be_has_no_line(site: Site) -> None:
    """Nothing came of it."""
    assert site.call("j2", release("1")).error is None
    assert len(site.lines()) == 1


def test_a_job_that_failed_says_why_and_that_nothing_changed(site: Site) -> None:
    """Its last call is the way back, which does not fail itself."""
    assert site.call("j2", release("2", "exits"), "ready").error
    assert len(site.lines()) == 1
    assert site.call("j2", release("2", "exits"), "back").error is None
    line = site.lines()[0]
    assert (line["from"], line["to"], line["outcome"]) == ("1", "1", "unchanged")
    assert line["failed"].startswith("exited 1 after")


def test_a_rollback_is_told_as_one(site: Site) -> None:
    """By its own kind, from the later to the earlier."""
    assert site.call("j2", release("2")).error is None
    assert site.call("j3", release("1"), back=True).error is None
    line = site.lines()[0]
    assert (line["kind"], line["from"], line["to"], line["outcome"]) == ("rollback", "2", "1", "new")


def test_a_job_taken_back_in_the_fleet_is_told_as_back(site: Site) -> None:
    """It went live here, and another server failed."""
    for state in ("ready", "live", "back"):
        assert site.call("j2", release("2"), state).error is None
    assert (site.lines()[0]["from"], site.lines()[0]["to"], site.lines()[0]["outcome"]) == ("1", "1", "back")


def test_a_job_that_never_ended_is_told_by_the_one_that_takes_over(site: Site) -> None:
    """What it did is not known, and how long it took neither."""
    assert site.call("j2", release("2"), "ready").error is None
    site.server.sleep(1000)
    assert site.call("j3", release("3", "other")).error is None
    newest, cut, _first = site.lines()
    assert (newest["job"], newest["to"]) == ("j3", "3")
    assert (cut["job"], cut["outcome"], cut["seconds"], cut["failed"]) == ("j2", "unknown", None, history.CUT_OFF)


def test_why_release_sh_failed_reaches_the_line(site: Site) -> None:
    """No release has climbed by then."""
    order = Order("claimed", job="j2")
    assert job.run(site.server.effects(), SHOP, None, order).error is None
    job.note_failed(site.server.effects(), SHOP, order, "release.sh exited 3")
    assert site.call("j2", release("2"), "back").error is None
    assert site.lines()[0]["failed"] == "release.sh exited 3"


def test_a_line_is_shown_with_what_it_has() -> None:
    """Loss where it was measured, the failure in the end."""
    line = {
        "at": "2026-11-25T07:00:00+00:00",
        "kind": "deploy",
        "from": "",
        "to": "1",
        "outcome": "new",
        "seconds": 2.5,
    }
    assert history.told(line) == "2026-11-25T07:00:00  deploy  nothing -> 1  new  2.5 s"
    told = history.told({**line, "loss": {"lost": 0}, "job": "j1", "by": "ada", "failed": "it was late"})
    assert told.endswith("2.5 s  lost 0  job j1  by ada  FAILED: it was late")


# -- what can be gone back to


def listed(site: Site) -> list[dict[str, Any]]:
    """The releases that have served before."""
    effects = site.server.effects()
    return kept(effects, SHOP.key, look(effects, SHOP))


def test_what_can_be_gone_back_to_is_listed_with_what_is_there_of_it(site: Site) -> None:
    """The newest first; the live one is no way back."""
    for number, image in (("2", "other"), ("3", "good")):
        assert site.call(f"j{number}", release(number, image)).error is None
    assert [(one["version"], one["containers"]) for one in listed(site)] == [("2", "kept"), ("1", "none")]
    assert all(one["image"] and not one["hindrance"] for one in listed(site))
    del site.server.apps["other"]
    gone = listed(site)[0]
    assert not gone["image"] and gone["hindrance"] == "its image is not on this server any more"


def test_a_barrier_is_told_before_anybody_runs_into_it(site: Site) -> None:
    """By the words of the version that raised it."""
    assert site.call("j2", release("2"), migrations="contract").error is None
    (one,) = listed(site)
    assert "2 has taken away what versions before it use" in one["barrier"] == one["hindrance"]


def test_one_that_was_gone_back_from_is_listed_as_such(site: Site) -> None:
    """It can be gone forward to, by its version."""
    assert site.call("j2", release("2")).error is None
    assert site.call("j3", release("1"), back=True).error is None
    assert [(one["version"], one["rejected"]) for one in listed(site)] == [("2", True)]


def test_the_lines_of_status_end_with_what_was_asked_for() -> None:
    """Each below its service, or that there is none."""
    bare = {"serving": None, "kept": [], "history": []}
    assert status.details("shop", "web1", bare) == [
        "shop on web1:",
        "  there is nothing to go back to",
        "  no job has changed it yet",
    ]
    one = {"version": "1", "containers": "none", "secrets": "now", "settings": "then", "rejected": True}
    assert status.kept_line({**one, "hindrance": ""}) == (
        "1  from its image, settings of then, secrets of now; it was gone back from"
    )
    assert status.kept_line({**one, "hindrance": "why"}) == "1  NO WAY BACK: why; it was gone back from"
