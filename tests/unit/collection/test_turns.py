"""A job on several services: who has which turn, what keeps all of them back, and what people read of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import approval, fleet, turns
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput

SCHEMA = json.loads((Path(__file__).parents[3] / "collection" / "report.schema.json").read_text())
DEFINED = {"shop": {}, "api": {}, "mail": {}}


def ask(service: str, *servers: str, **more: Any) -> dict[str, Any]:
    """What preflight reads for one service."""
    told = {"kind": "deploy", "environment": "test", "id": "j1", "by": "ann", "version": "2", "promote": "yes"}
    return {**told, "expect": "", "before": [], "after": [], "service": service, "servers": list(servers), **more}


def job(*asks: dict[str, Any], run: str = "r1") -> dict[str, Any]:
    """The job for these."""
    return turns.opened(run, asks, ["a", "b", "c"])


TWO = job(ask("shop", "a", "b"), ask("api", "b"))


def said(service: str, serving: str = "1", before: str = "1", cause: str = "", **more: Any) -> dict[str, Any]:
    """What a call on a service registers."""
    told = [{"version": version, "release": f"r{version}", "slot": "blue"} for version in (before, serving)]
    failed = {"cause": cause, "what": f"it has {cause}", "serves": "", "kept": "", "next": ""} if cause else None
    report = {**fleet.blank(service, "test", "ready"), "before": told[0], "serving": told[1], "failed": failed, **more}
    return {"failed": bool(cause), "msg": f"it has {cause}", "stackswap": report}


def after(gates: dict[str, Any], service: str, rung: str, **results: Any) -> dict[str, Any]:
    """The gates after a service's turn at a rung."""
    known = turns.gate_of(gates, TWO, service)
    return turns.passed(gates, TWO, service, fleet.folded(known, results, rung, None if rung == "back" else 0))


# -- which services


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("shop", ["shop"]),
        ("shop,api", ["shop", "api"]),
        (" api , shop ", ["api", "shop"]),
        (["mail", "api"], ["mail", "api"]),
        ("all", ["shop", "api", "mail"]),
        ("", [""]),
        (None, [None]),
    ],
)
def test_services_are_one_or_some_or_all(given: Any, named: list[Any]) -> None:
    """In the order given; all of them in that of the inventory."""
    assert turns.names(given, DEFINED) == named


@pytest.mark.parametrize(
    ("given", "defined", "sentence"),
    [
        ("shop,,api", DEFINED, "nothing between two of its commas"),
        ("shop,", DEFINED, "nothing between two of its commas"),
        ("shop,api,shop", DEFINED, "stackswap_service has shop twice"),
        (["shop", ""], DEFINED, "nothing between"),
        ("shop", {"all": {}}, "all: that word means every service"),
    ],
)
def test_what_names_services_wrongly_is_refused(given: Any, defined: Any, sentence: str) -> None:
    """Before anything is asked of a server."""
    with pytest.raises(BadInput, match=sentence):
        turns.names(given, defined)


# -- who has which turn


def test_two_jobs_claim_the_same_services_in_the_same_order() -> None:
    """Else each would hold what the other waits for."""
    other = job(ask("api", "b"), ask("shop", "a", "b"))
    assert TWO["order"] == ["shop", "api"] and other["order"] == ["api", "shop"]
    assert TWO["claims"] == other["claims"] == ["api", "shop"]


def test_a_job_climbs_in_one_call_only_where_nobody_is_waited_for() -> None:
    """One service on one server, that is, and not one that waits to be promoted."""
    assert job(ask("shop", "a"))["alone"]
    assert not job(ask("shop", "a"), ask("api", "a"))["alone"]
    assert not job(ask("shop", "a", "b"))["alone"] and not job(ask("shop", "a", promote="no"))["alone"]


def test_every_service_has_its_first_wave_before_any_has_its_second() -> None:
    """A service on fewer servers is through earlier."""
    gates = after({}, "shop", "ready", a=said("shop"), b=said("shop"))
    gates = after(gates, "api", "ready", b=said("api"))
    told = [(wave["service"], wave["servers"]) for wave in turns.waved(gates, TWO, [1, "100%"])]
    assert told == [("shop", ["a"]), ("api", ["b"]), ("shop", ["b"])]


@pytest.mark.parametrize(
    "asks",
    [
        pytest.param({"check": True}, id="it is only foreseen"),
        pytest.param({"promote": "no"}, id="it ends at ready"),
        pytest.param({"servers": ["a"]}, id="one server climbs in one call"),
    ],
)
def test_where_nobody_goes_live_by_itself_the_first_wave_has_no_servers(asks: dict[str, Any]) -> None:
    """It is there all the same: the story reads it before it knows."""
    servers, promote = asks.get("servers", ["a", "b"]), asks.get("promote", "yes")
    one = turns.opened("r1", [ask("shop", *servers, promote=promote)], ["a", "b"], asks.get("check", False))
    assert turns.waved({}, one, ["100%"]) == [{"service": "shop", "servers": []}]


