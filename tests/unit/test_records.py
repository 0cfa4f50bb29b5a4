"""What a server remembers is whole or absent, for root alone, and never in the way."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import records as module
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.records import NotKept, Records

SHOP = "production.shop"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory that is not there yet."""
    return tmp_path / "home"


@pytest.fixture
def records(home: Path) -> Records:
    """The records in it."""
    return Records(str(home), clock=lambda: 0.0)


def folder(home: Path) -> Path:
    """Where the shop's files are."""
    return home / "services" / "production" / "shop"


def test_what_was_written_is_read_and_replaced_as_a_whole(records: Records) -> None:
    """No key of the former one stays."""
    records.write(SHOP, {"served": ["a"], "claim": {"job": "1"}})
    records.write(SHOP, {"served": ["a", "b"]})
    assert records.read(SHOP) == {"served": ["a", "b"]}


def test_a_missing_record_is_an_empty_one(records: Records, home: Path) -> None:
    """And reading makes nothing."""
    assert records.read(SHOP) == {}
    assert records.manifest(SHOP, "abc") is None
    assert records.addresses() == {}
    assert records.services() == ()
    assert not home.exists()


def test_files_are_for_root_alone_whatever_the_umask(records: Records, home: Path) -> None:
    """0600 in 0700, at every level."""
    former = os.umask(0)
    try:
        records.write(SHOP, {})
        records.keep_manifest(SHOP, "abc", {})
        records.note(SHOP, {"what": "deployed"})
        records.keep_addresses({})
        records.server_key()
    finally:
        os.umask(former)
    found = {path: path.stat().st_mode & 0o777 for path in (home, *home.rglob("*"))}
    wrong = {path: oct(mode) for path, mode in found.items() if mode != (0o700 if path.is_dir() else 0o600)}
    assert not wrong


