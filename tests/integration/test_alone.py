"""Releases that may not run side by side, on a real stack: the strict client waits and loses nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine import DockerEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Health, Release, Route, Service
from tests.lab import images
from tests.lab.building import docker
from tests.lab.calls import Place
from tests.lab.client import Load
from tests.lab.jobs import Jobs
from tests.lab.report import Report
from tests.lab.stack import Stack
from tests.lab.wire import STATUS, TIMEOUT

pytestmark = [pytest.mark.engine, pytest.mark.slow]
LONE: dict[str, Any] = {
    "overlap": False,
    "hold": 20,
    "drain_timeout": 5.0,
    "bake": 0,
    "health": Health("http", "/health", deadline=15.0, min_healthy_time=0.2),
}


class Shop:
    """A service of its own on the stack, whose first version serves."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack, self.host = stack, f"{name}.test"
        self.service: Service = stack.service(name, routes=(Route(self.host),), **LONE)
        assert self.run("1.0").error is None

    def release(self, version: str, **env: str) -> Release:
        """A release of the image of this version."""
        return self.stack.release(self.service, version, images.app(version[:3]), env=tuple(env.items()))

    def run(self, version: str, state: str = "settled", at: Any = str, back: bool = False, **env: str) -> Any:
        """One call."""
        return self.stack.run(self.service, self.release(version, **env), state, at=at, back=back)

    def load(self, rate: float = 60, **fields: Any) -> Load:
        """Users who wait as long as they have to."""
        return Load("127.0.0.1", self.stack.port, host=self.host, rate=rate, timeout=60, **fields)

    def side_by_side(self) -> list[str]:
        """Containers that were started before another one had ended, by the engine's own times."""
        found = DockerEngine().replicas(self.service.key)
        told = [docker("inspect", "-f", "{{.State.StartedAt}} {{.State.FinishedAt}}", one.id).split() for one in found]
        spans = sorted((began, "9" if one.running else ended) for one, (began, ended) in zip(found, told, strict=True))
        return [f"{spans}" for one, then in itertools.pairwise(spans) if then[0] < one[1]]

    def serving(self) -> str:
        """The version that runs, of which there is one."""
        (running,) = [one.version for one in DockerEngine().replicas(self.service.key) if one.running]
        return running


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server with its proxy."""
    images.app("1.0"), images.app("1.1")
    with Stack.made() as made:
        yield made


def shown(report: Report) -> str:
    """What to say of a load that lost something."""
    return f"{report} {report.kinds} {report.failures[:3]}"


def test_swaps_with_one_running_at_a_time_lose_nothing(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Kept connections, new ones, posts, slow requests, streams and sessions: what is begun ends, what comes waits."""
    shop, held = Shop(stack, "lone"), []
    with shop.load(websocket=1, session=0.5) as load, shop.load(2, path="/slow?s=1", mix={"new": 2}, stream=1) as slow:
        for version in ("1.1", "1.0", "1.1"):
            done = shop.run(version, back=version == "1.0")
            assert done.error is None, (done.error, done.error.evidence)
            assert not shop.side_by_side() and shop.serving() == version
            held.append(done.figures["held_ms"])
    quick, patient = load.report(), slow.report()
    with capsys.disabled():
        print(f"\n  3 swaps, one running: {quick}\n  slow: {patient}\n  held for {held} ms")
    assert (quick.lost, patient.lost) == (0, 0), (shown(quick), shown(patient))
    assert set(quick.versions) == {"1.0", "1.1"} and quick.max_ms > 300
    assert patient.streams and quick.websockets


