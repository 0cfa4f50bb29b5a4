"""A server of the lab as a stack of one: its proxy and containers on its own engine, driven from within its network.

with servers(1) as (one,):
    one.call(lambda stack: stack.run(...))
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.host import HostEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Settings
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.setup import Setup
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Locks
from tests.contract import proxies
from tests.lab import engines, images
from tests.lab.engines import Engine
from tests.lab.stack import Stack

FORK = multiprocessing.get_context("fork")
NET = 0x40000000  # CLONE_NEWNET
PORT = 8080


@dataclass(frozen=True)
class Server:
    """A server with an engine of its own, whose folder for stackswap this machine sees at the same path."""

    engine: Engine
    stack: Stack

    def call(self, what: Callable[[Stack], Any], seconds: float = 90) -> Any:
        """What this answers, called in a process that has the server's network and its engine."""
        here, there = FORK.Pipe(duplex=False)
        process = FORK.Process(target=self._inside, args=(what, there))
        process.start()
        there.close()
        answer = here.recv() if here.poll(seconds) else TimeoutError(f"no answer within {seconds} s")
        process.join(5)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _inside(self, what: Callable[[Stack], Any], there: Any) -> None:
        pid = images.docker("inspect", "--format={{.State.Pid}}", self.engine.host.container)
        os.environ["DOCKER_HOST"] = self.engine.address
        with open(f"/proc/{pid}/ns/net", encoding="ascii") as space:
            if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), NET):
                raise OSError(ctypes.get_errno(), "setns")
        try:
            there.send(what(self.stack))
        except Exception as error:  # told to the test, which raises it
            there.send(RuntimeError(f"{type(error).__name__}: {error}"))

    def running(self) -> list[str]:
        """The containers that run on it."""
        return sorted(self.engine.docker("ps", "--format={{.Names}}").split())


@contextmanager
def server(settings: dict[str, Any], *wanted: str) -> Iterator[Server]:
    """A server with these settings of its engine and these images, with the proxy set up."""
    home = tempfile.mkdtemp(prefix="stackswap-test-inside-")
    try:
        with engines.engines(1, settings, f"--volume={home}:{home}") as (engine,):
            haproxy = proxies.image("")
            for image in (haproxy, *wanted):
                engine.copy(image)
            name = f"stackswap-test-{secrets.token_hex(3)}"
            of = Settings(
                home=home,
                listen=(str(PORT),),
                container=f"{name}-proxy",
                image=haproxy,
                network=name,
                subnet="172.30.244.0/24",
            )
            made = Server(engine, Stack(name, of))
            made.call(lambda stack: Setup(stack.settings, HostEngine(), Locks(home).proxy).present())
            yield made
    finally:
        shutil.rmtree(Path(home), ignore_errors=True)
