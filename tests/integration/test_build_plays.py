"""Builds by the role's plays: what they tell, how they end, and how an image goes from a builder to its servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_callback_plays import STATISTICS, report, server
from tests.integration.test_roles import LOCAL, Plays, asked
from tests.lab import images, ssh
from tests.lab.building import docker
from tests.lab.engines import engines
from tests.lab.pushes import Registry
from tests.lab.stack import HOST, Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]
PLACE = f"builds{os.getpid()}"
DOCKERFILE = "FROM busybox\nWORKDIR /code\nCOPY . .\nCMD sleep 60\n"
ME = ("-c", "user.name=a", "-c", "user.email=a@b")


def write(folder: Path, **files: str) -> None:
    """Write scripts of the application; two underscores stand for a folder, one at the end for a dot."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_sh", ".sh")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)


def git(folder: Path, *words: str) -> str:
    """Run git there."""
    done = subprocess.run(["git", "-C", str(folder), *ME, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """An application in git."""
    folder = tmp_path / "code"
    write(folder, Dockerfile=DOCKERFILE)
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "x")):
        git(folder, *words)
    return folder


@pytest.fixture
def plays(tmp_path: Path, code: Path) -> Iterator[Plays]:
    """The jobs of a stack of this machine alone, which builds, too."""
    shop = {"source": {"path": str(code)}, "port": 8080, "build": {"base_images": {"busybox": images.busybox()}}}
    groups = {"stackswap": {"hosts": {"web1": LOCAL}}}
    yield Plays(tmp_path, groups, stackswap_services={"shop": shop}, stackswap_environment={"name": PLACE})
    found = docker("image", "ls", "--quiet", f"stackswap/{PLACE}-shop").split()
    if found:
        docker("image", "rm", "--force", *set(found))


def test_what_a_build_has_to_say_is_said(plays: Plays, code: Path) -> None:
    """Of uncommitted changes, of a script that hides its failures, of how the image starts."""
    write(code, _artifakt__build_sh="#!/bin/sh\necho built\n")
    (code / "_artifakt").rename(code / ".artifakt")
    done, said = plays("build.yml", *asked("shop", "1.0"), **STATISTICS)
    assert done == 0, said
    notes = report(said)["services"]["shop"]["notes"]
    parts = ("1 file differs from commit", "does not say `set -e`", "CMD is in shell form")
    assert len(notes) == len(parts)
    for part, note in zip(parts, notes, strict=True):
        assert part in note
        assert f" {note}." in report(said)["line"]


def test_a_build_sh_that_hangs_is_ended(plays: Plays, code: Path) -> None:
    """In the time that the service gives a build; what it said last is told, and nothing of it runs on."""
    mark = f"600{os.getpid()}"
    write(code, _artifakt__build_sh=f"#!/bin/sh\nset -e\necho waiting for a database\nsleep {mark}\n")
    (code / "_artifakt").rename(code / ".artifakt")
    told: dict[str, Any] = {"stackswap_overrides": {"shop": {"build": {"timeout": 6}}}}
    done, said = plays("build.yml", *asked("shop", "1.0"), "-e", json.dumps(told))
    assert done != 0
    assert "the image was not built: it was ended after 6 s, at .artifakt/build.sh" in said, said
    assert "waiting for a database" in said and "raise build.timeout" in said
    assert not images.exists(f"stackswap/{PLACE}-shop:1.0")
    assert not subprocess.run(["pgrep", "-f", f"sleep {mark}"], capture_output=True).stdout


# -- from git, by a builder of its own, through a registry, to two servers

PAGE = 'FROM busybox\nCOPY . /www\nCMD ["httpd", "-f", "-p", "8080", "-h", "/www"]\n'
MOVES = """#!/bin/sh
/usr/bin/git "$@" || exit
case " $* " in *" ls-remote "*) /usr/bin/git -C {repository} update-ref refs/heads/main {commit} ;; esac
"""
REVISION = "org.opencontainers.image.revision"
PASSWORD = "hunter2-of-the-registry"
TRUSTING = "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"


@dataclass
class Fleet:
    """Two servers on this machine's engine, a builder with another one, a registry, and a repository."""

    folder: Path
    repository: Path
    plays: Plays
    stacks: tuple[Stack, Stack]
    image: str
    key: str

    def build_and_deploy(self) -> tuple[dict[str, Any], str]:
        """The job; what it came to for the service, and all that it printed."""
        done, said = self.plays("build_and_deploy.yml", *asked("shop", "1.0"), "-vvv", **STATISTICS)
        assert done == 0, said[-3000:]
        return report(said)["services"]["shop"], said

    def pages(self) -> list[str]:
        """What users of each server get."""
        return [ask(stack) for stack in self.stacks]


