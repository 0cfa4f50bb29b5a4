"""The archive of an image without the layers that a server has: which those are, and what is left."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.archive import (
    ArchiveDamaged,
    Written,
    chains,
    held,
    known,
    packed,
    rewrite,
    spared,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.incoming import DAY, Incoming, waiting

BASE, DEPS, CODE, NEW, EMPTY = (f"sha256:{letter * 64}" for letter in "abcde")


def test_a_chain_is_named_as_the_image_specification_has_it() -> None:
    """The lowest by itself, each other by the chain below and itself."""
    second = f"sha256:{hashlib.sha256(f'{BASE} {DEPS}'.encode()).hexdigest()}"
    third = f"sha256:{hashlib.sha256(f'{second} {CODE}'.encode()).hexdigest()}"
    assert chains([BASE, DEPS, CODE]) == (BASE, second, third)


SPARED = {
    "nothing is there": ([], (BASE, DEPS), ()),
    "the base is there": ([(BASE,)], (BASE, DEPS, NEW), (BASE,)),
    "all but the code": ([(BASE, DEPS, CODE)], (BASE, DEPS, NEW), (BASE, DEPS)),
    "all is there": ([(BASE, DEPS, CODE)], (BASE, DEPS), (BASE, DEPS)),
    "the same layer on another base": ([(BASE,), (DEPS, CODE)], (BASE, CODE), (BASE,)),
    "another order": ([(DEPS, BASE)], (BASE, DEPS), ()),
    "of several images the best": ([(BASE,), (BASE, DEPS)], (BASE, DEPS, NEW), (BASE, DEPS)),
    "the same layer twice, below and above": ([(BASE, EMPTY)], (BASE, EMPTY, NEW, EMPTY), (BASE,)),
    "the same layer twice, both there": ([(BASE, EMPTY, EMPTY)], (BASE, EMPTY, EMPTY, NEW), (BASE, EMPTY)),
}


@pytest.mark.parametrize(("there", "wanted", "stays"), SPARED.values(), ids=SPARED)
def test_the_layers_up_to_the_first_difference_stay(there: Any, wanted: Any, stays: Any) -> None:
    """What is needed once more above it travels."""
    assert spared(wanted, known(there)) == stays


def archive(layers: dict[str, bytes], folder: str = "blobs/sha256/", time: int = 1, **more: bytes) -> bytes:
    """An image's archive as an engine saves it."""
    config = json.dumps({"rootfs": {"diff_ids": list(layers)}}).encode()
    name = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"blobs/sha256/{name}", "RepoTags": None, "Layers": [f"{folder}{x[7:]}" for x in layers]}]
    index = {"manifests": [{"digest": NEW}]}
    members = {f"{folder}{digest[7:]}": content for digest, content in layers.items()}
    members |= {f"blobs/sha256/{name}": config, "index.json": json.dumps(index).encode()}
    members |= {"manifest.json": json.dumps(manifest).encode(), **more}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as opened:
        for path, content in members.items():
            member = tarfile.TarInfo(path)
            member.size, member.mtime = len(content), time
            opened.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def rewritten(data: bytes, *omit: str) -> tuple[bytes, Written]:
    """An archive without these layers."""
    target = io.BytesIO()
    told = rewrite(io.BytesIO(data), target, omit)
    return target.getvalue(), told


def names(data: bytes) -> list[str]:
    """The members of an archive."""
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        return opened.getnames()


LAYERS = {BASE: b"base" * 9000, CODE: b"code"}


def test_what_is_left_out_is_the_layers_and_nothing_else() -> None:
    """All else stays as it was; the sum and the size are those of what was written."""
    before = archive(LAYERS)
    after, told = rewritten(before, BASE)
    assert set(names(before)) - set(names(after)) == {f"blobs/sha256/{'a' * 64}"}
    assert told == Written(f"sha256:{hashlib.sha256(after).hexdigest()}", len(after), 1)
    with tarfile.open(fileobj=io.BytesIO(after)) as opened:
        assert opened.extractfile(f"blobs/sha256/{'c' * 64}").read() == b"code"


def test_an_archive_of_an_older_engine_stays_whole() -> None:
    """It has a folder for each layer: none goes, and that is told."""
    before = archive(LAYERS, folder="layers/")
    after, told = rewritten(before, BASE)
    assert (names(after), told.omitted) == (names(before), 0)


def test_the_same_image_gives_the_same_bytes_at_any_time() -> None:
    """So that an interrupted transfer may go on in another job."""
    assert rewritten(archive(LAYERS, time=1))[0] == rewritten(archive(LAYERS, time=99))[0]


