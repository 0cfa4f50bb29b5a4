# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of an image: which layers a server lacks, and the archive without those that it has.

An engine from 25 on saves each layer as ``blobs/sha256/<diff id>`` and looks a layer up by its chain before it opens
that file, so what is left out is not missed where the chain is known. An engine with containerd's store saves layers
as they came, packed and by other names, which its archive tells at the end: see `packed`. Older engines have a folder
for each layer, of which nothing is left out.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError

BLOBS = "blobs/sha256/"
PIECE = 1024 * 1024


class ArchiveDamaged(StackswapError):
    """The archive ends too early, or is not what it should be."""

    cause = "archive_damaged"


@dataclass(frozen=True)
class Written:
    """An archive as it was written: its sha256, its bytes, and how many layers were left out."""

    digest: str
    size: int
    omitted: int


def chains(layers: Iterable[str]) -> tuple[str, ...]:
    """What names each layer with all below it, as the image specification has it; from the bottom."""
    found: list[str] = []
    for layer in layers:
        text = f"{found[-1]} {layer}" if found else ""
        found.append(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if text else layer)
    return tuple(found)


def known(images: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """All chains of these images, each once."""
    return tuple(sorted({chain for layers in images for chain in chains(layers)}))


def spared(layers: Sequence[str], has: Collection[str]) -> tuple[str, ...]:
    """The layers that need not travel: from the bottom to the first difference, but for those used again above it."""
    count = next((n for n, chain in enumerate(chains(layers)) if chain not in has), len(layers))
    return tuple(dict.fromkeys(layer for layer in layers[:count] if layer not in layers[count:]))


def rewrite(source: BinaryIO, target: BinaryIO, omit: Iterable[str] = ()) -> Written:
    """Copy an archive without these layers. The same image gives the same bytes at any time, so a copy may go on."""
    left_out, names = set(map(_member, omit)), set()
    counted = _Counted(target)
    try:
        with tarfile.open(fileobj=source, mode="r|", bufsize=PIECE) as old, _opened(counted) as new:
            for member in old:
                names.add(member.name)
                if member.name not in left_out:
                    new.addfile(_timeless(member), old.extractfile(member) if member.isreg() else None)
    except tarfile.TarError as error:
        raise ArchiveDamaged(f"the image's archive is damaged: {error}") from error
    if "manifest.json" not in names:
        raise ArchiveDamaged("the image's archive ends too early: it has no manifest")
    return Written(counted.digest(), counted.size, len(left_out & names))


def packed(archive: BinaryIO, omit: Collection[str]) -> tuple[str, ...]:
    """What these layers are called in an archive in which they are packed: the manifest names them in their order."""
    try:
        with tarfile.open(fileobj=archive, mode="r:") as opened:
            found: dict[str, str] = {}
            for image in _document(opened, "manifest.json") or ():
                layers = (_document(opened, image["Config"]) or {})["rootfs"]["diff_ids"]
                found.update(zip(layers, image["Layers"]) if len(layers) == len(image["Layers"]) else ())
    except (tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise ArchiveDamaged(f"this is no image's archive: {error}") from error
    kept = {name for layer, name in found.items() if layer not in omit}
    names = {found[layer] for layer in omit if layer in found} - kept
    return tuple(f"sha256:{name.rpartition('/')[2]}" for name in sorted(names))


def held(archive: BinaryIO) -> frozenset[str]:
    """What an archive's images may be called by an engine: by their configuration, or by their manifest."""
    try:
        with tarfile.open(fileobj=archive, mode="r:") as opened:
            images, index = _document(opened, "manifest.json") or [], _document(opened, "index.json") or {}
            configs = [str(image["Config"]).rpartition("/")[2].partition(".")[0] for image in images]
            told = [f"sha256:{name}" for name in configs] + [one["digest"] for one in index.get("manifests", ())]
    except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArchiveDamaged(f"this is no image's archive: {error}") from error
    if not told:
        raise ArchiveDamaged("this is no image's archive: it has no manifest")
    return frozenset(told)


def _member(layer: str) -> str:
    return f"{BLOBS}{layer.rpartition(':')[2]}"


def _document(archive: tarfile.TarFile, name: str) -> Any:
    """A document in it, None if there is none."""
    if name not in archive.getnames():
        return None
    member = archive.extractfile(name)
    return json.loads(member.read()) if member else None


def _opened(target: Any) -> tarfile.TarFile:
    return tarfile.open(fileobj=target, mode="w|", bufsize=PIECE, format=tarfile.GNU_FORMAT)


def _timeless(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same member without the time at which it was saved."""
    member.mtime, member.pax_headers = 0, {}
    return member


class _Counted:
    """A file that is written to, and what went into it."""

    def __init__(self, target: BinaryIO) -> None:
        self._target, self._sum, self.size = target, hashlib.sha256(), 0

    def write(self, piece: bytes) -> int:
        """Write, and count."""
        self._sum.update(piece)
        self.size += len(piece)
        return self._target.write(piece)

    def digest(self) -> str:
        """The sha256 of all that was written."""
        return f"sha256:{self._sum.hexdigest()}"
