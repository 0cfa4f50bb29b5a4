"""The way back and other changes of mind, on the real engine and proxy, beside the strict client."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.choose import NothingKept
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import layout
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Replica
from tests.lab import images
from tests.lab.building import docker
from tests.lab.calls import Place, admin, candidate, kill, proxy_restarted
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server with its proxy, and the images of two versions."""
    assert images.app("1.0") != images.app("1.1")
    with Stack.made() as made:
        yield made


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """Print a figure past pytest."""

    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}")

    return tell


def served(stack: Stack, name: str, *versions: str, **options: Any) -> Place:
    """A service that has served these versions in turn."""
    place = Place(stack, name, **options)
    for version in versions:
        assert place.call(version).result.error is None
    return place


def env_of(replica: Replica, name: str) -> str:
    """An environment variable of a container, as the engine has it."""
    listed = json.loads(docker("inspect", "--format={{json .Config.Env}}", replica.id))
    return dict(line.split("=", 1) for line in listed)[name]


# -- back


def test_the_kept_containers_come_back_as_they_were_and_quickly(stack: Stack, told: Any) -> None:
    """No new container is made; what was replaced is rejected, so a second rollback says that there is none."""
    place = served(stack, "warm", "1.0", "1.1")
    kept = candidate(place, "1.0")
    with place.load() as load:
        done = place.call(rollback=True)
    assert done.result.error is None
    seconds = done.when("after route") - done.when("before start")
    told(f"rollback: {seconds:.2f} s from start to route, {done.seconds:.2f} s in all, lost {load.report().lost}")
    assert load.report().lost == 0, str(load.report())
    assert [r.id for r in place.live()] == [kept.id]
    assert seconds < 10, "a second on a machine that has nothing else to do"
    assert candidate(place, "1.1").release in place.record()["rejected"]
    with pytest.raises(NothingKept, match=r"no release to go back to; kept are"):
        place.call(rollback=True)


def test_the_rejected_version_is_deployed_again_when_it_is_asked_for(stack: Stack) -> None:
    """Rejected is a word about going back by itself, not for ever."""
    place = Place(stack, "warm")
    with place.load() as load:
        assert place.call("1.1").result.error is None
    assert load.report().lost == 0
    live = place.live()
    assert live[0].version == "1.1" and live[0].release not in place.record()["rejected"]
    assert place.call(rollback=True).report["serving"]["version"] == "1.0"


def test_a_release_whose_containers_are_gone_is_made_anew(stack: Stack) -> None:
    """From its manifest, with the settings that it had then."""
    place = served(stack, "cold", "1.0", "1.1", env={"KEPT": "then"})
    gone = candidate(place, "1.0")
    docker("rm", gone.id)
    with place.load() as load:
        done = place.call(options={"env": {"KEPT": "now"}}, rollback=True)
    assert done.result.error is None and load.report().lost == 0
    (live,) = place.live()
    assert (live.release, live.version) == (gone.release, "1.0") and live.id != gone.id
    assert env_of(live, "KEPT") == "then"


# -- other settings


def test_other_settings_of_the_same_version_are_a_swap(stack: Stack) -> None:
    """Deploy without a version: the image that is live, with the settings of now."""
    place = served(stack, "env", "1.0", env={"COLOUR": "red"})
    before = place.live()
    with place.load() as load:
        done = place.call(options={"env": {"COLOUR": "tan"}})
    assert done.result.error is None and load.report().lost == 0
    (live,) = place.live()
    assert (live.version, live.digest) == (before[0].version, before[0].digest) and live.slot != before[0].slot
    assert env_of(live, "COLOUR") == "tan"


def test_replicas_come_and_go_without_a_loss(stack: Stack) -> None:
    """One, two, one, beside a load."""
    place = served(stack, "scale", "1.0")
    with place.load() as load:
        for count in (2, 1):
            done = place.call("1.0", {"replicas": count})
            assert done.result.error is None
            assert len(place.live()) == count
    assert load.report().lost == 0, str(load.report())
    assert [r.release for r in place.look().replicas if r.running] == [place.live()[0].release]


