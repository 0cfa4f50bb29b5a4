"""All or nothing: whatever is wrong with one server, no server switches, and the report says why."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.lab.cores import CORES, OWN, commands
from tests.lab.fleet import SECRET, Fleet, Ran

pytestmark = [pytest.mark.engine, pytest.mark.slow]

Trouble = Callable[[Fleet], AbstractContextManager[None]]
EXITS = {"stackswap_overrides": {"shop": {"env": {"EXIT_AT_ONCE": "7"}}}}


def test_a_candidate_is_found_as_soon_as_it_listens(servers: Fleet) -> None:
    """The kernel asks for the addresses of our own network often, and for no others."""
    _now, then = servers.even()
    assert servers.play("deploy.yml", then).code == 0
    for server in servers.servers:
        said = server.host.run("cd /proc/sys/net/ipv4/neigh && grep . */retrans_time_ms").split()
        told = dict(one.split("/retrans_time_ms:") for one in said)
        assert {name: one for name, one in told.items() if name.startswith("br-")} and told["eth0"] == told["docker0"]
        assert {one for name, one in told.items() if name.startswith("br-")} == {"100"} != {told["eth0"]}


def unswitched(stack: Fleet, ran: Ran, now: str, why: str, server: str) -> None:
    """Nothing has changed for users, nothing of the candidate runs, no claim is left, and the reason is told."""
    assert ran.code != 0
    assert stack.answers() == [now] * 3
    assert stack.running() == [[now]] * 3
    assert stack.claims() == [None] * 3
    assert ran.report["outcome"] == "unchanged", ran.said
    assert ran.report["status"] == "failed"
    assert set(ran.report["answers"]) == {server}
    assert why in ran.report["answers"][server]
    assert ran.line.startswith(f"NOT switched: {server}: ") and f"Users get {now} " in ran.line


# -- what may be wrong with one server


@contextmanager
def full(stack: Fleet):
    """The last server's disk is full."""
    with stack.servers[2].full():
        yield


@contextmanager
def held_down(stack: Fleet):
    """An engine is killed and stays down; the containers and the proxy go on."""
    with stack.servers[1].without_engine():
        yield


@contextmanager
def foreign(stack: Fleet):
    """Somebody's container has the addresses of the free slot."""
    server = stack.servers[1]
    held = server.record_of("addresses")["test.shop"]
    free = next(slot for slot in held if slot not in server.docker("ps", "--format={{.Names}}"))
    run = ("run", "--detach", "--rm", "--name=squatter", "--network=stackswap", f"--ip={held[free][0]}")
    server.docker(*run, "stackswap-test/app:1.0")
    try:
        yield
    finally:
        server.docker("rm", "--force", "squatter")


@contextmanager
def exits(stack: Fleet):
    """The candidate exits at once on one server."""
    stack.hostvars["server2"] = EXITS
    yield


