"""A service whose processes are on servers of their own: web on one, a worker on another, and a third left alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fleet import SHOP, Fleet, Ran

pytestmark = [pytest.mark.engine, pytest.mark.slow]
SITE, NAME = "crew.test", "crew"
QUICK = {"deadline": 10, "min_healthy_time": 0.3}
IDLE = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
NIGHTLY = {"schedule": "15 3 * * *", "command": ["sh", "-c", "exit 3"]}
OFTEN = {"schedule": "* * * * *", "command": ["sh", "-c", "exit 4"]}
WORKS = ["sh", "-c", "exit 0"]


def service(command: list[str], **options: Any) -> dict[str, Any]:
    """Web on one server, a worker with this command on another."""
    web = {"group": "web", "port": 8080, "routes": [{"host": SITE}], "health": SHOP["health"]}
    health = {"kind": "command", "command": WORKS, **QUICK}
    worker = {"group": "jobs", "command": command, "health": health, "stop_timeout": 5, **options}
    plain = {name: SHOP[name] for name in ("image", "shared", "bake")}
    return {**plain, "processes": {"web": web, "worker": worker, "nightly": NIGHTLY, "often": OFTEN}}


def inventory(stack: Fleet, defined: dict[str, Any]) -> Path:
    """The fleet's, with two groups of one server each."""
    services = {"shop": dict(SHOP), NAME: defined}
    path = stack.inventory("processes", stackswap_services=services)
    told = json.loads(path.read_text())
    told["all"]["children"] |= {"web": {"hosts": {"server1": {}}}, "jobs": {"hosts": {"server2": {}}}}
    path.write_text(json.dumps(told))
    return path


def play(stack: Fleet, name: str, version: str = "", command: list[str] | None = None, **options: Any) -> Ran:
    """A playbook for the service."""
    path = inventory(stack, service(command or IDLE, **options))
    return stack.play(name, version, inventory=path, service=NAME)


@pytest.fixture(scope="module")
def stack(servers: Fleet) -> Iterator[Fleet]:
    """The fleet with the service at 1.0, which leaves it at the end."""
    servers.hostvars.clear()
    ran = play(servers, "deploy.yml", "1.0")
    assert ran.code == 0, ran.said
    yield servers
    gone = play(servers, "remove.yml")
    assert gone.code == 0, gone.said
    assert servers.running(NAME) == [[], [], []]
    assert not any(server.docker("ps", "-aq", f"--filter=name=-{NAME}-") for server in servers.servers)
    assert all(server.record(f"test/{NAME}") == {} for server in servers.servers)


def test_each_server_has_its_own_process_and_one_that_has_none_is_left_alone(stack: Fleet) -> None:
    """All switch as one, the report names the process, and the third server is not in it."""
    ran = play(stack, "deploy.yml", "1.1")
    assert ran.code == 0, ran.said
    assert stack.running(NAME) == [["1.1"], ["1.1"], []]
    assert stack.servers[0].answer(SITE).strip() == "1.1"
    assert ran.outcomes == {"server1": "new", "server2": "new"} and ran.report["outcome"] == "new"
    did = [step["did"] for step in ran.servers["server2"]["steps"]]
    assert "started worker of crew 1.1" in did and "stopped worker of crew 1.0" in did
    (worker,) = ran.servers["server2"]["processes"]
    assert (worker["process"], worker["version"], worker["running"], worker["of"]) == ("worker", "1.1", 1, 1)
    assert ran.line.startswith("crew 1.1 serves on server1 server2; was 1.0, kept.")
    assert stack.servers[2].record(f"test/{NAME}") == {}


def test_a_worker_that_fails_takes_every_server_back(stack: Fleet) -> None:
    """Web was live already, elsewhere; both versions that serve in the end are the old one."""
    assert play(stack, "deploy.yml", "1.0").code == 0
    ran = play(stack, "deploy.yml", "1.1", ["sh", "-c", "echo no queue; exit 4"], overlap=False)
    assert ran.code != 0
    assert set(ran.report["answers"]) == {"server2"} and "exited 4" in ran.report["answers"]["server2"]
    assert ran.report["outcome"] == "back", ran.said
    assert stack.running(NAME) == [["1.0"], ["1.0"], []]
    assert stack.servers[0].answer(SITE).strip() == "1.0"
    assert [server.record(f"test/{NAME}").get("claim") for server in stack.servers] == [None] * 3


