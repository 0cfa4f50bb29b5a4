"""The daily jobs on the real engine and proxy, beside the strict client where users are served meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order
from ansible_collections.stackswap.bluegreen.plugins.module_utils.leaving import leave
from tests.lab import images
from tests.lab.calls import Place
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server with its proxy, and the images of two versions."""
    assert images.app("1.0") != images.app("1.1")
    with Stack.made() as made:
        yield made


# -- restart


def test_a_restart_makes_new_containers_and_loses_nothing(stack: Stack) -> None:
    """The very same release, kept requests and all; a deploy of it changes nothing then, and the way back stays."""
    place = Place(stack, "again")
    for version in ("1.0", "1.1"):
        assert place.call(version).result.error is None
    before = place.live()
    with place.load(websocket=1, session=0.3) as load:
        done = place.call(restart=True, job="night")
    report = load.report()
    assert done.result.error is None and report.requests and report.lost == 0, str(report)
    after = place.live()
    assert [r.version for r in after] == ["1.1"] and {r.id for r in after}.isdisjoint(r.id for r in before)
    assert not place.call("1.1").result.changed
    assert place.call(rollback=True).report["serving"]["version"] == "1.0"


# -- remove


def kept(stack: Stack, *words: str) -> dict[str, str]:
    """The files of a server's home in whose path or text one of the words is.

    Without locks, and without what the proxy's workers have counted: that ends with them.
    """
    found = {}
    for path in Path(stack.settings.home).rglob("*"):
        if path.is_file() and path.parent.name not in ("locks", "run") and path.name != "counted.json":
            text = path.read_bytes().decode("utf-8", "replace")
            if any(word in f"{path}{text}" for word in words):
                found[str(path)] = text
    return found


def test_a_service_leaves_and_its_neighbour_notices_nothing(stack: Stack) -> None:
    """No file of the server names it any more; the other's files are the same and its users lose nothing."""
    gone, other = Place(stack, "gone", secret_files={"key": "sealed"}), Place(stack, "neighbour")
    for place, version in ((gone, "1.0"), (other, "1.0"), (gone, "1.1")):
        assert place.call(version).result.error is None
    own = {name: text for name, text in kept(stack, "neighbour").items() if "gone" not in text}
    assert kept(stack, "gone") and own
    service = services.named("gone", {"name": stack.name})
    with other.load() as load, gone.load(websocket=1, session=2) as leaving:
        time.sleep(0.5)  # until a session is open
        result = leave(stack.effects("j1"), service, Order("absent", job="j1"))
    assert result.error is None and result.changed, result.error
    assert load.report().requests and load.report().lost == 0, str(load.report())
    assert leaving.report().websockets and leaving.report().websockets_cut == 0, str(leaving.report())
    assert kept(stack, "gone") == {} and not gone.look().replicas
    assert {name: kept(stack, "neighbour")[name] for name in own} == own
    assert not leave(stack.effects("j2"), service, Order("absent", job="j2")).changed
    assert gone.call("1.0").report["serving"]["version"] == "1.0", "it may come back"
