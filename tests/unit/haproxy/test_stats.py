"""What HAProxy tells, as recorded from both versions that Debian has."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Server
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import control, stats

RECORDED = Path(__file__).parent / "recorded"
BLUE, GREEN = ("172.30.250.11",), ("172.30.250.21", "172.30.250.22")
SERVICE = "shop.web"


@pytest.fixture(params=sorted(path.name for path in RECORDED.iterdir()))
def told(request):
    """What a version answered to a command."""
    return lambda name: (RECORDED / request.param / f"{name}.txt").read_text()


def test_servers_are_those_that_are_checked(told) -> None:
    """Blue has one replica and one holder; green has two of each, and of two words the worse counts."""
    stat = told("show_stat")
    (blue,) = stats.servers(stat, SERVICE, "blue")
    assert blue == Server("blue", 1, "172.30.250.11", "UP", "L7OK")
    first, second = stats.servers(stat, SERVICE, "green")
    assert (first.status, first.check) == ("UP", "L7OK")
    assert (second.status, second.number, second.address) == ("DOWN", 2, "172.30.250.22")
    assert [row.backend for row in stats.holders(stat, SERVICE, "green")] == [
        *["shop.web:green"] * 2,
        *["shop.web:green.blue"] * 2,
    ]


def test_after_a_reload_up_is_unproven(told) -> None:
    """Its check code says that there was none yet."""
    green = stats.servers(told("show_stat_ini"), SERVICE, "green")
    assert {(s.status, s.check) for s in green} == {("UP 1/2", "INI")}


def test_another_service_with_a_like_name_is_not_meant(told) -> None:
    """Nor a part of a name."""
    assert stats.servers(told("show_stat"), "shop", "blue") == ()
    assert stats.servers(told("show_stat"), "shopXweb", "blue") == ()


def test_a_check_under_way_keeps_its_last_code(told) -> None:
    """HAProxy writes an asterisk before it."""
    text = told("show_stat").replace(",L7OK,", ",* L7OK,")
    assert {s.check for s in stats.servers(text, SERVICE, "blue")} == {"L7OK"}


def test_sessions_are_summed_over_servers_by_address(told) -> None:
    """The backends' own rows would count each twice; each worker tells its own."""
    assert stats.slot_sessions(told("show_stat"), BLUE) == 1
    assert stats.slot_sessions(told("show_stat_old"), BLUE) == 1
    assert stats.slot_sessions(told("show_stat"), GREEN) == 0


def test_what_is_no_statistics_is_no_zero(told) -> None:
    """An error message must not read as: nobody there."""
    with pytest.raises(ValueError, match="not the statistics"):
        stats.slot_sessions("Can't find the target PID\n", BLUE)


def test_the_worker_that_answers_says_which_it_is(told) -> None:
    """Its process id in the container."""
    workers = stats.workers(told("show_proc"))
    assert stats.pid(told("show_info")) == next(w.pid for w in workers if w.kind == "worker")


def test_workers_are_told_apart(told) -> None:
    """The master, the one that serves and the one that a reload left."""
    assert [w.kind for w in stats.workers(told("show_proc"))] == ["master", "worker", "old"]
    assert control.failures(stats.workers(told("show_proc"))) == 0
    assert control.failures(stats.workers(told("show_proc_failed"))) == 1


def test_doubled_entries_are_seen(told) -> None:
    """In the order that look-ups use, each with its own reference."""
    found = stats.entries_of(told("show_map"), SERVICE)
    assert [entry.value for entry in found] == ["blue.green", "green"]
    assert len({entry.ref for entry in found}) == 2
    assert stats.entries_of(told("show_map"), "shop") == ()


def test_backends_are_listed(told) -> None:
    """Each value has one."""
    found = stats.backends(told("show_stat"))
    assert {f"{SERVICE}:{value}" for value in ("blue", "green", "blue.green")} <= found


def test_a_hand_on_a_server_shows(told) -> None:
    """A forced state, not a failed check."""
    assert stats.forced(told("show_servers_state"), SERVICE) == (f"{SERVICE}:wait-blue/blue1",)
    down = [s for s in stats.states(told("show_servers_state")) if not s.op and not s.admin]
    assert {s.server for s in down} == {"green2"}


def test_sessions_have_an_id_and_a_place(told) -> None:
    """So that an old worker's can be ended one by one."""
    found = [s for s in stats.sessions(told("show_sess_old")) if s.server == "blue1"]
    assert [s.backend for s in found] == [f"{SERVICE}:blue.green"]
    assert found[0].id.startswith("0x")


def test_answers_to_several_commands_are_told_apart() -> None:
    """An empty line ends each; an answer may be empty."""
    text = "\n0x1 a blue\n0x2 b green\n\nName: HAProxy\nPid: 7\n\n"
    assert control.split(text, 3) == ["", "0x1 a blue\n0x2 b green", "Name: HAProxy\nPid: 7"]
    assert control.split("", 2) == ["", ""]


def test_alerts_and_warnings_are_complaints() -> None:
    """Notices are not."""
    text = "[NOTICE]   (1) : x\n[WARNING]  (1) : y\n[ALERT]    (1) : z\nConfiguration is valid\n"
    assert len(stats.complaints(text)) == 2
