"""What breaks beside a swap, at each rung of it, under load: who serves in the end, what was lost, what is reported.

Each fault has a server of its own. After every one the same deploy is asked for again, and leaves all in order.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import ProxyUnreachable
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Replica
from tests.integration.test_kills import untidy
from tests.lab import images
from tests.lab.building import docker
from tests.lab.calls import Called, Place
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]

FORK = multiprocessing.get_context("fork")
RATE = 40
RUNGS = ("after start", "after await", "after route", "before watch", "after fence", "within stop")
IN_FLIGHT = 24  # twice the client's workers: each may have one request under way, and one that it sends meanwhile
SECONDS_DARK = 4  # of a proxy that was killed: the engine starts it again; on an idle machine it is one
CALM = 12.0  # seconds after which the engine has forgotten that it started a container again
MOMENTS = 8
STARTED_AGAIN = "it was awaited, in this start"  # the engine has started it again after a crash: it has served before
LONGEST = 5.0  # seconds of a whole deploy here

Act = Callable[["Scene"], None]


@dataclass
class Scene:
    """One fault on one server, and what came of it at each rung."""

    place: Place
    version: str = ""
    troubles: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def of(self, version: str) -> list[Replica]:
        """The running containers of a version."""
        return [one for one in self.place.look().replicas if one.version == version and one.running]

    def others(self) -> list[Replica]:
        """Those that serve, or did until now, beside the version that is deployed."""
        return [one for one in self.place.look().replicas if one.version != self.version and one.running]


# -- faults


def crash(replica: Replica) -> None:
    """End its process as a crash does: the engine takes it for one, and starts it again where it is to."""
    pid = int(docker("inspect", "--format={{.State.Pid}}", replica.id))
    if pid:
        os.kill(pid, signal.SIGKILL)


def candidate_crashes(scene: Scene) -> None:
    """The new release ends."""
    for one in scene.of(scene.version):
        crash(one)


def live_crashes(scene: Scene) -> None:
    """The old release ends."""
    for one in scene.others():
        crash(one)


def candidate_freezes(scene: Scene) -> None:
    """It accepts connections, and answers nothing any more."""
    for one in scene.of(scene.version):
        docker("pause", one.id)


def proxy_crashes(scene: Scene) -> None:
    """The worker of the proxy ends, and with it the container: the engine starts it again."""
    master = int(docker("inspect", "--format={{.State.Pid}}", container_of(scene.place.stack)))
    for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)


def container_of(stack: Stack) -> str:
    """The proxy's container, whatever an upgrade has called it."""
    every = docker("ps", "--filter", f"name={stack.settings.container}", "--format={{.Names}}").split()
    assert len(every) == 1, every
    return every[0]


# fault: (what happens, how many requests it may cost at a rung)
FAULTS: dict[str, tuple[Act, Callable[[str], int]]] = {
    "the candidate crashes": (candidate_crashes, lambda rung: 0 if rung in RUNGS[:2] else IN_FLIGHT),
    "the live one crashes": (live_crashes, lambda rung: IN_FLIGHT if rung in RUNGS[:2] else 0),
    "the candidate freezes": (candidate_freezes, lambda rung: 0 if rung in RUNGS[:2] else IN_FLIGHT + RATE * 10),
    "the proxy crashes": (proxy_crashes, lambda rung: IN_FLIGHT + RATE * SECONDS_DARK),
}


@pytest.fixture(scope="module")
def scenes() -> Iterator[dict[str, Scene]]:
    """Every fault at every rung, and kills of the module at random moments, side by side."""
    for version in ("1.0", "1.1"):
        images.app(version)
    with ProcessPoolExecutor(2, FORK) as pool:
        told = {name: pool.submit(played, name) for name in FAULTS}
        told["the module is killed"] = pool.submit(killed_at_random)
        yield {name: future.result() for name, future in told.items()}


