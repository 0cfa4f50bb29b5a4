"""A plan that is bound to the state that it was made on: when its hash changes, and what is said where it has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import approval, document, fleet, turns
from ansible_collections.stackswap.bluegreen.plugins.module_utils.asked import asked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Container, Observed, Placement, Release

TWO = Release("test.shop", "2", "sha256:2", Container("good"))
LIVE = Placement("one", "blue", healthy=True, approved=True, baked=True, policy="always")
SEEN = Observed(True, "blue", "blue", (LIVE,), ("one",), frozenset(), frozenset(), True)
DIGESTS = {"one": "sha256:1"}
PLAN = ["start shop 2 in green", "route to shop 2 in green: green.blue"]
JOB = {"id": "j", "kind": "deploy", "environment": "test", "service": "shop", "version": "2"}


def bound(seen: Observed = SEEN, release: Release = TWO, digests: Any = None, plan: Any = None) -> str:
    """The hash of one server's plan."""
    return approval.bound(seen, release, digests or DIGESTS, plan or PLAN)


def test_the_same_plan_on_the_same_state_has_the_same_hash() -> None:
    """Health that comes and goes, marks of approval and another job's mark of a restart are no other state."""
    shaken = SEEN.put(LIVE._replace(healthy=False, approved=False, baked=False))
    assert bound() == bound(shaken) == bound(release=replace(TWO, restart="abc123"))


OTHERS = {
    "another release is live": {"seen": SEEN._replace(placements=(LIVE._replace(release="zero"),))},
    "it is live in the other slot": {"seen": SEEN._replace(runtime="green", file="green")},
    "its image is another": {"digests": {"one": "sha256:77"}},
    "the image that is asked for is another": {"release": replace(TWO, digest="sha256:77")},
    "the settings are other": {"release": replace(TWO, port=9)},
    "something more has served": {"seen": SEEN._replace(served=("zero", "one"))},
    "the steps are other": {"plan": PLAN[:1]},
}


@pytest.mark.parametrize("case", OTHERS)
def test_it_changes_with_what_was_observed_and_with_what_is_planned(case: str) -> None:
    """Each alone."""
    assert bound(**OTHERS[case]) != bound()


def test_the_fleets_hash_names_the_servers_that_differ() -> None:
    """By the parts of it; where the servers are not the same ones, all of them."""
    plans = {"web1": "aaaa1111", "web2": "bbbb1111", "web3": "cccc1111"}
    told = approval.token(plans)
    assert approval.FORM.fullmatch(approval.token({"web1": bound()}))
    assert approval.differing(told, plans) == []
    assert approval.differing(told, {**plans, "web2": "dddd1111"}) == ["web2"]
    assert approval.differing(told, {**plans, "web2": "bbbb7777"}) == ["web1", "web2", "web3"]
    assert approval.differing(told, {"web1": "aaaa1111", "web2": "bbbb1111"}) == ["web1", "web2"]
    assert approval.differing(told, {**plans, "web4": "dddd1111"}) == [*plans, "web4"]


def planned(server: str, version: str = "1", digest: str = "sha256:1") -> dict[str, Any]:
    """What a server answers to a check."""
    now = {"release": "one", "version": version, "digest": digest, "slot": "blue"}
    report = {**fleet.blank("shop", "test", "settled"), "before": now, "serving": now, "check": True, "plan": PLAN}
    return {"stackswap": {**report, "plan_hash": bound(digests={"one": digest})}}


def gate(**results: Any) -> dict[str, Any]:
    """The gate after these answers."""
    return fleet.folded({}, results, "planned", 0)


def gates(**results: Any) -> dict[str, Any]:
    """The gates of a job on one service after these answers."""
    return turns.passed({}, {"run": "r1", "order": ["shop"]}, "shop", gate(**results))


def test_a_check_tells_the_steps_and_the_hash() -> None:
    """The steps once for servers that have the same."""
    report = document.report_of(gate(web1=planned("web1"), web2=planned("web2")), ["web1", "web2"], JOB, None)
    assert report["plan_hash"] == approval.token(dict.fromkeys(("web1", "web2"), bound()))
    assert f"\nweb1 web2:\n  {PLAN[0]}\n  {PLAN[1]}\n" in report["line"]
    assert report["line"].endswith(f"--expect {report['plan_hash']}")


def test_a_gate_that_expects_this_plan_lets_it_pass_and_no_other() -> None:
    """Shut, with the one server named that differs and how it is now."""
    before = gates(web1=planned("web1"), web2=planned("web2"))
    reports = before["services"]["shop"]["reports"]
    expected = approval.token({server: report["plan_hash"] for server, report in reports.items()})
    assert turns.approved(before, expected) == before and turns.approved(before, "") == before
    other = turns.approved(gates(web1=planned("web1"), web2=planned("web2", "1.1", "sha256:77")), expected)
    after = other["services"]["shop"]
    assert (after["shut"], after["bad"]) == (True, ["web2"])
    assert after["whys"]["web2"] == (
        "its plan is other than the one that was approved: 1.1 is live in blue, "
        "and to do is start shop 2 in green; route to shop 2 in green: green.blue"
    )


@pytest.mark.parametrize("wrong", ["yes", "3fa9c1d2e0ab", "3FA9C1D2E0AB-1b2c", 77])
def test_what_is_no_hash_is_refused(wrong: Any) -> None:
    """Else a deploy that was to be bound would be bound to nothing."""
    given = {"stackswap_service": "shop", "stackswap_services": {"shop": {"image": "shop"}}, "stackswap_expect": wrong}
    with pytest.raises(BadInput, match=r"stackswap_expect must be (the hash of a plan, as a check prints it|text)"):
        asked("deploy", {**given, "stackswap_environment": {"name": "test"}}, ["web1"], "/")
