"""Processes without traffic beside web and without it, on the real engine: who runs when, and what a failure leaves."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.blank import NoProxy
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.watch import WatchingEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.inside_module import Watch, ran, read
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.leaving import leave
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    ALWAYS,
    Bake,
    Health,
    Process,
    Release,
    Route,
    Service,
)
from tests.lab import images
from tests.lab.client import Load
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]
WORKS = Health("none", deadline=10.0, min_healthy_time=0.4)
# Says when it began, and when it has ended what it had under way.
WORK = """
import os, signal, sys, time
def note(word):
    with open("/journal/" + os.environ["KIND"], "a") as file:
        file.write(f"{word} {os.environ['VERSION']} {time.time()}\\n")
def end(*_):
    time.sleep(0.3)
    note("end")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
note("begin")
while True:
    time.sleep(1)
"""
FAILS = ("sh", "-c", "echo no queue; exit 4")


class Shift(NamedTuple):
    """What one worker's run was: from its begin to its end, which is now if it runs."""

    version: str
    begin: float
    end: float


class Place:
    """A service on a server, its worker's command, and the journal that its workers keep."""

    def __init__(self, stack: Stack, name: str, folder: Path, overlap: bool = True, web: bool = True) -> None:
        self.stack, self.name, self.folder, self.overlap, self.web = stack, name, folder, overlap, web
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        self.service = stack.service(name, routes=(Route(f"{name}.test"),) if web else (), bake=Bake(0.1))

    def release(self, version: str, command: tuple[str, ...] = ("python3", "-uc", WORK)) -> Release:
        """A release whose worker has this command."""
        env = (("KIND", self.name), ("VERSION", version))
        made = self.stack.release(
            self.service, version, images.app("1.0"), env=env, volumes=(f"{self.folder}:/journal",)
        )
        process = Process("worker", command, health=WORKS, overlap=self.overlap, stop_timeout=5)
        return replace(made, processes=(process,))

    def run(self, release: Release, state: str = "settled", **options: Any) -> Result:
        """One call."""
        here = {} if self.web else {"here": ("worker",)}
        with pytest.MonkeyPatch.context() as patch:
            if not self.web:
                patch.setattr("tests.lab.stack.HAProxy", lambda *_: NoProxy())
            return self.stack.run(self.service, release, state, **here, **options)

    def shifts(self) -> list[Shift]:
        """Every run of a worker so far."""
        path, open_, done = self.folder / self.name, {}, []
        for line in path.read_text().splitlines() if path.exists() else ():
            word, version, at = line.split()
            if word == "begin":
                open_[version] = float(at)
            else:
                done.append(Shift(version, open_.pop(version), float(at)))
        return [*done, *(Shift(version, at, time.time()) for version, at in open_.items())]

    def working(self) -> list[str]:
        """The versions of the workers that run."""
        return sorted(r.version for r in self.stack.look(self.service).crew if r.running)

    def serving(self) -> str:
        """The version that users get."""
        found = self.stack.look(self.service)
        return next(r.version for r in found.replicas if r.slot == found.seen.runtime.split(".")[0] and r.running)


