"""Each runtime makes an image of code that has no Dockerfile: it serves, ends when told, and is quick to make again."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.lab import bases
from tests.lab.building import docker
from tests.lab.built import Code

pytestmark = [pytest.mark.engine, pytest.mark.slow]
PORT = 8080
NPM_LOCK = json.dumps({"name": "x", "lockfileVersion": 3, "packages": {"": {"name": "x"}}})
SERVER = """require('http').createServer((asked, answer) => answer.end(`${asked.url} one ${process.getuid()}`))
  .listen(process.env.PORT); process.on('SIGTERM', () => process.exit(0))"""
FLASK = """import os
from flask import Flask
app = Flask(__name__)
@app.route("/")
def home():
    return f"/ one {os.getuid()}"
"""
PHP = """<?php require 'lib.php'; echo $_SERVER['REQUEST_URI'], " one ", posix_getuid();"""
LIBRARY = '{"autoload": {"files": ["lib.php"]}}'


@dataclass(frozen=True)
class Case:
    """Code, its runtime, the base images, the layers that change with the code, who serves, and what is nobody's."""

    runtime: str
    files: Mapping[str, str]
    bases: tuple[str, ...]
    changed: int
    user: str
    main: str
    hidden: tuple[str, ...] = ()


CASES = (
    Case("python", {"requirements.txt": "flask==3.1.3\n", "app.py": FLASK}, ("python:3.12-slim",), 1, "33", "app.py"),
    Case(
        "node",
        {
            "package.json": '{"name": "x", "scripts": {"start": "node server.js"}}',
            "package-lock.json": NPM_LOCK,
            "server.js": SERVER,
        },
        ("node:24-slim",),
        1,
        "33",
        "server.js",
    ),
    Case(
        "php-apache",
        {"composer.json": LIBRARY, "lib.php": "<?php", "public/index.php": PHP.replace("lib", "../vendor/autoload")},
        ("php:8.3-apache", "composer:2"),
        2,
        "33",
        "public/index.php",
        ("/.hidden", "/.artifakt/x"),
    ),
    Case(
        "php-fpm",
        {
            "index.php": PHP,
            "lib.php": "<?php",
            ".hidden": "x",
            ".artifakt/x": "x",
            "php-fpm.conf": "pm.status_path=/s\n",
        },
        ("php:8.3-fpm",),
        1,
        "33",
        "index.php",
        ("/.hidden", "/.artifakt/x", "/php-fpm.conf"),
    ),
    Case(
        "static",
        {"index.html": "/ one 101", ".hidden": "x", ".artifakt/x": "x"},
        ("nginxinc/nginx-unprivileged:stable-alpine",),
        1,
        "101",
        "index.html",
        ("/.hidden", "/.artifakt/x"),
    ),
)


@dataclass
class Running:
    """A container of it, at a port of this machine."""

    id: str
    port: int

    def ask(self, path: str = "/") -> tuple[int, str]:
        """One request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path, headers={"Host": "shop.test"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def answers(self) -> None:
        """Wait until it answers."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                self.ask()
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
        raise AssertionError(docker("logs", self.id))

    def stop(self) -> tuple[int, float]:
        """Stop it; its exit code and the seconds that it took."""
        began = time.monotonic()
        docker("stop", "--time=30", self.id)
        return int(docker("wait", self.id)), time.monotonic() - began


@pytest.fixture(params=CASES, ids=lambda case: case.runtime, scope="module")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Case, Code]]:
    """The image of a case."""
    case = request.param
    code = Code(tmp_path_factory.mktemp(case.runtime), bases.contexts(case.bases))
    code.write({**case.files, "unique": uuid.uuid4().hex})
    result = code.build()
    assert f"the runtime {case.runtime}" in " ".join(result.notes)
    yield case, code
    code.remove()


@pytest.fixture
def running(made: tuple[Case, Code]) -> Iterator[Running]:
    """A container of the image, which answers."""
    container = docker("run", "-d", "--label=stackswap.test=1", f"--publish=127.0.0.1::{PORT}", made[1].tag)
    try:
        port = int(docker("port", container, str(PORT)).splitlines()[0].rpartition(":")[2])
        found = Running(container, port)
        found.answers()
        yield found
    finally:
        docker("rm", "--force", container)


def test_it_serves_as_somebody_without_rights_and_ends_when_told(made: tuple[Case, Code], running: Running) -> None:
    """On port 8080; its health check holds; nothing that begins with a dot is given out."""
    case, code = made
    assert running.ask() == (200, f"/ one {case.user}")
    assert [running.ask(path)[0] for path in case.hidden] == [404 if "apache" not in case.runtime else 403] * len(
        case.hidden
    )
    check = code.config()["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    assert subprocess.run(["docker", "exec", running.id, *check[1:]], capture_output=True).returncode == 0
    assert code.config()["User"] == {"php-apache": "", "static": "101:101"}.get(case.runtime, "www-data")
    exit_code, seconds = running.stop()
    assert exit_code in (0, 143)
    assert seconds < 15, docker("logs", running.id)


def test_a_change_of_code_alone_keeps_the_layers_of_dependencies(made: tuple[Case, Code]) -> None:
    """And a build of the same code makes the same image."""
    case, code = made
    before, same = code.layers(), code.build()
    assert same.before and same.before.id == same.after.id
    code.write({case.main: case.files[case.main].replace("one", "two")})
    code.build()
    after = code.layers()
    assert len(after) == len(before)
    assert [a == b for a, b in zip(before, after, strict=True)].count(False) == case.changed
