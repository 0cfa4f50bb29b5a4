"""The fleet's decisions, without a fleet: who is bad, who stays, who agrees, and what people read."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import agreement, asked, document, fleet
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput

AWAY = {"unreachable": True, "msg": "no route to host"}
JOB = {"id": "j1", "kind": "deploy", "environment": "test", "service": "shop", "version": "1.1"}


def said(serving: str = "1.0", before: str = "1.0", cause: str = "", steps: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a module call registers."""
    told = [{"version": version, "release": f"r{version}"} if version else None for version in (before, serving)]
    failed = {"cause": cause, "what": f"it has {cause}"} if cause else None
    report = {"before": told[0], "serving": told[1], "failed": failed, "steps": [{"verb": one} for one in steps]}
    return {"failed": bool(cause), "msg": f"it has {cause}", "stackswap": {**report, "changed": bool(steps)}}


def told(gate: dict[str, Any], *servers: str, **job: str) -> dict[str, Any]:
    """The document of a job that ended so."""
    return document.report_of(gate, servers, {**JOB, **job}, None)


# -- the budget


@pytest.mark.parametrize("cause", ["claimed", "held", "superseded"])
def test_a_server_of_another_job_is_in_no_budget(cause: str) -> None:
    """One job deploys everywhere, or nowhere."""
    assert fleet.folded({}, {"a": said(), "b": said(cause=cause)}, "claimed", 9)["shut"]
    assert not fleet.folded({}, {"a": said(), "b": said(cause="no_space")}, "ready", 1)["shut"]


def test_the_budget_counts_over_all_waves_who_failed_who_went_back_and_who_is_silent() -> None:
    """One of each in three waves is two too many."""
    first = fleet.folded({}, {"a": said(cause="bake_failed", steps=("route", "route"))}, "live", 1)
    second = fleet.folded(first, {"b": said("1.1")}, "live", 1)
    third = fleet.folded(second, {"c": AWAY}, "live", 1)
    assert (first["shut"], second["shut"], third["shut"], third["bad"]) == (False, False, True, ["a", "c"])


def test_a_server_that_was_not_claimed_is_bad() -> None:
    """Whatever else it said: no job goes on there."""
    gate = fleet.folded({}, {"a": said(), "b": {"changed": False, "unclaimed": True}}, "claimed", 0)
    assert (gate["shut"], gate["bad"], gate["whys"]) == (True, ["b"], {"b": "nothing was heard of it at claimed"})


def test_a_server_is_held_only_where_it_is_live_and_that_was_asked_for() -> None:
    """Who failed, and who was only made ready, goes back."""
    ready = fleet.folded({}, dict.fromkeys("abc", said()), "ready", 0)
    live = fleet.folded(ready, {"a": said("1.1"), "b": {"skipped": True}}, "live", 0)
    shut = fleet.folded(live, {"b": said(cause="bake_failed")}, "live", 0)
    assert fleet.folded(shut, {}, "failed", None, on_fail="hold")["held"] == ["a"]
    assert fleet.folded(shut, {}, "failed", None, on_fail="back")["held"] == []


def test_a_call_that_could_not_look_leaves_what_serves_as_it_was_known() -> None:
    """As where the engine is gone in the middle of a job: nothing is said to have gone, for nobody has seen it go."""
    known = {**fleet.blank("shop", "test", "ready"), "before": {"version": "1.0"}, "serving": {"version": "1.0"}}
    refused = fleet.refused("shop", "test", "live", "j1", "engine_unreachable", "no engine answers")
    made = fleet.merged(known, refused)
    assert made["serving"] == {"version": "1.0"} and made["failed"]["cause"] == "engine_unreachable"
    gone = {**refused, "before": {"version": "1.0"}}
    assert fleet.merged(known, gone)["serving"] is None, "one that has looked is believed"


