"""The planner's tables: what is found on a server, and the steps that it leads to.

A server is written short: `map[/file] | slot:release:what ... | served | rejected`. What is there of a release: ``up``
(runs, awaited, healthy, kept), ``hot`` (the same, watched too), ``tried`` and ``trying`` (its drill is done or begun),
``sick`` (was awaited, not healthy now), ``new``
(runs, not awaited), ``made`` (not started), ``off`` (stopped, kept for a way back), ``half`` (some replicas run),
``ending`` (a stop was begun). Steps are written ``verb release``, or ``verb value`` where a map value is written.
"""

from __future__ import annotations

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    ALWAYS,
    BEGUN,
    BLUE,
    DONE,
    GREEN,
    NO,
    Observed,
    Placement,
    Step,
)

BOTH = frozenset((BLUE, GREEN))
KEPT = {"policy": ALWAYS}
WHAT = {
    "up": {"healthy": True, "approved": True, **KEPT},
    "hot": {"healthy": True, "approved": True, "baked": True, **KEPT},
    "tried": {"healthy": True, "approved": True, "baked": True, "drill": DONE, **KEPT},
    "trying": {"healthy": True, "approved": True, "baked": True, "drill": BEGUN, **KEPT},
    "ready": {"healthy": True, "approved": True},
    "sick": {"approved": True, **KEPT},
    "new": {},
    "made": {"running": "none", "fresh": True},
    "off": {"running": "none"},
    "half": {"running": "some"},
    "ending": {"running": "some", "stopping": True},
}


def server(text: str) -> Observed:
    """The server that is written so; what is left out at the end is empty."""
    values, placed, served, rejected = ([part.strip() for part in text.split("|")] + [""] * 4)[:4]
    runtime, _slash, file = values.partition("/")
    if runtime == "bare":
        return Observed(fits=BOTH)
    placements = tuple(placement(*word.split(":")) for word in placed.split())
    return Observed(
        True, runtime, file or runtime, placements, tuple(served.split()), frozenset(rejected.split()), BOTH, True
    )


def placement(slot: str, release: str, what: str) -> Placement:
    """What is there of a release in a slot."""
    return Placement(release, slot, **{"policy": NO, **WHAT[what]})


def short(step: Step) -> str:
    """The step as the tables write it."""
    shown = step.value if step.verb in ("route", "fence", "share") else step.release
    return f"{step.verb} {shown} {step.value if step.verb == 'watch' else ''}".strip()


# A whole climb into green, the same into blue, a way back into blue; and how p is taken out of service.
INTO_GREEN = "start t, await t, keep t, route green.blue, confirm t, watch t, fence green"
INTO_BLUE = "start t, await t, keep t, route blue.green, confirm t, watch t, fence blue"
BACK = "start p, await p, keep p, route blue.green, confirm p, reject t, watch p, fence blue"
OUT = "keep p, drain p, stop p"

