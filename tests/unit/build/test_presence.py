"""An image on a server: how it comes there, what is refused, what check mode says."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.archive import known
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import PlatformDiffers
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image
from ansible_collections.stackswap.bluegreen.plugins.module_utils.presence import (
    ImageAbsent,
    ImageDiffers,
    at_hand,
    pinned_name,
    present,
    refuse_platform,
    registry_of,
    resolved,
    seen,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.room import NoRoom

ID, OTHER, DIGEST = (f"sha256:{number * 64}" for number in "123")
PINNED = f"acme/shop@{DIGEST}"
NAME = "acme/shop:1"


class Engine:
    """An engine with these images by name; archives and registry hold what they are told to."""

    def __init__(self, names: dict[str, str], brings: str = ID, made_for: str = "") -> None:
        self.names, self.brings, self.made_for, self.done = dict(names), brings, made_for, []

    def image(self, reference: str) -> Image | None:
        found = self.names.get(reference) or (reference if reference in self.names.values() else "")
        digests = tuple(name for name, content in self.names.items() if "@" in name and content == found)
        return Image(found, digests=digests, platform=self.made_for) if found else None

    def platform(self) -> str:
        return "linux/amd64"

    def layers(self) -> list[tuple[str, ...]]:
        return [("sha256:base", "sha256:code")]

    def resolve(self, reference: str, auth: Any = None) -> str:
        return DIGEST

    def pull(self, reference: str, auth: Any = None) -> Image:
        self.done.append("pull")
        self.names |= {reference: self.brings, f"acme/shop@{DIGEST}": self.brings}
        return self.image(reference)

    def load(self, archive: str) -> tuple[str, ...]:
        self.done.append("load")
        self.names[""] = self.brings
        return (self.brings,)

    def tag(self, image: str, repository: str, tag: str) -> None:
        self.done.append("tag")
        self.names[f"{repository}:{tag}"] = image


def asked(origin: str, **other: Any) -> dict[str, Any]:
    """Parameters of the module."""
    empty = dict.fromkeys(("id", "digest", "archive", "registry"))
    return {"name": NAME, "from": origin, **empty, **other}


def had(params: dict[str, Any], engine: Engine, check: bool = False, holds: str = ID) -> dict[str, Any]:
    """What is told when it is asked for; an archive holds this."""
    return present(params, engine, check, lambda dummy: frozenset({holds}))


TOLD, NAMED = "registry.test/shop:1", ["pull", "tag"]
CASES = {
    "shipped and there": ({NAME: ID}, asked("builder", id=ID), "present", False, []),
    "there under another name": ({"x:1": ID}, asked("builder", id=ID), "present", True, ["tag"]),
    "not there: the action ships": ({}, asked("builder", id=ID), "missing", False, []),
    "an older one has the name": ({NAME: OTHER}, asked("builder", id=ID), "missing", False, []),
    "loaded": ({}, asked("builder", id=ID, archive="/a"), "loaded", True, ["load", "tag"]),
    "loaded over an older": (
        {NAME: OTHER},
        asked("archive", id=ID, archive="/a"),
        "loaded",
        True,
        ["load", "tag"],
    ),
    "pulled": ({}, asked("registry"), "pulled", True, ["pull"]),
    "pulled, the same": ({NAME: ID}, asked("registry"), "pulled", False, ["pull"]),
    "a digest is there": ({PINNED: ID}, asked("registry", name=PINNED), "present", False, []),
    "pinned and there": ({PINNED: ID, NAME: ID}, asked("registry", digest=DIGEST), "present", False, []),
    "pinned, the name is elsewhere": (
        {PINNED: ID, NAME: OTHER},
        asked("registry", digest=PINNED),
        "present",
        True,
        ["tag"],
    ),
    "pinned": ({NAME: OTHER}, asked("registry", digest=DIGEST), "pulled", True, ["pull", "tag"]),
    "on the server": ({NAME: ID}, asked("server"), "present", False, []),
    "by itself, of no registry, there": ({NAME: ID}, asked("auto"), "present", False, []),
    "by itself, of no registry, not there": ({}, asked("auto"), "pulled", True, ["pull"]),
    "by itself, of a registry": ({TOLD: ID}, asked("auto", name=TOLD), "pulled", False, ["pull"]),
    "by itself, a version that was built again": ({NAME: OTHER}, asked("auto", digest=DIGEST), "pulled", True, NAMED),
    "by itself, the digest is there": ({PINNED: ID, NAME: ID}, asked("auto", digest=DIGEST), "present", False, []),
}


@pytest.mark.parametrize(("names", "params", "how", "changed", "done"), CASES.values(), ids=CASES)
def test_an_image_comes_so(
    names: dict[str, str], params: dict[str, Any], how: str, changed: bool, done: list[str]
) -> None:
    """Nothing is fetched that is there, and the name points to it afterwards."""
    engine = Engine(names)
    told = had(params, engine)
    assert (told["how"], told["changed"], engine.done) == (how, changed, done)
    if how != "missing":
        assert told["image"]["id"] == ID
        assert engine.image(params["name"]).id == ID


@pytest.mark.parametrize(("names", "params", "how", "changed", "done"), CASES.values(), ids=CASES)
def test_check_mode_does_nothing(
    names: dict[str, str], params: dict[str, Any], how: str, changed: bool, done: list[str]
) -> None:
    """And says whether something would be done."""
    engine = Engine(names)
    told = had(params, engine, check=True)
    assert engine.done == []
    assert told["changed"] is (changed or how == "missing")


def test_what_is_not_the_image_gets_no_name() -> None:
    """Neither from an archive nor from a registry; another archive is not even loaded."""
    for params in (asked("archive", id=ID, archive="/a"), asked("registry", id=ID)):
        engine = Engine({}, brings=OTHER)
        with pytest.raises(ImageDiffers):
            had(params, engine, holds=OTHER)
        assert engine.done in ([], ["pull"])
    engine = Engine({}, brings=OTHER)
    with pytest.raises(ImageDiffers):
        had(asked("archive", id=ID, archive="/a"), engine)
    assert engine.done == ["load"]


def test_an_engine_may_call_what_it_loaded_by_another_digest_of_the_archive() -> None:
    """containerd's store knows an image by its manifest, the builder by its configuration."""
    engine = Engine({}, brings=OTHER)
    told = present(asked("builder", id=ID, archive="/a"), engine, False, lambda dummy: frozenset({ID, OTHER}))
    assert (told["image"]["id"], engine.names[NAME]) == (OTHER, OTHER)


