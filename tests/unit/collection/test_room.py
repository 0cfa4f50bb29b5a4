"""Room for both releases: what is needed of disk and memory, what is refused, and what is said then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import job, machine, room
from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.admission import admit
from ansible_collections.stackswap.bluegreen.plugins.module_utils.archive import chains
from ansible_collections.stackswap.bluegreen.plugins.module_utils.choose import choose
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Health
from ansible_collections.stackswap.bluegreen.plugins.module_utils.payload import memory_of
from tests.lab.calls import ORDERS
from tests.lab.fake import App, FakeServer

MB, GB = 1 << 20, 1 << 30
LAYERS, SIZES = ("sha256:a", "sha256:b", "sha256:a"), (100, 20, 3)
PLAIN = {"name": "shop", "service": {"image": "acme/shop", "routes": [{"host": "shop.test"}], "health": "none"}}


# -- the disk


@pytest.mark.parametrize(
    ("has", "needed"),
    [((), 123), (LAYERS[:1], 23), (LAYERS[:2], 3), (LAYERS, 0), (("sha256:b",), 123)],
)
def test_what_is_needed_is_what_is_not_there(has: tuple[str, ...], needed: int) -> None:
    """A layer counts as there only upon the same layers below."""
    assert room.lacking(LAYERS, SIZES, chains(has)) == needed


def test_sizes_that_are_not_told_are_not_guessed() -> None:
    """A builder that tells none of them, or too few."""
    assert room.lacking(LAYERS, (), ()) is None
    assert room.lacking((), (), ()) is None


def refused(needed: int | None, free: int, shared: bool = False, **given: Any) -> str:
    """Why the disk is not enough; '' if it is."""
    try:
        room.refuse_full("shop:2", needed, room.Disk("/var/lib/docker", free, shared), room.floors_of(given))
    except room.NoRoom as error:
        return f"{error.what}, {error.cause}, {error.facts['short']} short"
    return ""


def test_an_image_needs_its_own_size_and_that_of_its_archive_on_the_same_disk() -> None:
    """To the byte."""
    assert refused(300 * MB, 300 * MB) == ""
    said = refused(300 * MB, 299 * MB)
    assert "299.0 MB free, and shop:2 needs 300.0 MB" in said and said.endswith(f"no_room, {MB} short")
    assert refused(300 * MB, 600 * MB, shared=True) == ""
    assert "needs 600.0 MB, with what is not there yet and the archive" in refused(300 * MB, 599 * MB, shared=True)


def test_an_image_of_unknown_size_needs_the_floor() -> None:
    """A gigabyte unless told otherwise; 0 asks nothing, and so does a check that is off."""
    assert refused(None, GB) == ""
    assert "needs 1.0 GB, of which nobody knows the size" in refused(None, GB - 1)
    assert refused(None, 3 * MB, disk="2m") == refused(None, 0, disk=0) == refused(None, 0, check="no") == ""
    assert refused(300, 0, check=False) == ""


def test_a_disk_that_cannot_be_seen_refuses_nothing() -> None:
    """As of an engine on another machine."""
    room.refuse_full("shop:2", 10 * GB, None, room.floors_of({}))


@pytest.mark.parametrize(
    ("given", "why"),
    [({"disk": "much"}, r"stackswap_room\.disk must be a size"), ({"disc": "1g"}, "did you mean disk"), ("1g", "dict")],
)
def test_bad_floors_are_refused_by_name(given: Any, why: str) -> None:
    """Before a server is asked."""
    with pytest.raises(BadInput, match=why):
        room.floors_of(given)


def test_the_refusal_says_who_serves_and_what_prune_would_free() -> None:
    """And what is left to do by hand."""
    gone = [{"kind": "image", "name": "sha256:1", "version": "0.8"}, {"kind": "image", "name": "x", "version": "0.9"}]
    found = {"serving": {"version": "1.0"}, "pruned": {"removed": gone, "left": [], "bytes": 90 * MB}}
    said = room.refusal("no room", "shop", found, 50 * MB)
    assert said.startswith("no room. Nothing was changed. Users get shop 1.0, as before. Next: stackswap prune shop")
    assert "would free 90.0 MB (2 images of 0.8 0.9), then run the same job again" in said
    assert "stackswap_room: {check: false}" in said
    assert "and 30.0 MB more are to be freed by hand" in room.refusal("no room", "shop", found, 120 * MB)


def test_where_prune_frees_nothing_that_is_said() -> None:
    """Also of a service that is not here yet."""
    assert "Next: free 50.0 MB there (stackswap prune shop would free nothing)" in room.refusal(
        "x", "shop", {}, 50 * MB
    )


# -- the memory


@pytest.fixture
def server() -> FakeServer:
    """A server on which shop's image `one` serves, and `two` is there; a container uses 300 MB."""
    made = FakeServer(one=App(), two=App())
    made.weight = 300 * MB
    return made