def test_who_fails_to_settle_is_not_taken_back_from_what_the_others_have() -> None:
    """It is live; who failed before that is another matter."""
    live = fleet.folded({}, {"a": said("1.1"), "b": said("1.1"), "c": said(cause="bake_failed")}, "live", 1)
    settled = fleet.folded(live, {"a": said("1.1"), "b": AWAY, "c": {"skipped": True}}, "settled", None)
    assert (settled["bad"], settled["held"]) == (["b", "c"], ["b"])


@pytest.mark.parametrize("sizes", [["1", "50%"], [1, "50%"], "1,50%", " 1 , 50% "])
def test_waves_are_written_as_a_list_or_as_a_text(sizes: Any) -> None:
    """A survey knows text alone."""
    assert fleet.waves("abcde", sizes) == [["a"], ["b", "c", "d"], ["e"]]
    assert fleet.waves("ab", 1) == [["a"], ["b"]] and fleet.waves("ab", []) == [["a", "b"]]


# -- what users got


@pytest.mark.parametrize("rung", ["claimed", "fetched", "called", "ready"])
def test_nothing_changed_where_nobody_was_asked_to_switch(rung: str) -> None:
    """Also for a server that was never heard."""
    gate = fleet.folded({}, {"a": said(), "b": AWAY}, rung, 0)
    report = told(fleet.folded(gate, {"a": said(), "b": AWAY}, "back", None), "a", "b")
    assert (report["outcome"], report["status"]) == ("unchanged", "failed")
    assert report["line"] == (
        f"NOT switched: b: unreachable at {rung}: no route to host."
        " Users get 1.0 on a, as before. Nothing was changed on b."
    )


def test_what_a_server_serves_that_was_to_switch_and_is_silent_is_not_known() -> None:
    """It may be either."""
    gate = fleet.folded({}, {"a": said(), "b": said()}, "ready", 0)
    report = told(fleet.folded(gate, {"a": said("1.1"), "b": AWAY}, "live", None), "a", "b")
    assert report["services"]["shop"]["servers"]["b"]["outcome"] == "unknown"
    assert report["line"] == "UNKNOWN: b: unreachable at live: no route to host. a: 1.1, b: unknown."


def test_a_mixed_stack_is_named_server_by_server_with_both_ways_out() -> None:
    """In the last line."""
    gate = fleet.folded({}, {"a": said("1.1"), "b": said(cause="bake_failed")}, "live", 0)
    assert told(gate, "a", "b")["line"] == (
        "MIXED: b: it has bake_failed. a: 1.1, b: 1.0."
        " Finish: stackswap deploy shop 1.1; or back: stackswap rollback shop 1.0"
    )


@pytest.mark.parametrize(("took", "way"), [((7.4, 12.6), " (tried: 13 ms)"), ((7.4, None), ""), ((None, None), "")])
def test_a_way_back_that_was_tried_everywhere_is_told_with_its_time(took: tuple[float | None, ...], way: str) -> None:
    """The longest of all servers."""
    results = {name: said("1.1") for name in "ab"}
    for one, ms in zip(results.values(), took, strict=True):
        one["stackswap"].update(previous={"version": "1.0"}, figures={} if ms is None else {"drill_ms": ms})
    report = told(fleet.folded({}, results, "settled", None), "a", "b")
    assert report["line"] == f"shop 1.1 serves on a b; was 1.0, kept. Back: stackswap rollback shop{way}"


def test_servers_that_are_made_one_again_are_not_mixed() -> None:
    """Those that had the version are joined; those that went back are with those that never left."""
    joined = fleet.folded({}, {"a": said("1.1", "1.1"), "b": said("1.1")}, "settled", None)
    assert told(joined, "a", "b")["outcome"] == "new"
    returned = fleet.folded({}, {"a": said(steps=("route", "route")), "b": said(cause="no_space")}, "live", 0)
    assert told(returned, "a", "b")["outcome"] == "back"
    assert told(returned, "a", "b")["line"].endswith(" Users get 1.0 everywhere.")