def test_an_image_that_must_be_there_and_is_not() -> None:
    """Said with what to do."""
    with pytest.raises(ImageAbsent, match="not on the server"):
        had(asked("server"), Engine({}))


def test_the_digest_is_the_registrys_if_there_is_one() -> None:
    """R12: the repository's digest with a registry, else the id."""
    pulled = had(asked("registry"), Engine({}))
    assert pulled["image"]["digest"] == PINNED
    assert had(asked("server"), Engine({NAME: ID}))["image"]["digest"] == ID


def test_a_server_that_lacks_an_image_tells_what_it_has() -> None:
    """Its layers, each with all that is below it, and what it runs; in a check, too, for its disk is looked at."""
    for check in (False, True):
        told = had(asked("builder", id=ID), Engine({}), check=check)
        assert (told["chains"], told["platform"]) == (known([("sha256:base", "sha256:code")]), "linux/amd64")
        assert told["changed"] == check


def test_what_there_is_no_room_for_is_not_fetched_unless_it_is_here_by_another_name() -> None:
    """A registry may call by a tag what is here already; an archive is refused by its own size."""

    def full(archive: str | None) -> None:
        raise NoRoom("the disk is full")

    def ask(engine: Engine, check: bool = False, **params: Any) -> dict[str, Any]:
        return present(asked(**{"origin": "registry", **params}), engine, check, lambda dummy: frozenset({ID}), full)

    for check in (False, True):
        with pytest.raises(NoRoom):
            ask(Engine({}), check)
    with pytest.raises(NoRoom):
        ask(Engine({}), origin="archive", archive="/a")
    assert ask(Engine({PINNED: ID}))["how"] == "pulled"
    assert ask(Engine({NAME: ID}), origin="server")["how"] == "present"


def test_a_name_is_resolved_to_what_can_be_pulled() -> None:
    """Nothing is fetched."""
    engine = Engine({})
    assert resolved(asked("registry"), engine)["image"]["digest"] == PINNED
    assert not engine.done


WAYS = [asked("registry"), asked("archive", id=ID, archive="/a"), asked("server"), asked("builder", id=ID)]


@pytest.mark.parametrize("params", WAYS, ids=lambda params: params["from"])
def test_an_image_for_other_machines_is_refused(params: dict[str, Any]) -> None:
    """Both platforms are named, and the image gets no name."""
    engine = Engine({} if params["from"] in ("registry", "archive") else {NAME: ID}, made_for="linux/arm64")
    with pytest.raises(PlatformDiffers, match="made for linux/arm64, and this server is linux/amd64"):
        had(params, engine)
    assert "tag" not in engine.done


