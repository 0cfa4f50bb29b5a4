"""Several services in one job: each is ready on every server before one goes live, and where one fails all go back."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fleet import SHOP, Fleet, Ran

from .test_waves import until

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SITE = "api.test"
API = {**SHOP, "routes": [{"host": SITE}]}


def both(stack: Fleet, **api: Any) -> Path:
    """The inventory of a stack with two services."""
    return stack.inventory("both", stackswap_services={"shop": dict(SHOP), "api": {**API, **api}})


@pytest.fixture
def versions(servers: Fleet) -> tuple[str, str]:
    """The version that both services have on every server, and the other."""
    now, then = servers.even()
    if servers.answers(SITE) != [now] * 3:
        ran = servers.play("deploy.yml", now, inventory=both(servers), service="api")
        assert ran.code == 0, ran.said
    return now, then


def serving(stack: Fleet) -> list[list[str]]:
    """What users of each service get, server by server."""
    return [stack.answers(), stack.answers(SITE)]


def claims(stack: Fleet) -> set[Any]:
    """Who has one of the services on one of the servers."""
    return {server.record(f"test/{name}").get("claim") for server in stack.servers for name in ("shop", "api")}


def unswitched(stack: Fleet, ran: Ran, now: str) -> None:
    """Nothing has changed for users of either service, nothing of a candidate runs, and nobody has a claim."""
    assert ran.code != 0 and serving(stack) == [[now] * 3, [now] * 3], ran.said
    assert stack.running("shop") == stack.running("api") == [[now]] * 3
    assert claims(stack) == {None}
    assert ran.report["status"] == "failed"


def test_services_switch_together(servers: Fleet, versions: tuple[str, str]) -> None:
    """What was approved for both is done for both; all are ready before the first is live; a rollback takes all."""
    now, then = versions
    checked = servers.play("deploy.yml", then, "--check", inventory=both(servers), service="shop,api")
    assert "plan_hash" in checked.report, checked.said
    expected = checked.report["plan_hash"]
    changed = both(servers, env={"A": "1"})
    other = servers.play("deploy.yml", then, inventory=changed, service="shop,api", expect=expected)
    unswitched(servers, other, now)
    assert "its plan is other than the one that was approved" in other.report["answers"]["server1"], other.said
    ran = servers.play("deploy.yml", then, inventory=both(servers), service="shop,api", expect=expected)
    assert (ran.code, serving(servers)) == (0, [[then] * 3, [then] * 3]), ran.said
    assert claims(servers) == {None}
    assert ran.said.rindex("TASK [stackswap.bluegreen.stackswap : Get ready]") < ran.said.index(": Go live] ")
    assert ran.said.rindex(": Go live] ") < ran.said.index("stackswap : Settle] ****")
    told = {name: (one["outcome"], one["version"]) for name, one in ran.report["services"].items()}
    assert told == {"shop": ("new", then), "api": ("new", then)} and ran.report["outcome"] == "new"
    assert [line.split(";")[0] for line in ran.line.splitlines()] == [
        f"{name} {then} serves on server1 server2 server3" for name in ("shop", "api")
    ]
    back = servers.play("rollback.yml", inventory=both(servers), service="all")
    assert (back.code, serving(servers)) == (0, [[now] * 3, [now] * 3]), back.said


def test_a_service_that_is_not_ready_keeps_the_others_back(servers: Fleet, versions: tuple[str, str]) -> None:
    """Its candidates exit, those of the other are healthy: nobody switches."""
    now, then = versions
    ran = servers.play("deploy.yml", then, inventory=both(servers, env={"EXIT_AT_ONCE": "7"}), service="shop,api")
    unswitched(servers, ran, now)
    assert ran.report["outcome"] == "unchanged"
    shop, api = ran.line.splitlines()
    assert shop.startswith("shop NOT switched: api failed, and the services of a job switch together or not at all.")
    assert api.startswith("api NOT switched: ") and "exited 7" in api


def test_a_service_that_sickens_in_its_bake_takes_the_others_back(servers: Fleet, versions: tuple[str, str]) -> None:
    """Also the one that is live on every server already."""
    now, then = versions
    second = servers.servers[1]

    def sicken() -> None:
        until(lambda: second.answer(SITE).strip() == then, 200)
        api = (f"--filter=label={name}" for name in ("stackswap.service=test.api", f"stackswap.version={then}"))
        second.docker("exec", second.docker("ps", "-q", *api), "touch", "/tmp/sick")

    watcher = threading.Thread(target=sicken)
    watcher.start()
    ran = servers.play("deploy.yml", then, inventory=both(servers, bake=8), service="shop,api")
    watcher.join()
    unswitched(servers, ran, now)
    outcomes = {name: one["outcome"] for name, one in ran.report["services"].items()}
    assert outcomes == {"shop": "back", "api": "back"} and ran.report["outcome"] == "back", ran.said
    shop, api = ran.line.splitlines()
    assert shop.startswith("shop BACK on the old: api failed") and api.startswith("api BACK on the old: server2: ")
