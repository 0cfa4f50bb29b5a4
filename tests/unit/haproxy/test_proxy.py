"""The proxy's verbs against a script: what was so at the very moment of a change, which no real proxy can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import control
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import TRIES, NotRegistered, NotTaken
from tests.lab.scripted import SERVICE, Scripted, Worker


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """A proxy that is a script, with its files."""
    made = Scripted(tmp_path)
    monkeypatch.setattr(control, "ask", made.ask)
    return made


def test_the_file_is_written_before_the_runtime(scripted: Scripted) -> None:
    """So that a restart between the two brings what was about to be."""
    scripted.proxy().point(SERVICE, "green.blue")
    assert [change.file for change in scripted.changes] == [f"{SERVICE} green.blue\n"]
    assert scripted.entries == [(SERVICE, "green.blue")]


def test_a_value_is_written_under_the_proxys_lock(scripted: Scripted) -> None:
    """From the reading to the reading back."""
    scripted.proxy().point(SERVICE, "blue")
    assert [change.locked for change in scripted.changes] == [True]
    assert not scripted.locked


def test_a_value_that_was_not_taken_is_written_again(scripted: Scripted) -> None:
    """Until it is read back."""
    scripted.deaf = 2
    scripted.proxy().point(SERVICE, "blue")
    assert len(scripted.changes) == 3 and scripted.entries == [(SERVICE, "blue")]


def test_a_value_that_is_never_read_back_is_told(scripted: Scripted) -> None:
    """Writing is not having written."""
    scripted.deaf = 99
    with pytest.raises(NotTaken, match=f"does not show blue for {SERVICE}"):
        scripted.proxy().point(SERVICE, "blue")
    assert len(scripted.changes) == TRIES


def test_the_word_of_a_worker_that_does_not_serve_is_none(scripted: Scripted) -> None:
    """One that is on its way out may still answer at the socket."""
    scripted.answers = 90
    with pytest.raises(NotTaken):
        scripted.proxy().point(SERVICE, "blue")


def test_a_swap_is_told_to_workers_that_are_on_their_way_out(scripted: Scripted) -> None:
    """A connection that was kept through a reload has one request more, which goes by their map."""
    scripted.workers = [Worker(90, old=True), Worker(91, old=True), Worker(100)]
    scripted.proxy().point(SERVICE, "blue")
    assert len(scripted.changes) == 3 and all(change.locked for change in scripted.changes)


def test_doubled_entries_are_merged_before_they_are_believed(scripted: Scripted) -> None:
    """Look-ups use the first of them."""
    scripted.entries.append((SERVICE, "green"))
    scripted.proxy().point(SERVICE, "blue")
    assert scripted.entries == [(SERVICE, "blue")]


def test_nobody_points_what_has_no_entry(scripted: Scripted) -> None:
    """Nothing is written then."""
    with pytest.raises(NotRegistered):
        scripted.proxy().point("test.blog", "blue")
    assert not scripted.changes


def test_sessions_are_counted_in_all_workers(scripted: Scripted) -> None:
    """A reload leaves some behind in the old one."""
    scripted.workers = [Worker(90, old=True, sessions={"10.0.0.1": 2}), Worker(100, sessions={"10.0.0.1": 1})]
    proxy = scripted.proxy()
    assert proxy.sessions(("10.0.0.1",)) == 3
    assert proxy.sessions(("10.0.0.2",)) == 0


def test_a_slot_is_told_down_again_where_a_check_counted_meanwhile(scripted: Scripted) -> None:
    """One that had begun before is no new proof."""
    scripted.workers[0].green = ["UP", "DOWN 1/2", "DOWN"]
    assert scripted.proxy().force_down(SERVICE, "green") == 100
    scripted.workers[0].green = ["UP", "DOWN 1/2"]
    with pytest.raises(NotTaken, match="green slot is not down as told"):
        scripted.proxy().force_down(SERVICE, "green")
