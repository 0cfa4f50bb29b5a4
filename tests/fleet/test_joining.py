"""A server that is new, or came back empty, joins what the others serve."""

from __future__ import annotations

import pytest

from tests.lab.fleet import APPS, Fleet, Server

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def emptied(stack: Fleet, server: Server) -> None:
    """Leave nothing of the service on a server, as on one that is new."""
    gone = stack.play("remove.yml", "", "--limit", server.name)
    assert gone.code == 0, gone.said
    server.docker("rmi", "--force", *APPS)
    assert server.answer() == "" and not server.record()


def test_a_server_without_anything_joins_and_has_the_image_from_a_peer(servers: Fleet) -> None:
    """Status names it before and has nothing to say after. The first peer has its own user, who becomes root."""
    now, then = servers.even()
    servers.hostvars["server1"] = {"ansible_user": "ops"}
    last = servers.servers[2]
    emptied(servers, last)
    before = servers.play("status.yml")
    assert "shop is on server1 server2 and not on server3" in before.report["drift"]
    joined = servers.play("deploy.yml")
    assert (joined.code, servers.answers()) == (0, [now] * 3), joined.said
    assert joined.outcomes == {"server1": "unchanged", "server2": "unchanged", "server3": "new"}
    after = servers.play("status.yml")
    assert (after.report["drift"], after.report["sick"]) == ([], [])
    last.copy(f"stackswap-test/app:{then}")


def test_a_run_for_the_new_server_alone_asks_the_others_what_they_serve(servers: Fleet) -> None:
    """One of them that does not answer, here the main server, keeps nobody from joining."""
    now, then = servers.even()
    last = servers.servers[2]
    emptied(servers, last)
    with servers.servers[0].partitioned():
        joined = servers.play("deploy.yml", "", "--limit", "server3")
    assert (joined.code, servers.answers()) == (0, [now] * 3), joined.said
    last.copy(f"stackswap-test/app:{then}")
