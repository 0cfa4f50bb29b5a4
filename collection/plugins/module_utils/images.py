# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images on a builder, by its docker command: look at one, read files out of it, save it, name it.

A builder needs no Python library for Docker. Files are read through a container that is made and
never started.
"""

# pylint: disable=ansible-bad-function
# No module is at hand here, and its run_command could neither read nor feed what runs.

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.archive import (
    ArchiveDamaged,
    Written,
    packed,
    rewrite,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image
from ansible_collections.stackswap.bluegreen.plugins.module_utils.payload import image_of, layer_sizes, layers_of

READ = 65536  # of a file in an image, this much is read
PEEK = "stackswap.peek=1"


class BuilderFailed(StackswapError):
    """The builder's docker command refused; what holds its own words."""

    cause = "builder_failed"


@dataclass(frozen=True)
class Built:
    """An image on the builder, with what only a build cares for."""

    image: Image
    onbuild: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()


class Images:
    """The images of the engine that this machine's docker command speaks to."""

    def __init__(self, docker: str = "docker", host: str | None = None) -> None:
        self._docker = docker
        self._env = dict(os.environ, **({"DOCKER_HOST": host} if host else {}))

    def look(self, reference: str) -> Built | None:
        """The image by tag or id, None if it is not here."""
        done = self._docker_says("image", "inspect", reference)
        if done.returncode and b"no such image" in done.stderr.lower():
            return None
        document: dict[str, Any] = json.loads(self._unless_failed(done, f"look at {reference}"))[0]
        onbuild = (document.get("Config") or {}).get("OnBuild") or ()
        return Built(image_of(document), tuple(onbuild), layers_of(document))

    def all(self) -> list[Image]:
        """Every image that has a name here."""
        listed = self._unless_failed(self._docker_says("image", "ls", "--quiet", "--no-trunc"), "list its images")
        ids = sorted({*listed.decode().split()})
        done = self._docker_says("image", "inspect", *ids) if ids else None
        return [image_of(one) for one in json.loads(self._unless_failed(done, "look at its images"))] if done else []

    def drop(self, name: str) -> str:
        """Take a name from an image, which goes with its last one; why not, or ''."""
        done = self._docker_says("image", "rm", name)
        return done.stderr.decode("utf-8", "replace").strip() if done.returncode else ""

    def sizes(self, reference: str, count: int) -> tuple[int, ...]:
        """How many bytes each of the image's so many layers has, from the bottom; () where it does not say."""
        shape = '{"Size": {{json .Size}}, "CreatedBy": {{json .CreatedBy}}}'
        done = self._docker_says("image", "history", "--no-trunc", "--human=false", f"--format={shape}", reference)
        if done.returncode:
            return ()
        entries = [json.loads(line) for line in done.stdout.splitlines()]
        return layer_sizes([{**one, "Size": int(one["Size"])} for one in entries], count)

    def peek(self, reference: str, paths: Iterable[str]) -> dict[str, str]:
        """Those of the paths that are in the image, with their beginnings; no text is ''."""
        done = self._docker_says("create", f"--label={PEEK}", "--network=none", reference, "stackswap")
        container = self._unless_failed(done, f"look into {reference}").decode().strip()
        try:
            found = {path: self._beginning(container, path) for path in dict.fromkeys(paths)}
        finally:
            self._docker_says("rm", "--force", "--volumes", container)
        return {path: text for path, text in found.items() if text is not None}

    def save(self, reference: str, path: str, omit: Collection[str] = ()) -> Written:
        """Write the image's archive without these layers, readable for its owner alone."""
        words = [self._docker, "image", "save", reference]
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            done, written = self._saved(words, file, omit)
        self._unless_failed(done, f"save {reference}")
        if isinstance(written, ArchiveDamaged):
            raise written
        return written if written.omitted or not omit else _without_packed(path, written, omit)

    def _saved(self, words: list[str], file: Any, omit: Iterable[str]) -> tuple[Any, Written | ArchiveDamaged]:
        """How the command ended, and what was written or why not: the command's own words count for more."""
        with tempfile.TemporaryFile() as said:
            with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=said, env=self._env) as saving:
                try:
                    archive: Any = saving.stdout
                    written: Written | ArchiveDamaged = rewrite(archive, file, omit)
                except ArchiveDamaged as error:
                    written = error
                except OSError:
                    saving.kill()
                    raise
            said.seek(0)
            return subprocess.CompletedProcess(words, saving.returncode, b"", said.read()), written

    def name(self, reference: str, name: str) -> None:
        """Give this image a name, which it takes from any other."""
        self._unless_failed(self._docker_says("image", "tag", reference, name), f"name {reference} {name}")

    def untag(self, reference: str) -> None:
        """Take this name away; the image goes with its last name."""
        self._docker_says("image", "rm", reference)

    def _beginning(self, container: str, path: str) -> str | None:
        """The start of a file, links followed; '' for what is not a text file, None for nothing."""
        words = [self._docker, "cp", "--follow-link", f"{container}:{path}", "-"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self._env) as copy:
            data = copy.stdout.read(READ + 1024) if copy.stdout else b""
            copy.kill()
        return _first_member(data) if data else None

    def _docker_says(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run([self._docker, *words], capture_output=True, env=self._env, check=False)
        except OSError as error:
            raise BuilderFailed(f"there is no docker command on the builder ({error.strerror})") from error

    @staticmethod
    def _unless_failed(done: subprocess.CompletedProcess[bytes], what: str) -> bytes:
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()
            failed = BuilderFailed(f"the builder could not {what}: {said}")
            failed.cause = "no_space" if "no space left" in said.lower() else failed.cause
            raise failed
        return done.stdout or b""


def _without_packed(path: str, written: Written, omit: Collection[str]) -> Written:
    """The archive once more, without the layers that it has under other names; in the place of the first."""
    with open(path, "rb") as whole:
        names = packed(whole, omit)
        if not names:
            return written
        whole.seek(0)
        part = f"{path}.part"
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            lighter = rewrite(whole, file, names)
    os.replace(part, path)
    return lighter


def _first_member(data: bytes) -> str:
    """The text of the first file in the beginning of an archive."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r|") as archive:
            member = archive.next()
    except tarfile.TarError:
        return ""
    if not member or not member.isfile():
        return ""
    content = data[member.offset_data : member.offset_data + member.size]
    return "" if b"\0" in content else content.decode("utf-8", "replace")
