"""Which server has which process of a service, and what is told of those that take no requests."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import processes, service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.agreement import main_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.drift import drift, sick
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.manifest import from_manifest, manifest
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Health, Image, Process, Release
from ansible_collections.stackswap.bluegreen.plugins.module_utils.status import table

WORK = {"command": ["work"]}
SERVERS = ("one", "two", "three")
GROUPS = {"web": ["one", "two"], "jobs": ["two", "elsewhere"], "far": ["elsewhere"], "all": [*SERVERS]}


def placed(named: dict[str, Any]) -> dict[str, list[str]]:
    """Where a service's processes are in a stack of three."""
    return processes.places("shop", processes.groups({"processes": named}), SERVERS, GROUPS)


def release(named: dict[str, Any], **more: Any) -> Release:
    """A release of a service with these processes."""
    known = {"shop": {"image": "shop", "processes": named, **more}}
    return service.release_of(service.parse("shop", known, {"name": "production"}), "1", Image("sha256:1"), "sha256:1")


def test_each_process_is_on_the_servers_of_its_group_that_are_in_the_stack() -> None:
    """A server in none of the groups has nothing of the service."""
    web, worker = {"group": "web"}, {**WORK, "group": "jobs"}
    assert placed({"web": web, "worker": worker}) == {"one": ["web"], "two": ["web", "worker"]}
    assert placed({"web": {}, "worker": worker}) == {"one": ["web"], "two": ["web", "worker"], "three": ["web"]}
    assert placed({}) == {name: ["web"] for name in SERVERS}


@pytest.mark.parametrize(
    ("group", "why"),
    [("jbos", "which is no group of the inventory: did you mean jobs"), ("far", "no server of that group is in group")],
)
def test_a_group_that_has_nobody_is_refused(group: str, why: str) -> None:
    """With the key's whole path."""
    with pytest.raises(BadInput, match=rf"^stackswap_services\.shop\.processes\.worker\.group is {group}, .*{why}"):
        placed({"worker": {**WORK, "group": group}})


def test_web_is_there_unless_other_processes_are_alone() -> None:
    """Whoever names a port or routes at the top, or no process at all, has web."""
    worker = {"worker": WORK}
    assert [processes.has_web({"processes": named, **more}) for named, more in (
        ({}, {}), (worker, {}), (worker, {"port": 80}), (worker, {"routes": []}), ({"web": {}, **worker}, {}),
    )] == [True, False, True, True, True]  # fmt: skip


def test_the_main_server_is_one_that_has_the_service() -> None:
    """The one that is chosen, where that has it."""
    assert main_of(SERVERS, "", ["two", "three"]) == "two"
    assert main_of(SERVERS, "three", ["two", "three"]) == "three"
    assert main_of(SERVERS, "one", ["two", "three"]) == "two"


def test_a_process_is_part_of_the_release_and_comes_back_with_it() -> None:
    """Another command is another release; what is not said is the default."""
    health = {"command": ["true"], "deadline": 9}
    one = release({"worker": {**WORK, "health": health, "overlap": False, "stop_timeout": 3}})
    (worker,) = one.processes
    assert worker == Process(
        "worker", ("work",), health=Health("command", deadline=9.0), test=("true",), overlap=False, stop_timeout=3
    )
    assert from_manifest(manifest(one), {}).processes == (worker,)
    assert from_manifest(manifest(one), {}).id == one.id
    assert len({one.id, release({"worker": WORK}).id, release({}).id}) == 3
    assert release({"worker": WORK}).processes == (Process("worker", ("work",)),)


def test_where_a_process_runs_is_no_part_of_the_release() -> None:
    """It is the same on all servers, whatever they have of it."""
    assert release({"worker": {**WORK, "group": "jobs"}}).id == release({"worker": WORK}).id


# -- what is told


def entry(name: str, **more: Any) -> dict[str, Any]:
    """What a server tells of a service."""
    now = {"release": "a1", "version": "1.0", "digest": "sha256:1", "slot": "", "healthy": True, "since": ""}
    plain = {"service": name, "environment": "test", "serving": now, "previous": None, "routes": []}
    return {**plain, "route": "", "file": "", "processes": [], **more}


def heard(**services: list[dict[str, Any]]) -> dict[str, Any]:
    """What all servers tell."""
    server = {"proxy": "p", "as_asked": True, "network": "n", "drained": False, "strangers": []}
    return {name: {"services": told, "server": server} for name, told in services.items()}


def worker(running: int, of: int = 2) -> dict[str, Any]:
    """A worker of the release that serves."""
    return {"process": "worker", "release": "a1", "version": "1.0", "running": running, "of": of, "restarts": 0}


def test_a_server_that_has_to_have_nothing_of_a_service_does_not_differ() -> None:
    """One that ought to have it does; of one that the inventory does not know, all servers are alike."""
    found = heard(one=[entry("shop")], two=[entry("shop")], three=[])
    assert drift(found, {"shop": {"one": ["web"], "two": ["worker"]}}) == []
    (missing,) = drift(found, {"shop": {name: ["web"] for name in SERVERS}})
    assert missing == drift(found)[0] and missing.servers == ("three",)


def test_a_server_without_web_has_no_routes_to_differ_in() -> None:
    """The others still are held against each other."""
    now = {**entry("shop")["serving"], "process": "worker"}
    found = heard(one=[entry("shop", routes=["a/"])], two=[entry("shop", serving=now)])
    assert drift(found) == []


def test_a_worker_that_does_not_run_is_sick_and_seen() -> None:
    """With how many of how many."""
    found = heard(one=[entry("shop", processes=[worker(1)])])
    assert [one.what for one in sick(found)] == ["shop on one has 1 of 2 worker of 1.0 running"]
    assert "worker 1.0, 1 of 2 run" in table(found)[1]
    assert "worker 1.0" in table(heard(one=[entry("shop", processes=[worker(1, 1)])]))[1]
    assert sick(heard(one=[entry("shop", processes=[worker(2)])])) == []
