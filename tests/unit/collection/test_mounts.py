"""A mount below what containers share: remembered, and refused when it is lost, before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import job
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order
from ansible_collections.stackswap.bluegreen.plugins.module_utils.mounted import mounted
from ansible_collections.stackswap.bluegreen.plugins.module_utils.mounts import MountLost, examined, parse
from tests.lab.fake import FakeServer
from tests.unit.collection.test_job import APPS, ONE, SHOP, TWO

TABLE = r"""21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:26 / /mnt/shared rw,relatime shared:2 - nfs4 192.0.2.9:/export rw,vers=4.2
31 21 0:27 / /srv/with\040space rw - tmpfs tmpfs rw
"""
DISK = parse(TABLE.splitlines()[0])
NOW = parse(TABLE)
SHARED = {"/mnt/shared": {"point": "/mnt/shared", "kind": "nfs4", "source": "192.0.2.9:/export"}}
VOLUMES = ("/mnt/shared:/data", "cache:/cache", "/srv/plain:/plain:ro")


def test_the_mount_that_each_folder_is_on_is_remembered() -> None:
    """None for what lies on the system's own disk, or is a volume of the engine."""
    assert examined({}, NOW, VOLUMES) == SHARED
    assert examined({}, NOW, ("/mnt/shared/shop:/data",)) == {"/mnt/shared/shop": SHARED["/mnt/shared"]}
    assert examined({}, NOW, ("/srv/with space/a:/a",))["/srv/with space/a"]["kind"] == "tmpfs"
    assert examined({}, NOW, ("/mnt/shared2:/data",)) == examined({}, DISK, VOLUMES) == {}


def test_one_that_is_lost_is_refused_by_what_it_was() -> None:
    """The sentence names its point, its kind and its source."""
    with pytest.raises(
        MountLost, match=r"^/mnt/shared was mounted at an earlier deploy \(nfs4 from 192.0.2.9:/export\)"
    ):
        examined(SHARED, DISK, VOLUMES)
    with pytest.raises(MountLost, match=r"^/mnt/shared, with /mnt/shared/shop, was mounted"):
        examined({"/mnt/shared/shop": SHARED["/mnt/shared"]}, DISK, ("/mnt/shared/shop:/data",))


OTHER = parse(TABLE.replace("nfs4 192.0.2.9:/export", "ext4 /dev/sdb1"))
ON_ACCESS = parse("40 21 0:9 / /mnt rw - autofs systemd-1 rw")
FINE: dict[str, tuple[Any, tuple[str, ...], tuple[str, ...], str]] = {
    "it is there": (NOW, VOLUMES, (), "192.0.2.9:/export"),
    "it is another disk": (OTHER, VOLUMES, (), "/dev/sdb1"),
    "it is gone on purpose": (DISK, VOLUMES, ("/mnt/shared",), ""),
    "nobody mounts it any more": (DISK, (), (), ""),
    "it is mounted on access": (ON_ACCESS, VOLUMES, (), "systemd-1"),
}


@pytest.mark.parametrize("name", FINE)
def test_it_is_not_refused_where(name: str) -> None:
    """And what is there now is what is remembered."""
    now, volumes, gone, source = FINE[name]
    found = examined(SHARED, now, volumes, gone)
    assert found.get("/mnt/shared", {}).get("source", "") == source


def test_this_machine_tells_what_it_has_mounted() -> None:
    """By the kernel's own words."""
    assert mounted()["/proc"].kind == "proc"


# -- in a call


def call(server: FakeServer, mounts: Any, state: str, release: Any = TWO, **options: Any) -> job.Result:
    """One call on a server that has this mounted."""
    order = Order(state, job="one", volumes=VOLUMES, **options)
    return job.run(server.effects(mounts=lambda: mounts), SHOP, release, order)


def test_a_job_that_finds_it_lost_starts_nothing() -> None:
    """Not even its claim is made. With its word that it is gone on purpose it goes on, and it is forgotten."""
    server = FakeServer(**APPS)
    assert call(server, NOW, "settled", ONE).error is None
    known = server.records.read(SHOP.key)
    assert known["mounts"] == SHARED
    for state in ("claimed", "ready", "settled"):
        with pytest.raises(MountLost):
            call(server, DISK, state)
    with pytest.raises(MountLost):
        job.foresee(server.effects(mounts=lambda: DISK), SHOP, TWO, Order("settled", volumes=VOLUMES))
    assert server.records.read(SHOP.key) == known
    assert call(server, DISK, "settled", unmounted=("/mnt/shared",)).error is None
    assert server.records.read(SHOP.key)["mounts"] == {}
    assert call(server, DISK, "settled", ONE).error is None


@pytest.mark.parametrize("state", ["live", "settled"])
def test_what_was_made_ready_is_not_stopped_by_it(state: str) -> None:
    """Its containers have it, and a fleet that is half switched is worse."""
    server = FakeServer(**APPS)
    call(server, NOW, "settled", ONE)
    call(server, NOW, "ready")
    assert call(server, DISK, state).error is None


@pytest.mark.parametrize("state", ["back", "released"])
def test_going_back_never_asks_for_it(state: str) -> None:
    """Whoever takes back makes things no worse."""
    server = FakeServer(**APPS)
    call(server, NOW, "settled", ONE)
    call(server, NOW, "ready")
    assert call(server, DISK, state).error is None
