"""What a candidate that answers costs until the proxy has checked it, and that nothing is missed meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.verbs.verdicts import FRESH
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import NEAR
from tests.lab.fake import CHECK, App, FakeServer
from tests.unit.collection.test_job import ONE, Site, release

APPS = {"good": App(), "quick": App(listens=0.0), "ends": App(listens=0.0, shy=True, exits=1.0)}


@pytest.fixture
def site() -> Site:
    """A server on which the shop's first release serves, without any wait beyond the proxy's check."""
    made = Site(FakeServer(**APPS))
    assert made.run(ONE).error is None
    return made


def noted(site: Site, thing: Any, name: str) -> list[float]:
    """When this is called from now on."""
    taken, call = list[float](), getattr(thing, name)

    def noting(*words: Any, **options: Any) -> Any:
        taken.append(site.server.seconds)
        return call(*words, **options)

    setattr(thing, name, noting)
    return taken


def awaited(site: Site, image: str) -> Any:
    """The call that gets this image's release ready, from just after a check of the proxy's."""
    site.server.seconds = site.server.checked + 0.001
    return site.run(release("2", image), "ready")


def test_only_the_proxy_is_looked_at_until_it_has_checked(site: Site) -> None:
    """The engine and the candidate are asked a few times, however often the proxy is."""
    began = site.server.checked
    engine, proxy, probe = (
        noted(site, thing, name)
        for thing, name in (
            (site.server.engine, "replicas"),
            (site.server.proxy, "view"),
            (site.server.probe, "replica"),
        )
    )
    assert awaited(site, "quick").error is None
    waited = [[at - began for at in times if 0.02 < at - began < CHECK - 0.001] for times in (engine, proxy, probe)]
    assert len(waited[0]) <= CHECK / FRESH + 1 and len(waited[2]) <= CHECK / FRESH + 1
    assert len(waited[1]) > 2 * len(waited[0])


def test_a_candidate_that_ends_before_the_proxy_has_checked_is_seen(site: Site) -> None:
    """Soon: what was seen of it is good for a moment alone."""
    began = site.server.checked
    result = awaited(site, "ends")
    assert result.error is not None and result.error.cause == "candidate_exited"
    assert site.server.seconds - began < APPS["ends"].exits + FRESH + NEAR + 0.1


def test_a_candidate_that_ends_when_the_proxy_has_checked_is_seen(site: Site) -> None:
    """The last look is at all of it: what was seen before is no proof."""
    before, check = site.serving(), site.server.proxy.check

    def checked() -> None:
        check()
        for box in site.server.engine.boxes.values():
            if box.app is APPS["quick"] and site.server.proxy.words.get(box.spec.address, ("",))[0] == "UP":
                site.server.engine.stop(box.id, 0)

    site.server.proxy.check = checked  # type: ignore[method-assign]
    result = awaited(site, "quick")
    assert result.error is not None and result.error.cause == "candidate_exited"
    assert before and site.serving() == before
