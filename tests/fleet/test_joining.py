"""A server that is new, or came back empty, joins what the others serve."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.lab.fleet import APPS, ROOT, Fleet, Server, finished

pytestmark = [pytest.mark.engine, pytest.mark.slow]
GUIDE = ROOT / "collection/docs/fleet.md"
BARE = "docker rm -f stackswap-proxy; docker network rm stackswap; rm -rf /var/lib/stackswap /mnt/shared"


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


def documented(heading: str) -> list[list[str]]:
    """The words of each command that the guide has below a heading."""
    section = GUIDE.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_a_server_that_is_new_joins_by_the_commands_of_the_guide(servers: Fleet) -> None:
    """It has an engine and nothing else: setup for it alone leaves the others as they are, and a deploy them, too."""
    now, then = servers.even()
    last, others = servers.servers[2], servers.servers[:2]
    emptied(servers, last)
    last.inside(BARE)
    before = [server.docker("ps", "--no-trunc", "--format={{.ID}} {{.Names}}") for server in others]
    commands = documented("A new server, or one that came back empty")
    assert [words[:2] for words in commands] == [["stackswap", "setup"], ["stackswap", "deploy"]]
    for _stackswap, *words in commands:
        ran = finished(servers.job(*("server3" if word == "web3" else word for word in words)))
        assert ran.code == 0, ran.said
    assert servers.answers() == [now] * 3 and servers.running() == [[now]] * 3
    assert ran.outcomes == {"server1": "unchanged", "server2": "unchanged", "server3": "new"}
    assert [server.docker("ps", "--no-trunc", "--format={{.ID}} {{.Names}}") for server in others] == before
    after = servers.play("status.yml")
    assert (after.report["drift"], after.report["sick"]) == ([], [])
    last.copy(f"stackswap-test/app:{then}")