TROUBLES = {
    "a candidate that exits": (exits, "server2", "exited 7"),
    "a full disk": (full, "server3", "no space left"),
    "an engine that is down": (held_down, "server2", "engine"),
    "somebody else on the slot": (foreign, "server2", "squatter"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_one_server_in_trouble_keeps_all_from_switching(name: str, servers: Fleet) -> None:
    """And what was made ready elsewhere is taken back."""
    now, then = servers.even()
    trouble, server, why = TROUBLES[name]
    with trouble(servers):
        ran = servers.play("deploy.yml", then, env={"TROUBLE": name})  # no kept candidate is like it
    unswitched(servers, ran, now, why, server)


# -- what may be wrong on the way to one server


@contextmanager
def unplugged(stack: Fleet):
    """The last server is off the network."""
    with stack.servers[2].partitioned():
        yield


@contextmanager
def hung(stack: Fleet):
    """The last server takes connections and says nothing."""
    with stack.servers[2].hung():
        yield


WAYS = {"no network": unplugged, "no answer": hung}


@pytest.mark.parametrize("name", WAYS)
def test_one_server_out_of_reach_keeps_all_from_switching(name: str, servers: Fleet) -> None:
    """The report does not say that it is unknown what its users get: nobody asked it to switch."""
    now, then = servers.even()
    with WAYS[name](servers):
        ran = servers.play("deploy.yml", then)
    unswitched(servers, ran, now, "unreachable at claimed", "server3")
    assert ran.line.endswith(f"Users get {now} on server1 server2, as before. Nothing was changed on server3.")


def test_a_wrong_key_and_a_password_that_is_missing_are_told_server_by_server(servers: Fleet) -> None:
    """Neither is in the budget of one, together; with the password, and the right key, all goes well."""
    now, then = servers.even()
    wrong = servers.folder / "wrong"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", wrong], check=True)
    servers.hostvars |= {
        "server2": {
            "ansible_ssh_private_key_file": str(wrong),
            "ansible_control_path_dir": str(servers.folder / "new"),
        },
        "server3": {"ansible_user": "asks"},
    }
    ran = servers.play("deploy.yml", then, max_fail=1)
    assert ran.code != 0 and servers.answers() == [now] * 3
    assert ran.report["outcome"] == "unchanged" and set(ran.report["answers"]) == {"server2", "server3"}
    assert "Permission denied" in ran.report["answers"]["server2"]
    assert "assword" in ran.report["answers"]["server3"]
    servers.hostvars = {"server3": {"ansible_user": "asks", "ansible_become_password": SECRET}}
    done = servers.play("deploy.yml", then)
    assert (done.code, servers.answers()) == (0, [then] * 3), done.said
    assert SECRET not in done.said


# -- the budget


def test_within_the_budget_the_others_switch_and_the_next_job_finishes(servers: Fleet) -> None:
    """Until then, a job for a third version is refused: it would leave nobody knowing what is where."""
    now, then = servers.even()
    with servers.servers[2].partitioned():
        ran = servers.play("deploy.yml", then, max_fail=1)
    assert ran.code != 0
    assert (servers.answers(), ran.report["outcome"]) == ([then, then, now], "mixed")
    assert f"server1: {then}, server2: {then}, server3: unknown." in ran.line
    refused = servers.play("deploy.yml", "2.0")
    assert refused.code != 0 and servers.answers() == [then, then, now]
    assert f"the servers differ: {then} on server1 server2, {now} on server3." in refused.line
    assert refused.report["outcome"] == "unchanged"
    finished = servers.play("deploy.yml", then)
    assert (finished.code, servers.answers()) == (0, [then] * 3), finished.said
    assert finished.outcomes == {"server1": "unchanged", "server2": "unchanged", "server3": "new"}
    assert finished.report["outcome"] == "new"


# -- the inventory


def test_one_server_under_two_names_is_refused(servers: Fleet) -> None:
    """Before anything is asked of it."""
    now, then = servers.even()
    path = servers.inventory("twice")
    told = json.loads(path.read_text())
    hosts = told["all"]["children"]["stackswap"]["hosts"]
    hosts["server9"] = hosts["server1"]
    path.write_text(json.dumps(told))
    ran = servers.play("deploy.yml", then, inventory=path)
    assert ran.code != 0 and "are one server" in ran.said and "Nothing was changed" in ran.said
    assert servers.answers() == [now] * 3


# -- what it asks of each server

COUNTING = "/usr/local/bin/counting"  # a Python that tells how often it was begun, and how many bytes it was sent
# Without a pipe its input is a terminal.
COUNTED = (
    "printf '#!/bin/sh\\nf=/run/$$.sent\\n[ -t 0 ] && : >$f || cat >$f\\nwc -c <$f >>/run/calls\\n"
    f'exec /usr/bin/python3 "$@" <$f\\n\' >{COUNTING}; chmod 755 {COUNTING}'
)
OPTIONS, CODE = 10_000, 300_000  # bytes that a call without its code has at most, and that it has at least with it


@pytest.mark.parametrize(("core", "pipelining", "starts"), [*((core, True, 1) for core in CORES), (OWN, False, 4)])
def test_a_deploy_starts_python_once_on_each_server(core: str, pipelining: bool, starts: int, servers: Fleet) -> None:
    """And sends it no code but the first time. The image is there, as the claim tells, and what claimed climbs.

    Without a pipe each call starts one: for the claim, and for each rung. All that stays is what was compiled.
    """
    now, then = servers.even()
    for server in servers.servers:
        server.inside(f"{COUNTED}; rm -rf /run/stackswap/code")
    left = [{*server.inside("ls -A /run/stackswap").split()} for server in servers.servers]
    told = {"ansible_python_interpreter": COUNTING, "ansible_pipelining": pipelining}
    inventory = servers.inventory("counting", **told)
    sent = []
    for version in (then, now):
        ran = servers.play("deploy.yml", version, inventory=inventory, commands=commands(core))
        assert ran.code == 0, ran.said
        assert servers.answers() == [version] * 3
        sent += [[int(size) for size in server.inside("cat /run/calls").split()] for server in servers.servers]
        for server in servers.servers:
            server.inside("rm /run/calls /run/*.sent")
    assert [len(calls) for calls in sent] == [starts] * 6
    if pipelining:
        assert min(size for calls in sent[:3] for size in calls) > CODE, sent
        assert max(size for calls in sent[3:] for size in calls) < OPTIONS, sent
    time.sleep(4)  # two seconds after the last call, and a turn
    stays = [{*server.inside("ls -A /run/stackswap").split()} for server in servers.servers]
    assert all(names <= {*before, "code"} for names, before in zip(stays, left, strict=True)), stays
