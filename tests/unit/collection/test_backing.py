"""Backing services: what is refused, what is done with what is found, and what is left where one does not come up."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ansible_collections.stackswap.bluegreen.plugins.module_utils import backing, backing_module, standing
from ansible_collections.stackswap.bluegreen.plugins.module_utils.asked import asked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.backing import Found
from ansible_collections.stackswap.bluegreen.plugins.module_utils.backing_module import NotUp, Place
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import EngineFailed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.info_module import backing_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import ALWAYS, NO, Image
from tests.lab.fake import FakeLocks, FakeRecords

ROLE = Path(__file__).resolve().parents[3] / "collection" / "roles" / "stackswap"
HERE, ONE = {"name": "production"}, ["web1"]
REDIS = {"image": "redis:7", "volumes": ["redis:/data"]}


def parsed(servers: list[str] | None = None, **given: Any) -> backing.Backing:
    """A cache with these options."""
    return backing.parse({"redis": {**REDIS, **given}}, HERE, servers or ONE)["redis"]


# -- what is asked for


REFUSED = {
    "an unknown key": ({"ports": 1}, r"stackswap_backing\.redis\.ports is not known: did you mean port\?"),
    "no image": ({"image": ""}, r"stackswap_backing\.redis\.image is missing"),
    "a server outside": ({"server": "web9"}, r"redis\.server is web9, no server of group stackswap, which has web1"),
    "a name twice": ({"env": {"A": "1"}, "secrets": {"A": "2"}}, r"redis\.secrets\.A is in env too"),
    "a mount twice": ({"volumes": ["one:/data", "two:/data"]}, r"redis\.volumes has /data mounted twice"),
    "what nobody is told": ({"user": "me"}, r"redis\.user is told to nobody"),
    "a number where text belongs": ({"env": {"A": 1}}, r"redis\.env\.A must be text"),
    "a kind that there is not": ({"kind": "queue"}, r"redis\.kind must be"),
    "a mount of secrets twice": (
        {"secret_files": {"a": "b"}, "volumes": ["mine:/run/secrets"]},
        r"/run/secrets mounted twice: secret_files are mounted there",
    ),
    "a deadline within": (
        {"health": {"command": ["a"], "deadline": 1}},
        r"redis\.health\.deadline stands beside health",
    ),
    "a check by http": ({"health": {"kind": "http"}}, r"redis\.health\.kind must be one of none, image, command"),
    "a check without a command": ({"health": {"kind": "command"}}, r"redis\.health\.command is missing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused_by_its_name(case: str) -> None:
    """Before anything changes."""
    given, words = REFUSED[case]
    with pytest.raises(BadInput, match=words):
        parsed(**given)


def test_other_servers_need_an_address() -> None:
    """The network's names are known on one server alone."""
    with pytest.raises(BadInput, match=r"redis\.listen is missing: name the address"):
        parsed(["web1", "web2"])
    far = parsed(["web1", "web2"], listen="192.0.2.2", server="web2")
    assert (far.host, far.port, far.server) == ("192.0.2.2", 6379, "web2")
    assert parsed().host == "production-redis"


def test_one_of_no_kind_says_its_port() -> None:
    """And nothing can be attached to it."""
    with pytest.raises(BadInput, match=r"stackswap_backing\.queue\.port is missing"):
        backing.parse({"queue": {"image": "queue"}}, HERE, ONE)
    assert backing.joined({}, {"queue": {"image": "queue", "port": 5672}}, HERE, ONE) == {}


def test_applications_are_told_of_it_as_of_any_attached_service() -> None:
    """With its password, and never under a name that is taken."""
    told = backing.joined({"db": {"host": "h"}}, {"redis": {**REDIS, "password": "p"}}, HERE, ONE)
    assert told == {"db": {"host": "h"}, "redis": {"host": "production-redis", "port": 6379, "password": "p"}}
    with pytest.raises(BadInput, match=r"stackswap_backing\.redis is in stackswap_attached too"):
        backing.joined({"redis": {"host": "h"}}, {"redis": REDIS}, HERE, ONE)


def test_a_deploy_that_is_attached_to_what_is_not_there_is_refused() -> None:
    """As one to any attached service that nobody knows."""
    given: dict[str, Any] = {
        "stackswap_service": "shop",
        "stackswap_services": {"shop": {"image": "shop", "attach": ["redis"]}},
        "stackswap_environment": HERE,
        "stackswap_version": "1",
    }
    with pytest.raises(BadInput, match="redis is not a known attached service"):
        asked("deploy", given, ONE, "/")
    assert asked("deploy", {**given, "stackswap_backing": {"redis": REDIS}}, ONE, "/")["service"] == "shop"


