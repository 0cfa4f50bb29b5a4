"""The fleet in one view: what is sick, where servers differ, and the table that says what serves where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import drift, status

SCHEMA = json.loads((Path(__file__).parents[3] / "collection" / "report.schema.json").read_text())
JOB = {"id": "j", "kind": "status", "environment": "test"}
NOW = {
    "release": "1b115c4ff211-ab12cd34",
    "version": "1.4.2",
    "digest": "sha256:3fa9c1d2e0ab77",
    "slot": "blue",
    "healthy": True,
    "since": "2026-01-02T03:04:05.678Z",
}


def entry(**other: Any) -> dict[str, Any]:
    """What a server tells of a service, but for these."""
    now = {**NOW, **{name: other.pop(name) for name in NOW if name in other}}
    told = {"service": "shop", "environment": "test", "serving": now, "previous": None, "route": "blue"}
    told |= {"file": "blue", "routes": ["shop.test/"], "claim": None, "holder": None, "draining": None}
    return {**told, **other}


def server(*entries: dict[str, Any], **other: Any) -> dict[str, Any]:
    """What a server tells, but for these."""
    shared = {"proxy": "5d1f0c9a3b7e", "as_asked": True, "network": "172.30.64.0/20", "strangers": []}
    return {"services": list(entries), "server": {**shared, **other}}


def whats(found: list[drift.Finding]) -> list[str]:
    """The sentences."""
    return [one.what for one in found]


def test_servers_that_are_alike_have_no_drift() -> None:
    """A secret's seal, a slot and a restart's mark differ from server to server and mean nothing."""
    other = entry(release="1b115c4ff211-99887766-r123abc", slot="green", route="green", file="green")
    found = {"web1": server(entry()), "web2": server(other)}
    assert drift.drift(found) == drift.sick(found) == []


DRIFTS = {
    "version": (entry(version="1.4.1"), {}, "version of shop: 1.4.2 on web1 web3, 1.4.1 on web2"),
    "digest": (entry(digest="sha256:77"), {}, "digest of shop: 3fa9c1d2e0ab on web1 web3, 77 on web2"),
    "configuration": (
        entry(release="77-x2"),
        {},
        "configuration of shop: 1b115c4ff211 on web1 web3, 77 on web2",
    ),
    "routes": (entry(routes=[]), {}, "routes of shop: shop.test/ on web1 web3, none on web2"),
    "network": (entry(), {"network": "10.0.0.0/24"}, "network: 172.30.64.0/20 on web1 web3, 10.0.0.0/24 on web2"),
    "proxy": (entry(), {"proxy": "77"}, "proxy's configuration: 5d1f0c9a3b7e on web1 web3, 77 on web2"),
    "stale proxy": (entry(), {"as_asked": False}, "the proxy is not set up as asked on web2: stackswap setup"),
    "stranger": (
        entry(),
        {"strangers": ["test-old-1"]},
        "nobody knows the container test-old-1 on web2, which has a service's labels",
    ),
}


@pytest.mark.parametrize("case", DRIFTS)
def test_what_differs_is_named_with_its_servers(case: str) -> None:
    """Which value is where."""
    told, shared, what = DRIFTS[case]
    found = {"web1": server(entry()), "web2": server(told, **shared), "web3": server(entry())}
    (one,) = drift.drift(found)
    assert one.what == what and "web2" in one.servers


def test_a_service_that_a_server_lacks_is_drift() -> None:
    """A server that was replaced, or that a deploy has left out."""
    (one,) = drift.drift({"web1": server(entry()), "web2": server()})
    assert one == drift.Finding(("web2",), "shop is on web1 and not on web2")


REDIS = {
    "name": "redis",
    "environment": "test",
    "image": "redis:7",
    "state": "running",
    "health": "healthy",
    "since": "2026-01-02T03:04:05.678Z",
    "restarts": 0,
    "drift": "",
}
BACKING = {
    "absent": (
        {"drift": "absent", "state": "", "health": ""},
        [],
        "redis is not on web1, where the inventory has it: ",
    ),
    "differs": ({"drift": "differs"}, [], "redis on web1 is not made as the inventory asks: stackswap backing redis"),
    "unknown": ({"drift": "unknown", "state": "exited"}, [], "does not know the backing service redis on web1"),
    "elsewhere": ({"drift": "elsewhere"}, [], "redis is on web1, and the inventory has it on another server"),
    "ended": ({"state": "exited", "health": ""}, ["redis on web1 is exited"], ""),
    "deaf": ({"health": "unhealthy"}, ["redis on web1 runs, and is not healthy"], ""),
    "as asked": ({}, [], ""),
    "of nobody knows what": ({"health": ""}, [], ""),
}


@pytest.mark.parametrize("case", BACKING)
def test_a_backing_service_that_is_not_as_it_ought_to_be_is_found(case: str) -> None:
    """Sick where it does not serve, drift where the inventory has it otherwise."""
    other, ill, why = BACKING[case]
    found = {"web1": {**server(entry()), "backing": [{**REDIS, **other}]}, "web2": server(entry())}
    assert whats(drift.sick(found)) == ill
    told = whats(drift.drift(found))
    assert len(told) == bool(why) and why in "".join(told)


def test_backing_services_have_a_table_of_their_own() -> None:
    """With a note of what is not well; without any there is none."""
    ill = {**REDIS, "name": "db", "health": "unhealthy", "restarts": 2, "drift": "differs"}
    gone = {**REDIS, "image": "", "state": "", "health": "", "since": "", "drift": "absent"}
    found = {"web1": {**server(entry()), "backing": [ill, REDIS]}, "web2": {**server(), "backing": [gone]}}
    assert [" ".join(line.split()) for line in status.backing_table(found)] == [
        " ".join(status.BACKING_HEAD),
        "web1 db redis:7 running NOT HEALTHY 2026-01-02 03:04 not made as the inventory asks; restarted 2 times",
        "web1 redis redis:7 running healthy 2026-01-02 03:04",
        "web2 redis - - - - it is not there",
    ]
    report = status.status_of(found, {}, JOB, strict=True)
    jsonschema.validate(report, SCHEMA)
    assert report["backing"] == {"web1": [ill, REDIS], "web2": [gone]}
    assert "\nSERVER  BACKING" in report["line"] and "SICK: db on web1 runs" in report["line"]
    assert "db on web1 is not made as" in report["answers"]["web1"] and "redis is not on" in report["answers"]["web2"]
    plain = status.status_of({"web1": {**server(entry()), "backing": []}}, {}, JOB)
    assert "backing" not in plain and "BACKING" not in plain["line"]


SICK = {
    "not served": (entry(serving=None), "shop on web1 is not served"),
    "not healthy": (entry(healthy=False), "shop on web1 serves 1.4.2, and that is not healthy"),
    "torn": (entry(file="green"), "shop on web1 has blue at the proxy and green in its file"),
}


@pytest.mark.parametrize("case", SICK)
def test_who_is_not_served_well_is_sick(case: str) -> None:
    """Also who would not be after a restart of the proxy."""
    told, what = SICK[case]
    assert whats(drift.sick({"web1": server(told)})) == [what]


def test_the_table_is_aligned_and_says_what_is_going_on() -> None:
    """Every column begins at the same place in every row."""
    busy = entry(
        claim={"job": "j7"}, holder={"pid": 5}, draining={"slot": "green", "sessions": 2}, previous={"version": "1.4.1"}
    )
    lines = status.table({"web1": server(entry()), "a-longer-name": server(busy, entry(service="api", serving=None))})
    assert [line.split() for line in lines[:2]] == [
        list(status.HEAD),
        ["web1", "shop", "1.4.2", "3fa9c1d2e0ab", "blue", "healthy", "2026-01-02", "03:04", "-"],
    ]
    assert len({line.index(word) for line, word in zip(lines, ("LIVE", "1.4.2", "1.4.2", "-"), strict=True)}) <= 2
    assert {line[lines[0].index("SLOT") :].split()[0] for line in lines[1:3]} == {"blue"}
    assert lines[2].endswith("1.4.1     claimed by job j7; being changed by process 5; green drains, 2 sessions")
    assert lines[3].split() == ["a-longer-name", "api", *"------"]


@pytest.mark.parametrize("strict", [False, True])
def test_a_status_fails_for_what_it_finds_only_where_that_is_asked_for(strict: bool) -> None:
    """Each server answers for what is about it; a program reads the findings either way."""
    found = {"web1": server(entry()), "web2": server(entry(healthy=False, digest="sha256:77"))}
    report = status.status_of(found, {}, JOB, strict)
    jsonschema.validate(report, SCHEMA)
    assert report["status"] == ("failed" if strict else "successful") and report["outcome"] == "unchanged"
    assert report["sick"] == ["shop on web2 serves 1.4.2, and that is not healthy"]
    assert report["drift"] == ["digest of shop: 3fa9c1d2e0ab on web1, 77 on web2"]
    assert set(report["answers"]) == ({"web1", "web2"} if strict else set())
    assert "SICK: shop on web2" in report["line"] and "DRIFT: digest of shop" in report["line"]


def test_who_was_not_heard_of_makes_it_fail_and_is_no_drift() -> None:
    """What its services are is not known."""
    report = status.status_of({"web1": server(entry()), "web2": {}}, {"whys": {"web2": "unreachable"}}, JOB)
    assert (report["status"], report["drift"]) == ("failed", [])
    assert "UNHEARD: web2: unreachable" in report["line"]