def asked(server: FakeServer, available: int | None, version: str = "two", **more: Any) -> tuple[str, ...]:
    """What the first call of a job is told. container, replicas: of the service; all else are options."""
    of_service = ("container", "replicas", "overlap", "processes")
    service = {**PLAIN["service"], **{n: more.pop(n) for n in of_service if n in more}}
    wanted = services.parse("shop", {"shop": service}, {"name": "e"})
    params = {**ORDERS, "state": "claimed", "version": version, "image": version, **more}
    params["processes"] = more.get("processes_here")
    return admit(server.effects(available=lambda: available), wanted, params)


def serves(server: FakeServer, **container: Any) -> None:
    """Have `one` serve."""
    wanted = services.parse("shop", {"shop": {**PLAIN["service"], **container}}, {"name": "e"})
    params = {**ORDERS, "version": "one", "image": "one"}
    release = choose(server.effects(), wanted, params)
    done = job.run(server.effects(), wanted.service, release, job.Order("settled"))
    assert done.error is None and wanted.service.health == Health("none")


def test_a_limit_that_the_machine_does_not_have_is_refused(server: FakeServer) -> None:
    """All replicas count."""
    limited = {"container": {"memory": "2g"}, "replicas": 2}
    assert asked(server, 4 * GB, **limited) == ()
    with pytest.raises(room.NoMemory, match=r"3.0 GB of memory .* may use 4.0 GB .* 2 x 2.0 GB") as found:
        asked(server, 3 * GB, **limited)
    assert found.value.cause == "no_memory"


def test_without_a_limit_what_the_live_ones_use_is_only_warned_of(server: FakeServer) -> None:
    """Until a floor is set, which refuses."""
    assert asked(server, 100 * MB) == ()
    serves(server)
    (told,) = asked(server, 100 * MB)
    assert "shop uses 300.0 MB a replica now" in told and "container.memory" in told
    assert asked(server, 300 * MB) == ()
    with pytest.raises(room.NoMemory):
        asked(server, 100 * MB, room={"memory": "200m"})


def test_what_runs_already_needs_nothing_more(server: FakeServer) -> None:
    """The same release again is no second one."""
    limited = {"container": {"memory": "2g"}}
    serves(server, **limited)
    assert asked(server, GB, version="one", **limited) == ()
    with pytest.raises(room.NoMemory):
        asked(server, GB, version="two", **limited)


def test_where_the_old_one_is_stopped_first_what_it_has_is_free(server: FakeServer) -> None:
    """As of a service that has one writer."""
    alone = {"container": {"memory": "500m"}, "overlap": False}
    serves(server, overlap=False)
    assert asked(server, 200 * MB, **alone) == ()
    with pytest.raises(room.NoMemory, match="499"):
        asked(server, 199 * MB, **alone)


# -- the memory of workers


WORK = {"command": ["work"], "health": {"kind": "none", "min_healthy_time": 0}}
LIMITED = {"container": {"memory": "500m"}}


def crewed(overlap: bool = True, replicas: int = 2, **more: Any) -> dict[str, Any]:
    """A service's web and its workers, and what cron has."""
    worker = {**WORK, "overlap": overlap, "replicas": replicas}
    return {"processes": {"web": {}, "worker": worker, "nightly": {"command": ["work"], "schedule": "@daily"}}, **more}


def test_workers_that_run_side_by_side_need_memory_for_both(server: FakeServer) -> None:
    """All new ones beside all old ones, web and worker: 1.5 GB more. What cron starts once a day is not counted."""
    serves(server, **LIMITED, processes={"web": {}, "worker": {**WORK, "replicas": 2}})
    assert asked(server, 1500 * MB, **LIMITED, **crewed()) == ()
    with pytest.raises(
        room.NoMemory, match=r"may use 1\.5 GB beside what runs: 1 x 500\.0 MB of web, 2 x 500\.0 MB of work"
    ):
        asked(server, 1499 * MB, **LIMITED, **crewed())


