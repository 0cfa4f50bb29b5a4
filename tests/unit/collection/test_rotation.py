"""After secrets were rotated: with which a rollback runs, and how that and what a build has kept are told."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import document, fleet, service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.asked import asked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.choose import choose, secrets_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, run
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import FILE, Image, Release
from ansible_collections.stackswap.bluegreen.plugins.module_utils.module import said
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import Definition
from tests.lab.fake import App, FakeServer

SERVICE = {
    "image": "good",
    "routes": [{"host": "shop.test"}],
    "health": {"path": "/health", "deadline": 10, "min_healthy_time": 1},
    "bake": 1,
}
PARAMS: dict[str, Any] = {"version": None, "image": None, "release": None, "rollback": True, "state": "settled"}


def wanted(text: str = "", **attached: Any) -> Definition:
    """The shop with secrets of both kinds that hold this text, and an attached database's password."""
    kinds = {"secrets": {"KEY": text}, "secret_files": {"key": text}, "attach": ["mysql"]} if text else {}
    known = {"mysql": {"host": "db.test", "password": text}} if text else None
    return service.equipped(service.parse("shop", {"shop": {**SERVICE, **kinds}}, {"name": "test"}), None, known)


class Site:
    """A server in memory that a shop is deployed to."""

    def __init__(self) -> None:
        self.server = FakeServer(good=App())
        self.fx = self.server.effects()

    def deploy(self, version: str, text: str) -> None:
        """One call for this version with these secrets."""
        definition = wanted(text)
        seal, image = self.fx.records.seal(definition.container.sealed), Image("good")
        self.run(definition, service.release_of(definition, version, image, f"sha256:{version}", seal))

    def back(self, text: str, name: str = "") -> Release:
        """One call to go back, where secrets are these by now; what it went back to."""
        definition = wanted(text)
        release = choose(self.fx, definition, {**PARAMS, "release": name})
        assert release
        self.run(definition, release, back=True)
        return release

    def run(self, definition: Definition, release: Release, back: bool = False) -> None:
        """It must succeed."""
        result = run(self.fx, definition.service, release, Order("settled", back=back))
        assert result.error is None, result.error

    def drop(self, version: str) -> None:
        """Remove a kept container by hand."""
        boxes = self.server.engine.boxes
        (gone,) = [id for id, box in boxes.items() if box.replica().version == version]
        del boxes[gone]


@pytest.fixture
def site() -> Site:
    """One on which secrets were rotated with the second version."""
    made = Site()
    made.deploy("1", "then")
    made.deploy("2", "now")
    return made


ALL = {"KEY", "ARTIFAKT_MYSQL_PASSWORD", f"{FILE}key"}


@pytest.mark.parametrize(
    ("given", "kept", "text", "word"),
    [
        ("now", True, "then", "then"),
        ("", True, "then", "then"),
        ("then", True, "then", "now"),
        ("now", False, "now", "now"),
        ("then", False, "then", "now"),
    ],
    ids=["rotated", "given no more", "rotated back", "rotated and not kept", "not kept"],
)
def test_a_rollback_has_the_secrets_of_then_while_containers_stand(
    site: Site, given: str, kept: bool, text: str, word: str
) -> None:
    """Of all kinds alike."""
    if not kept:
        site.drop("1")
    release = site.back(given)
    assert release.version == "1" and release.container.sealed == dict.fromkeys(ALL, text)
    assert secrets_of(site.fx, wanted(given), release) == word


def test_what_neither_stands_nor_is_given_is_refused_by_name(site: Site) -> None:
    """A rollback that would start without a password is none."""
    site.drop("1")
    with pytest.raises(BadInput, match=r"release 1 had secrets that are not given now: .*KEY"):
        site.back("")


def test_a_release_that_is_made_anew_is_known_by_its_name_in_every_call_of_the_job(site: Site) -> None:
    """The first call names it as it will be, before it is there."""
    site.drop("1")
    first = choose(site.fx, wanted("now"), {**PARAMS, "state": "claimed"})
    assert first
    for _ in range(2):
        assert site.back("now", first.name).name == first.name


def test_a_release_without_secrets_has_none_to_tell_of() -> None:
    """Neither of then nor of now."""
    fx: Any = SimpleNamespace(records=SimpleNamespace(seal=lambda values: "5ea1"))
    release = service.release_of(wanted(), "1", Image("good"), "sha256:1")
    assert secrets_of(fx, wanted("now"), release) == "none"


# -- how it is told

REPORT = {"service": "shop", "serving": {"version": "1", "slot": "blue"}, "asked": None, "changed": True}


@pytest.mark.parametrize("check", [False, True])
def test_the_message_ends_with_whose_secrets_and_with_the_notes(check: bool) -> None:
    """Nothing is told of what is not so."""
    report = {**REPORT, "check": check, "plan": ["start"], "rung": "settled"}
    assert said({**report, "secrets": "then"}).endswith("; it has the secrets of then")
    assert said({**report, "notes": ["A was other"]}).endswith("; A was other")
    assert "secret" not in said(report) + said({**report, "secrets": "none"})


