"""Applications that nobody here wrote, built by a runtime and by a Dockerfile, swapped under load with nothing lost."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.lab import bases, images
from tests.lab.building import docker
from tests.lab.built import Code
from tests.lab.calls import Place
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]
DJANGO, HTTPBIN, EXPRESS = "Django>=5.2,<5.3", "httpbin==0.10.4", "express-generator@4.16.1"
RATE, FEW = 30, 20
OWN = """FROM python:3.12-slim
WORKDIR /srv
COPY . .
ENV PORT=8080
RUN --mount=type=cache,target=/root/.cache/pip pip install . gunicorn
USER 1234
CMD ["gunicorn", "httpbin:app"]
"""
GUNICORN = ["gunicorn", "--worker-tmp-dir", "/dev/shm", "httpbin:app"]
APTED = "cd /tmp && apt-get update -qq && apt-get download -qq adminer && dpkg-deb -x adminer*.deb /out"


@pytest.fixture(scope="module")
def stack(coded: Callable[..., Code]) -> Iterator[Stack]:
    """One server with its proxy, gone before the images are."""
    made = Stack.made()
    yield made
    made.close()


@pytest.fixture(scope="module")
def coded() -> Iterator[Callable[..., Code]]:
    """An application's folder, whose images go in the end."""
    made: list[Code] = []

    def code(folder: Path, *names: str) -> Code:
        made.append(Code(folder, bases.contexts(names)))
        made[-1].write({"unique.txt": uuid.uuid4().hex})
        return made[-1]

    yield code
    for one in made:
        one.remove()


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Django, to begin a project with, and setuptools, to have a source archive's own data read."""
    folder = tmp_path_factory.mktemp("tools")
    pip("install", "--no-compile", "--target", str(folder), DJANGO, "setuptools")
    return folder


def pip(*words: str, path: Path | None = None) -> None:
    """Run this Python's pip."""
    env = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *words], check=True, env=env)


def swapped(stack: Stack, code: Code, path: str, change: Callable[[], Any], **options: Any) -> tuple[str, str]:
    """Deploy it, change it, build it again and swap under load; what the path gives before and after."""
    health = {"path": path, "deadline": 60, "min_healthy_time": 0.2}
    place = Place(stack, f"app{uuid.uuid4().hex[:6]}", image=code.repository, health=health, **options)
    first = place.call("1")
    assert first.result.error is None, (first.result.error, first.result.error.evidence)
    before = ask(place, path)
    change()
    code.build("2")
    with place.load(RATE, path=path, mix={"get": 3, "new": 3}) as load:
        second = place.call("2")
        assert second.result.error is None, (second.result.error, second.result.error.evidence)
        after = ask(place, path)
    seen = load.report()
    print(f"{place.name}: {seen}")
    assert seen.lost == 0 and seen.requests > FEW, (str(seen), seen.kinds)
    assert [replica.version for replica in place.live()] == ["2"]
    return before, after


def ask(place: Place, path: str) -> str:
    """What the public door gives."""
    connection = http.client.HTTPConnection("127.0.0.1", place.stack.port, timeout=10)
    connection.request("GET", path, headers={"Host": place.host})
    answer = connection.getresponse()
    content = answer.read().decode()
    assert answer.status == 200, content[:2000]
    return content


def test_a_project_as_django_begins_one(stack: Stack, coded: Callable[..., Code], tools: Path, tmp_path: Path) -> None:
    """Its own startproject; two settings are changed, as everybody has to."""
    folder = tmp_path / "site"
    folder.mkdir()
    begin = [sys.executable, "-m", "django", "startproject", "bookshop", str(folder)]
    subprocess.run(begin, check=True, env=os.environ | {"PYTHONPATH": str(tools)})
    code = coded(folder, "python:3.12-slim")
    code.write({"requirements.txt": f"{DJANGO}\n"})
    edit(folder / "bookshop/settings.py", "ALLOWED_HOSTS = []", "ALLOWED_HOSTS = ['*']")
    built = code.build()
    assert "the runtime python (Django)" in built.notes[0]
    assert code.config()["Cmd"][-1] == "bookshop.wsgi"
    change = partial(edit, folder / "bookshop/settings.py", "'en-us'", "'fr'")
    before, after = swapped(stack, code, "/", change)
    assert "worked successfully" in before and 'lang="fr"' in after


def edit(path: Path, old: str, new: str) -> None:
    """Change a file of the application."""
    text = path.read_text()
    assert old in text, text
    path.write_text(text.replace(old, new))


def test_httpbin_by_the_runtime_and_then_by_a_dockerfile(
    stack: Stack, coded: Callable[..., Code], tools: Path, tmp_path: Path
) -> None:
    """The published Flask application as its source archive has it; the service gives the command."""
    options = ["--no-deps", "--no-build-isolation", "--no-binary", ":all:"]
    pip("download", *options, "--dest", str(tmp_path), HTTPBIN, path=tools)
    archive = next(tmp_path.glob("httpbin-*.tar.gz"))
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    code = coded(tmp_path / archive.name.removesuffix(".tar.gz"), "python:3.12-slim")
    notes = " ".join(code.build().notes)
    assert "the runtime python" in notes and "pyproject.toml" in notes and "say command" in notes
    before, after = swapped(stack, code, "/uuid", partial(code.write, {"Dockerfile": OWN}), command=GUNICORN)
    assert before != after
    assert code.config()["User"] == "1234"


def test_an_application_as_express_generates_one(stack: Stack, coded: Callable[..., Code], tmp_path: Path) -> None:
    """npm's own generator, which runs where npm is."""
    folder = tmp_path / "express"
    folder.mkdir()
    node = bases.contexts(["node:24-slim"]).get("node:24-slim", "node:24-slim")
    make = ["npm", "exec", "--yes", "--", EXPRESS, "--no-view", "--force", "/out"]
    docker("run", "--rm", "--label=stackswap.test=1", f"--volume={folder}:/out", node, *make)
    code = coded(folder, "node:24-slim")
    notes = " ".join(code.build().notes)
    assert "the runtime node (Express)" in notes and "no lock file" in notes
    assert code.config()["Cmd"] == ["node", "./bin/www"]
    change = partial(edit, folder / "public/index.html", "Welcome to Express", "Welcome again")
    before, after = swapped(stack, code, "/", change)
    assert "Welcome to Express" in before and "Welcome again" in after


def test_adminer_as_debian_packages_it(stack: Stack, coded: Callable[..., Code], tmp_path: Path) -> None:
    """An application in PHP: from Debian, since Packagist may not be within reach."""
    docker("run", "--rm", "--label=stackswap.test=1", f"--volume={tmp_path}:/out", images.python(), "sh", "-c", APTED)
    folder = tmp_path / "usr/share/adminer"
    code = coded(folder, "php:8.3-apache")
    code.write({"index.php": "<?php header('Location: adminer/');"})
    assert "the runtime php-apache" in " ".join(code.build().notes)
    change = partial(edit, folder / "adminer/include/adminer.inc.php", "id='h1'", "id='h1' class='new'")
    before, after = swapped(stack, code, "/adminer/", change)
    assert "Adminer" in before and "class='new'" in after