def test_a_job_is_about_all_or_one_and_removes_nothing_that_is_not_named() -> None:
    """A name that is not known is refused, but where it is to leave: then every server is asked."""
    given = {"stackswap_environment": HERE, "stackswap_backing": {"redis": {**REDIS, "listen": "192.0.2.1"}}}
    both = ["web1", "web2"]
    assert asked("backing", given, both, "/")["names"] == {"web1": ["redis"], "web2": []}
    gone = {**given, "stackswap_backing_state": "absent"}
    with pytest.raises(BadInput, match="nothing is removed that is not named"):
        asked("backing", gone, both, "/")
    with pytest.raises(BadInput, match=r"stackswap_backing has no redi: did you mean redis\?"):
        asked("backing", {**given, "stackswap_backing_name": "redi"}, both, "/")
    left = asked("backing", {**gone, "stackswap_backing_name": "old"}, both, "/")
    assert left["places"] == both and left["names"] == {"web1": ["old"], "web2": ["old"]}


# -- what is done


PLANS = {
    "the first": ((), "make, await"),
    "one that runs": ((Found("a", "m", True),), ""),
    "one that was stopped by hand": ((Found("a", "m", False),), "start a, await"),
    "one that is to be otherwise is stopped first": ((Found("a", "n", True),), "stop a, make, await, discard a"),
    "one that was left from a job that was cut off": (
        (Found("a", "n", False), Found("b", "m", False)),
        "start b, await, discard a",
    ),
    "two that run": ((Found("a", "n", True), Found("b", "m", True)), "stop a, discard a"),
}


@pytest.mark.parametrize("case", PLANS)
def test_a_plan(case: str) -> None:
    """Of one that is made from m."""
    found, plan = PLANS[case]
    assert ", ".join(f"{act.verb} {act.id}".strip() for act in backing.plan(found, "m")) == plan


def test_a_secret_is_in_no_mark_and_no_label() -> None:
    """Another value makes another container all the same, by its seal."""
    one = parsed(secrets={"PASS": "hunter2"})
    made = backing.document(one, "sha256:1", backing.mark(one, "sha256:1", "seal"), "net")
    assert "hunter2" not in json.dumps([made["Labels"], made["name"]]) and "PASS=hunter2" in made["Env"]
    filed = parsed(secret_files={"pass": "swordfish"})
    assert "swordfish" not in json.dumps(backing.document(filed, "i", backing.mark(filed, "i", "s"), "net", "/f"))
    assert "swordfish" not in repr(filed)
    assert backing.mark(one, "i", "one") != backing.mark(one, "i", "two")
    assert backing.mark(one, "i", "s") == backing.mark(parsed(secrets={"PASS": "other"}), "i", "s")


def test_data_in_a_volume_without_a_name_is_refused() -> None:
    """It would be gone with the container."""
    with pytest.raises(BadInput, match=r"redis\.volumes has none for /data.*as production-redis:/data"):
        backing.refuse_unkept(parsed(volumes=[]), Image("i", volumes=("/data",)))
    backing.refuse_unkept(parsed(), Image("i", volumes=("/data",)))


# -- on a server


@dataclass
class Engine:
    """An engine in memory that knows all images; one that is called bad never takes a connection.

    checks: they have a HEALTHCHECK. reads: one that is started again comes up.
    """

    boxes: dict[str, dict[str, Any]] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)
    mounts: dict[str, Any] = field(default_factory=dict)
    checks: bool = False
    reads: bool = True

    def image(self, reference: str) -> Image | None:
        return Image(f"sha256:{reference}", healthcheck=self.checks)

    def labelled(self, label: str, value: str = "", network: str = "") -> tuple[dict[str, Any], ...]:
        there = [box for box in self.boxes.values() if network in ("", box["network"])]
        return tuple(box for box in there if value in ("", box["labels"][label]))

    def run_service(self, made: Mapping[str, Any]) -> str:
        name = f"c{len(self.did)}"
        box = {
            "id": name,
            "address": made["Image"],
            "image": made["Image"],
            "state": "running",
            "restarts": 0,
            "labels": made["Labels"],
        }
        run = {"name": made["name"], "started": "2026-01-01", "exit_code": 0, "oom_killed": False, "health": ""}
        run["network"] = made["HostConfig"]["NetworkMode"]
        run["health"] = "starting" if made.get("Healthcheck") or self.checks else ""
        self.boxes[name] = {**box, **run, "config": made["Labels"]["stackswap.config"], "policy": ALWAYS}
        self.mounts[name] = made["HostConfig"].get("Mounts", [])
        self.did.append(f"make {made['Image']}")
        return name

    def keep(self, container: str, policy: str) -> None:
        self.boxes[container]["policy"] = policy

    def start(self, container: str) -> None:
        self.boxes[container].update(state="running" if self.reads else "restarting")
        self.did.append(f"start {container}")

    def stop(self, container: str, seconds: int) -> None:
        assert self.boxes[container]["policy"] == NO, "it would come back by itself"
        self.boxes[container]["state"] = "exited"
        self.did.append(f"stop {container}")

    def remove(self, container: str) -> None:
        assert self.boxes.pop(container)["state"] == "exited"
        self.did.append(f"remove {container}")

    def logs(self, container: str, lines: int) -> str:
        return "no such luck"


