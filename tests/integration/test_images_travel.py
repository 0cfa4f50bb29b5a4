"""Images between engines of their own, of both image stores, with no registry: what travels and what is refused."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.action.image import CHUNK
from ansible_collections.stackswap.bluegreen.plugins.module_utils.incoming import Incoming
from tests.integration.test_image_modules import leftovers, play
from tests.lab import images
from tests.lab.engines import CONTAINERD, Engine, engines

pytestmark = [pytest.mark.engine, pytest.mark.slow]
CODE = 300_000
SMALL = "--mount=type=tmpfs,dst=/var/lib/docker,tmpfs-size=60m"
STORES = ("graph", "containerd")


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Engine]]:
    """A server with either store."""
    with engines(1) as (graph,), engines(1, CONTAINERD) as (containerd,):
        yield {"graph": graph, "containerd": containerd}


@pytest.fixture(scope="module")
def builder() -> Iterator[Engine]:
    """A builder with containerd's store, and the base of what it builds."""
    with engines(1, CONTAINERD) as (engine,):
        engine.copy(images.busybox())
        yield engine


@pytest.fixture
def releases() -> Iterator[list[str]]:
    """Two releases of an application on the builder, with a layer of their own each."""
    tags = [f"stackswap-test/travel-{os.getpid()}:{number}" for number in (1, 2)]
    for tag in tags:
        code = {"Dockerfile": b"FROM busybox:1\nCOPY code /code\n", "code": os.urandom(CODE)}
        images.build(tag, images.context(code), {"busybox:1": images.busybox()})
    yield tags
    subprocess.run(["docker", "image", "rm", "--force", *tags], capture_output=True)


def ship(folder: Path, name: str, server: Engine, **options: Any) -> dict[str, Any]:
    """Ship an image from the control node to the server."""
    hosts = {"server": {"ansible_connection": "local"}}
    args = {"_folder": folder, "name": name, "from": "builder", "docker_host": server.address, **options}
    return play("image", {"builder_host": "unix:///var/run/docker.sock", **args}, hosts)


@pytest.mark.parametrize("store", STORES)
def test_a_release_travels_whole_once_and_then_its_own_layer(
    servers: dict[str, Engine], releases: list[str], tmp_path: Path, store: str
) -> None:
    """On either store; what is there is asked for and does not travel again."""
    server = servers[store]
    first, second = (ship(tmp_path, name, server) for name in releases)
    assert (first["how"], second["how"]) == ("whole", "delta"), (first, second)
    assert first["bytes"] > 2_000_000
    assert CODE < second["bytes"] < 1.2 * CODE
    assert all(map(server.has, releases))
    again = ship(tmp_path, releases[1], server)
    assert again["changed"] is False
    assert again["how"] == "present" or again["bytes"] < 50_000
    content = json.loads(images.docker("image", "inspect", releases[1]))[0]["RootFS"]
    assert json.loads(server.docker("image", "inspect", releases[1]))[0]["RootFS"] == content
    assert not leftovers()


def test_a_server_has_it_from_another_that_has_it(
    servers: dict[str, Engine], releases: list[str], tmp_path: Path
) -> None:
    """By its own id, its own layer alone; one that does not answer is passed over."""
    server = servers["graph"]
    server.copy(images.busybox())
    found = json.loads(images.docker("image", "inspect", releases[0]))[0]["Id"]
    peers = {name: {"ansible_connection": "local"} for name in ("server", "other")}
    gone = {"ansible_host": "198.18.255.254", "ansible_timeout": 1}
    args = {"name": releases[0], "from": "peer", "digest": found, "peers": ["server", "gone", "other"]}
    given = {"_folder": tmp_path, "docker_host": server.address, "builder_host": "unix:///var/run/docker.sock", **args}
    told = play("image", given, {**peers, "gone": gone}, "--limit=server")
    assert (told["how"], told["peer"], told["image"]["id"]) == ("delta", "other", found), told
    assert CODE < told["bytes"] < 1.2 * CODE
    again = play("image", {**given, "_folder": tmp_path}, peers)
    assert (again["changed"], again["how"]) == (False, "present")
    assert not leftovers()


BUILT = """FROM busybox:1
COPY code /code
"""


def built(engine: Engine, tag: str) -> str:
    """Build a release with a layer of its own by another engine, whose store packs what it makes."""
    code = {"Dockerfile": BUILT.encode(), "code": os.urandom(CODE)}
    command = ["docker", "-H", engine.address, "buildx", "build", "--quiet", f"--tag={tag}", "--provenance=false"]
    command += [f"--label={images.LABEL}", f"--build-context=busybox:1=docker-image://{images.busybox()}", "-"]
    subprocess.run(command, input=images.context(code), check=True, capture_output=True)
    return tag


@pytest.mark.parametrize("store", STORES)
def test_a_builder_that_packs_its_layers_sends_those_that_are_lacked(
    builder: Engine, tmp_path: Path, servers: dict[str, Engine], store: str
) -> None:
    """It calls an image by its manifest and a layer by what it is packed to; the server has the base as another."""
    servers[store].copy(images.busybox())
    tag = built(builder, f"stackswap-test/packed-{os.getpid()}-{store}:1")
    told = ship(tmp_path, tag, servers[store], builder_host=builder.address)
    assert told["how"] == "delta" and "notes" not in told, told
    assert CODE < told["bytes"] < 1.2 * CODE
    seen = [json.loads(engine.docker("image", "inspect", tag))[0] for engine in (builder, servers[store])]
    assert seen[0]["RootFS"] == seen[1]["RootFS"]
    assert not leftovers()


def descendants(pid: int) -> list[int]:
    """A process and all that it has started, whatever sessions they are in."""
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [pid, *(below for child in listed for below in descendants(int(child)))]


def test_a_job_that_is_killed_on_the_way_is_gone_on_with(servers: dict[str, Engine], tmp_path: Path) -> None:
    """What is on the server does not travel again; no half image is there in the meantime."""
    tag = f"stackswap-test/travel-{os.getpid()}:large"
    code = {"Dockerfile": b"FROM scratch\nCOPY code /code\n", "code": os.urandom(CHUNK + 2 * CODE)}
    images.build(tag, images.context(code))
    server, there = servers["graph"], Incoming({"digest": "", "size": 0}).folder

    def job() -> None:
        places = {name: str(tmp_path / name) for name in ("ANSIBLE_LOCAL_TEMP", "ANSIBLE_REMOTE_TEMP")}
        os.environ.update(places)  # what it leaves there is the test's
        ship(tmp_path, tag, server)

    try:
        process = multiprocessing.get_context("fork").Process(target=job)
        process.start()
        until = time.monotonic() + 60
        while not any(path.stat().st_size >= CHUNK for path in Path(there).iterdir()) and time.monotonic() < until:
            time.sleep(0.01)
        for pid in descendants(process.pid or 0):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.join()
        assert not server.has(tag)
        done = ship(tmp_path, tag, server)
        assert done["rc"] == 0 and 2 * CODE < done["bytes"] < 4 * CODE, done
        assert server.has(tag) and not leftovers()
    finally:
        subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True)


def test_a_server_without_room_is_left_as_it_was(releases: list[str], tmp_path: Path) -> None:
    """The cause is named, no half image stays, and what is small still comes."""
    with engines(1, {}, SMALL) as (server,):
        full = ship(tmp_path, images.app("1.0"), server)
        assert (full["rc"], full["cause"]) == (2, "no_space"), full
        assert server.docker("image", "ls", "--all", "--quiet") == ""
        assert not leftovers()
        assert ship(tmp_path, releases[0], server)["how"] == "whole"