def ask(stack: Stack) -> str:
    """The page that its public door gives."""
    asked = HTTPConnection("127.0.0.1", stack.port, timeout=10)
    asked.request("GET", "/", headers={"Host": HOST})
    return asked.getresponse().read().decode().strip()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """With a repository whose branch moves as soon as somebody has asked where it is."""
    repository, shim = tmp_path / "repository", tmp_path / "bin/git"
    commits = []
    write(repository, backend__Dockerfile=PAGE, outside="not built")
    git(repository.parent, "init", "-q", "-b", "main", str(repository))
    for page in ("old", "new"):
        write(repository, **{"backend__index.html": page})
        git(repository, "add", ".")
        git(repository, "commit", "-q", "-m", page)
        commits.append(git(repository, "rev-parse", "HEAD"))
    write(shim.parent, git=MOVES.format(repository=repository, commit=commits[1]))
    git(repository, "reset", "-q", "--hard", commits[0])
    path = f"{shim.parent}:{os.environ['PATH']}"
    with ExitStack() as ends:
        stacks = (ends.enter_context(Stack.made()), ends.enter_context(Stack.made()))
        (builder,) = ends.enter_context(engines(1, {"bridge": ""}))
        builder.copy(images.busybox())
        registry = ends.enter_context(Registry(f"ci:{PASSWORD}"))
        ends.enter_context(builder.reaching(int(registry.address.rpartition(":")[2])))
        environ = {"DOCKER_HOST": builder.address, "GIT_SSH_COMMAND": TRUSTING, "PATH": path}
        remote = ends.enter_context(ssh.server(**environ))
        image, key = f"{registry.address}/acme/shop", remote.key.read_text()
        shop = {
            "source": {
                "git": f"ssh://root@{remote.address}{repository}",
                "ref": "main",
                "folder": "backend",
                "key": key,
            },
            "build": {"base_images": {"busybox": images.busybox()}, "labels": {"stackswap-test.of": "fleet"}},
            "image": image,
            "port": 8080,
            "routes": [{"host": HOST}],
            "bake": 0.2,
            "shared": False,
            "health": {"path": "/", "deadline": 20, "min_healthy_time": 0},
        }
        servers = {f"web{n}": {**LOCAL, **server(stack)} for n, stack in enumerate(stacks, 1)}
        hosts = {"build1": {**remote.hostvars, "ansible_python_interpreter": sys.executable}}
        login = {registry.address: {"username": "ci", "password": PASSWORD}}
        groups = {"stackswap": {"hosts": servers}, "stackswap_builder": {"hosts": hosts}}
        plays = Plays(tmp_path, groups, stackswap_services={"shop": shop}, stackswap_registries=login)
        yield Fleet(tmp_path, repository, plays, stacks, image, key)
    for found in docker("image", "ls", "--quiet", "--no-trunc", image).split():
        docker("image", "rm", "--force", found)


def test_one_commit_goes_from_a_builder_through_a_registry_to_every_server(fleet: Fleet) -> None:
    """By its digest, with the part of the code that was asked for; what a branch does in the meantime is the next's."""
    old = git(fleet.repository, "rev-parse", "main")
    told, said = fleet.build_and_deploy()
    new = git(fleet.repository, "rev-parse", "main")
    assert (fleet.pages(), old != new) == (["old", "old"], True)
    first = told["image"]["digest"]
    assert first.startswith(f"{fleet.image}@sha256:")
    (found,) = json.loads(docker("image", "inspect", f"{fleet.image}:1.0"))
    assert first in found["RepoDigests"]
    assert found["Config"]["Labels"][REVISION] == old
    assert [one["serving"]["digest"] for one in told["servers"].values()] == [first.rpartition("@")[2]] * 2
    assert docker("run", "--rm", "--label=stackswap.test=1", first, "ls", "/www").split() == [
        "Dockerfile",
        "index.html",
    ]
    assert PASSWORD not in said and fleet.key.splitlines()[1] not in said

    told, said = fleet.build_and_deploy()
    assert (fleet.pages(), told["image"]["digest"] != first) == (["new", "new"], True), "the same version, built again"
    assert json.loads(docker("image", "inspect", f"{fleet.image}:1.0"))[0]["Config"]["Labels"][REVISION] == new
