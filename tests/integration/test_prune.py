"""Prune on engines of their own, beside what belongs to others: by label and manifest alone, and to the byte."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import pruning, window
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects, View
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine import DockerEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Locks
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.probe import Probe
from ansible_collections.stackswap.bluegreen.plugins.module_utils.records import Records
from tests.lab import images
from tests.lab.building import build, context
from tests.lab.engines import CONTAINERD, PLAIN, Engine, engines

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SHOP = Service("alien", "shop", keep=1)
NAMES = f"stackswap/{SHOP.environment}-{SHOP.name}"
VERSIONS = ("0", "1", "2", "3", "4")
LIVE, NEVER = "4", "0.5"
METADATA = 10_000  # bytes of an image in containerd's store besides its layers, which nobody tells


class Standing:
    """A proxy that points at blue, and is asked for nothing else."""

    def view(self, service: str) -> View:
        return View(runtime="blue", file="blue")

    def close_preview(self, service: str) -> bool:
        return False


@pytest.fixture(scope="module")
def built() -> Iterator[Sequence[str]]:
    """An image for each version: two layers upon busybox, of which the lower is that of the version before, too.

    And before them one that was built for the service, and will never be started.
    """
    never, run = f"{NAMES}:{NEVER}", f"ENV RUN={time.time()}\n"
    labels = f"LABEL {window.BUILT}={SHOP.name} {window.VERSION}={NEVER}\n"
    tags = [f"{NAMES}:{version}" for version in VERSIONS]
    build(never, context({"Dockerfile": f"FROM base\n{labels}{run}".encode()}), {"base": images.busybox()})
    time.sleep(1.1)  # times are compared by the second
    for number, tag in enumerate(tags):
        lines = f"FROM base\nRUN dd if=/dev/zero of=/lower bs=1k count={50 + number // 2}\nWORKDIR /srv\n"
        lines += f"RUN dd if=/dev/urandom of=/upper bs=1k count={70 + number}\nENV VERSION={number}\n{run}"
        build(tag, context({"Dockerfile": lines.encode()}), {"base": images.busybox()})
    yield [never, *tags]
    images.discard([never, *tags], "rmi", "--force")


@pytest.fixture(params=[PLAIN, CONTAINERD], ids=["engine's own store", "containerd's store"])
def engine(request: pytest.FixtureRequest, built: Sequence[str]) -> Iterator[Engine]:
    """An engine with those images; its user has a container, an image, a volume and names of his own."""
    with engines(1, request.param) as (one,):
        for tag in (*built, images.busybox()):
            one.copy(tag)
        one.docker("tag", f"{NAMES}:2", "mine:1")
        one.docker("create", "--network=none", "--name=stranger", f"{NAMES}:1")
        one.docker("volume", "create", "theirs")
        yield one


def effects(engine: Engine, home: Path) -> Effects:
    """The real engine and records, and a proxy that stands."""
    docker_engine: Any = DockerEngine(engine.address)
    real = (docker_engine, Standing(), Probe("127.0.0.1", 1), Records(str(home)), Locks(str(home)))
    return Effects(*real, time.monotonic, time.time, time.sleep)  # type: ignore[arg-type]


def deployed(engine: Engine, fx: Effects) -> None:
    """All versions have served in turn: the last one runs, and what is left of the first stands stopped."""
    for version in VERSIONS:
        found = fx.engine.image(f"{NAMES}:{version}")
        assert found
        made = {"version": version, "digest": found.id, "container": {"image": found.id}}
        fx.records.keep_manifest(SHOP.key, f"r{version}", made)
    fx.records.write(SHOP.key, {"served": [f"r{version}" for version in VERSIONS]})
    for version, slot, verb in (("0", "green", "create"), (LIVE, "blue", "run")):
        labels = {"service": SHOP.key, "release": f"r{version}", "version": version, "slot": slot, "replica": 1}
        words = [f"--label=stackswap.{name}={value}" for name, value in labels.items()]
        more = ["-d"] if verb == "run" else []
        engine.docker(
            verb, *more, "--network=none", f"--name=ours-{version}", *words, f"{NAMES}:{version}", "sleep", "600"
        )


def theirs(engine: Engine) -> tuple[str, ...]:
    """What is not ours, as the docker command lists it."""
    lists = (("ps", "-aq", "--filter=name=stranger"), ("volume", "ls", "-q"), ("image", "ls", "-q", "mine:1"))
    return (*(engine.docker(*words) for words in lists), engine.docker("image", "ls", "-q", images.busybox()))


def weight(engine: Engine) -> int:
    """All layers of all images, by the engine's own count."""
    return int(DockerEngine(engine.address)._client.df()["LayersSize"])


def test_only_ours_beyond_the_window_goes_and_check_mode_says_just_that(engine: Engine, tmp_path: Path) -> None:
    """The oldest with its container; what a stranger uses or has named stays; live and the way back stay."""
    fx = effects(engine, tmp_path)
    deployed(engine, fx)
    before, was = theirs(engine), weight(engine)
    would = pruning.foresee(fx, SHOP, NAMES)
    assert theirs(engine) == before and weight(engine) == was
    done = pruning.run(fx, SHOP, NAMES)
    assert (done.gone, done.left, done.bytes) == (would.gone, would.left, would.bytes)
    assert [(one.kind, one.version) for one in done.gone] == [
        *(("container", "0"), ("image", "0"), ("image", NEVER), ("manifest", "0"))
    ]
    assert sorted(why for _, why in done.left) == ["container stranger uses it", "it is named mine:1, too"]
    assert theirs(engine) == before
    assert [version for version in (NEVER, *VERSIONS) if engine.has(f"{NAMES}:{version}")] == ["1", "2", "3", "4"]
    assert engine.docker("ps", "-a", "--filter=name=ours", "--format={{.Names}}") == "ours-4"
    print(f"said {done.bytes} bytes, the engine has {was - weight(engine)} less")
    again = pruning.run(fx, SHOP, NAMES)
    assert (again.gone, again.left) == ((), done.left)


def test_what_is_said_is_what_the_disk_has_more(engine: Engine, tmp_path: Path) -> None:
    """Once the stranger is gone, two go that share a layer: it counts once, and what the others have does not."""
    fx = effects(engine, tmp_path)
    deployed(engine, fx)
    engine.docker("rm", "stranger")
    engine.docker("rmi", "mine:1")
    was = weight(engine)
    done = pruning.run(fx, SHOP, NAMES)
    assert [one.version for one in done.gone if one.kind == "image"] == ["0", "1", "2", NEVER] and done.left == ()
    freed = was - weight(engine)
    print(f"said {done.bytes} bytes, the engine has {freed} less")
    assert done.bytes > 200_000
    assert abs(done.bytes - freed) <= 4 * METADATA
