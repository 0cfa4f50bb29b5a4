"""A real stack of one server for tests: its own home, network and proxy, on this machine's engine."""

from __future__ import annotations

import random
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import job
from ansible_collections.stackswap.bluegreen.plugins.module_utils.crontab.table import Crontab
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine import DockerEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.host import HostEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import EngineFailed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Settings
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import HAProxy
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.setup import Setup
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Locks
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Bake,
    Container,
    Health,
    Release,
    Route,
    Service,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.probe import Probe
from ansible_collections.stackswap.bluegreen.plugins.module_utils.prober import Prober
from ansible_collections.stackswap.bluegreen.plugins.module_utils.records import Records
from tests.contract import proxies

HOST = "shop.test"
QUICK = Health("http", "/health", deadline=20.0, min_healthy_time=0.3)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Stack:
    """One server. Everything is labelled as a test's and taken away by close()."""

    name: str
    settings: Settings

    @classmethod
    def made(cls, subnet: str = "", suite: str = "") -> Stack:
        """A new one, with its proxy running; on this subnet, or on one that nobody else has. suite: HAProxy's."""
        if subnet:
            return cls._on(subnet, suite)
        for block in random.sample(range(0, 256, 2), 10):
            try:
                return cls._on(f"172.29.{block}.0/23", suite)
            except EngineFailed as failed:
                if "overlap" not in str(failed):
                    raise
        raise RuntimeError("no free network for a stack")

    @classmethod
    def _on(cls, subnet: str, suite: str) -> Stack:
        name = f"stackswap-test-{secrets.token_hex(3)}"
        home = tempfile.mkdtemp(prefix=f"{name}-")
        settings = Settings(
            home=home,
            listen=(f"127.0.0.1:{free_port()}",),
            container=f"{name}-proxy",
            image=proxies.image(suite),
            network=name,
            subnet=subnet,
            labels=(("stackswap.test", "1"),),
        )
        stack = cls(name, settings)
        try:
            Setup(settings, HostEngine(), Locks(home).proxy).present()
        except BaseException:
            stack.close()
            raise
        return stack

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @property
    def port(self) -> int:
        """Where the public door is, on 127.0.0.1."""
        return int(self.settings.listen[0].rpartition(":")[2])

    def service(self, name: str = "shop", **options: Any) -> Service:
        """A service of this stack; its container names begin with the stack's. A bake may be a number of seconds."""
        given = dict(routes=(Route(HOST),), health=QUICK, bake=0.5, drain_timeout=10.0, confirmations=3)
        given.update(options)
        bake = given.pop("bake")
        return Service(self.name, name, bake=bake if isinstance(bake, Bake) else Bake(float(bake)), **given)

    def release(self, service: Service, version: str, image: str, **options: Any) -> Release:
        """A release of an image that is on the engine."""
        found = DockerEngine().image(image)
        assert found, f"{image} is not here"
        labels = (("stackswap.test", "1"),)
        container = Container(found.id, labels=labels, **options)
        made = (service.key, version, found.id, container, service.port, service.health)
        return Release(*made, replicas=service.replicas)

    def effects(self, job_id: str = "", **options: Any) -> Effects:
        """The real things."""
        engine, locks, network = DockerEngine(), Locks(self.settings.home, job=job_id), self.settings.network
        proxy = HAProxy(self.settings, locks.proxy, partial(engine.exec, self.settings.container))
        cron = Crontab(self.settings.home, engine._address, f"{self.settings.home}/cron.d")
        return Effects(
            engine=engine,
            proxy=proxy,
            probe=Probe("127.0.0.1", self.port, key=files.server_key(self.settings)),
            records=Records(self.settings.home),
            locks=locks,
            clock=time.monotonic,
            now=time.time,
            sleep=time.sleep,
            token=partial(secrets.token_hex, 16),
            prober=Prober,
            cron=cron,
            network=network,
            subnet=self.settings.subnet,
            holders=partial(engine.holders, network),
            tenants=lambda: {**proxy.tenants(), **engine.tenants(network)},
            **options,
        )

    def run(self, service: Service, release: Release | None, state: str = "settled", **options: Any) -> Result:
        """One call, as the module makes it."""
        order = {name: options.pop(name) for name in ("back", "now", "job", "here") if name in options}
        return job.run(self.effects(order.get("job", ""), **options), service, release, Order(state, **order))

    def look(self, service: Service, release: Release | None = None) -> Look:
        """What is there now."""
        return look(self.effects(), service, release)

    def close(self) -> None:
        """Everything of this stack is gone."""
        engine = DockerEngine()
        client = engine._client
        mine = client.containers(all=True, filters={"network": self.settings.network})
        names = [one["Id"] for one in mine] + [self.settings.container]
        for name in names:
            with_ignored(partial(client.remove_container, name, force=True, v=True))
        with_ignored(partial(client.remove_network, self.settings.network))
        shutil.rmtree(self.settings.home, ignore_errors=True)


def with_ignored(call: Callable[[], Any]) -> None:
    """Call, and let the engine say what it likes."""
    import docker

    try:
        call()
    except docker.errors.APIError as error:
        if error.response is None or error.response.status_code != 404:
            raise
