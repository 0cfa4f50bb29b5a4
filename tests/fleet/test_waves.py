"""Waves, the budget over them, and jobs that are cut off between two servers: everywhere the same in the end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from tests.lab.fleet import Fleet, Ran

pytestmark = [pytest.mark.engine, pytest.mark.slow]

BAKES = {"stackswap_overrides": {"shop": {"bake": 4}}}
LONG = {"stackswap_overrides": {"shop": {"bake": 15}}}


def until(true: Callable[[], bool], within: float = 90) -> None:
    """Wait for it."""
    last = time.monotonic() + within
    while not true():
        assert time.monotonic() < last, "it never came to that"
        time.sleep(0.05)


# -- the budget is spent in the second wave


def second_wave_sickens(stack: Fleet, then: str, **more: object) -> Ran:
    """The second server's candidate turns sick in its bake."""
    second = stack.servers[1]

    def sicken() -> None:
        until(lambda: second.answer().strip() == then, 200)
        shop = (f"--filter=label={name}" for name in ("stackswap.service=test.shop", f"stackswap.version={then}"))
        (candidate,) = second.docker("ps", "-q", *shop).split()
        second.docker("exec", candidate, "touch", "/tmp/sick")

    stack.hostvars["server2"] = LONG
    watcher = threading.Thread(target=sicken)
    watcher.start()
    ran = stack.play("deploy.yml", then, waves="1, 25%", **more)
    watcher.join()
    return ran


def test_who_has_switched_goes_back_when_the_budget_is_spent(servers: Fleet) -> None:
    """The last wave never begins."""
    now, then = servers.even()
    ran = second_wave_sickens(servers, then)
    assert ran.code != 0 and servers.answers() == [now] * 3, ran.said
    assert servers.claims() == [None] * 3
    assert ran.outcomes == {"server1": "back", "server2": "back", "server3": "unchanged"}
    assert "route" not in ran.steps("server3")
    assert ran.line.startswith("BACK on the old: server2: ") and f" Users get {now} everywhere." in ran.line


def test_who_has_switched_stays_if_that_is_asked_for(servers: Fleet) -> None:
    """The report names every server and both ways out; each of them works at once, for no claim is left."""
    now, then = servers.even()
    ran = second_wave_sickens(servers, then, on_fail="hold")
    assert ran.code != 0 and servers.answers() == [then, now, now], ran.said
    assert servers.claims() == [None] * 3
    assert ran.outcomes == {"server1": "new", "server2": "back", "server3": "unchanged"}
    assert f"server1: {then}, server2: {now}, server3: {now}." in ran.line
    assert ran.line.endswith(f"Finish: stackswap deploy shop {then}; or back: stackswap rollback shop {now}")
    servers.hostvars.clear()
    back = servers.play("rollback.yml", now)
    assert (back.code, servers.answers()) == (0, [now] * 3), back.said


# -- the control node dies between two servers


def killed_between(stack: Fleet, then: str) -> None:
    """Kill all of a job when the first server serves the new version and before the second does."""
    stack.hostvars["server1"] = BAKES
    job = stack.begin("deploy.yml", then, waves=[1], job="killed")
    until(lambda: stack.servers[0].answer().strip() == then)
    os.killpg(job.pid, signal.SIGKILL)
    job.communicate()
    stack.hostvars.clear()
    until(lambda: not stack.servers[0].busy())


def test_a_job_that_was_killed_goes_on_under_its_own_name(servers: Fleet) -> None:
    """Another is told who has the service until the claim runs out."""
    _now, then = servers.even()
    killed_between(servers, then)
    other = servers.play("deploy.yml", then)
    assert other.code != 0 and "claimed by job killed" in other.line, other.said
    assert other.report["outcome"] == "unchanged"
    again = servers.play("deploy.yml", then, job="killed")
    assert (again.code, servers.answers()) == (0, [then] * 3), again.said
    assert servers.running() == [[then]] * 3


# -- part of the stack


def test_a_part_of_the_stack_is_deployed_to_with_a_warning(servers: Fleet) -> None:
    """Servers that it leaves out are named with what they serve; with the same version there is nothing to say."""
    now, then = servers.even()
    part = servers.play("deploy.yml", then, "--limit", "server2")
    assert (part.code, servers.answers()) == (0, [now, then, now]), part.said
    assert f"server1 is left out of this run and serves {now}, not {then}" in part.said
    rest = servers.play("deploy.yml", then, "--limit", "!server2")
    assert (rest.code, servers.answers()) == (0, [then] * 3), rest.said
    assert "is left out of this run" not in rest.said
    for server in servers.servers:
        (container,) = server.docker("ps", "-q", "--filter=name=-shop-").split()
        env = server.docker("inspect", "--format={{.Config.Env}}", container)
        main = "1" if server.name == "server1" else "0"
        assert f"ARTIFAKT_IS_MAIN_INSTANCE={main}" in env
        assert f"ARTIFAKT_REPLICA_LIST={','.join(one.host.address for one in servers.servers)}" in env