class Clock:
    """Time that passes where somebody sleeps."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def place() -> Place:
    """A server with one that runs."""
    clock = Clock()
    deaf = lambda address, port: "refused" if "bad" in address else ""  # noqa: E731
    made = Place(Engine(), FakeRecords(), FakeLocks(), "net", deaf, clock, clock.sleep)
    assert backing_module.present(made, parsed()) == (True, "redis runs on web1 at production-redis:6379")
    return made


def test_the_same_again_changes_nothing(place: Place) -> None:
    """Whatever is deployed meanwhile."""
    assert backing_module.present(place, parsed())[0] is False
    assert place.engine.did == ["make sha256:redis:7"]


def up(place: Place, **given: Any) -> tuple[bool, str]:
    """It is started anew with these options."""
    return backing_module.present(place, parsed(env={"A": "1"}, **given))


def happens(place: Place, what: Mapping[float, Mapping[str, Any]], begun: float) -> None:
    """These things become of the container that is made next, so many seconds from then on."""
    before = {*place.engine.boxes}

    def ask(address: str, port: int) -> str:
        newest = next(box for name, box in place.engine.boxes.items() if name not in before)
        for at, change in what.items():
            if place.clock() - begun >= at:
                newest.update(change)
        return str(newest.get("deaf", ""))

    place.ask = ask


def test_without_a_check_it_takes_connections_for_a_while_without_a_restart(place: Place) -> None:
    """Five seconds, or as health says; an image has none, and neither has health."""
    begun = place.clock()
    assert up(place)[0] and 5 <= place.clock() - begun < 5.5
    begun = place.clock()
    assert up(place, health={"kind": "none", "min_healthy_time": 2})[0] and 2 <= place.clock() - begun < 2.5


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"state": "restarting", "restarts": 1, "exit_code": 3}, r"restarted once within 3\.\d s, last exit code 3"),
        ({"restarts": 2, "exit_code": 3}, r"restarted 2 times within 3\.\d s, last exit code 3"),
        ({"state": "exited", "exit_code": 4}, r"exited 4 after 3\.\d s"),
        ({"oom_killed": True, "state": "exited"}, r"ran out of memory after 3\.\d s"),
    ],
)
def test_one_that_ends_in_that_while_is_not_up(place: Place, change: dict[str, Any], why: str) -> None:
    """Though it has taken connections; what ran before runs again."""
    happens(place, {3.0: change}, place.clock())
    with pytest.raises(NotUp, match=f"redis {why}.*Now: what ran before runs again"):
        up(place)
    assert [box["state"] for box in place.engine.boxes.values()] == ["running"]


def test_one_that_is_set_up_first_may_take_no_connections_in_between(place: Place) -> None:
    """The while begins anew then; the deadline is the last moment for it."""
    begun = place.clock()
    happens(place, {1.0: {"deaf": ""}, 2.0: {"deaf": "refused"}, 8.0: {"deaf": ""}}, begun)
    assert up(place)[0] and 13 <= place.clock() - begun < 13.5
    happens(place, {1.0: {"deaf": "refused"}}, place.clock())
    with pytest.raises(NotUp, match="was not up within 4 s: it takes no connection at port 1: refused"):
        up(place, deadline=4, port=1)


@pytest.mark.parametrize("health", [None, "image", {"command": ["redis-cli", "ping"]}])
def test_a_check_has_to_say_that_it_is_well(place: Place, health: Any) -> None:
    """The image's own, asked for or not, or one that is told."""
    place.engine.checks = not isinstance(health, dict)
    begun = place.clock()
    happens(place, {7.0: {"health": "healthy"}}, begun)
    assert up(place, health=health)[0] and 12 <= place.clock() - begun < 12.5
    happens(place, {7.0: {"health": "unhealthy"}}, place.clock())
    with pytest.raises(NotUp, match="was not up within 60 s: its health check says unhealthy"):
        up(place, health=health, port=1)