DEPLOYS = {
    "a first deploy goes the whole ladder": (
        "bare",
        "register t, start t, await t, open t, keep t, route blue, confirm t",
    ),
    "a swap watches the new beside the old, then stops the old and keeps it": (
        "blue | blue:p:hot | p",
        f"{INTO_GREEN}, {OUT}",
    ),
    "a swap discards what is older than the way back": (
        "green | blue:q:off green:p:hot | q p",
        f"{INTO_BLUE}, {OUT}, discard q",
    ),
    "the same again is only confirmed": (
        "blue | blue:t:hot | t",
        "confirm t",
    ),
    "a door that differs is opened and nothing restarted": (
        "blue | blue:t:hot | t",
        "open t, confirm t",
    ),
    "a live release that is sick heals in the other slot": (
        "blue | blue:t:sick | t",
        f"{INTO_GREEN}, keep t, drain t, stop t, discard t",
    ),
    "the release in its bake is watched to the end and settled": (
        "green.blue | blue:p:hot green:t:up | p t",
        f"confirm t, watch t, fence green, {OUT}",
    ),
    "the backup, asked for in another's bake, takes the traffic back": (
        "green.blue | blue:t:hot green:p:up | t p",
        f"route blue.green, confirm t, fence blue, {OUT}",
    ),
    "a third release, asked for in a bake, has the bake ended first (R7)": (
        "green.blue | blue:q:hot green:p:up | q p",
        f"watch p, fence green, keep q, drain q, stop q, {INTO_BLUE}, {OUT}, discard q",
    ),
    "a drain that was cut off is finished (R7)": (
        "green | blue:p:hot green:t:hot | p t",
        f"confirm t, {OUT}",
    ),
    "a file that is behind the runtime is written to the runtime's value (R3)": (
        "green/blue | blue:p:hot green:t:hot | p t",
        f"route green, confirm t, {OUT}",
    ),
    "a runtime that names nobody healthy gives way to the file (R3)": (
        "green/blue | blue:t:hot green:p:off | p t",
        "route blue, confirm t",
    ),
    "a value that does not parse is mended by health (R3)": (
        "mauve/blue | blue:t:hot | t",
        "route blue, confirm t",
    ),
    "a confirmation that was cut off is made up for": (
        "green.blue | blue:q:hot green:t:up | q",
        "confirm t, watch t, fence green, keep q, drain q, stop q",
    ),
    "a candidate that was only made is started (R6)": (
        "blue | blue:p:hot green:t:made | p",
        f"{INTO_GREEN}, {OUT}",
    ),
    "a candidate of which some replicas run is completed (R6)": (
        "blue | blue:p:hot green:t:half | p",
        f"{INTO_GREEN}, {OUT}",
    ),
    "a candidate that turned sick is made anew (R6)": (
        "blue | blue:p:hot green:t:sick | p",
        f"keep t, discard t, {INTO_GREEN}, {OUT}",
    ),
    "a candidate that failed before is made anew (R6)": (
        "blue | blue:p:hot green:t:off | p",
        f"discard t, {INTO_GREEN}, {OUT}",
    ),
    "a stop that was begun is finished before it is started again (R6)": (
        "blue | blue:p:hot green:t:ending | t p",
        f"drain t, stop t, {INTO_GREEN}, {OUT}",
    ),
    "another's candidate is stopped to make room": (
        "blue | blue:p:hot green:q:ready | p",
        f"drain q, stop q, {INTO_GREEN}, {OUT}, discard q",
    ),
    "a rejected release that is asked for again is awaited anew and made anew": (
        "blue | blue:p:hot green:t:off | t p | t",
        f"discard t, {INTO_GREEN}, {OUT}",
    ),
    "a rejected live release beside a healthy backup gives way first": (
        "green.blue | blue:p:hot green:q:up | p q | q",
        f"route blue, confirm p, keep q, drain q, stop q, {INTO_GREEN}, {OUT}, discard q",
    ),
}


NOW = {
    "another release's bake is not waited for, its drain is, and the release's own bake too": (
        "green.blue | blue:q:hot green:p:up | q p",
        f"fence green, keep q, drain q, stop q, {INTO_BLUE}, {OUT}, discard q",
    ),
    "the release's own bake is no less watched": ("blue | blue:p:hot | p", f"{INTO_GREEN}, {OUT}"),
    "one that is under way is watched to its end": (
        "green.blue | blue:p:hot green:t:up | p t",
        f"confirm t, watch t, fence green, {OUT}",
    ),
}


ROLLBACKS = {
    "back to the kept release starts it warm, rejects the one it replaces and keeps that for a look": (
        "green | blue:p:off green:t:hot | p t",
        f"{BACK}, keep t, drain t, stop t",
    ),
    "back to a release that stopped in the live slot makes another in the other": (
        "green | green:p:off green:t:hot | p t",
        f"{BACK}, keep t, drain t, stop t, discard p",
    ),
    "back in a bake flips at once, and rejects": (
        "green.blue | blue:p:hot green:t:up | p t",
        "route blue.green, confirm p, reject t, fence blue, keep t, drain t, stop t",
    ),
    "back to what serves already is a look": ("blue | blue:p:hot | p", "confirm p"),
}


RETREATS = {
    "before anything is registered there is nothing to take back": ("bare", ""),
    "a candidate is stopped and kept, and the live release is left alone": (
        "blue | blue:p:hot green:t:new | p",
        "drain t, stop t",
    ),
    "a candidate that ended by itself is left as it lies": ("blue | blue:p:hot green:t:off | p", ""),
    "out of a bake the word is written, then the traffic goes back": (
        "green.blue | blue:p:hot green:t:up | p t",
        "reject t, route blue, confirm p, keep t, drain t, stop t",
    ),
    "a live release whose backup is dead stays": ("green.blue | blue:p:off green:t:up | p t", ""),
    "a live release without a backup stays": ("green | blue:p:off green:t:hot | p t", ""),
    "the last healthy release that has served is never stopped": (
        "blue | blue:p:sick green:t:up | p t",
        "",
    ),
}