FITS = [("linux/386", "linux/amd64"), ("linux/arm/v7", "linux/arm64"), ("linux/arm64/v8", "linux/arm64")]


@pytest.mark.parametrize(("image", "server"), [*FITS, ("", "linux/amd64")])
def test_what_a_server_can_run_is_not_refused(image: str, server: str) -> None:
    """The elder of a family run there too; what does not say is let through."""
    refuse_platform(NAME, image, server)


REGISTRIES = {
    "shop": "docker.io",
    "acme/shop:1": "docker.io",
    "registry.example.com/acme/shop:1": "registry.example.com",
    "registry.example.com:5000/shop@sha256:1": "registry.example.com:5000",
    "localhost/shop": "localhost",
}


@pytest.mark.parametrize(("name", "registry"), REGISTRIES.items())
def test_a_name_tells_its_registry(name: str, registry: str) -> None:
    """As the engine reads it."""
    assert registry_of(name) == registry


PINS = {"host:5000/shop": "host:5000/shop", "acme/shop:1": "acme/shop", "acme/shop@sha256:0": "acme/shop"}


@pytest.mark.parametrize(("name", "repository"), PINS.items())
def test_a_name_is_pinned_by_its_repository(name: str, repository: str) -> None:
    """A port is no tag."""
    assert pinned_name(name, DIGEST) == f"{repository}@{DIGEST}"


def spared(told: dict[str, Any], have: dict[str, str]) -> dict[str, Any] | None:
    """What is answered without asking a server that has these images."""
    params = {name: value for name, value in told.items() if value}
    return at_hand(params, seen(params["name"], Engine(have)))


BOTH = {NAME: ID, PINNED: ID}
AT_HAND = {
    "it must be there": ({NAME: ID}, asked("server")),
    "no registry is named": ({NAME: ID}, asked("auto")),
    "just what the builder has": ({NAME: ID}, asked("builder", id=ID)),
    "just this digest": (BOTH, asked("registry", digest=DIGEST)),
    "just this digest, auto": (BOTH, asked("auto", digest=PINNED)),
    "named by its digest": (BOTH, asked("auto", name=PINNED)),
}
TO_ASK = {
    "nothing has the name": ({}, asked("auto")),
    "nothing has the name, and the builder has it": ({}, asked("builder", id=ID)),
    "an older one has the name": ({NAME: OTHER}, asked("builder", id=ID)),
    "it is there by another name": ({"x:1": ID}, asked("builder", id=ID)),
    "the builder was not asked": ({NAME: ID}, asked("builder")),
    "the registry may have another": ({NAME: ID}, asked("registry")),
    "the name tells a registry": ({"registry.test/shop:1": ID}, asked("auto", name="registry.test/shop:1")),
    "another digest has the name": ({NAME: ID}, asked("auto", digest=DIGEST)),
    "the digest is there, the name is another's": ({NAME: OTHER, PINNED: ID}, asked("registry", digest=DIGEST)),
    "only its digest is asked for": ({NAME: ID}, asked("registry", state="resolved")),
}


@pytest.mark.parametrize("case", AT_HAND)
def test_what_is_at_hand_is_answered_as_the_server_would(case: str) -> None:
    """With the same words, and nothing is changed by it."""
    have, told = AT_HAND[case]
    assert spared(told, have) == had(told, Engine(have))
    assert spared(told, have)["changed"] is False


@pytest.mark.parametrize("case", TO_ASK)
def test_what_may_be_other_than_was_seen_is_asked_for(case: str) -> None:
    """The server, or the registry, says more."""
    have, told = TO_ASK[case]
    assert spared(told, have) is None


def test_what_a_server_cannot_run_is_not_at_hand() -> None:
    """It is asked, and refuses."""
    assert seen(NAME, Engine({NAME: ID}, made_for="linux/riscv64")) is None
    assert seen(NAME, Engine({NAME: ID}, made_for="linux/amd64")) is not None


def test_what_was_seen_of_another_image_says_nothing() -> None:
    """A job on several services has one for each."""
    assert at_hand({"name": "acme/api:1", "from": "server"}, seen(NAME, Engine({NAME: ID}))) is None
    assert at_hand({"name": NAME, "from": "server"}, {}) is None