def overlapping(shifts: list[Shift]) -> bool:
    """Whether any two of them were under way at one time."""
    ordered = sorted(shifts, key=lambda one: one.begin)
    return any(second.begin < first.end for first, second in itertools.pairwise(ordered))


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server with its proxy."""
    with Stack.made() as made:
        yield made


@pytest.mark.parametrize("overlap", [True, False], ids=["side by side", "alone"])
def test_web_and_worker_switch_as_one_and_lose_nothing(stack: Stack, tmp_path: Path, overlap: bool) -> None:
    """Under load. Where they may not run side by side they never did; where they may there was always one."""
    place = Place(stack, "both" if overlap else "alone", tmp_path / "journal", overlap)
    assert place.run(place.release("1")).error is None
    with Load("127.0.0.1", stack.port, host=f"{place.name}.test", rate=60, seconds=60) as load:
        for version in ("2", "3"):
            done = place.run(place.release(version))
            assert done.error is None, done.error
            assert (place.serving(), place.working()) == (version, [version])
            assert not done.warnings
    report = load.report()
    assert report.lost == 0 and report.requests > 60, report.kinds
    shifts = place.shifts()
    assert [one.version for one in sorted(shifts, key=lambda one: one.begin)] == ["1", "2", "3"]
    assert overlapping(shifts) is overlap
    (kept,) = {r.policy for r in stack.look(place.service).crew if r.running}
    assert kept == ALWAYS
    again = place.run(place.release("3"))
    assert not again.changed and again.error is None


@pytest.mark.parametrize("overlap", [True, False], ids=["side by side", "alone"])
def test_a_worker_that_fails_takes_web_back_with_it(stack: Stack, tmp_path: Path, overlap: bool) -> None:
    """Its last words are told, users get the old version again, and the old worker works."""
    place = Place(stack, "fails-both" if overlap else "fails-alone", tmp_path / "journal", overlap)
    assert place.run(place.release("1")).error is None
    with Load("127.0.0.1", stack.port, host=f"{place.name}.test", rate=60, seconds=60) as load:
        done = place.run(place.release("2", FAILS))
    assert done.error is not None and "exited 4" in done.error.what
    assert done.error.evidence == ("no queue",)
    assert "retreat" not in done.error.facts
    assert (place.serving(), place.working()) == ("1", ["1"])
    assert load.report().lost == 0
    shifts = place.shifts()
    assert len(shifts) == (1 if overlap else 2)  # it was stopped to make room, and started again
    assert place.run(place.release("1")).error is None


def test_a_rollback_takes_the_workers_along(stack: Stack, tmp_path: Path) -> None:
    """The kept containers of then are started."""
    place = Place(stack, "goes-back", tmp_path / "journal", overlap=False)
    one = place.release("1")
    for made in (one, place.release("2")):
        assert place.run(made).error is None
    kept = {r.id for r in stack.look(place.service).crew if r.version == "1"}
    done = place.run(one, back=True)
    assert done.error is None
    assert (place.serving(), place.working()) == ("1", ["1"])
    assert {r.id for r in stack.look(place.service).crew if r.version == "1"} == kept


def test_a_server_without_web_needs_no_proxy(stack: Stack, tmp_path: Path) -> None:
    """It climbs by its workers alone, goes back by them, and has served what they were of."""
    place = Place(stack, "queue", tmp_path / "journal", web=False)
    one, two, three = place.release("1"), place.release("2"), place.release("3", FAILS)
    for rung in ("ready", "live", "settled"):
        assert place.run(one, rung).error is None
    assert place.run(two, "live").error is None
    assert place.working() == ["1", "2"]
    assert place.run(two, "back").error is None
    assert place.working() == ["1"]
    assert place.run(two).error is None
    failed = place.run(three)
    assert failed.error is not None and "exited 4" in failed.error.what
    assert place.working() == ["2"]
    found = stack.look(place.service)
    assert found.seen.served == (one.name, two.name) and found.seen.working == two.name


def test_a_worker_is_heard_and_asked_by_its_name(stack: Stack, tmp_path: Path) -> None:
    """Beside web, which is meant where nobody is named; of the release before, its kept container is heard."""
    place = Place(stack, "asked", tmp_path / "journal")
    says = 'import os, time; print("worker of", os.environ["VERSION"]); time.sleep(600)'
    for version in ("1", "2"):
        assert place.run(place.release(version, ("python3", "-uc", says))).error is None
    heard: list[str] = []
    line = SimpleNamespace(tell=lambda dummy, text, again=False: heard.append(text), stop_asked=lambda: "")

    def told(act: Any, **params: Any) -> list[str]:
        heard.clear()
        watch = Watch(stack.effects(), WatchingEngine(""), line)  # type: ignore[arg-type]
        plain = {"cursor": None, "tail": 9, "follow": False, "previous": False, "process": ""}
        act(watch, place.service, {**plain, "command": ["cat", "/etc/hostname"], **params})
        return [*heard]

    assert told(read, process="worker") == ["worker of 2"]
    assert told(read, process="worker", previous=True) == ["worker of 1"]
    assert not {"worker of 1", "worker of 2"} & {*told(read), *told(read, process="web")}
    found = stack.look(place.service)
    web, worker = ([r.id[:12] for r in group if r.running] for group in (found.replicas, found.crew))
    assert (told(ran), told(ran, process="web"), told(ran, process="worker")) == (web, web, worker)
    with pytest.raises(BadInput, match="no container of wroker of asked is live on this server: did you mean worker"):
        told(ran, process="wroker")


def test_a_service_that_leaves_takes_its_workers_along(stack: Stack, tmp_path: Path) -> None:
    """No container of it is left, nor a record."""
    place = Place(stack, "leaves", tmp_path / "journal")
    assert place.run(place.release("1")).error is None
    done = leave(stack.effects(), Service(stack.name, "leaves"), Order("absent"))
    assert done.error is None
    assert stack.look(place.service).containers == ()
    assert [one.version for one in place.shifts()] == ["1"]
