"""The gate holds on every release of ansible-core that is promised: none of it is left to the strategy's own ways."""

from __future__ import annotations

import pytest

from tests.fleet.test_gate import EXITS
from tests.lab.cores import CORES, commands
from tests.lab.fleet import Fleet

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.mark.parametrize("core", CORES)
def test_gate_waves_and_budget_hold_on(core: str, servers: Fleet) -> None:
    """Two in trouble are over the budget: nobody switches. One is not: the others do, and the run fails for it."""
    now, then = servers.even()
    servers.hostvars |= {"server2": EXITS, "server3": {"ansible_host": "198.18.255.254", "ansible_timeout": 1}}
    over = servers.play("deploy.yml", then, max_fail=1, commands=commands(core))
    assert over.code == 2 and servers.answers() == [now] * 3, over.said
    assert over.report, over.said
    assert (over.report["outcome"], set(over.report["answers"])) == ("unchanged", {"server2", "server3"})
    servers.hostvars.pop("server3")
    within = servers.play("deploy.yml", then, max_fail=1, waves=[1, "100%"], commands=commands(core))
    assert within.code == 2 and servers.answers() == [then, now, then], within.said
    assert set(within.report["answers"]) == {"server2"}
    assert "DEPRECATION" not in over.said + within.said
    assert servers.claims() == [None] * 3
