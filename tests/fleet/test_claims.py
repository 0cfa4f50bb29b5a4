"""One job deploys everywhere: whoever comes second is refused, and told who has the service."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.fleet.test_waves import BAKES, until
from tests.lab.fleet import Fleet, ended

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    """How it ended, and what it said."""
    said, _ = process.communicate(timeout=300)
    return process.returncode, said


def test_of_two_jobs_at_once_one_deploys_everywhere(servers: Fleet) -> None:
    """The other is told who has the service, and has changed nothing; each comes from a control node of its own."""
    now, then = servers.even()
    first, second = (servers.job("deploy", "shop", one, home=home) for one, home in ((then, "one"), (now, "two")))
    (one, said), (two, told) = outcome(first), outcome(second)
    assert sorted((one, two)) == [0, 5], said + told
    assert servers.answers() == [then if one == 0 else now] * 3
    refused = told if one == 0 else said
    assert "claimed by job" in refused or "is being changed by" in refused
    assert servers.claims() == [None] * 3


def test_who_waits_for_a_claim_deploys_when_the_other_job_is_done(servers: Fleet) -> None:
    """Neither fails, and what was asked last serves in the end."""
    now, then = servers.even()
    servers.hostvars["server1"] = BAKES
    first = servers.begin("deploy.yml", then)
    until(lambda: servers.answers()[0] == then)
    second, told = outcome(servers.job("deploy", "shop", now, "--wait-claim", "120", home="three"))
    assert ended(first).code == 0
    assert (second, servers.answers()) == (0, [now] * 3), told
    assert servers.claims() == [None] * 3


def test_a_claim_that_ran_out_is_taken_over_and_the_old_job_is_superseded(servers: Fleet) -> None:
    """A control node that was stopped between two servers wakes up when another job has taken back what it did."""
    now, then = servers.even()
    servers.hostvars["server1"] = BAKES
    old = servers.begin("deploy.yml", then, waves=[1], job="old")
    until(lambda: servers.answers()[0] == then)
    os.killpg(old.pid, signal.SIGSTOP)
    try:
        until(lambda: not servers.servers[0].busy())
        assert servers.answers() == [then, now, now]
        servers.hostvars.clear()
        servers.expire_claims()
        new = servers.play("deploy.yml", now, job="new")
        assert (new.code, servers.answers()) == (0, [now] * 3), new.said
    finally:
        os.killpg(old.pid, signal.SIGCONT)
    ran = ended(old)
    assert ran.code != 0 and "has taken the service over from this one" in ran.line, ran.said
    assert servers.answers() == [now] * 3
    assert servers.running() == [[now]] * 3 and servers.claims() == [None] * 3


@pytest.mark.parametrize("forks", ["1", "2", "8"])
def test_the_main_server_is_claimed_first_wherever_it_stands(servers: Fleet, forks: str) -> None:
    """Servers before it do not wait for it in the only processes that there are."""
    now, then = servers.even()
    ran = servers.play("deploy.yml", then, "--forks", forks, main="server3")
    assert (ran.code, servers.answers()) == (0, [then] * 3), ran.said
    assert servers.claims() == [None] * 3
    servers.hostvars["server3"] = BAKES
    first = servers.begin("deploy.yml", now, "--limit", "server3", main="server3", job="another")
    until(lambda: servers.answers()[2] == now)
    refused = servers.play("deploy.yml", now, "--forks", forks, main="server3")
    assert refused.code != 0 and "job another" in refused.said
    assert (servers.claims()[:2], servers.answers()) == ([None] * 2, [then, then, now])
    assert ended(first).code == 0