# -- their gates


def test_a_gate_of_an_earlier_run_counts_for_nothing() -> None:
    """Two plays of one run may deploy the same service; what the first left is not the second's."""
    gates = after({}, "shop", "ready", a=said("shop"))
    assert turns.gate_of(gates, TWO, "shop")["bad"] == []
    assert turns.gate_of(gates, {**TWO, "run": "r2"}, "shop") == {} == turns.gate_of({}, TWO, "shop")


def test_what_was_built_and_fetched_for_a_service_stays_known_to_its_later_turns() -> None:
    """Each service has its own."""
    gate = fleet.folded({}, {"a": {"image": {"id": "sha256:1"}}}, "fetched", 0)
    gates = turns.passed({}, TWO, "shop", {**gate, "built": {"image": {"name": "shop:2"}}})
    gates = after(gates, "api", "fetched", b={"image": {"id": "sha256:2"}})
    gates = after(gates, "shop", "ready", a=said("shop"))
    shop, api = (turns.gate_of(gates, TWO, name) for name in TWO["order"])
    assert (shop["images"], api["images"]) == ({"a": {"id": "sha256:1"}}, {"b": {"id": "sha256:2"}})
    assert (shop["built"], api["built"]) == ({"image": {"name": "shop:2"}}, {})


def test_who_is_bad_for_one_service_is_bad_for_the_job() -> None:
    """The tasks before a deploy leave such a server out."""
    gates = after(after({}, "shop", "claimed", a=said("shop")), "api", "claimed", b=said("api", cause="no_space"))
    assert gates["bad"] == ["b"]


def test_a_plan_of_any_service_that_is_other_than_approved_shuts_its_gate() -> None:
    """The hash is of all plans together; the one that differs is named."""
    told = {"check": True, "plan": ["route"], "plan_hash": "aaaa1111"}
    gates = after({}, "shop", "planned", a=said("shop", **told), b=said("shop", **told))
    gates = after(gates, "api", "planned", b=said("api", **told))
    report = turns.report_of(gates, TWO)
    places = ("shop/a", "shop/b", "api/b")
    assert report["plan_hash"] == approval.token(dict.fromkeys(places, "aaaa1111"))
    assert report["line"].count("--expect") == 1 and report["line"].endswith(report["plan_hash"])
    assert turns.approved(gates, report["plan_hash"]) == gates == turns.approved(gates, "")
    gates = after(gates, "api", "planned", b=said("api", **{**told, "plan_hash": "bbbb2222"}))
    other = turns.approved(gates, report["plan_hash"])["services"]
    assert (other["shop"]["shut"], other["api"]["shut"], other["api"]["bad"]) == (False, True, ["b"])


# -- what the job came to


def test_a_service_that_goes_back_with_another_says_so() -> None:
    """The one that failed has its own reason; the last lines name both."""
    gates = after({}, "shop", "ready", a=said("shop"), b=said("shop"))
    gates = after(gates, "api", "ready", b=said("api", cause="exited"))
    gates = after(gates, "api", "back", b=said("api"))
    assert turns.taken_along(gates, TWO, "api") == ""
    why = turns.taken_along(gates, TWO, "shop")
    gate = {**turns.gate_of(gates, TWO, "shop"), "whys": dict.fromkeys("ab", why), "along": True}
    assert turns.taken_along(turns.passed(gates, TWO, "shop", gate), TWO, "api") == "", "it is not the other's fault"
    report = turns.report_of(turns.passed(gates, TWO, "shop", gate), TWO)
    jsonschema.validate(report, SCHEMA)
    assert (report["status"], report["outcome"], turns.came_to(gates, TWO)) == ("failed", "unchanged", "failed")
    assert report["answers"]["a"] == f"shop: {why}" and report["answers"]["b"] == f"shop: {why}\napi: it has exited"
    first, second = report["line"].splitlines()
    assert first.startswith("shop NOT switched: api failed, and the services of a job switch together")
    assert second == "api NOT switched: b: it has exited. Users get 1 everywhere."


def test_a_job_that_went_well_has_a_line_for_each_service() -> None:
    """And one outcome; live only where all are."""
    gates = after({}, "shop", "settled", a=said("shop", "2"), b=said("shop", "2"))
    assert turns.came_to(gates, TWO) == "failed", "the other has had no turn"
    gates = after(gates, "api", "settled", b=said("api", "2"))
    report = turns.report_of(gates, TWO)
    jsonschema.validate(report, SCHEMA)
    assert (report["status"], report["outcome"], turns.came_to(gates, TWO)) == ("successful", "new", "live")
    assert report["line"].splitlines() == ["shop 2 serves on a b; was 1.", "api 2 serves on b; was 1."]
    back = after(gates, "api", "back", b=said("api", "1", steps=[{"verb": "route", "did": "routed"}]))
    assert turns.came_to(back, TWO) == "back"
