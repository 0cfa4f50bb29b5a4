"""Builders with containerd's store: a cache that is written by one and read by another, and one that is bounded."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import building, folder, git
from ansible_collections.stackswap.bluegreen.plugins.module_utils.building import Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.buildx import Buildx
from ansible_collections.stackswap.bluegreen.plugins.module_utils.images import Images
from ansible_collections.stackswap.bluegreen.plugins.module_utils.project import Tools, Wanted
from ansible_collections.stackswap.bluegreen.plugins.module_utils.request import Request
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import Source
from tests.lab import images
from tests.lab.engines import CONTAINERD, Engine, engines
from tests.lab.pushes import Registry

pytestmark = [pytest.mark.engine, pytest.mark.slow]
TAG = "stackswap-test/cached:1"
DOCKERFILE = """FROM busybox
WORKDIR /code
COPY . .
RUN echo {unique}; cat /proc/sys/kernel/random/uuid >installed
CMD ["sleep", "60"]
"""


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """One on this machine."""
    with Registry() as made:
        yield made


@pytest.fixture(scope="module")
def builders(registry: Registry) -> Iterator[list[Engine]]:
    """Two, each with the base image, a network for its steps, and the registry as if it were its own."""
    settings = {**CONTAINERD, "bridge": "", "insecure-registries": [registry.address]}
    with engines(2, settings) as started, ExitStack() as ends:
        for one in started:
            one.copy(images.busybox())
            ends.enter_context(one.reaching(int(registry.address.rpartition(":")[2])))
        yield started


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """An application that nobody has built yet, with a build.sh."""
    (tmp_path / "code/.artifakt").mkdir(parents=True)
    (tmp_path / "code/Dockerfile").write_text(DOCKERFILE.format(unique=uuid.uuid4()))
    script = tmp_path / "code/.artifakt/build.sh"
    script.write_text("#!/bin/sh\nset -e\necho made >/made\n")
    script.chmod(0o755)
    return tmp_path / "code"


def build(builder: Engine, code: Path, **other: Any) -> Result:
    """Build it as the module does."""
    fields = {
        name: other.pop(name) for name in ("cache_to", "cache_from", "no_cache", "platforms", "push") if name in other
    }
    request = Request("", "", (), contexts={"busybox": f"docker-image://{images.busybox()}"}, **fields)
    tag = other.pop("tag", TAG)
    wanted = Wanted("shop", "1", tag, Source(path=str(code)), request, **other)
    docker = (Buildx("docker", builder.address), Images("docker", builder.address))
    return building.build(wanted, Tools(*docker, folder, git, token=uuid.uuid4().hex[:12]))


def installed(builder: Engine) -> str:
    """What the image on this builder has of the step that no two runs of end alike."""
    return builder.docker("run", "--rm", "--network=none", TAG, "cat", "/code/installed")


@pytest.mark.parametrize(("kind", "callbacks"), [("local", True), ("registry", True), ("registry", False)])
def test_what_one_builder_made_another_takes_from_the_cache(
    builders: list[Engine], registry: Registry, code: Path, tmp_path: Path, kind: str, callbacks: bool
) -> None:
    """The layers of the user's own Dockerfile, also where layers for callbacks come after them."""
    if not callbacks:
        shutil.rmtree(code / ".artifakt")
    places = {"local": ("dest", "src", str(tmp_path / "cache")), "registry": ("ref", "ref", f"{registry.address}/c:1")}
    to, source, place = places[kind]
    build(builders[0], code, cache_to=(f"type={kind},{to}={place}",))
    build(builders[1], code, cache_from=(f"type={kind},{source}={place}",))
    assert installed(builders[0]) == installed(builders[1])
    build(builders[1], code, no_cache=True)
    assert installed(builders[0]) != installed(builders[1])


def test_the_cache_is_kept_within_its_limit(builders: list[Engine], code: Path) -> None:
    """What goes is told, and the image stays."""
    (note,) = build(builders[0], code, cache_limit="1k").notes
    assert re.fullmatch(r"the build cache was brought down to 1k: Total:\s*[1-9].*", note)
    before = installed(builders[0])
    build(builders[0], code)
    assert installed(builders[0]) != before


def test_a_cache_in_the_image_holds_the_last_layers_alone(builders: list[Engine], code: Path) -> None:
    """Where those are for callbacks that is told, with what to say instead."""
    (note,) = build(builders[0], code, cache_to=("type=inline",)).notes
    assert "type=inline" in note and "type=registry" in note


def test_an_image_for_two_platforms_lies_in_the_registry_as_one(
    builders: list[Engine], registry: Registry, code: Path
) -> None:
    """By one digest."""
    shutil.rmtree(code / ".artifakt")
    (code / "Dockerfile").write_text('FROM scratch\nCOPY Dockerfile /\nCMD ["/none"]\n')
    told = builders[0].docker("buildx", "inspect", "default")
    platforms = re.findall(r"linux/[^,\s*]+", told.partition("Platforms:")[2].splitlines()[0])[:2]
    tag = f"{registry.address}/acme/both:1"
    digest = build(builders[0], code, tag=tag, platforms=tuple(platforms), push=True).made.digest
    index = json.loads(registry.kept[f"/v2/acme/both/manifests/{digest}"])
    known = [one["platform"] for one in index["manifests"]]
    found = {"/".join(filter(None, map(one.get, ("os", "architecture", "variant")))) for one in known}
    assert len(platforms) == 2 and found == set(platforms)