def test_a_rollback_and_a_restart_take_the_workers_along_and_status_shows_them(stack: Fleet) -> None:
    """Each by the release that the server had, or has."""
    for version in ("1.0", "1.1"):
        assert play(stack, "deploy.yml", version).code == 0
    back = play(stack, "rollback.yml")
    assert back.code == 0, back.said
    assert stack.running(NAME) == [["1.0"], ["1.0"], []]
    again = play(stack, "restart.yml")
    assert again.code == 0, again.said
    assert stack.running(NAME) == [["1.0"], ["1.0"], []]
    told = play(stack, "status.yml")
    shown = told.report["services"][NAME]["servers"]
    assert shown["server2"]["processes"][0]["version"] == "1.0"
    assert "worker 1.0" in told.line
    assert "drift" not in told.report or not [text for text in told.report["drift"] if NAME in text]


def runs(stack: Fleet) -> dict[str, list[tuple[str, int]]]:
    """What the main server's status tells of scheduled processes: version and exit code of each run."""
    told = play(stack, "status.yml").report["services"][NAME]["servers"]["server1"]["schedules"]
    return {one["process"]: [(run["version"], run["exit_code"]) for run in one["runs"]] for one in told}


def test_cron_runs_on_the_main_server_alone(stack: Fleet) -> None:
    """The table's line, run as cron does; what came of it is in the status. A server without a cron is told of."""
    ran = play(stack, "deploy.yml", "1.1")
    assert ran.code == 0, ran.said
    table, (main, *others) = f"/etc/cron.d/stackswap_test_{NAME}", stack.servers
    assert any("no cron runs on this server" in text for text in ran.servers["server1"]["warnings"])
    assert [one.host.run(f"ls {table}", check=False) for one in others] == ["", ""]
    line = main.host.run(f"grep '^15 3' {table}").split(" root ", 1)[1]
    assert main.host.run(f"env -i /bin/sh -c '{line}'; echo $?") == "3"
    assert runs(stack) == {"nightly": [("1.1", 3)], "often": []}
    main.host.run("cron")  # its daemon, for the tests that follow
    assert "no cron runs on this server" not in play(stack, "deploy.yml", "1.0").said


def test_logs_are_of_the_servers_that_have_the_service(stack: Fleet) -> None:
    """Of web where it is, of the workers elsewhere."""
    said = ["sh", "-c", "echo i-work; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    assert play(stack, "deploy.yml", "1.1", said).code == 0
    ran = play(stack, "logs.yml")
    assert ran.code == 0, ran.said
    assert set(ran.outcomes) == {"server1", "server2"}
    assert "i-work" in ran.said and "version 1.1 listens on 8080" in ran.said


def test_a_group_that_is_none_is_refused(stack: Fleet) -> None:
    """With the groups that there are; nothing was changed."""
    now = stack.servers[0].answer(SITE)
    ran = play(stack, "deploy.yml", "1.0", group="job")
    assert (
        ran.code != 0
        and "processes.worker.group is job, which is no group of the inventory: did you mean jobs?" in (ran.said)
    )
    assert now and stack.servers[0].answer(SITE) == now


def test_the_daemon_runs_what_is_due_and_nothing_else(stack: Fleet) -> None:
    """Debian's cron, started by an earlier test: once a minute, of what serves at the time."""
    last = time.monotonic() + 70
    while not (found := runs(stack)["often"]):
        assert time.monotonic() < last, stack.servers[0].host.run("cat /etc/cron.d/stackswap_*")
        time.sleep(1)
    assert {*found} <= {("1.0", 4), ("1.1", 4)} and runs(stack)["nightly"] == [("1.1", 3)]
