"""Backing services: what is refused, what is done with what is found, and what is left where one does not come up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import backing, backing_module
from ansible_collections.stackswap.bluegreen.plugins.module_utils.asked import asked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.backing import Found
from ansible_collections.stackswap.bluegreen.plugins.module_utils.backing_module import NotUp, Place
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import EngineFailed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import ALWAYS, NO, Image
from tests.lab.fake import FakeLocks, FakeRecords

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
    """An engine in memory that knows two images, of which the second never takes a connection."""

    boxes: dict[str, dict[str, Any]] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)

    def image(self, reference: str) -> Image | None:
        return Image(f"sha256:{reference}")

    def labelled(self, label: str, value: str) -> tuple[dict[str, Any], ...]:
        return tuple(box for box in self.boxes.values() if box["labels"][label] == value)

    def run_service(self, made: Mapping[str, Any]) -> str:
        name = f"c{len(self.did)}"
        box = {"id": name, "address": made["Image"], "state": "running", "restarts": 0, "labels": made["Labels"]}
        self.boxes[name] = {**box, "config": made["Labels"]["stackswap.config"], "policy": ALWAYS}
        self.did.append(f"make {made['Image']}")
        return name

    def keep(self, container: str, policy: str) -> None:
        self.boxes[container]["policy"] = policy

    def start(self, container: str) -> None:
        self.boxes[container]["state"] = "running"
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


def test_another_is_started_when_the_one_before_has_stopped(place: Place) -> None:
    """And that one is removed when the new one takes connections."""
    assert backing_module.present(place, parsed(env={"A": "1"}))[0] is True
    assert place.engine.did[1:] == ["stop c0", "make sha256:redis:7", "remove c0"]


def test_where_the_new_one_does_not_come_up_the_one_before_runs_again(place: Place) -> None:
    """The error says so, with the last lines."""
    with pytest.raises(NotUp) as told:
        backing_module.present(place, parsed(image="bad"))
    assert "took no connection at port 6379 within 60 s: refused" in told.value.what
    assert "no such luck. Now: what ran before runs again" in told.value.what
    (box,) = place.engine.boxes.values()
    assert (box["state"], box["policy"], box["address"]) == ("running", ALWAYS, "sha256:redis:7")


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
    with pytest.raises(NotUp, match="ended as soon as it was started"):
        backing_module.present(place, parsed(env={"A": "1"}))


def test_one_that_leaves_is_stopped_and_its_volumes_stay(place: Place) -> None:
    """Once; a check does nothing."""
    key = parsed().key
    assert backing_module.removed(place, key, "redis", check=True) == (True, "redis would leave")
    assert backing_module.removed(place, key, "redis") == (True, "redis has left, its volumes stay")
    assert backing_module.removed(place, key, "redis") == (False, "redis is not here")
    assert place.engine.did[1:] == ["stop c0", "remove c0"]