def test_a_check_that_the_image_does_not_have_is_refused_before_anything_stops(place: Place) -> None:
    """It would never be well."""
    with pytest.raises(BadInput, match=r"redis\.health is image, and redis:7 has no HEALTHCHECK"):
        up(place, health="image")
    assert place.engine.did == ["make sha256:redis:7"]


def test_a_check_is_the_engines_and_another_one_is_another_container() -> None:
    """What is not told is the image's, and makes the same container as before there was such an option."""
    made = [parsed(), parsed(health="none"), parsed(health={"command": ["ping"]}), parsed(health="image")]
    tests = [backing.document(one, "i", "m", "n").get("Healthcheck", {}).get("Test") for one in made]
    assert tests == [None, ["NONE"], ["CMD", "ping"], None]
    marks = [backing.mark(one, "i", "") for one in made]
    assert len({*marks}) == 4 and marks[0] == backing.mark(parsed(deadline=5), "i", "")


def test_secret_files_are_in_a_folder_of_the_container_alone_and_go_with_it(place: Place) -> None:
    """Mounted where services have theirs; another text is another container."""
    folders = []
    for text in ("one", "two"):
        assert backing_module.present(place, parsed(secret_files={"password": text}))[0] is True
        assert backing_module.present(place, parsed(secret_files={"password": text}))[0] is False
        (mark,) = place.records.sealed("production.backing_redis")
        assert place.records.secrets("production.backing_redis", mark) == {"password": text}
        (mount,) = place.engine.mounts[next(reversed(place.engine.boxes))]
        assert (mount["Target"], mount["ReadOnly"]) == ("/run/secrets", True) and mark in mount["Source"]
        folders.append(mount["Source"])
    assert folders[0] != folders[1]
    assert backing_module.removed(place, parsed().key, "redis")[0] is True
    assert place.records.sealed("production.backing_redis") == ()


def test_secret_files_of_one_that_does_not_come_up_do_not_stay(place: Place) -> None:
    """Those of the one before do."""
    backing_module.present(place, parsed(secret_files={"password": "one"}))
    before = place.records.sealed("production.backing_redis")
    with pytest.raises(NotUp):
        backing_module.present(place, parsed(image="bad", secret_files={"password": "two"}))
    assert place.records.sealed("production.backing_redis") == before


def test_another_is_started_when_the_one_before_has_stopped(place: Place) -> None:
    """And that one is removed when the new one takes connections."""
    assert backing_module.present(place, parsed(env={"A": "1"}))[0] is True
    assert place.engine.did[1:] == ["stop c0", "make sha256:redis:7", "remove c0"]


def test_where_the_new_one_does_not_come_up_the_one_before_runs_again(place: Place) -> None:
    """The error says so, with the last lines."""
    with pytest.raises(NotUp) as told:
        backing_module.present(place, parsed(image="bad"))
    assert "was not up within 60 s: it takes no connection at port 6379: refused" in told.value.what
    assert "no such luck. Now: what ran before runs again" in told.value.what
    (box,) = place.engine.boxes.values()
    assert (box["state"], box["policy"], box["address"]) == ("running", ALWAYS, "sha256:redis:7")


def test_what_ran_before_is_told_where_it_does_not_come_up_again(place: Place) -> None:
    """The new one may have written what it does not read; its own check counts, if it has one."""
    place.engine.reads = False
    with pytest.raises(NotUp) as told:
        backing_module.present(place, parsed(image="bad", port=1))
    again = r"Now: what ran before is started again and does not come up \(exited 0 .*: no such luck\), its volumes are"
    assert re.search(again, told.value.what)
    assert [box["policy"] for box in place.engine.boxes.values()] == [ALWAYS]


def test_what_ran_before_has_to_be_well_by_its_own_check(place: Place) -> None:
    """If the engine has one of it."""
    place.engine.boxes["c0"]["health"] = "unhealthy"
    with pytest.raises(NotUp, match=r"does not come up \(was not up within 60 s: its health check says unhealthy"):
        backing_module.present(place, parsed(image="bad"))


