"""entrypoint.sh in the containers of a release: what goes wrong in it, how long it may take, and its lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import images
from tests.lab.building import docker
from tests.lab.built import Code
from tests.lab.calls import Place
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]
DOCKERFILE = """FROM app
HEALTHCHECK --interval=1s --timeout=2s --retries=1 CMD wget -qO- http://127.0.0.1:8080/health
"""
DOES = '#!/bin/sh\neval "${ENTRY_DOES:-true}"\n'
TEN_MB = "head -c 10000000 /dev/zero | tr '\\0' x"


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Code]:
    """The test application with an entrypoint.sh that does what a variable says, and a health check of its own."""
    made = Code(tmp_path_factory.mktemp("entry"), {"app": images.app("1.0")})
    made.write({"Dockerfile": DOCKERFILE, ".artifakt/entrypoint.sh": DOES})
    for version in ("1.0", "1.1"):
        made.build(version)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def stack(code: Code) -> Iterator[Stack]:
    """One server with its proxy, gone before the image is."""
    with Stack.made() as made:
        yield made


def does(script: str, **health: Any) -> dict[str, Any]:
    """The options under which it does this."""
    wanted = {"path": "/health", "deadline": 6, "min_healthy_time": 0.2, **health}
    return {"env": {"ENTRY_DOES": script}, "health": wanted}


WRONG = {
    "fails": ("echo no such table; exit 3", "exited 3", "no such table"),
    "hangs": ("echo waiting; sleep 600", "was not healthy", "waiting"),
    "deaf": ("trap '' TERM INT; echo deaf; sleep 600", "was not healthy", "deaf"),
    "says ten megabytes without a line": (f"{TEN_MB}; exit 5", "exited 5", "xxx"),
    "says ten megabytes in lines": (f"{TEN_MB} | fold -w 100; echo end; exit 6", "exited 6", "end"),
    "leaves children": ("sleep 600 & (sleep 600 &) ; echo left; exit 4", "exited 4", "left"),
}


@pytest.fixture(scope="module")
def shop(stack: Stack, code: Code) -> Place:
    """A service that serves."""
    made = Place(stack, "shop", image=code.repository)
    assert made.call("1.0").result.error is None
    return made


@pytest.mark.parametrize(("script", "why", "last"), WRONG.values(), ids=WRONG)
def test_an_entrypoint_that_goes_wrong_stays_a_candidate(shop: Place, script: str, why: str, last: str) -> None:
    """Users notice nothing; what it said last is told, and no more of it than people read."""
    with shop.untouched():
        done = shop.call("1.1", does(script))
    evidence = done.failed["evidence"]
    assert why in done.failed["what"], done.failed
    assert any(last in line for line in evidence) and len("".join(evidence)) < 20_000
    assert not [replica for replica in shop.look().replicas if replica.running and replica.version == "1.1"]


def test_unhealthy_before_the_deadline_and_healthy_after_is_healthy(stack: Stack, code: Code) -> None:
    """Docker calls a container unhealthy while entrypoint.sh waits for a database; the deadline alone decides."""
    place, seen = Place(stack, "late", image=code.repository), []
    options = does("sleep 5", kind="image", deadline=60)
    del options["health"]["path"]

    def asked() -> str:
        seen.extend(replica.health for replica in place.look().replicas)
        return ""

    done = place.call("1.0", options, stop_asked=asked)
    assert done.result.error is None, done.failed
    assert "unhealthy" in seen and place.live()[0].health == "healthy", seen


@pytest.fixture(scope="module")
def locking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Code]:
    """An image with the command flock, as Debian's has it."""
    made = Code(tmp_path_factory.mktemp("lock"), {"debian": images.python()})
    made.write({"Dockerfile": 'FROM debian\nCMD ["echo", "started"]\n', ".artifakt/entrypoint.sh": DOES})
    made.build()
    yield made
    made.remove()


@pytest.fixture
def started(locking: Code, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts containers of the image that share a folder at /data."""
    made: list[str] = []

    def start(server: str, script: str) -> str:
        env = {"ENTRY_DOES": script, "STACKSWAP_SERVER": server, "STACKSWAP_ENTRYPOINT_LOCK_SECONDS": "60"}
        flags = [f"--env={name}={text}" for name, text in env.items()]
        words = ["--network=none", "--label=stackswap.test=1", f"--volume={tmp_path}:/data", *flags]
        made.append(docker("run", "-d", *words, locking.tag))
        return made[-1]

    yield start
    for one in made:
        docker("rm", "--force", "--volumes", one)


def said(container: str, text: str) -> str:
    """All that a container says until it has said this."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = docker("logs", container, errors=True)
        if text in found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"it did not say {text!r}: {found}")


def test_containers_wait_for_the_lock_of_one_that_is_killed(started: Callable[..., str]) -> None:
    """They name the server and the container that hold it, and go on when it is gone."""
    first = started("web1", "echo mine; sleep 600")
    said(first, "mine")
    second = started("web2", "echo mine; exit 0")
    waits = said(second, "which is held by")
    assert f"which is held by web1, container {first[:12]} since" in waits and "mine" not in waits
    docker("kill", first)
    assert "mine" in said(second, "started")