@pytest.mark.parametrize("name", [*FAULTS, "the module is killed"])
def test_a_healthy_release_serves_whatever_breaks(
    name: str, scenes: dict[str, Scene], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exactly one, nothing is left over, the report is true, and no more is lost than is promised."""
    with capsys.disabled():
        print("\n  " + "\n  ".join(scenes[name].told))
    assert not scenes[name].troubles, "\n".join(scenes[name].troubles)
    assert len(scenes[name].told) >= min(len(RUNGS), MOMENTS)


# -- how they are played


EXPECTED = {
    ("the candidate crashes", "after route"): "bake_failed",
    ("the candidate crashes", "before watch"): "bake_failed",
}


def played(name: str) -> Scene:
    """One fault at each rung of a swap of its own."""
    act, may = FAULTS[name]
    with Stack.made() as stack:
        scene = begun(stack, name)
        for number, rung in enumerate(RUNGS, 1):
            try:
                one_rung(scene, name, rung, f"1.1-{number}", act, may(rung))
            except Exception as error:  # told with its rung; the others are still worth a try
                scene.troubles.append(f"{name} {rung}: {type(error).__name__}: {error}")
        return Scene(scene.place, troubles=scene.troubles, told=scene.told)


def begun(stack: Stack, name: str) -> Scene:
    """A service that serves."""
    host = "".join(part[0] for part in name.split())
    scene = Scene(Place(stack, f"f{host}", bake=1.0, drain_timeout=5))
    assert deploy(scene, "1.0-0").result.error is None
    return scene


def deploy(scene: Scene, version: str, at: Callable[[str], None] = lambda point: None) -> Called:
    """A release of its own for each version, from one of two images."""
    scene.version = version
    image = f"stackswap-test/app:{version.partition('-')[0]}"
    return scene.place.call(version, {"env": {"NUMBER": version}}, image=image, at=at)


def one_rung(scene: Scene, name: str, rung: str, version: str, act: Act, may: int) -> None:
    """The fault once, at this point of a deploy."""
    happened: list[float] = []

    def at(point: str) -> None:
        if point == rung and not happened:
            happened.append(time.monotonic())
            act(scene)

    rest(scene, name)
    before = scene.place.live()[0].version
    with scene.place.load(RATE) as load:
        done = deploy(scene, version, at)
        until_answered(scene)
        report = load.report()
    word = str((done.report["failed"] or {}).get("cause", "went through"))
    scene.told.append(f"{name} {rung}: {word}, lost {report.lost} of {report.requests}, slowest {report.max_ms:.0f} ms")
    where = scene.told[-1]
    if word != EXPECTED.get((name, rung), word):
        scene.troubles.append(f"{where}: it ought to have ended by {EXPECTED[name, rung]}")
    if not happened:
        scene.troubles.append(f"{where}: it never came to {rung}")
    if report.lost > may:
        scene.troubles.append(f"{where}: {may} may be: {report.kinds}")
    scene.troubles += [f"{where}: {why}" for why in untrue(scene, done, {before, version})]
    again = deploy(scene, version)
    scene.troubles += [f"{where}: again: {why}" for why in left(scene, again)]


def rest(scene: Scene, name: str) -> None:
    """Let the proxy run for a while: the engine is slower each time to start what ends again and again."""
    if "proxy" in name:
        told = docker("inspect", "--format={{.State.StartedAt}}", container_of(scene.place.stack))
        since = datetime.fromisoformat(f"{told[:19]}+00:00").timestamp()
        time.sleep(max(0.0, since + CALM - time.time()))


def until_answered(scene: Scene) -> None:
    """Wait until the proxy can be asked again, and a moment more."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(ProxyUnreachable):
            scene.place.look()
            break
        time.sleep(0.1)
    time.sleep(0.5)


def untrue(scene: Scene, done: Called, known: set[str]) -> Iterator[str]:
    """What the report of a call says, and is not so."""
    told = (done.report["serving"] or {}).get("version")
    live = {one.version for one in scene.place.live()}
    if told not in known:
        yield f"{told} is said to serve"
    if live and {told} != live:
        yield f"{told} is said to serve, and {live} does"
    if done.report["failed"] and not all(
        done.report["failed"].get(name) for name in ("what", "serves", "kept", "next")
    ):
        yield f"it leaves something unsaid: {done.report['failed']}"


def left(scene: Scene, again: Called) -> Iterator[str]:
    """What is not in order after the same deploy was asked for again."""
    if again.result.error is not None:
        yield f"{again.result.error!r} {again.result.error.evidence}"
    elif again.release:
        found = scene.place.stack.look(scene.place.wanted().service, again.release)
        served = again.release.name in found.seen.served
        yield from (why for why in untidy(found, again.release) if not (served and STARTED_AGAIN in why))


def killed_at_random() -> Scene:
    """The module's process ends at moments that nobody chose; each time the same call ends well."""
    dice = random.Random(20)
    with Stack.made() as stack:
        scene = begun(stack, "the module is killed")
        for number in range(MOMENTS):
            moment = dice.uniform(0.05, LONGEST)
            with scene.place.load(RATE) as load:
                cut_off(scene, f"1.1-{number}", moment)
                again = deploy(scene, f"1.1-{number}")
                report = load.report()
            scene.told.append(f"killed after {moment:.2f} s: lost {report.lost} of {report.requests}")
            if report.lost:
                scene.troubles.append(f"{scene.told[-1]}: {report.failures[:3]}")
            scene.troubles += [f"{scene.told[-1]}: {why}" for why in left(scene, again)]
        return Scene(scene.place, troubles=scene.troubles, told=scene.told)


def cut_off(scene: Scene, version: str, moment: float) -> None:
    """A deploy in a process that is killed after so many seconds."""
    process = FORK.Process(target=deploy, args=(scene, version))
    process.start()
    process.join(moment)
    with suppress(ProcessLookupError):
        os.kill(process.pid or 0, signal.SIGKILL) if process.is_alive() else None
    process.join(10)