def test_one_that_is_as_asked_and_does_not_serve_is_told(place: Place) -> None:
    """A job with nothing to do looks at it all the same, gives it its time, and leaves it as it is."""
    begun, box = place.clock(), place.engine.boxes["c0"]
    place.ask = lambda address, port: "" if place.clock() - begun > 30 else "refused"
    assert backing_module.present(place, parsed())[0] is False and 35 <= place.clock() - begun < 36
    box.update(state="restarting", restarts=7, exit_code=3)
    with pytest.raises(NotUp, match=r"redis exited 3 .* lines: no such luck\. Now: it is left as it is") as told:
        backing_module.present(place, parsed())
    assert told.value.facts["hint"] == "mend it, then: stackswap backing redis"
    assert place.engine.did == ["make sha256:redis:7"] and box["policy"] == ALWAYS


def test_one_that_serves_stays_where_the_one_before_cannot_be_taken_away(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next job takes it away."""

    def busy(container: str) -> None:
        raise EngineFailed("remove a container: it is busy")

    with monkeypatch.context() as patched:
        patched.setattr(place.engine, "remove", busy)
        with pytest.raises(EngineFailed, match="busy"):
            backing_module.present(place, parsed(env={"A": "1"}))
    assert [box["state"] for box in place.engine.boxes.values()] == ["exited", "running"]
    assert backing_module.present(place, parsed(env={"A": "1"}))[0] is True
    assert place.engine.did[1:] == ["stop c0", "make sha256:redis:7", "remove c0"]


def test_one_that_is_gone_while_it_is_awaited_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has removed it by hand; the one before runs again."""
    monkeypatch.setattr(
        place, "ask", lambda address, port: place.engine.boxes.pop(next(reversed(place.engine.boxes))) and "gone"
    )
    monkeypatch.setattr(place.engine, "stop", lambda container, seconds: None)
    monkeypatch.setattr(place.engine, "remove", lambda container: None)
    monkeypatch.setattr(place.engine, "keep", lambda container, policy: None)
    with pytest.raises(NotUp, match="is gone: somebody has removed its container"):
        backing_module.present(place, parsed(env={"A": "1"}))


def test_one_that_leaves_is_stopped_and_its_volumes_stay(place: Place) -> None:
    """Once; a check does nothing."""
    key = parsed().key
    assert backing_module.removed(place, key, "redis", check=True) == (True, "redis would leave")
    assert backing_module.removed(place, key, "redis") == (True, "redis has left, its volumes stay")
    assert backing_module.removed(place, key, "redis") == (False, "redis is not here")
    assert place.engine.did[1:] == ["stop c0", "remove c0"]


# -- what a status tells


def told(place: Place, given: Any, server: str = "web1", deaf: str = "", **more: Any) -> list[dict[str, Any]]:
    """Of the backing services of a server, by what the inventory has."""
    probe = SimpleNamespace(replica=lambda address, port, health: Answer(error=deaf))
    fx: Any = SimpleNamespace(records=place.records, probe=probe)
    params = {
        "backing": given,
        "name": None,
        "environment": HERE,
        "servers": ["web1", "web2"],
        "server": server,
        "proxy": {"network": "net"},
        **more,
    }
    found, doubts = backing_of(fx, place.engine, params)
    assert not doubts
    return found


THERE = {"redis": {**REDIS, "listen": "192.0.2.1"}}


@pytest.fixture
def shared(place: Place) -> Place:
    """A server of two with one that is as the inventory asks."""
    (one,) = backing.parse(THERE, HERE, ["web1", "web2"]).values()
    backing_module.present(place, one)
    return place


def test_one_that_is_as_asked_is_told_with_image_state_and_health(shared: Place) -> None:
    """Health by its check, else by whether it takes connections."""
    (row,) = told(shared, THERE)
    assert row == {
        "name": "redis",
        "environment": "production",
        "image": "redis:7",
        "state": "running",
        "health": "healthy",
        "since": "2026-01-01",
        "restarts": 0,
        "drift": "",
    }
    assert told(shared, THERE, deaf="refused")[0]["health"] == "unhealthy"
    (box,) = shared.engine.boxes.values()
    box["health"] = "starting"
    assert told(shared, THERE, deaf="refused")[0]["health"] == "starting"
    box.update(state="exited", restarts=4)
    row = told(shared, THERE)[0]
    assert (row["state"], row["health"], row["restarts"], row["drift"]) == ("exited", "", 4, "")


OTHERWISE = {
    "other settings": ({**THERE["redis"], "env": {"A": "1"}}, "differs"),
    "another secret": ({**THERE["redis"], "secrets": {"A": "1"}}, "differs"),
    "another image": ({**THERE["redis"], "image": "redis:8"}, "differs"),
    "another server": ({**THERE["redis"], "server": "web2"}, "elsewhere"),
    "not at all": (None, "unknown"),
}


@pytest.mark.parametrize("case", OTHERWISE)
def test_one_that_is_not_as_the_inventory_has_it_is_drift(shared: Place, case: str) -> None:
    """And reading it changes nothing."""
    given, word = OTHERWISE[case]
    did = [*shared.engine.did]
    (row,) = told(shared, {"redis": given} if given else {})
    assert (row["name"], row["drift"], row["state"]) == ("redis", word, "running")
    assert shared.engine.did == did


def test_one_that_is_nowhere_is_absent_where_it_ought_to_be(shared: Place) -> None:
    """The other server has nothing, and ought to have nothing."""
    shared.engine.boxes.clear()
    (row,) = told(shared, THERE)
    assert (row["name"], row["drift"], row["state"], row["image"]) == ("redis", "absent", "", "")
    assert told(shared, THERE, server="web2") == []


def test_another_network_of_the_same_engine_is_another_stacks(shared: Place) -> None:
    """Nothing of it is told here."""
    assert told(shared, {}, proxy={"network": "other"}) == []
    assert [row["drift"] for row in told(shared, THERE, proxy={"network": "other"})] == ["absent"]


def test_what_another_environment_has_here_is_told_and_is_no_drift(shared: Place) -> None:
    """Its own inventory knows it."""
    (row,) = told(shared, {}, environment={"name": "staging"})
    assert (row["environment"], row["drift"]) == ("production", "")


def test_nothing_is_told_where_a_service_is_asked_for_or_no_inventory_is_given(shared: Place) -> None:
    """Neither is about them."""
    assert told(shared, THERE, name="shop") == told(shared, None) == []


def test_an_inventory_that_is_wrong_does_not_keep_a_status_from_telling(shared: Place) -> None:
    """It says what is wrong, and calls nothing unknown."""
    fx: Any = SimpleNamespace(records=shared.records)
    params = {
        "backing": {"redis": {"imgae": "x"}},
        "name": "",
        "environment": HERE,
        "servers": ONE,
        "proxy": {"network": "net"},
    }
    params["server"] = "web1"
    (row,), (doubt,) = backing_of(fx, shared.engine, params)
    assert (row["name"], row["drift"], row["health"]) == ("redis", "", "")
    assert "cannot be told: stackswap_backing.redis.imgae is not known" in doubt


def test_of_several_containers_the_one_that_serves_is_told() -> None:
    """One that was left over by a job that was cut off is the next job's."""
    box = {"labels": {backing.LABEL: "production.redis"}, "started": "", "restarts": 0, "health": ""}
    old, new = ({**box, "config": mark, "state": state} for mark, state in (("a", "exited"), ("b", "running")))
    boxes = [standing.Box(one, one["config"]) for one in (old, new)]
    for pair in (boxes, boxes[::-1]):
        assert standing.rows(pair, {}, "production")[0]["image"] == "b"
        (row,) = standing.rows(pair, {"production.redis": standing.Wanted("redis:7", "a")}, "production")
        assert (row["image"], row["state"], row["drift"]) == ("redis:7", "exited", "")


def test_an_image_is_called_by_its_name() -> None:
    """By its digest where no name has stayed."""
    assert standing.name_of(Image("sha256:1", tags=("redis:7",), digests=("redis@sha256:2",)), "x") == "redis:7"
    assert standing.name_of(Image("sha256:1", digests=("redis@sha256:2",)), "x") == "redis@sha256:2"
    assert standing.name_of(None, "sha256:0123456789abcdef") == "0123456789ab"


def test_a_job_for_one_knows_the_servers_of_the_others() -> None:
    """Its own server alone is played on, and the stack has more."""
    tasks = yaml.safe_load((ROLE / "tasks" / "backing.yml").read_text())
    (told,) = [task["stackswap.bluegreen.backing"] for task in tasks if "stackswap.bluegreen.backing" in task]
    assert told["servers"] == "{{ groups['stackswap'] }}"
