"""Build images from contexts packed in memory, with the docker command and BuildKit."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

LABEL = "stackswap.test=1"
NONE: Mapping[str, Any] = MappingProxyType({})


def docker(*words: str, data: bytes | None = None, errors: bool = False) -> str:
    """Run the docker command and return what it prints, its errors too if asked, or raise with its last words."""
    done = subprocess.run(["docker", *words], input=data, capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace")[-2000:]
        raise RuntimeError(f"docker {' '.join(words[:3])} failed: {said}")
    return (done.stdout + done.stderr * errors).decode().strip()


def tagged(name: str, *parts: object) -> str:
    """The image's name with a tag that changes with what it is made of: one made otherwise is not taken for it."""
    return f"stackswap-test/{name}:{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"


def exists(tag: str) -> bool:
    """Tell whether the engine has an image by this tag."""
    asked = ["docker", "image", "inspect", tag]
    return subprocess.run(asked, capture_output=True).returncode == 0


def context(
    files: Mapping[str, bytes],
    links: Mapping[str, str] = NONE,
    folders: Mapping[str, int] = NONE,
) -> bytes:
    """Pack a build context whose bytes depend on its content alone."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, mode in folders.items():
            archive.addfile(member(name, mode, type=tarfile.DIRTYPE))
        for name, content in files.items():
            archive.addfile(member(name, 0o755, size=len(content)), io.BytesIO(content))
        for name, target in links.items():
            archive.addfile(member(name, 0o777, type=tarfile.SYMTYPE, linkname=target))
    return packed.getvalue()


def member(name: str, mode: int, **fields: Any) -> tarfile.TarInfo:
    """Describe one member of an archive, root's and without a time."""
    made = tarfile.TarInfo(name)
    for field, value in (fields | {"mode": mode}).items():
        setattr(made, field, value)
    return made


def build(tag: str, packed: bytes, names: Mapping[str, str] = NONE) -> str:
    """Build a packed context, FROM names standing for local images, and return the tag."""
    flags = ["--builder=default", "--quiet", f"--label={LABEL}", f"--tag={tag}", *as_flags(names)]
    docker("buildx", "build", *flags, "-", data=packed)
    return tag


def as_flags(names: Mapping[str, str]) -> list[str]:
    """Write a map of FROM names to local images as flags of `docker buildx build`."""
    return [f"--build-context={name}=docker-image://{image}" for name, image in names.items()]