@pytest.mark.parametrize("length", [0, 100, 512, 20_000, 36_864, 38_000])
def test_an_archive_that_ends_too_early_is_refused(length: int) -> None:
    """Wherever it is cut."""
    with pytest.raises(ArchiveDamaged):
        rewritten(archive(LAYERS)[:length])


def test_an_archive_tells_what_its_image_may_be_called() -> None:
    """By its configuration as the one store does, by its manifest as the other."""
    config = json.dumps({"rootfs": {"diff_ids": list(LAYERS)}}).encode()
    assert held(io.BytesIO(archive(LAYERS))) == {f"sha256:{hashlib.sha256(config).hexdigest()}", NEW}


@pytest.mark.parametrize("data", [b"", b"no archive" * 500, archive(LAYERS)[:20_000]])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    """Or holds nothing."""
    with pytest.raises(ArchiveDamaged):
        held(io.BytesIO(data))


# -- on the server


@pytest.fixture
def sent(tmp_path: Path) -> tuple[Incoming, Path]:
    """Nine bytes that are to come, and the file in which a piece of them comes."""
    part = {"digest": f"sha256:{hashlib.sha256(b'123456789').hexdigest()}", "size": 9}
    return Incoming(part, str(tmp_path / "incoming")), tmp_path / "piece"


def test_an_archive_comes_in_pieces(sent: tuple[Incoming, Path]) -> None:
    """Each after the other; what is not the next is not taken; the folder is its owner's alone."""
    incoming, piece = sent
    piece.write_bytes(b"12345")
    assert (incoming.received(), incoming.append(str(piece), 0), incoming.complete()) == (0, 5, False)
    assert incoming.append(str(piece), 0) == 5
    assert waiting(incoming.folder)["received"] == {f"sha256:{hashlib.sha256(b'123456789').hexdigest()}": 5}
    piece.write_bytes(b"6789")
    assert (incoming.append(str(piece), 5), incoming.complete()) == (9, True)
    assert Path(incoming.path).read_bytes() == b"123456789"
    assert (Path(incoming.path).stat().st_mode & 0o777, Path(incoming.path).parent.stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )
    incoming.remove()
    assert incoming.received() == 0


@pytest.mark.parametrize("came", [b"12345678x", b"1234567890"])
def test_what_is_not_what_was_sent_is_refused_and_gone(sent: tuple[Incoming, Path], came: bytes) -> None:
    """Else it would be in the way of the next try."""
    incoming, piece = sent
    piece.write_bytes(came)
    incoming.append(str(piece), 0)
    with pytest.raises(ArchiveDamaged, match="not the archive that was sent"):
        incoming.complete()
    assert incoming.received() == 0


def test_what_nobody_went_on_with_is_removed_after_a_day(sent: tuple[Incoming, Path]) -> None:
    """And not before."""
    incoming, piece = sent
    piece.write_bytes(b"1")
    incoming.append(str(piece), 0)
    folder, part = str(Path(incoming.path).parent), {"digest": "sha256:0", "size": 1}
    Incoming(part, folder)
    assert incoming.received() == 1
    began = Path(incoming.path).stat().st_mtime - DAY - 60
    os.utime(incoming.path, (began, began))
    Incoming(part, folder)
    assert incoming.received() == 0


def test_a_packed_layer_is_found_by_what_it_holds() -> None:
    """An engine with containerd's store names a layer by its packed form, in the order of what it holds."""
    data = archive({BASE: b"base", DEPS: b"deps", CODE: b"code"})
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        manifest = json.loads(opened.extractfile("manifest.json").read())  # type: ignore[union-attr]
    shuffled = dict(zip((BASE, DEPS, CODE), (NEW, EMPTY, NEW), strict=True))
    manifest[0]["Layers"] = [f"blobs/sha256/{name[7:]}" for name in shuffled.values()]
    data = archive({BASE: b"base", DEPS: b"deps", CODE: b"code"}, **{"manifest.json": json.dumps(manifest).encode()})
    assert packed(io.BytesIO(data), [DEPS]) == (EMPTY,)
    assert packed(io.BytesIO(data), [BASE, DEPS]) == (EMPTY,), "what is the same packed is needed above"
    assert packed(io.BytesIO(data), []) == ()
    with pytest.raises(ArchiveDamaged, match="no image's archive"):
        packed(io.BytesIO(b"nonsense" * 1000), [BASE])