TRUTHS = {
    "runtime and file agree on a healthy slot": ("blue | blue:p:hot | p", "blue"),
    "the runtime's value, if its primary is healthy": ("green/blue | blue:q:hot green:p:hot | q p", "green"),
    "else the file's": ("green/blue | blue:q:hot green:p:sick | q p", "blue"),
    "of a bake whose live release is sick, the backup": ("green.blue | blue:q:hot green:p:sick | q p", "blue"),
    "else a healthy one in the other slot that has served": ("green | blue:q:hot green:p:sick | q p", "blue"),
    "never one that has not served": ("green | blue:q:ready green:p:sick | p", "green"),
    "never one that was rejected": ("green | blue:q:hot green:p:sick | q p | q", "green"),
    "never one whose stop was begun": ("green | blue:q:ending green:p:sick | q p", "green"),
    "never the one that is asked for: it goes by the gate": ("green | blue:t:hot green:p:sick | t p", "green"),
    "nobody healthy: left alone": ("green.blue | blue:q:off green:p:sick | q p", "green.blue"),
    "a value that does not parse counts as sick": ("mauve/blue | blue:p:hot | p", "blue"),
    "nothing that parses: nobody": ("mauve/mauve | blue:p:off | p", "none"),
}


def steps(plan: planner.Plan) -> list[str]:
    """A plan as the tables write it."""
    return [short(step) for step in plan]


def wanted(text: str) -> list[str]:
    """The steps of a table's line."""
    return [step for step in text.split(", ") if step]


@pytest.mark.parametrize("case", DEPLOYS)
def test_deploying(case: str) -> None:
    """To settle t, from what is found."""
    found, expected = DEPLOYS[case]
    seen = server(found)._replace(door=not expected.startswith(("register", "open")))
    assert steps(planner.climb(seen, "t", "settled")) == wanted(expected)


@pytest.mark.parametrize("case", NOW)
def test_deploying_now(case: str) -> None:
    """To settle t without waiting for another's bake (R7)."""
    found, expected = NOW[case]
    assert steps(planner.climb(server(found), "t", "settled", now=True)) == wanted(expected)


@pytest.mark.parametrize("case", ROLLBACKS)
def test_rolling_back(case: str) -> None:
    """To go back to p, from what is found."""
    found, expected = ROLLBACKS[case]
    assert steps(planner.climb(server(found), "p", "settled", back=True)) == wanted(expected)


@pytest.mark.parametrize("case", RETREATS)
def test_retreating(case: str) -> None:
    """To take t back after it failed, from what is found."""
    found, expected = RETREATS[case]
    assert steps(planner.retreat(server(found), "t")) == wanted(expected)


@pytest.mark.parametrize("case", TRUTHS)
def test_what_map_and_file_ought_to_hold(case: str) -> None:
    """By health first, and what the proxy does now in doubt (R3)."""
    found, value = TRUTHS[case]
    assert planner.truth(server(found), "t") == value


# -- a canary


CANARY = "share 10, watch t 10, share 50, watch t 50"
AFTER = f"keep t, route green.blue, confirm t, share, watch t, fence green, {OUT}"
SHARED = {
    "a swap shares the traffic step by step before all of it goes over": (
        "blue | blue:p:hot | p",
        "",
        f"start t, await t, {CANARY}, {AFTER}",
    ),
    "what was begun goes on where it was": (
        "blue | blue:p:hot green:t:ready | p",
        "green:10",
        f"watch t 10, share 50, watch t 50, {AFTER}",
    ),
    "a first deploy has nobody to share with": (
        "bare",
        "",
        "register t, start t, await t, open t, keep t, route blue, confirm t",
    ),
    "a share that this plan would not give is taken away first": (
        "blue | blue:p:hot green:t:ready | p",
        "green:30",
        f"share, {CANARY}, {AFTER}",
    ),
    "so is one that file and runtime differ in": (
        "blue | blue:p:hot green:t:ready | p",
        "green:?",
        f"share, {CANARY}, {AFTER}",
    ),
    "so is that of a candidate that is not well": (
        "blue | blue:p:hot green:t:sick | p",
        "green:10",
        f"share, keep t, discard t, start t, await t, {CANARY}, {AFTER}",
    ),
    "where the live one is sick nothing is shared any more": (
        "blue | blue:p:sick green:t:ready | p",
        "green:10",
        f"{AFTER}",
    ),
}