# -- trouble with what serves


def test_a_live_container_that_was_killed_is_healed_by_the_same_deploy(stack: Stack, told: Any) -> None:
    """In the other slot, since its own is routed. Who asks loses what is under way, and what waits for the dead one."""
    place = served(stack, "hurt", "1.0")
    before = place.live()
    with place.load() as load:
        kill(before[0])
        done = place.call("1.0")
    told(f"killed by hand, healed in {done.seconds:.2f} s: {load.report()}")
    assert done.result.error is None and done.result.changed
    (live,) = place.live()
    assert live.version == "1.0" and live.slot != before[0].slot and live.id != before[0].id
    assert place.look().seen.runtime == place.look().seen.file == live.slot
    assert load.report().lost <= 2 * sum(load.plan.mix.values()), str(load.report())
    with place.load() as after:
        time.sleep(1)
    assert after.report().lost == 0, str(after.report())


def test_the_proxy_comes_back_to_the_slot_that_was_live(stack: Stack, told: Any) -> None:
    """Settled or in the bake: its file has what its runtime had."""
    place = served(stack, "restart", "1.0", bake=3)
    proxy_restarted(stack)
    seen = place.look().seen
    assert seen.runtime == seen.file == place.live()[0].slot

    def restart(point: str) -> None:
        if point == "after confirm":
            before = place.look().seen.runtime
            proxy_restarted(stack)
            assert place.look().seen.runtime == before

    done = place.call("1.1", at=restart)
    told(f"proxy restarted in the bake: {done.result.error or 'the deploy went on'}")
    assert done.result.error is None
    assert place.live()[0].version == "1.1"
    assert place.call("1.1").verbs == ["confirm"]


def test_two_services_are_deployed_at_the_same_time_without_a_loss(stack: Stack) -> None:
    """From two processes, over one proxy: each has its own entry and its own lock."""
    places = [served(stack, name, "1.0") for name in ("left", "right")]
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        list(pool.map(deployed, places, ["1.0", "1.0"]))  # the processes part before the loads have pipes
        with places[0].load() as left, places[1].load() as right:
            for version in ("1.1", "1.0", "1.1"):
                list(pool.map(deployed, places, [version, version]))
    assert (left.report().lost, right.report().lost) == (0, 0)
    assert [place.live()[0].version for place in places] == ["1.1", "1.1"]


def deployed(place: Place, version: str) -> None:
    """A deploy that has to succeed, in whatever process."""
    done = place.call(version)
    assert done.result.error is None, done.report["failed"]


def test_a_map_entry_that_was_changed_by_hand_is_set_right_and_told(stack: Stack) -> None:
    """What is healthy decides, not the last hand."""
    place = served(stack, "hand", "1.0")
    (live,) = place.live()
    away = "green" if live.slot == "blue" else "blue"
    key = place.wanted().service.key
    admin(stack, f"set map {layout(stack.settings).live} {key} {away}")
    assert place.look().seen.runtime == away
    done = place.call("1.0")
    assert done.result.error is None and done.result.changed
    assert f"the proxy says {away}, its file {live.slot}" in " ".join(s["did"] for s in done.report["steps"])
    seen = place.look().seen
    assert seen.runtime == seen.file == live.slot
    assert [r.id for r in place.live()] == [live.id]


@pytest.mark.parametrize("text", [None, "{ not JSON"])
def test_a_lost_or_broken_record_costs_the_way_back_and_no_service(stack: Stack, text: str | None) -> None:
    """The next deploy goes on; a rollback without a version says that it knows of none."""
    place = served(stack, f"record{'b' if text else 'a'}", "1.0", "1.1")
    path = os.path.join(stack.settings.home, "services", stack.name, place.name, "record.json")
    os.remove(path)
    if text:
        with open(path, "w") as record:
            record.write(text)
    with pytest.raises(NothingKept, match="no release to go back to"):
        place.call(rollback=True)
    with place.load() as load:
        done = place.call("1.0")
    assert done.result.error is None and load.report().lost == 0
    assert place.live()[0].version == "1.0"
    assert place.record()["served"][-1] == place.live()[0].release
