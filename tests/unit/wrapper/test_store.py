"""Jobs as directories: who is alive, what is kept, what a lost one still tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stackswap.errors import Usage
from stackswap.store import Folder, Store, new_id, root_of

from .streams import recorded

ASKED = {"kind": "deploy", "service": "shop", "version": "1.10", "started": "then"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store for three jobs."""
    return Store(tmp_path / "jobs", kept=3)


def begun(store: Store, job: str) -> Folder:
    """A job that is alive."""
    folder = store.create(job)
    folder.begin(ASKED)
    return folder


def test_ids_sort_by_time() -> None:
    """A later job has the greater id."""
    ids = [new_id(now, lambda n: b"\0" * n) for now in (0.5, 0.75, 1, 3600, 1e9)]
    assert ids == sorted(ids)
    assert ids[0] == "19700101-000000-5000000"


def test_the_newest_are_kept_and_whoever_is_alive(store: Store) -> None:
    """A long job is never swept away by short ones."""
    alive = begun(store, "1")
    for job in "23456":
        begun(store, job).release()
    assert [folder.id for folder in store.jobs()] == ["6", "5", "4", "1"]
    alive.release()
    store.prune()
    assert [folder.id for folder in store.jobs()] == ["6", "5", "4"]


def test_a_job_is_alive_as_long_as_its_lock_is_held(store: Store) -> None:
    """Pending, running, canceling; and lost when nobody holds it and nothing came of it."""
    folder = begun(store, "1")
    seen = store.find("1")
    assert seen.status() == "pending"
    folder.append('{"type": "play.started", "ts": "now"}')
    assert (seen.alive(), seen.status(), seen.report()) == (True, "running", None)
    seen.cancel("command")
    assert (seen.status(), folder.canceled_by()) == ("canceling", "command")
    folder.release()
    assert (seen.alive(), seen.status()) == (False, "error")


def test_a_lost_job_tells_what_it_heard(store: Store) -> None:
    """From its events, the torn last line left out."""
    folder = begun(store, "1")
    for seq, event in enumerate(recorded("canceled")[1]):
        folder.append(json.dumps(event.envelope("1", seq, f"t{seq}")))
    folder.append('{"v": 1, "type": "host.o')
    folder.release()
    report = store.find("last").report()
    assert report is not None
    assert (report.status, report.reason, report.exit) == ("error", "lost", 4)
    assert (report.outcome, report.working, report.finished) == ("unknown", ("web2",), "t9")


def test_all_of_it_is_its_owners_alone(store: Store) -> None:
    """Directories 0700, files 0600, whatever the umask is."""
    folder = begun(store, "1")
    folder.cancel("command")
    folder.append("{}")
    folder.end({})
    folder.release()
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.path.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {store.root.stat().st_mode & 0o777, folder.path.stat().st_mode & 0o777} == {0o700}


def test_of_the_runners_files_only_the_log_stays(store: Store) -> None:
    """Ansible's own text; the rest was written by others and is removed."""
    folder = begun(store, "1")
    artifacts = folder.private / "artifacts" / "1"
    artifacts.mkdir()
    (artifacts / "stdout").write_text("PLAY")
    (artifacts / "command").write_text("secret")
    memory = artifacts.resolve()
    folder.end({"v": 1})
    folder.release()
    assert not memory.exists()
    names = {path.name for path in folder.path.iterdir()}
    assert names == {"lock", "job.json", "events.ndjson", "log", "result.json"}


def test_what_a_killed_job_left_in_memory_goes_with_the_next_job(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its report stays: it is judged by its events."""
    folder = begun(store, "1")
    memory = (folder.private / "artifacts").resolve()
    monkeypatch.setattr(Folder, "forget", lambda self: None)
    folder.release()  # as the system does for a killed process: the lock alone
    monkeypatch.undo()
    assert memory.exists()
    store.create("2")
    assert not memory.exists()
    assert store.find("1").status() == "error"


def test_where_no_memory_can_be_had_the_jobs_own_directory_does(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every control node is a Linux one."""
    monkeypatch.setattr("stackswap.store.MEMORY", store.root / "none")
    folder = begun(store, "1")
    assert not (folder.private / "artifacts").is_symlink()
    folder.release()
    assert not folder.private.exists()


def test_jobs_are_found_by_the_first_part_of_their_id(store: Store) -> None:
    """Or as the last one; a doubtful name is refused."""
    for job in ("20300101-a", "20300102-a"):
        begun(store, job).release()
    assert store.find("20300101").id == "20300101-a"
    assert store.find("last").id == store.find("").id == "20300102-a"
    with pytest.raises(Usage, match="several"):
        store.find("2030")
    with pytest.raises(Usage, match="no job"):
        store.find("2031")


def test_a_job_id_is_never_used_twice(store: Store) -> None:
    """The second one is refused."""
    store.create("1")
    with pytest.raises(Usage, match="cannot be kept"):
        store.create("1")


def test_jobs_are_kept_where_the_caller_says() -> None:
    """--job-dir, else XDG_STATE_HOME if it is absolute, else below the home."""
    assert root_of("/a", {"XDG_STATE_HOME": "/b"}) == Path("/a")
    assert root_of("", {"XDG_STATE_HOME": "/b"}) == Path("/b/stackswap/jobs")
    assert root_of("", {"XDG_STATE_HOME": "b"}) == Path.home() / ".local/state/stackswap/jobs"