@pytest.mark.parametrize("name", SHARED)
def test_a_canary(name: str) -> None:
    """Shares of 10 and 50 of a hundred."""
    text, canary, plan = SHARED[name]
    found = planner.climb(server(text)._replace(canary=canary), "t", "settled", shares=(10, 50))
    assert ", ".join(map(short, found)) == plan


# -- a drill


DRILLS = {
    "the way back is tried when the bake is passed": (
        "blue | blue:p:hot | p",
        f"start t, await t, keep t, route green.blue, confirm t, watch t, drill t, fence green, {OUT}",
    ),
    "once": ("green.blue | blue:p:hot green:t:tried | p t", f"confirm t, fence green, {OUT}"),
    "one that was cut off is begun anew": (
        "blue.green | blue:p:hot green:t:trying | p t",
        f"confirm p, route green.blue, confirm t, drill t, fence green, {OUT}",
    ),
    "there is none to what was gone back from": (
        "green.blue | blue:p:hot green:t:hot | p t | p",
        f"confirm t, fence green, {OUT}",
    ),
    "there is none for a first deploy": (
        "bare",
        "register t, start t, await t, open t, keep t, route blue, confirm t",
    ),
}


@pytest.mark.parametrize("name", DRILLS)
def test_a_drill(name: str) -> None:
    """A deploy with one."""
    text, plan = DRILLS[name]
    assert ", ".join(map(short, planner.climb(server(text), "t", "settled", drill=True))) == plan


def test_a_rollback_has_no_drill() -> None:
    """Nobody is sent to what a user goes back from."""
    plan = planner.climb(server("green | blue:p:off green:t:hot | p t"), "p", "settled", back=True, drill=True)
    assert ", ".join(map(short, plan)) == f"{BACK}, keep t, drain t, stop t"


def test_who_was_backup_in_a_drill_that_was_cut_off_goes() -> None:
    """The old one serves, and stays."""
    plan = planner.retreat(server("blue.green | blue:p:hot green:t:trying | t p"), "t")
    assert ", ".join(map(short, plan)) == "reject t, fence blue, keep t, drain t, stop t"


def test_a_way_back_takes_the_share_away_before_anything_else() -> None:
    """Users are with the live one again within milliseconds."""
    seen = server("blue | blue:p:hot green:t:ready | p")._replace(canary="green:10")
    assert ", ".join(map(short, planner.retreat(seen, "t"))) == "share, drain t, stop t"


@pytest.mark.parametrize("rung", ["ready", "live", "settled"])
def test_every_other_plan_takes_it_away(rung: str) -> None:
    """R1: it resets what is not its own."""
    seen = server("blue | blue:p:hot | p")._replace(canary="green:10")
    assert short(planner.climb(seen, "p", rung)[0]) == "share"


@pytest.mark.parametrize(
    ("text", "value", "refused"),
    [
        ("blue | blue:p:hot green:t:ready | p", "10", ""),
        ("blue | blue:p:hot green:t:new | p", "10", "not ready"),
        ("green | blue:p:hot green:t:up | p", "10", "no live release beside it"),
        ("none | green:t:ready", "10", "no live release beside it"),
        ("blue | blue:p:hot | p", "", ""),
    ],
)
def test_who_may_have_a_share(text: str, value: str, refused: str) -> None:
    """One that may go live, beside one that is."""
    assert refused in planner.refusal(server(text), Step("share", "t", GREEN, value))
    assert bool(refused) == bool(planner.refusal(server(text), Step("share", "t", GREEN, value)))


@pytest.mark.parametrize("verb", ["start", "await", "configure", "stop", "discard"])
def test_a_slot_that_has_a_share_is_routed(verb: str) -> None:
    """Nothing is done to it that is not done to what is live."""
    seen = server("blue | blue:p:hot green:t:ready | p")._replace(canary="green:10")
    assert "green is routed" in planner.refusal(seen, Step(verb, "t", GREEN))
