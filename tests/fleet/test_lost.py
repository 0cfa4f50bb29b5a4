"""Servers that are lost between ready and live, between live and settled, and while nothing is done; and a slow one."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import pytest

from tests.fleet.test_waves import BAKES, until
from tests.lab.fleet import Fleet, Ran, Server, finished

pytestmark = [pytest.mark.engine, pytest.mark.slow]

Fault = Callable[[Server], AbstractContextManager[None]]
SOON_MISSED = "-C -o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=1 -o ServerAliveCountMax=3"


class Loss(NamedTuple):
    """What befalls the second of three servers, and what comes of it.

    all_live: everybody is; else the first one is watched in its bake, and the others are ready. door: whether the
    server's users are served meanwhile. outcomes: what the report says of the three, and of them all.
    """

    all_live: bool
    fault: Fault
    door: bool
    why: str
    code: int
    outcomes: str
    outcome: str


LOSSES = {
    "its power is gone before it is live": Loss(
        False, Server.without_power, False, "unreachable at live", 3, "back unknown back", "unknown"
    ),
    "its engine is killed before it is live": Loss(
        False, Server.without_engine, True, "engine", 1, "back unchanged back", "back"
    ),
    "its sshd is killed before it is live": Loss(
        False, Server.without_sshd, True, "unreachable at live", 3, "back unknown back", "unknown"
    ),
    "its engine is killed before it has settled": Loss(
        True, Server.without_engine, True, "engine", 1, "new new new", "new"
    ),
    "it is cut off before it has settled": Loss(
        True, Server.partitioned, False, "unreachable at settled", 3, "new unknown new", "unknown"
    ),
}


def lost(stack: Fleet, then: str, loss: Loss) -> tuple[Ran, list[str]]:
    """Deploy and lose the server; what the job came to, and what users got everywhere before it was there again."""
    first, second, _third = stack.servers
    stack.hostvars["server3" if loss.all_live else "server1"] = BAKES
    soon = {"ansible_ssh_args": SOON_MISSED, "ansible_timeout": 2}
    stack.hostvars["server2"] = {**soon, "ansible_control_path_dir": str(stack.folder / "soon")}
    job = stack.job("deploy", "shop", then, waves="100%" if loss.all_live else "1, 100%", job="lost")
    one = second if loss.all_live else first
    until(lambda: one.answer().strip() == then and not (loss.all_live and one.busy()))
    with loss.fault(second):
        return finished(job), stack.answers()


@pytest.mark.parametrize("name", LOSSES)
def test_a_server_that_is_lost_in_the_middle_of_a_job(name: str, servers: Fleet) -> None:
    """Users of all get one version; the report says of each what it serves and of whom it does not know, and the
    exit code why the job failed. The next job has all serve one release, and nothing else runs."""
    now, then = servers.even()
    loss = LOSSES[name]
    serves = then if loss.all_live else now
    ran, found = lost(servers, then, loss)
    assert found == [serves, serves if loss.door else "", serves], ran.said
    until(lambda: servers.answers() == [serves] * 3)

    assert (ran.code, ran.report["status"], ran.report["outcome"]) == (loss.code, "failed", loss.outcome), ran.said
    assert " ".join(ran.outcomes.values()) == loss.outcomes, ran.line
    assert [one["serving"]["version"] for one in ran.servers.values()] == [serves] * 3
    missed = [outcome == "unknown" for outcome in loss.outcomes.split()]
    assert [bool(one.get("lost")) for one in ran.servers.values()] == missed
    assert set(ran.report["answers"]) == {"server2"} and loss.why in ran.report["answers"]["server2"]
    assert "server2: " in ran.line

    servers.hostvars.clear()
    again = servers.play("deploy.yml", then, job="lost")
    assert (again.code, servers.answers()) == (0, [then] * 3), again.said
    assert servers.running() == [[then]] * 3 and servers.claims() == [None] * 3


# -- while nothing is done, and slow


def test_a_server_that_was_started_again_serves_what_it_did(servers: Fleet) -> None:
    """Stopped in order or not, and nobody has to deploy."""
    now, _then = servers.even()
    servers.servers[0].reboot()
    servers.servers[1].power_cut()
    until(lambda: servers.answers() == [now] * 3)
    assert servers.running() == [[now]] * 3


def test_over_a_slow_link_and_by_users_who_become_root_a_deploy_is_as_ever(servers: Fleet) -> None:
    """Half a megabyte takes two seconds on that link. What one server is told alone, it has alone."""
    _now, then = servers.even()
    marked = {"stackswap_overrides": {"shop": {"env": {"MARK": "two"}}}}
    servers.hostvars |= {one.name: {"ansible_user": "ops"} for one in servers.servers}
    servers.hostvars["server2"] |= marked
    with servers.servers[1].slow_link():
        began = time.monotonic()
        servers.servers[1].host.run("head -c 500000 /dev/zero")
        assert time.monotonic() - began > 1.5
        ran = servers.play("deploy.yml", then)
    assert (ran.code, servers.answers()) == (0, [then] * 3), ran.said
    shown = ("ps", "-q", "--filter=name=-shop-")
    has = [one.docker("inspect", "--format={{.Config.Env}}", *one.docker(*shown).split()) for one in servers.servers]
    assert ["MARK=two" in one for one in has] == [False, True, False]
