"""What ends the proxy, or the engine below it, and what that costs: always the slot that was live serves again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.host import HostEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import Master, ProxyUnreachable
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import layout
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.setup import Setup
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Locks
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Bake
from tests.contract.proxies import until
from tests.lab import engines, images
from tests.lab.building import docker
from tests.lab.client import Load
from tests.lab.inside import PORT, Server, server
from tests.lab.report import Report
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]
VERSIONS = ("1.0", "1.1")
Tell = Callable[[str, Report], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Prints what something cost."""

    def say(what: str, report: Report) -> None:
        gap = f"longest gap {report.longest_gap_ms:.0f} ms"
        with capsys.disabled():
            print(f"\n  {what}: lost {report.lost} of {report.requests} {dict(report.kinds)}, {gap}")

    return say


def deploy(stack: Stack, version: str) -> str:
    """Swap to a version; its slot."""
    service = stack.service("shop", bake=Bake(0.1))
    done = stack.run(service, stack.release(service, version, f"stackswap-test/app:{version}"))
    assert done.error is None, done.error
    return stack.look(service).view.runtime


# -- the proxy alone


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A server whose live slot is green, for blue is where the first release came."""
    for version in VERSIONS:
        images.app(version)
    with Stack.made() as made:
        assert [deploy(made, version) for version in VERSIONS] == ["blue", "green"]
        yield made


def process_of(stack: Stack, which: str) -> int:
    """The process of the proxy's container on this machine, or that of its worker."""
    master = int(docker("inspect", "--format={{.State.Pid}}", stack.settings.container))
    if which == "master":
        return master
    with open(f"/proc/{master}/task/{master}/children", encoding="ascii") as file:
        return int(file.read().split()[-1])


def serving(stack: Stack) -> bool:
    """Whether the proxy answers again."""
    try:
        return Master(layout(stack.settings).master).serving() > 0
    except ProxyUnreachable:
        return False


@pytest.mark.parametrize("end", ["worker", "master", "restart"])
def test_the_proxy_comes_back_with_the_live_slot(stack: Stack, tell: Tell, end: str) -> None:
    """Killed, or restarted: connections are refused for a moment, and none is led to another slot."""
    with Load("127.0.0.1", stack.port, host="shop.test", rate=100, seconds=600) as load:
        time.sleep(0.5)
        if end == "restart":
            docker("restart", "--time=1", stack.settings.container)
        else:
            os.kill(process_of(stack, end), signal.SIGKILL)
        time.sleep(0.5)
        until(partial(serving, stack), 30)
        time.sleep(1)
        report = load.report()
    tell(f"{end} of the proxy", report)
    assert set(report.versions) == {"1.1"}
    assert report.longest_gap_ms < 15_000
    assert stack.look(stack.service("shop")).view.runtime == "green"


# -- the engine, and the server


def setup(stack: Stack) -> Setup:
    """What the module makes."""
    return Setup(stack.settings, HostEngine(), Locks(stack.settings.home).proxy)


def ended(one: Server, how: str, settings: dict[str, object]) -> None:
    """The engine's daemon ends by this signal, and is started anew."""
    pid = "$(cat /var/run/docker.pid)"
    one.engine.host.run(f"pid={pid}; kill -{how} $pid; while kill -0 $pid 2>/dev/null; do sleep 0.1; done")
    one.engine.host.run("rm -f /var/run/docker.pid")
    engines.start(one.engine, settings)
    engines.answers(one.engine)


@pytest.mark.parametrize("live", [True, False], ids=["live-restore", "no live-restore"])
def test_the_engines_daemon_ends_and_comes_back(tell: Tell, live: bool) -> None:
    """With live-restore nobody notices; without it the live slot is back when the daemon is, whatever ended it."""
    settings = {**engines.OFFLINE, "live-restore": live}
    with server(settings, *map(images.app, VERSIONS)) as one:
        assert [one.call(partial(deploy, version=version)) for version in VERSIONS] == ["blue", "green"]
        before = one.running()
        warned = one.call(lambda stack: setup(stack).warnings())
        assert [text for text in warned if "live-restore" in text] == ([] if live else warned)
        for how in ("KILL",) if live else ("TERM", "KILL"):
            report = cost(one, how, settings, before)
            tell(f"engine's daemon ended by SIG{how}, live-restore {live}", report)
            assert set(report.versions) == {"1.1"}
            assert report.lost == 0 if live else report.lost > 0
        reboot(one, settings, before)


def cost(one: Server, how: str, settings: dict[str, object], before: list[str]) -> Report:
    """What a client sees of the daemon's end, until all that ran before runs again."""
    with Load(one.engine.host.address, PORT, host="shop.test", rate=80, seconds=600) as load:
        time.sleep(0.5)
        ended(one, how, settings)
        until(lambda: one.running() == before, 90)
        time.sleep(2)
        return load.report()


def serves(one: Server) -> None:
    """The release that was live answers, and nothing else does."""
    with Load(one.engine.host.address, PORT, host="shop.test", rate=50, seconds=2) as load:
        report = load.wait()
    assert report.lost == 0 and set(report.versions) == {"1.1"}


def reboot(one: Server, settings: dict[str, object], before: list[str]) -> None:
    """After the server's start exactly the proxy and the live slot run, whatever stood beside."""
    assert len(before) == 2, before
    one.engine.host.reboot(2)
    engines.start(one.engine, settings)
    engines.answers(one.engine)
    until(lambda: one.running() == before, 90)
    serves(one)
