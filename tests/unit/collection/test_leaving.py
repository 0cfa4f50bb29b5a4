"""A service leaves a server in memory: its own goes, that of others stays; claims and cuts are as for a swap."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import document, fleet
from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.asked import asked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, Claimed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result, run
from ansible_collections.stackswap.bluegreen.plugins.module_utils.leaving import leave
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Bake,
    Container,
    Health,
    Release,
    Route,
    Service,
)
from stackswap.words import line_of
from tests.lab.fake import App, FakeServer

HEALTH = Health("http", "/health", deadline=10.0, min_healthy_time=1.0)


def service(name: str) -> Service:
    """A service with a host name of its own."""
    return Service("test", name, routes=(Route(f"{name}.test"),), health=HEALTH, bake=Bake(1.0), confirmations=1)


def alone(name: str) -> Service:
    """It, as one knows it who has no inventory."""
    return services.named(name, {"name": "test"})


class Site:
    """A server with two services, one of which has two releases."""

    def __init__(self) -> None:
        self.server = FakeServer(good=App())
        self.fx = self.server.effects()
        for name, version in (("shop", "1"), ("api", "1"), ("shop", "2")):
            made = Release(f"test.{name}", version, f"sha256:{version}", Container("good"), health=HEALTH)
            assert run(self.fx, service(name), made, Order("settled")).error is None

    def leave(self, name: str = "shop", state: str = "absent", job: str = "", **options: Any) -> Result:
        """One call of the module."""
        return leave(self.server.effects(**options), alone(name), Order(state, job=job))

    def traces(self, name: str) -> list[str]:
        """All that the server has of a service, anywhere."""
        proxy, key = self.server.proxy, f"test.{name}"
        kept = [str(text) for text in self.server.records.texts if key in text]
        kept += ["addresses"] if key in self.server.records.addresses() else []
        boxes = [box.spec.name for box in self.server.engine.boxes.values() if f"test-{name}-" in box.spec.name]
        entered = [key for where in (proxy.file, proxy.backends, proxy.routes) if key in where]
        return kept + boxes + entered + [one for one, _ in proxy.entries if one == key]


@pytest.fixture
def site() -> Site:
    """One."""
    return Site()


def test_nothing_of_it_is_left_and_all_of_the_other_stays(site: Site) -> None:
    """Not an address, not a record; the other service is not even looked at."""
    other = site.traces("api"), json.dumps(site.server.records.texts.get(("record", "test.api")))
    assert site.traces("shop")
    result = site.leave(job="j1")
    assert result.error is None and result.changed
    assert site.traces("shop") == []
    assert (site.traces("api"), json.dumps(site.server.records.texts.get(("record", "test.api")))) == other
    verbs = [step.verb for step, _ in result.done]
    assert verbs[0] == "leave" and verbs[-1] == "forget" and verbs.count("discard") == 2


def test_a_second_time_there_is_nothing_to_do(site: Site) -> None:
    """Nor for one that never was here: no claim, no record."""
    site.leave(job="j1")
    for name in ("shop", "never-was"):
        texts = dict(site.server.records.texts)
        result = site.leave(name, job="j2")
        assert not result.changed and not result.done and site.server.records.texts == texts


def test_who_is_in_may_finish_and_is_cut_off_at_the_drains_end(site: Site) -> None:
    """As in a swap."""
    address = next(b for b in site.server.engine.boxes.values() if b.lives() and "shop" in b.spec.name).spec.address
    site.server.proxy.sessions_of[(1, address)] = 2
    began = site.server.clock()
    done = leave(site.fx, replace(alone("shop"), drain_timeout=7.0), Order("absent"))
    assert done.figures and done.figures["cut"] == 2 and site.server.clock() - began >= 7


def test_a_call_that_is_cut_off_is_finished_by_the_next(site: Site) -> None:
    """At every point of every step."""
    verbs = [step.verb for step, _ in Site().leave().done]
    for number in range(len(verbs)):
        here, left = Site(), [number]

        def end(point: str, left: list[int] = left) -> None:
            if point.startswith("after"):
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            here.leave(at=end)
        here.server.locks.held.clear()
        assert here.leave().error is None and here.traces("shop") == []


def test_another_jobs_claim_keeps_it_here(site: Site) -> None:
    """As it keeps out a deploy; a claim of one's own is let go again where another server refused."""
    site.leave(state="claimed", job="theirs")
    with pytest.raises(Claimed):
        site.leave(job="ours")
    site.leave(state="released", job="ours")
    with pytest.raises(Claimed):
        site.leave(job="ours")
    site.leave(state="released", job="theirs")
    assert site.leave(job="ours").changed


def test_a_check_tells_the_plan_and_does_nothing(site: Site) -> None:
    """Not even a claim."""
    texts, traces = dict(site.server.records.texts), site.traces("shop")
    result = leave(site.fx, alone("shop"), Order("absent", job="j"), check=True)
    assert result.plan[0].verb == "leave" and not result.done
    assert (site.server.records.texts, site.traces("shop")) == (texts, traces)


def test_the_service_is_named_and_nothing_else() -> None:
    """Never guessed, and it need not be known."""
    told = asked("remove", {"stackswap_service": "gone", "stackswap_environment": {"name": "test"}}, ["web1"], "/")
    assert (told["service"], told["environment"], told["main"]) == ("gone", "test", "web1")
    only = {"stackswap_environment": {"name": "test"}, "stackswap_services": {"shop": {"image": "shop"}}}
    for name in (None, "", "Shop*"):
        with pytest.raises(BadInput, match="stackswap_service"):
            asked("remove", {**only, "stackswap_service": name}, ["web1"], "/")


@pytest.mark.parametrize(("serving", "line"), [(True, "shop has left web1."), (False, "shop is on none of web1.")])
def test_the_last_line(serving: bool, line: str) -> None:
    """In the playbook's own report and in the wrapper's of a lost one."""
    old = {"release": "a", "version": "1", "slot": "blue"} if serving else None
    server = {**fleet.blank("shop", "test", "absent"), "before": old, "changed": serving}
    job = {"id": "j", "kind": "remove", "environment": "test", "service": "shop", "version": ""}
    report = document.report_of({"reports": {"web1": server}, "whys": {}}, ["web1"], job, None)
    assert report["line"] == line_of(report, ()) == line
    assert report["outcome"] == ("gone" if serving else "unchanged")
