"""Folders that a framework keeps, in the images of its runtimes: written as www-data, there in the next version."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.test_runtimes import PORT, Running
from tests.lab import bases
from tests.lab.building import docker
from tests.lab.built import Code

pytestmark = [pytest.mark.engine, pytest.mark.slow]
PAGE = """<?php
$place = __DIR__ . '/%s';
if (isset($_GET['new'])) file_put_contents("$place/$_GET[new]", posix_getuid());
echo implode(' ', array_diff(scandir($place), ['.', '..']));
"""
SYMFONY = {"bin/console": "", "config/bundles.php": "<?php", "public/index.php": PAGE % "uploads"}
LARAVEL = {"artisan": "<?php", "public/index.php": PAGE % "../storage/app"}
CASES: dict[str, tuple[str, str, Mapping[str, str], str]] = {
    "Symfony": ("php-fpm", "php:8.3-fpm", SYMFONY, "public/uploads"),
    "Laravel": ("php-apache", "php:8.3-apache", LARAVEL, "storage/app"),
}


@contextmanager
def running(tag: str, shared: Path) -> Iterator[Running]:
    """A container of it that has this folder of the server at /data."""
    words = ["--label=stackswap.test=1", f"--publish=127.0.0.1::{PORT}", f"--volume={shared}:/data"]
    container = docker("run", "-d", *words, tag)
    try:
        found = Running(container, int(docker("port", container, str(PORT)).splitlines()[0].rpartition(":")[2]))
        found.answers()
        yield found
    finally:
        docker("rm", "--force", "--volumes", container)


@pytest.mark.parametrize("name", CASES)
def test_what_users_upload_is_there_in_the_next_version(name: str, tmp_path: Path) -> None:
    """The folders are known by the marks of the framework; what the first image had in them is there, too."""
    runtime, base, files, kept = CASES[name]
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)  # as setup makes /mnt/shared
    code = Code(tmp_path / "code", bases.contexts([base]))
    code.write({**files, f"{kept}/logo": "first", "unique": uuid.uuid4().hex})
    try:
        notes = code.build(runtime=runtime).notes
        assert f"the runtime {runtime} ({name})" in notes[0]
        with running(code.tag, shared) as first:
            assert first.ask("/?new=a") == (200, "a logo")
        code.write({f"{kept}/logo": "second"})
        code.build("2", runtime=runtime)
        with running(code.tag, shared) as second:
            assert second.ask("/?new=b") == (200, "a b logo")
        found = shared / kept
        assert [(found / name).read_text() for name in ("a", "b", "logo")] == ["33", "33", "first"]
        assert (found / "b").stat().st_uid == 33
    finally:
        code.remove()