@pytest.mark.parametrize("moment", ["fsync", "rename"])
def test_a_crash_before_the_rename_leaves_the_former_record(
    records: Records, home: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """And the next write is not hindered by what the crash left."""

    class Crash(BaseException):
        """The process ends here."""

    def crash(*_: object) -> None:
        raise Crash

    records.write(SHOP, {"served": ["a"]})
    with monkeypatch.context() as broken:
        broken.setattr(module.os, moment, crash)
        with pytest.raises(Crash):
            records.write(SHOP, {"served": ["a", "b"]})
    assert Records(str(home)).read(SHOP) == {"served": ["a"]}
    records.write(SHOP, {"served": ["a", "c"]})
    assert records.read(SHOP) == {"served": ["a", "c"]}
    assert sorted(path.name for path in folder(home).iterdir()) == ["record.json"]


def test_the_order_is_file_rename_folder(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content is on the disk before it has the name, and the name before the call ends."""
    records.write(SHOP, {})
    done: list[str] = []
    sync, rename = os.fsync, os.rename

    def seen_sync(descriptor: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        sync(descriptor)

    def seen_rename(source: str, target: str) -> None:
        done.append("rename")
        rename(source, target)

    monkeypatch.setattr(module.os, "fsync", seen_sync)
    monkeypatch.setattr(module.os, "rename", seen_rename)
    records.write(SHOP, {"served": []})
    assert done == ["record.json.new", "rename", "shop"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00\x00", '{"served": '])
def test_a_broken_record_says_so_until_a_write_puts_it_aside(records: Records, home: Path, text: str) -> None:
    """Reading moves nothing: it holds no lock. The evidence is kept."""
    records.write(SHOP, {})
    path = folder(home) / "record.json"
    for number in (1, 2):
        path.write_text(text)
        assert records.read(SHOP) == {"broken": str(path)} == records.read(SHOP)
        records.write(SHOP, {"served": ["a"]})
        assert records.read(SHOP) == {"served": ["a"]}
        assert Path(f"{path}.broken-{number}").read_text() == text


def test_manifests_are_kept_and_dropped_by_release(records: Records) -> None:
    """Dropping one that is not there is fine; a broken one is not known."""
    records.keep_manifest(SHOP, "abc-12", {"env": {"A": "1"}})
    assert records.manifest(SHOP, "abc-12") == {"env": {"A": "1"}}
    for _ in range(2):
        records.drop_manifest(SHOP, "abc-12")
    assert records.manifest(SHOP, "abc-12") is None


def test_history_is_lines_and_its_size_has_an_end(
    records: Records, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The full file becomes the older one; two are kept."""
    monkeypatch.setattr(module, "HISTORY_BYTES", 400)
    for number in range(20):
        records.note(SHOP, {"number": number, "what": "deployed"})
    path = folder(home) / "history.ndjson"
    older = Path(f"{path}.1").read_text().splitlines()
    lines = [json.loads(line) for line in older + path.read_text().splitlines()]
    assert lines[-1] == {"at": "1970-01-01T00:00:00+00:00", "number": 19, "what": "deployed"}
    assert [line["number"] for line in lines] == list(range(20 - len(lines), 20))
    assert path.stat().st_size <= 400
    assert len(list(folder(home).iterdir())) == 2


def test_the_newest_lines_are_read_from_both_files_and_half_a_line_is_none(
    records: Records, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power loss may leave half a line; the others are told."""
    assert records.history(SHOP, 5) == []
    monkeypatch.setattr(module, "HISTORY_BYTES", 400)
    for number in range(10):
        records.note(SHOP, {"number": number})
    with (folder(home) / "history.ndjson").open("a") as stream:
        stream.write('{"number": 1')
    assert [line["number"] for line in records.history(SHOP, 8)] == list(range(9, 1, -1))
    assert [line["number"] for line in records.history(SHOP, 1)] == [9]


def test_addresses_lie_at_the_top_and_lost_ones_are_empty(records: Records, home: Path) -> None:
    """They are read off the containers then."""
    records.keep_addresses({SHOP: {"blue": ["172.30.0.2"], "green": ["172.30.0.3"]}})
    assert records.addresses()[SHOP]["green"] == ["172.30.0.3"]
    (home / "addresses.json").write_text("{")
    assert records.addresses() == {}
    records.keep_addresses({})
    assert (home / "addresses.json.broken-1").exists()


def test_a_service_that_left_is_forgotten_and_others_are_not(records: Records) -> None:
    """All of its files go; forgetting twice is fine."""
    for service in (SHOP, "production.blog"):
        records.write(service, {})
        records.keep_manifest(service, "abc", {})
        records.note(service, {})
    assert records.services() == ("production.blog", SHOP)
    for _ in range(2):
        records.forget(SHOP)
    assert records.services() == ("production.blog",)
    assert records.manifest("production.blog", "abc") == {}


def _ask_key(home: str, start: object, keys: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    keys.put(Records(home).server_key())  # type: ignore[attr-defined]


def test_the_server_key_is_made_once_whoever_asks_first(home: Path) -> None:
    """Eight at once get the same 32 bytes."""
    context = multiprocessing.get_context("fork")
    start, keys = context.Event(), context.Queue()
    asking = [context.Process(target=_ask_key, args=(str(home), start, keys)) for _ in range(8)]
    for one in asking:
        one.start()
    start.set()
    found = {keys.get(timeout=10) for _ in asking}
    for one in asking:
        one.join()
    assert len(found) == 1
    assert len(found.pop()) == 32
    assert [path.name for path in home.iterdir()] == ["server.key"]


def test_a_seal_changes_with_any_secret_and_only_then(records: Records, tmp_path: Path) -> None:
    """Order is nothing, name and value are all, and another server seals otherwise."""
    seal = records.seal({"A": "1", "B": "2"})
    assert seal == records.seal({"B": "2", "A": "1"})
    assert len(seal) == 8 and int(seal, 16) >= 0
    others = [{"A": "1", "B": "3"}, {"A": "2", "B": "1"}, {"A": "1"}, {"A": "1", "C": "2"}]
    assert len({seal, *map(records.seal, others)}) == 5
    assert Records(str(tmp_path / "other")).seal({"A": "1", "B": "2"}) != seal


def test_without_secrets_there_is_no_seal_and_no_key(records: Records, home: Path) -> None:
    """Nothing is made for nothing."""
    assert records.seal({}) == ""
    assert not home.exists()


@pytest.mark.parametrize("service", ["shop", "..", "a.b.c", "../x.y", "a.", ".b", "a.b/c", ""])
def test_a_name_never_becomes_another_path(records: Records, service: str) -> None:
    """A key is environment.name, and both are plain."""
    with pytest.raises(BadInput):
        records.read(service)


def test_what_cannot_be_written_is_told_with_its_path(tmp_path: Path) -> None:
    """A file where the home should be."""
    (tmp_path / "home").write_text("")
    with pytest.raises(NotKept, match=r"could not keep .*/services") as told:
        Records(str(tmp_path / "home")).write(SHOP, {})
    assert told.value.cause == "record_not_kept"


# -- secret files

AWKWARD = {
    "plain": "s3cret",
    "lines": "one\ntwo\r\n\n",
    "quotes": "'single' \"double\" $HOME ${X} `date` \\",
    "large": "x" * 65536,
    "binary": "\udcff\udc80",
}
BYTES = {name: text.encode("utf-8", "surrogateescape") for name, text in AWKWARD.items()}


def held(path: str | Path) -> dict[str, bytes]:
    """The files of a folder, by name."""
    return {file.name: file.read_bytes() for file in Path(path).iterdir()}


def test_secret_files_hold_every_byte(records: Records, home: Path) -> None:
    """Line ends, quotes, 64 kB, and what is no UTF-8."""
    path = records.keep_secrets(SHOP, "abc-12", AWKWARD)
    assert path == str(home / "secrets" / SHOP / "abc-12")
    assert held(path) == BYTES
    assert records.secrets(SHOP, "abc-12") == AWKWARD and records.secrets(SHOP, "other") == {}
    assert records.keep_secrets(SHOP, "abc-12", {}) == ""


@pytest.mark.parametrize("umask", [0, 0o077])
def test_any_user_in_a_container_reads_them_and_nobody_else_comes_near(
    records: Records, home: Path, umask: int
) -> None:
    """Files and their folder are open, the two folders above are root's, even if someone has opened them."""
    former = os.umask(umask)
    try:
        path = Path(records.keep_secrets(SHOP, "abc", AWKWARD))
        for above in path.parents[:2]:
            above.chmod(0o755)
        records.keep_secrets(SHOP, "abc", AWKWARD)
    finally:
        os.umask(former)
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o444}
    assert [folder.stat().st_mode & 0o777 for folder in (path, *path.parents[:2])] == [0o755, 0o700, 0o700]


def test_written_again_they_are_what_is_asked_and_their_folder_is_the_same(records: Records) -> None:
    """A container that has it mounted sees them; a file of another hand goes."""
    path = records.keep_secrets(SHOP, "abc", {"a": "1", "b": "1"})
    inode = os.stat(path).st_ino
    Path(path, "c").write_text("not ours")
    records.keep_secrets(SHOP, "abc", {"a": "2"})
    assert held(path) == {"a": b"2"} and os.stat(path).st_ino == inode


@pytest.mark.parametrize("moment", ["fsync", "rename"])
def test_a_crash_leaves_no_half_of_a_secret_file(
    records: Records, home: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """What it leaves is out of every container's sight, and goes with the next sweep."""

    class Crash(BaseException):
        """The process ends here."""

    def crash(*_: object) -> None:
        raise Crash

    path = records.keep_secrets(SHOP, "abc", {"a": "1"})
    with monkeypatch.context() as broken:
        broken.setattr(module.os, moment, crash)
        with pytest.raises(Crash):
            records.keep_secrets(SHOP, "abc", {"a": "2"})
    assert held(path) == {"a": b"1"}
    records.sweep_secrets(SHOP, {"abc"})
    assert sorted(os.listdir(home / "secrets" / SHOP)) == ["abc"]
    assert held(records.keep_secrets(SHOP, "abc", {"a": "3"})) == {"a": b"3"}


def test_a_sweep_takes_the_secret_files_of_all_that_do_not_stand(records: Records, home: Path) -> None:
    """Of this service alone; without any its folder goes, and a sweep of nothing is fine."""
    for release in ("one", "two"):
        records.keep_secrets(SHOP, release, {"a": "1"})
    other = records.keep_secrets("production.blog", "one", {"a": "1"})
    records.sweep_secrets(SHOP, {"two", "three"})
    assert os.listdir(home / "secrets" / SHOP) == ["two"]
    for _ in range(2):
        records.sweep_secrets(SHOP, ())
    assert not (home / "secrets" / SHOP).exists() and held(other)


@pytest.mark.parametrize("name", ["../a", "/a", ".a", "a/b"])
def test_a_secret_file_stays_in_its_folder(records: Records, home: Path, name: str) -> None:
    """Whatever it is called."""
    with pytest.raises(BadInput, match="cannot be the name of a secret file"):
        records.keep_secrets(SHOP, "abc", {name: "1"})
    assert not [path for path in home.rglob("*") if path.is_file()]
