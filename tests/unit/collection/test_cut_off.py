"""Cut off at every boundary of every kind of call, on the server in memory; the next call ends it well.

What test_kills does with processes and a real proxy for a swap, here for a first deploy, for a release that wants other
checks and another door, for a rollback and for the way back itself.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Health, Release, Route, Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.plan import live_release, slots, up

from .test_job import ONE, SHOP, TWO, Site, release

OTHER = Health("http", "/", deadline=10.0, min_healthy_time=1.0)
MOVED = replace(SHOP, health=OTHER, routes=(Route("shop.test"), Route("new.test")))
HALF = "within point"  # the map's file is written, the runtime is not


class Cut(BaseException):
    """The call's process is gone."""


@dataclass(frozen=True)
class Story:
    """What is done before, the call that is cut off, and the verbs that it must have."""

    before: tuple[Release, ...]
    wanted: Release
    verbs: frozenset[str]
    service: Service = SHOP
    back: bool = False

    def call(self, site: Site, at: Callable[[str], None] = str) -> Result:  # type: ignore[assignment]
        """The call."""
        site.server.proxy.between = lambda: at(HALF)
        try:
            return site.run(self.wanted, service=self.service, back=self.back, at=at)
        finally:
            site.server.proxy.between = str


STORIES = {
    "a first deploy": Story((), ONE, frozenset({"register", "start", "await", "open", "keep", "route", "confirm"})),
    "a release with other checks and another door": Story(
        (ONE,), replace(TWO, health=OTHER), frozenset({"configure", "open", "fence", "stop"}), MOVED
    ),
    "a rollback": Story((ONE, TWO), ONE, frozenset({"reject", "route", "fence", "stop"}), back=True),
    "a way back out of a bake": Story((ONE,), release("2", "turns"), frozenset({"reject", "route", "stop"})),
}


def prepared(story: Story) -> Site:
    """The server before the call."""
    site = Site()
    for wanted in story.before:
        assert site.run(wanted).error is None
    return site


def points(story: Story) -> list[tuple[str, int]]:
    """Every boundary that the call comes to, each with how often it has come."""
    names: list[str] = []
    result = story.call(prepared(story), names.append)
    assert {step.verb for step, _ in result.done} >= story.verbs, "the story is not what it says"
    seen: Counter[str] = Counter()
    told = []
    for name in names:
        seen[name] += 1
        told.append((name, seen[name]))
    return told


def cut(site: Site, story: Story, point: tuple[str, int]) -> None:
    """The call, which comes to its end at that boundary."""
    seen: Counter[str] = Counter()

    def at(name: str) -> None:
        seen[name] += 1
        if (name, seen[name]) == point:
            raise Cut

    with pytest.raises(Cut):
        story.call(site, at)


def served(site: Site) -> bool:
    """Whether a healthy release is routed, as users find it."""
    seen = site.seen()
    return any(up(seen, slot) for slot in slots(seen.runtime) if slot)


def settled(site: Site, name: str) -> bool:
    """Whether that release is live, well and alone, in map and file."""
    seen = site.seen()
    running = [placed.release for placed in seen.placements if placed.running != "none"]
    return live_release(seen) == name and seen.runtime == seen.file in ("blue", "green") and running == [name]


NEXT: dict[str, tuple[Release | None, dict[str, Any]]] = {
    "the same": (None, {}),
    "another": (release("3"), {}),
    "the way back": (None, {"state": "back"}),
}


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("then", NEXT)
def test_whatever_is_asked_next_ends_well(name: str, then: str) -> None:
    """Users who were served are served at every boundary, and one release is live, well and alone in the end."""
    story, (other, options) = STORIES[name], NEXT[then]
    at, prepared_site = points(story), prepared(story)
    assert len(at) > 10
    for point in at:
        site = copy.deepcopy(prepared_site)
        cut(site, story, point)
        assert served(site) or not story.before, f"cut off at {point}"
        sick = name == "a way back out of a bake" and other is None
        wanted = other or (ONE if sick and not options else story.wanted)
        result = site.run(wanted, service=story.service, back=story.back and other is None and not options, **options)
        if result.error and result.error.cause == "bake_failed" and name == "a way back out of a bake":
            assert served(site)  # it has watched the sick one's bake to its end (R7), and there went back
            result = site.run(wanted, service=story.service)
        assert result.error is None, f"cut off at {point}: {result.error}"
        assert served(site) or not story.before, f"cut off at {point}, then {then}"
        if options:  # who was fenced stays, whoever was not goes; the next deploy settles either
            wanted = release("4")
            assert site.run(wanted, service=story.service).error is None
        assert settled(site, wanted.name), f"cut off at {point}, then {then}: {site.seen()}"
