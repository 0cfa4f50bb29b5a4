"""A service whose processes are on servers of their own: web on one, a worker on another, and a third left alone."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fleet import BIN, ROOT, SHOP, Fleet, Ran

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


def inventory(stack: Fleet, defined: dict[str, Any], *more: str, **variables: Any) -> Path:
    """The fleet's, with two groups of one server each; more: who else is in the second."""
    services = {"shop": dict(SHOP), NAME: defined}
    path = stack.inventory("processes", stackswap_services=services, **variables)
    told = json.loads(path.read_text())
    jobs = {name: {} for name in ("server2", *more)}
    told["all"]["children"] |= {"web": {"hosts": {"server1": {}}}, "jobs": {"hosts": jobs}}
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
    every = inventory(servers, service(IDLE), "server3")
    gone = servers.play("remove.yml", inventory=every, service=NAME)
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


def cache(stack: Fleet, server: int = 3) -> dict[str, Any]:
    """A backing service on one server that all of them reach: it says hello to who comes."""
    says = {"image": SHOP["image"] + ":1.0", "command": ["nc", "-ll", "-p", "6379", "-e", "echo", "hello"]}
    place = {"server": f"server{server}", "listen": stack.servers[server - 1].host.address}
    return {"redis": {**says, **place, "health": {"min_healthy_time": 0.3}, "container": {"stop_timeout": 1}}}


def backed(stack: Fleet, **changed: Any) -> Path:
    """The inventory with that, with a service that is attached to it, and with workers on two servers."""
    says = "echo i-work; trap 'exit 0' TERM; while :; do sleep 0.1; done"
    defined = {**service(["sh", "-c", says]), "attach": ["redis"]}
    return inventory(stack, defined, "server3", stackswap_backing=cache(stack, **changed))


def stackswap(stack: Fleet, *words: Any) -> tuple[int, list[str]]:
    """The command: its exit code, and the lines of what it says."""
    environ = {**stack.environ, "XDG_STATE_HOME": str(stack.folder / "state")}
    done = subprocess.run([BIN / "stackswap", *words], cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout.splitlines()


@pytest.fixture(scope="module")
def attached(stack: Fleet) -> Iterator[Fleet]:
    """The fleet with a backing service on its last server, to which the service is attached."""
    for name, version, of in (("backing.yml", "", ""), ("deploy.yml", "1.1", NAME)):
        ran = stack.play(name, version, inventory=backed(stack), service=of)
        assert ran.code == 0, ran.said
    yield stack
    (database,) = containers(stack, 3, "backing", "--all")
    stack.servers[2].docker("rm", "--force", database)


def containers(stack: Fleet, server: int, of: str, *flags: str) -> list[str]:
    """Those that run on a server and have this label of ours."""
    return stack.servers[server - 1].docker("ps", "--quiet", *flags, f"--filter=label=stackswap.{of}").split()


def test_logs_are_of_the_servers_that_have_the_service(attached: Fleet) -> None:
    """Of web where it is, of the workers elsewhere; of a process that is named where that is."""
    path = backed(attached)
    code, said = stackswap(attached, "logs", NAME, "-i", path)
    assert code == 0 and {"server2 | i-work", "server3 | i-work"} < {*said}
    assert any(line.startswith("server1 | version 1.1 listens on 8080") for line in said)
    told = stackswap(attached, "logs", NAME, "--process=worker", "-i", path)
    assert (told[0], sorted(told[1])) == (0, ["server2 | i-work", "server3 | i-work"])


def test_a_command_runs_in_the_first_container_of_its_process(attached: Fleet) -> None:
    """On one server of two. There and on the other it reaches what the service is attached to."""
    asks = "hostname; nc $ARTIFAKT_REDIS_HOST $ARTIFAKT_REDIS_PORT </dev/null"
    command = ("--", "sh", "-c", f"{asks}; exit 7")
    told = stackswap(attached, "exec", NAME, "--process=worker", "-i", backed(attached), *command)
    (first,), (second,) = (containers(attached, server, "process=worker") for server in (2, 3))
    assert told == (7, [first, "hello"])
    assert attached.servers[2].docker("exec", second, "sh", "-c", asks).split() == [second, "hello"]


def test_a_status_tells_of_a_backing_service_where_it_is_and_where_it_ought_to_be(attached: Fleet) -> None:
    """As it is asked for; then the inventory has it on another server, and then it is stopped by hand."""
    code, said = stackswap(attached, "status", "-i", backed(attached), "--exit-status")
    (line,) = (line for line in said if " redis " in line)
    assert code == 0 and re.match(r"server3 +redis +stackswap-test/app:1\.0 +running +healthy +20\S+ \S+$", line), said
    code, said = stackswap(attached, "status", "-i", backed(attached, server=1), "--exit-status")
    absent = "redis is not on server1, where the inventory has it: stackswap backing redis"
    elsewhere = "redis is on server3, and the inventory has it on another server"
    assert (code, said[-2:]) == (1, [f"DRIFT: {absent}", f"DRIFT: {elsewhere}"])
    attached.servers[2].docker("stop", *containers(attached, 3, "backing"))
    code, said = stackswap(attached, "status", "-i", backed(attached), "--exit-status")
    assert (code, said[-1]) == (1, "SICK: redis on server3 is exited")
    assert not [line for line in said if "server1 " in line and "FAILED" in line]


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
