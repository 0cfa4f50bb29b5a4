"""A restart: what is live, made anew with the settings and secrets that it has, and then known as the same release."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import document, fleet
from ansible_collections.stackswap.bluegreen.plugins.module_utils.choose import choose
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result, run
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Release
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.plan import live_release
from stackswap.words import line_of
from tests.lab.fake import App, FakeServer

from .test_rotation import PARAMS, wanted

NEW: dict[str, Any] = {**PARAMS, "rollback": False, "image": "good"}


class Site:
    """A server in memory, and the calls that are made on it."""

    def __init__(self) -> None:
        self.server = FakeServer(good=App())
        self.fx = self.server.effects()

    def call(self, job: str, text: str = "then", migrations: str = "none", **asked: Any) -> Result:
        """One call of the module, which must succeed."""
        definition, params = wanted(text), {**NEW, "job": job, **asked}
        release = choose(self.fx, definition, params)
        order = Order(params["state"], restart=bool(params.get("restart")), job=job, migrations=migrations)
        result = run(self.fx, definition.service, release, order)
        assert result.error is None, result.error
        return result

    def live(self) -> str:
        """The name of the release that is live."""
        return live_release(look(self.fx, wanted("then").service).seen)

    def running(self) -> list[Any]:
        """The containers that run."""
        return [box for box in self.server.engine.boxes.values() if box.lives()]


@pytest.fixture
def site() -> Site:
    """One on which a version serves."""
    made = Site()
    made.call("first", version="1")
    return made


def again(site: Site, job: str, **asked: Any) -> Result:
    """A restart by this job."""
    return site.call(job, restart=True, image=None, **asked)


def test_new_containers_have_the_settings_and_secrets_of_the_live_ones(site: Site) -> None:
    """Though both are other by now: those come with a deploy."""
    (before,) = site.running()
    again(site, "night", text="now")
    (after,) = site.running()
    assert after.id != before.id and after.spec.container == before.spec.container
    assert site.live().partition("-r")[0] == dict(before.spec.labels)["stackswap.release"]


def test_a_job_restarts_once_however_often_it_calls(site: Site) -> None:
    """ready, live and settled are three calls, and one that was cut off is done again."""
    for state in ("ready", "live", "settled"):
        again(site, "night", state=state)
    (box,) = site.running()
    assert not again(site, "night").changed and [b.id for b in site.running()] == [box.id]
    assert again(site, "next night").changed and [b.id for b in site.running()] != [box.id]


def test_what_was_restarted_is_the_same_release_to_a_deploy(site: Site) -> None:
    """The same version with the same settings changes nothing."""
    again(site, "night")
    name = site.live()
    assert not site.call("deploy", version="1").changed
    assert site.live() == name
    assert site.call("deploy", text="now", version="1").changed, "other secrets are another candidate"


def test_a_rollback_after_restarts_is_to_the_version_before(site: Site) -> None:
    """Not to the containers before the last restart."""
    first = site.live()
    site.call("deploy", version="2")
    for night in range(25):
        again(site, f"night {night}")
    release = choose(site.fx, wanted("then"), {**PARAMS, "version": None})
    assert isinstance(release, Release) and release.name == first


def test_one_that_died_is_restarted_too(site: Site) -> None:
    """Its containers are gone or stopped, the proxy still points at them."""
    (box,) = site.running()
    site.server.engine.stop(box.id, 0)
    again(site, "morning")
    assert len(site.running()) == 1 and site.live()


def test_what_it_declares_of_migrations_stays_as_deployed(site: Site) -> None:
    """The inventory may say otherwise by now, of a version to come."""
    site.call("second", version="2", migrations="expand")
    again(site, "night", migrations="none")
    assert (site.fx.records.manifest("test.shop", site.live()) or {})["migrations"] == "expand"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"version": "2"}, "a restart is of what is live, and version names another"),
        ({"rollback": True}, "a restart is of what is live, and rollback names another"),
        ({"job": ""}, "a restart needs the job's name"),
    ],
)
def test_what_makes_no_sense_is_refused(site: Site, asked: dict[str, Any], why: str) -> None:
    """Before anything changes."""
    with pytest.raises(BadInput, match=why):
        choose(site.fx, wanted("then"), {**NEW, "image": None, "restart": True, "job": "j", **asked})


def test_nothing_live_is_nothing_to_restart() -> None:
    """And it says what to do."""
    with pytest.raises(BadInput, match="nothing of shop is live on this server to be restarted: deploy a version"):
        choose(Site().fx, wanted("then"), {**NEW, "image": None, "restart": True, "job": "j"})


def test_the_last_line_says_restarted() -> None:
    """In the playbook's own report and in the wrapper's of a lost one."""
    old, new = ({"release": name, "version": "1", "slot": "blue"} for name in ("a", "a-r1"))
    server = {**fleet.blank("shop", "test", "settled"), "before": old, "serving": new, "previous": old}
    job = {"id": "j", "kind": "restart", "environment": "test", "service": "shop", "version": ""}
    report = document.report_of({"reports": {"web1": server}, "whys": {}}, ["web1"], job, None)
    assert report["line"] == line_of(report, ()) == "shop 1 was restarted on web1."