def test_what_failed_for_all_is_no_servers_own() -> None:
    """No server is named before it."""
    gate = fleet.folded({}, {"a": said(), "b": said()}, "claimed", 0)
    line = told({**gate, "whys": dict.fromkeys("ab", "no such luck")}, "a", "b")["line"]
    assert line == "NOT switched: no such luck. Users get 1.0 everywhere."


# -- servers that differ


@pytest.mark.parametrize(
    ("kind", "version", "why"),
    [
        ("deploy", "1.2", "the servers differ: 1.1 on a, 1.0 on b c"),
        ("build-and-deploy", "1.2", "the servers differ: 1.1 on a, 1.0 on b c"),
        ("deploy", "", "the servers differ"),
        ("deploy", "1.1", ""),
        ("deploy", "1.0", ""),
        ("rollback", "1.0", ""),
        ("restart", "", ""),
    ],
)
def test_servers_that_differ_are_first_made_one(kind: str, version: str, why: str) -> None:
    """By a job for a version that some of them serve."""
    reports = {name: said(version)["stackswap"] for name, version in {"a": "1.1", "b": "1.0", "c": "1.0"}.items()}
    found = agreement.refusal(reports, {**JOB, "kind": kind, "version": version})
    assert found.startswith(why) and bool(found) == bool(why)


def test_a_rollback_goes_to_one_version() -> None:
    """Where the one before is not the same everywhere, it has to be named."""
    reports = {"a": {**said("1.2")["stackswap"], "asked": {"version": "1.1"}}}
    reports["b"] = {**said("1.2")["stackswap"], "asked": {"version": "1.0"}}
    job = {**JOB, "kind": "rollback", "version": ""}
    assert agreement.refusal(reports, job).startswith("a rollback would go to 1.1 on a, 1.0 on b")
    assert not agreement.refusal({"a": reports["a"]}, job)
    assert not agreement.refusal(reports, {**job, "version": "1.0"})


def test_a_server_that_serves_nothing_yet_joins_any_version() -> None:
    """It is new, or was replaced."""
    assert not agreement.refusal({"a": said()["stackswap"], "b": said("", "")["stackswap"]}, JOB)


def test_servers_that_a_limit_leaves_out_are_named_where_they_will_differ() -> None:
    """The same version is no news."""
    others = {
        "c": {"serving": {"version": "1.0"}},
        "d": {"serving": {"version": "1.1"}},
        "e": {},
        "f": {"serving": None},
    }
    assert agreement.parted(others, {}, JOB) == [
        "c is left out of this run and serves 1.0, not 1.1",
        "e is left out of this run and serves an unknown version, not 1.1",
        "f is left out of this run and serves nothing, not 1.1",
    ]


# -- the inventory


def test_the_main_server_is_the_first_or_the_one_that_is_chosen() -> None:
    """One that is no server of the stack is refused."""
    given = {"stackswap_service": "shop", "stackswap_services": {"shop": {"image": "shop"}}, "stackswap_version": "1"}
    given["stackswap_environment"] = {"name": "test"}
    for chosen, main in (({}, "a"), ({"stackswap_main": ""}, "a"), ({"stackswap_main": "b"}, "b")):
        assert asked.asked("deploy", {**given, **chosen}, ["a", "b"], "/")["main"] == main
    with pytest.raises(BadInput, match="stackswap_main is c, which is no server of the stack: a b"):
        asked.asked("deploy", {**given, "stackswap_main": "c"}, ["a", "b"], "/")


def test_one_server_under_two_names_is_refused() -> None:
    """By its address and port; two ports of one address are two servers."""
    agreement.refuse_twice({"a": ("192.0.2.1", 22), "b": ("192.0.2.1", 2222)})
    with pytest.raises(BadInput, match=r"a and b are one server, 192\.0\.2\.1 port 22: keep one name"):
        agreement.refuse_twice({"a": ("192.0.2.1", 22), "b": ("192.0.2.1", 22)})