def test_jobs_take_the_same_way(stack: Stack, tmp_path: Path) -> None:
    """A deploy, a rollback and a restart by the plays; the report tells how long was waited."""
    place = Place(stack, "plays", overlap=False, hold=20, drain_timeout=3)
    jobs = Jobs(stack, tmp_path, {"plays": {name: one for name, one in place.options.items() if name != "bake"}})
    assert jobs("deploy", "plays", "1.0").code == 0
    with place.load(40, timeout=60) as load:
        for words, version in (
            (("deploy", "plays", "1.1"), "1.1"),
            (("rollback", "plays"), "1.0"),
            (("restart",), "1.0"),
        ):
            done = jobs(*words[:1], "plays", *words[2:])
            assert done.code == 0, done.printed
            assert done.server("plays")["serving"]["version"] == version
            assert done.server("plays")["figures"]["held_ms"] > 0
        failed = jobs("deploy", "plays", "1.1", stackswap_env={"EXIT_AT_ONCE": "1"})
    report = load.report()
    assert (failed.code, failed.report["outcome"]) == (1, "unchanged"), failed.printed
    assert report.lost == 0 and set(report.versions) == {"1.0", "1.1"}, shown(report)


def test_a_candidate_that_exits_gives_way_to_the_old_release(stack: Stack) -> None:
    """Which is started again and answers all who waited."""
    shop = Shop(stack, "exits")
    with shop.load() as load:
        done = shop.run("1.1", EXIT_AT_ONCE="1")
    report = load.report()
    assert done.error is not None and done.error.cause == "candidate_exited" and "retreat" not in done.error.facts
    assert shop.serving() == "1.0" and report.lost == 0 and report.max_ms > 300, shown(report)
    assert set(report.versions) == {"1.0"} and not stack.look(shop.service).seen.held


def test_a_candidate_that_never_answers_does_so_too(stack: Stack) -> None:
    """When the hold's time is over, which then begins anew for the old release."""
    shop = Shop(stack, "silent")
    shop.service = stack.service("silent", routes=(Route(shop.host),), **{**LONE, "hold": 5, "drain_timeout": 1.0})
    with shop.load() as load:
        done = shop.run("1.1", SILENT="1")
    report = load.report()
    assert done.error is not None and done.error.cause == "candidate_unhealthy"
    assert shop.serving() == "1.0" and report.lost == 0 and report.max_ms > 3000, shown(report)


def test_a_reload_and_a_crash_of_the_proxy_in_a_hold(stack: Stack) -> None:
    """A reload strands nobody; a crash costs what waited in it, and the hold goes on: nobody gets an error page."""
    shop, other = Shop(stack, "shaken"), Shop(stack, "other")

    def reload(point: str) -> None:
        if point == "after stop":
            longer = stack.service("other", routes=(Route("other.test"),), replicas=2, bake=0)
            stack.effects().proxy.configure(other.service.key, "green", backend_of(stack, longer))

    with shop.load() as load:
        done = shop.run("1.1", at=reload)
    report = load.report()
    assert done.error is None and report.lost == 0 and shop.serving() == "1.1", (done.error, shown(report))

    def crash(point: str) -> None:
        if point == "after stop":
            docker("kill", "--signal=KILL", stack.settings.container)
            docker("start", stack.settings.container)

    with shop.load() as load:
        done = shop.run("1.0", back=True, at=crash)
    report = load.report()
    assert done.error is None and shop.serving() == "1.0"
    assert STATUS not in report.kinds and TIMEOUT not in report.kinds, shown(report)


def backend_of(stack: Stack, service: Service) -> Any:
    """A slot of this service as it would be with its replicas."""
    from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Backend

    known = stack.effects().proxy.view(service.key).backends["green"]
    return Backend(known.addresses, known.port + 1, known.health)


@pytest.mark.parametrize("follow", ["finishes", "takes back"])
def test_a_job_that_is_killed_in_a_hold_is_finished_or_taken_back(stack: Stack, follow: str) -> None:
    """By the next call; who waits no longer than the hold lasts is answered."""

    class Killed(BaseException):
        pass

    def die(point: str) -> None:
        if point == "after stop":
            raise Killed

    shop = Shop(stack, follow.partition(" ")[0])
    with shop.load() as load:
        with pytest.raises(Killed):
            shop.run("1.1", at=die)
        done = shop.run("1.1", "settled" if follow == "finishes" else "back")
    report = load.report()
    assert done.error is None and report.lost == 0, (done.error, shown(report))
    assert shop.serving() == ("1.1" if follow == "finishes" else "1.0")