def line(**servers: Any) -> str:
    """The last line of a job in which these servers served."""
    told = {"before": {"release": "b", "version": "2"}, "serving": {"release": "a", "version": "1"}, "changed": True}
    gate = {"reports": {name: {**told, "steps": [], **more} for name, more in servers.items()}, "whys": {}}
    job = {"id": "1", "kind": "rollback", "environment": "test", "service": "shop"}
    return str(document.report_of(gate, list(servers), job, None)["line"])


def test_the_last_line_says_whose_secrets_and_what_is_to_be_known() -> None:
    """Once for all servers, or for each where they differ."""
    then, now, note = {"secrets": "then"}, {"secrets": "now"}, {"notes": ["A was other"]}
    assert line(web1=then, web2=then).endswith(" It has the secrets of then.")
    assert line(web1=then, web2=now).endswith(" It has the secrets of now on web2, of then on web1.")
    assert line(web1=note, web2=note).endswith(" A was other.") and line(web1=note, web2=note).count("A was other") == 1
    assert "secret" not in line(web1={"secrets": "none"}, web2={})


def test_what_a_build_and_a_fetch_tell_is_in_the_report_and_in_the_last_line() -> None:
    """Of a job that built alone, of one that deployed, and of one that failed; a server's own under its name."""
    whole = {"changed": True, "notes": ["the whole image was sent"]}
    gate = fleet.folded({}, {"web1": whole, "web2": {"changed": False}}, "fetched", 0)
    gate = fleet.folded(gate, {"web1": {"changed": True}, "web2": {}}, "ready", None)
    job = {"id": "1", "kind": "build", "environment": "test", "service": "shop", "version": "1"}
    report = document.report_of(gate, ["web1", "web2"], job, {"name": "shop:1"}, ["2 files differ"])
    assert report["services"]["shop"]["notes"] == ["2 files differ", "web1: the whole image was sent"]
    for kind, whys in (("build", {}), ("deploy", {}), ("deploy", {"web1": "no"})):
        told = document.report_of({**gate, "whys": whys}, ["web1"], {**job, "kind": kind}, None, ["2 files differ"])
        assert told["line"].endswith(". 2 files differ. web1: the whole image was sent.")
    assert "notes" not in document.report_of({}, [], job, {"name": "shop:1"})["services"]["shop"]


# -- what a job is asked

DB = {"db": {"kind": "es", "host": "es.test"}}
GIVEN = {
    "stackswap_service": "shop",
    "stackswap_services": {"shop": {**SERVICE, "source": {"path": "app"}, "attach": ["db"], "secrets": {"KEY": "s"}}},
    "stackswap_environment": {"name": "test"},
    "stackswap_version": "1",
}


@pytest.mark.parametrize("kind", ["deploy", "build-and-deploy", "rollback"])
@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({}, r"shop\.attach\[0\] db is not a known attached service: stackswap_attached has none"),
        ({"stackswap_attached": {"dbs": {"host": "a"}}}, r"db is not .* did you mean dbs\?"),
        ({"stackswap_attached": DB, "stackswap_env": {"KEY": "x"}}, r"KEY is in stackswap_env too"),
        ({"stackswap_attached": DB, "stackswap_env": {"A": 1}}, r"stackswap_env\.A must be text"),
    ],
)
def test_a_job_is_refused_before_any_server_is_touched(kind: str, more: Any, sentence: str) -> None:
    """For what it would tell the application."""
    with pytest.raises(BadInput, match=sentence):
        asked(kind, {**GIVEN, **more}, ["web1"], "/")


def test_a_build_needs_no_attached_service() -> None:
    """There is none in a build."""
    assert asked("build", GIVEN, ["web1"], "/")["service"] == "shop"


def test_a_build_is_told_nothing_of_what_is_attached() -> None:
    """So it is not compared with what build.sh saw, unless the service says it itself."""
    known = {"mysql": {"host": "db.test", "password": "p"}}
    given = {**SERVICE, "attach": ["mysql"], "env": {"A": "1", "ARTIFAKT_MYSQL_PORT": "1"}}
    found = service.equipped(service.parse("shop", {"shop": given}, {"name": "test"}), {"B": "2"}, known)
    assert service.own_env(found) == {"A": "1", "B": "2", "ARTIFAKT_MYSQL_PORT": "1"}
    assert service.own_env(replace(found, attached_env=())).keys() > {"ARTIFAKT_MYSQL_HOST"}


def test_what_is_to_be_discarded_has_to_be_named() -> None:
    """The version of what is live is no default for its end; the whole service is another module's affair."""
    fx = FakeServer(good=App()).effects()
    with pytest.raises(BadInput, match=r"name the version that is to go; .*: stackswap remove shop"):
        choose(fx, wanted("now"), {**PARAMS, "rollback": False, "state": "absent"})
