"""One main server for a service, chosen by the inventory: what is to happen once happens there."""

from __future__ import annotations

import pytest

from tests.integration.test_callbacks import IMAGE, image
from tests.lab.fleet import SHOP, Fleet

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_the_main_server_is_the_one_that_is_chosen(servers: Fleet) -> None:
    """Its containers are told so, release.sh runs there and nowhere else, and a run without it is refused."""
    for server in servers.servers:
        for version in ("1.0", "1.1"):
            server.copy(image(version))
    till = {**SHOP, "image": IMAGE, "routes": [{"host": "till.test"}]}
    chosen = servers.inventory("main", stackswap_services={"till": till}, stackswap_main="server2")
    ran = servers.play("deploy.yml", "1.0", inventory=chosen, service="till")
    assert ran.code == 0, ran.said
    moments = {name: [one["moment"] for one in server["callbacks"]] for name, server in ran.servers.items()}
    assert moments == {"server1": ["verify"], "server2": ["release", "verify", "after"], "server3": ["verify"]}
    every = ",".join(server.host.address for server in servers.servers)
    for server in servers.servers:
        (container,) = server.docker("ps", "-q", "--filter=name=-till-").split()
        env = server.docker("inspect", "--format={{json .Config.Env}}", container)
        assert f'"ARTIFAKT_IS_MAIN_INSTANCE={"1" if server.name == "server2" else "0"}"' in env
        assert f'"ARTIFAKT_REPLICA_LIST={every}"' in env
    without = servers.play("deploy.yml", "1.1", "--limit", "!server2", inventory=chosen, service="till")
    assert without.code != 0 and "runs on the main server, server2" in without.said
    assert servers.running("till") == [["1.0"]] * 3


def test_a_main_server_that_is_none_of_the_stack_is_refused(servers: Fleet) -> None:
    """Before anything is asked of any server."""
    now, then = servers.even()
    ran = servers.play("deploy.yml", then, main="server7")
    assert ran.code != 0 and "stackswap_main is server7, which is no server of the stack" in ran.said
    assert servers.answers() == [now] * 3
