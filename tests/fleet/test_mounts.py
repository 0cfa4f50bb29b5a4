"""A mount of one server is lost between two deploys."""

from __future__ import annotations

import pytest

from tests.lab.fleet import Fleet

pytestmark = [pytest.mark.engine, pytest.mark.slow]
SHARES = {"stackswap_overrides": {"shop": {"shared": True}}}


def test_a_lost_mount_is_refused_before_anything_changes(servers: Fleet) -> None:
    """On that server alone it is in the way. Said to be gone on purpose, it is not asked for any more."""
    now, then = servers.even()
    second = servers.servers[1]
    second.host.run("mount -t tmpfs -o size=1m exports /mnt/shared")
    servers.hostvars["server2"] = SHARES  # for this server alone
    done = servers.play("deploy.yml", then)
    assert (done.code, servers.answers()) == (0, [then] * 3), done.said
    (container,) = second.docker("ps", "-q", "--filter=name=-shop-").split()
    assert second.docker("exec", container, "grep", "-c", "exports /data tmpfs", "/proc/mounts").strip() == "1"
    second.host.run("umount /mnt/shared")
    ran = servers.play("deploy.yml", now)
    assert ran.code != 0 and servers.answers() == [then] * 3, ran.said
    assert servers.running() == [[then]] * 3 and servers.claims() == [None] * 3
    assert set(ran.report["answers"]) == {"server2"}
    assert "server2: /mnt/shared was mounted at an earlier deploy (tmpfs from exports) and is not now" in ran.line
    assert "-e stackswap_unmounted=" in ran.report["answers"]["server2"]
    told = servers.play("deploy.yml", now, unmounted="/mnt/shared")
    assert (told.code, servers.answers()) == (0, [now] * 3), told.said
    assert second.record()["mounts"] == {}
