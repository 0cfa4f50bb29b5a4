"""Servers that are lost between ready and live, and while nothing is done; and one that is slow."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.fleet.test_waves import BAKES, until
from tests.lab.fleet import Fleet, Ran, Server, ended

pytestmark = [pytest.mark.engine, pytest.mark.slow]

Fault = Callable[[Server], None]


def cut_off(stack: Fleet, then: str, fault: Fault, waves: str) -> Ran:
    """Deploy, and have the second server lost while the first one is watched in its bake."""
    job = stack.begin("deploy.yml", then, waves=waves, job="cut")
    until(lambda: stack.servers[0].answer().strip() == then)
    fault(stack.servers[1])
    return ended(job)


def test_a_server_that_loses_its_power_between_ready_and_live_takes_the_others_back(servers: Fleet) -> None:
    """The report says of each what it serves, or that it is not known; the next job has all serve the same."""
    now, then = servers.even()
    servers.hostvars["server1"] = BAKES
    ran = cut_off(servers, then, Server.off, "1, 100%")
    found = servers.answers()[::2]
    servers.servers[1].on()
    assert ran.code != 0 and found == [now] * 2, ran.said
    assert ran.outcomes == {"server1": "back", "server2": "unknown", "server3": "back"}, ran.line
    assert "unreachable at live" in ran.report["answers"]["server2"]
    until(lambda: servers.answers() == [now] * 3)
    servers.hostvars.clear()
    again = servers.play("deploy.yml", then, job="cut")
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
