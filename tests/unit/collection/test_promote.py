"""A deploy in two jobs: one that ends at ready, and one that promotes what waits there, as it was made."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import claims, document, fleet, service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.asked import asked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.choose import NotReady, choose
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, Superseded
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result, run
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image, Release
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.plan import live_release
from tests.lab.fake import App, FakeServer

WORD = "a-word-of-sixteen-letters"
SHOP = {
    "image": "good",
    "routes": [{"host": "shop.test"}],
    "health": {"path": "/health", "deadline": 10, "min_healthy_time": 1},
    "bake": 1,
}
ONLY: dict[str, Any] = {"version": "2", "image": None, "release": None, "rollback": False, "state": "live"}


class Site:
    """A server in memory on which version 1 of the shop is live."""

    def __init__(self) -> None:
        self.server = FakeServer(good=App())
        self.fx = self.server.effects()
        self.wanted = service.parse("shop", {"shop": SHOP}, {"name": "test"})
        assert self.deploy("1", "settled").error is None

    def release(self, version: str, **env: str) -> Release:
        """A release of this version."""
        wanted = service.parse("shop", {"shop": {**SHOP, "env": env}}, {"name": "test"})
        return service.release_of(wanted, version, Image("good"), f"sha256:{version}")

    def deploy(self, version: str, state: str, **order: Any) -> Result:
        """One call for a version."""
        return run(self.fx, self.wanted.service, self.release(version), Order(state, **order))

    def promote(self, state: str = "settled", version: Any = "2", job: str = "j2") -> Result:
        """One call of a job that promotes what waits."""
        release = choose(self.fx, self.wanted, {**ONLY, "version": version, "state": state, "promote": "only"})
        return run(self.fx, self.wanted.service, release, Order(state, job=job, promote="only"))

    @property
    def live(self) -> str:
        """The version that the proxy points at."""
        found = look(self.fx, self.wanted.service)
        return next(r.version for r in found.replicas if r.release == live_release(found.seen))


@pytest.fixture
def site() -> Site:
    """One on which version 2 was made ready by a job that ended there."""
    made = Site()
    assert made.deploy("2", "ready", job="j1", promote="no", preview=WORD).error is None
    return made


def test_a_job_that_ends_at_ready_leaves_users_and_the_claim(site: Site) -> None:
    """Version 1 serves; another job may come at once; the job has its line in the history."""
    assert site.live == "1"
    assert not claims.ours(site.fx.records.read("test.shop").get("claim"), "j1")
    assert site.server.records.notes[-1]["job"] == "j1"
    assert site.deploy("1", "settled", job="j3").error is None


def test_what_waits_is_promoted_and_nothing_is_started(site: Site) -> None:
    """In one call, by its version or as the one that waits; the same containers go live."""
    before = site.server.engine.calls
    done = site.promote(version=None)
    assert done.error is None and site.live == "2"
    assert not {"start", "await", "register"} & {step.verb for step, _ in done.done}
    assert site.server.engine.calls == before
    assert site.promote().changed is False, "the same again finds it live"


def test_what_is_promoted_is_what_was_made_whatever_the_inventory_says_now(site: Site) -> None:
    """Settings of now would be another release."""
    site.wanted = service.parse("shop", {"shop": {**SHOP, "env": {"NEW": "1"}}}, {"name": "test"})
    assert site.promote().error is None and site.live == "2"


def test_where_nothing_waits_nothing_is_promoted(site: Site) -> None:
    """By another version, or when it has ended since: what serves goes on."""
    with pytest.raises(NotReady, match="no release of shop 9 waits on this server"):
        site.promote(version="9")
    for box in site.server.engine.boxes.values():
        if box.replica().version == "2":
            site.server.engine.stop(box.id, 0)
    with pytest.raises(NotReady):
        site.promote()
    assert site.live == "1"


def test_a_candidate_that_ends_between_choice_and_gate_is_not_made_anew(site: Site) -> None:
    """R10 holds across jobs."""
    params = {**ONLY, "promote": "only"}
    release = choose(site.fx, site.wanted, params)
    for box in site.server.engine.boxes.values():
        if box.replica().version == "2":
            site.server.engine.stop(box.id, 0)
    done = run(site.fx, site.wanted.service, release, Order("live", job="j2", promote="only"))
    assert isinstance(done.error, Superseded) and site.live == "1"


def test_a_preview_leads_to_what_waits_and_ends_when_it_goes_live(site: Site) -> None:
    """The word is the caller's own; it opens no other slot."""
    assert site.server.proxy.previews == {WORD: "test.shop:green"}
    assert site.deploy("2", "ready", job="j1", promote="no", preview=f"{WORD}-2").error is None
    assert site.server.proxy.previews == {f"{WORD}-2": "test.shop:green"}, "one that was ready already has it, too"
    assert site.promote().error is None
    assert site.server.proxy.previews == {}


def test_a_preview_of_what_is_live_is_none(site: Site) -> None:
    """Everyone gets it anyway."""
    assert site.deploy("1", "ready", job="j4", promote="no", preview=WORD).error is None
    assert WORD not in site.server.proxy.previews or site.server.proxy.previews[WORD] != "test.shop:blue"


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("rollback", {"stackswap_promote": "no"}, "a rollback promotes nothing"),
        ("build-and-deploy", {"stackswap_promote": "only", "stackswap_version": "2"}, "run deploy"),
        ("deploy", {"stackswap_preview": WORD}, "goes with stackswap_promote=no"),
    ],
)
def test_what_does_not_go_together_is_refused(kind: str, given: dict[str, Any], says: str) -> None:
    """On the control node, before anything changes."""
    services = {"shop": {**SHOP, **({"source": {"path": "/src"}} if kind == "build-and-deploy" else {})}}
    known = {"stackswap_service": "shop", "stackswap_services": services, "stackswap_environment": {"name": "a"}}
    with pytest.raises(BadInput, match=says):
        asked(kind, {**known, **given}, ["web1"], "/inventory")


def test_the_last_line_says_how_to_promote() -> None:
    """Who waits where, what users get, what to type."""
    live, new = {"release": "a", "version": "1"}, {"release": "b", "version": "2"}
    report = {**fleet.blank("shop", "test", "ready"), "before": live, "serving": live, "asked": new}
    gate = fleet.folded({}, {"web1": {"stackswap": report}}, "ready", 0, last=True)
    assert gate["outcome"] == "ready"
    job = {"id": "j1", "kind": "deploy", "environment": "test", "service": "shop", "version": "2", "promote": "no"}
    told = document.report_of(gate, ["web1"], job, None)
    wanted = "shop 2 is ready on web1; users get 1. Promote: stackswap deploy shop 2 -e stackswap_promote=only"
    assert (told["line"], told["outcome"]) == (wanted, "unchanged")