def test_workers_that_stop_first_leave_what_they_have_to_the_new_ones(server: FakeServer) -> None:
    """Not to web, which starts before they stop."""
    serves(server, processes={"web": {}, "worker": {**WORK, "replicas": 2}})  # each uses 300 MB
    assert asked(server, 900 * MB, **LIMITED, **crewed(overlap=False)) == ()
    with pytest.raises(room.NoMemory, match=r"1\.5 GB of memory are available .* may use 1\.5 GB beside what runs"):
        asked(server, 899 * MB, **LIMITED, **crewed(overlap=False))
    assert asked(server, 500 * MB, **LIMITED, **crewed(overlap=False, replicas=1)) == ()
    with pytest.raises(room.NoMemory, match=r"499\.0 MB .* may use 500\.0 MB beside what runs: 1 x 500\.0 MB of web$"):
        asked(server, 499 * MB, **LIMITED, **crewed(overlap=False, replicas=1))


@pytest.mark.parametrize(("here", "needed"), [(["web"], 500), (["worker"], 1000), (["web", "worker"], 1500)])
def test_a_server_needs_memory_for_what_it_has_of_a_service(server: FakeServer, here: list[str], needed: int) -> None:
    """A server without web none for web."""
    assert asked(server, needed * MB, processes_here=here, **LIMITED, **crewed()) == ()
    with pytest.raises(room.NoMemory):
        asked(server, (needed - 1) * MB, processes_here=here, **LIMITED, **crewed())


def test_workers_that_run_already_need_nothing_more(server: FakeServer) -> None:
    """The same release again; where its worker alone is missing, that alone is started."""
    service = {"processes": {"web": {}, "worker": {**WORK, "replicas": 2}}, **LIMITED}
    serves(server, **service)
    assert asked(server, 1, version="one", **service) == ()
    for box in server.engine.boxes.values():
        if box.replica().process:
            box.state = "exited"
    assert asked(server, 1000 * MB, version="one", **service) == ()
    with pytest.raises(room.NoMemory, match=r"999\.0 MB of .* may use 1000\.0 MB beside what runs: 2 x 500\.0 MB$"):
        asked(server, 999 * MB, version="one", **service)


def test_what_workers_without_a_limit_use_is_warned_of(server: FakeServer) -> None:
    """By process."""
    serves(server, processes={"web": {}, "worker": {**WORK, "replicas": 2}})
    assert asked(server, 900 * MB, **crewed()) == ()
    (told,) = asked(server, 899 * MB, **crewed())
    assert "899.0 MB of memory are available" in told and "3 more may not fit in" in told
    assert "shop uses 300.0 MB a replica of web, 300.0 MB a replica of worker now" in told


@pytest.mark.parametrize(
    "more", [{"rollback": True}, {"state": "ready"}, {"state": "back"}, {"promote": "only"}, {"room": {"check": "no"}}]
)
def test_nobody_is_kept_from_going_back_or_on(server: FakeServer, more: dict[str, Any]) -> None:
    """Only a job that begins to start something is."""
    assert asked(server, 1, container={"memory": "2g"}, **more) == ()


def test_a_machine_that_does_not_tell_refuses_nothing(server: FakeServer) -> None:
    """As of an engine elsewhere."""
    assert asked(server, None, container={"memory": "2g"}) == ()


# -- what is read


def test_the_machine_tells_what_it_has(tmp_path: Path) -> None:
    """And what it does not know is none of it."""
    told = tmp_path / "meminfo"
    told.write_text("MemTotal:       100 kB\nMemFree:        1 kB\nMemAvailable:   7 kB\n")
    assert machine.available(str(told)) == 7 * 1024
    told.write_text("MemTotal:       100 kB\n")
    assert machine.available(str(told)) is None and machine.available(str(tmp_path / "none")) is None
    assert machine.free(str(tmp_path)) and machine.free(str(tmp_path / "none")) is None
    assert machine.same(str(tmp_path), str(told)) and not machine.same("/proc", str(tmp_path))
    assert not machine.same("/none", "/proc")


def test_pages_of_files_that_nobody_needs_are_no_use() -> None:
    """By both generations of control groups."""
    assert memory_of({"memory_stats": {"usage": 50, "stats": {"inactive_file": 20}}}) == 30
    assert memory_of({"memory_stats": {"usage": 50, "stats": {"total_inactive_file": 10}}}) == 40
    assert memory_of({"memory_stats": {}}) == memory_of({}) == 0
