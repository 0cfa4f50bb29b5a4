"""What the fakes promise, the real things keep: the same questions to the server in memory and to a real one.

The suites beside this one ask the real things what only they can tell; test_world holds every verb of a plan to both.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import payload
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Backend, Effects, ReplicaSpec
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import CreateConflict, ImageMissing
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import ProxyError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import NotRegistered
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Held
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Container,
    Health,
    Release,
    Route,
    Service,
)
from tests.lab import images
from tests.lab.fake import App, FakeServer
from tests.lab.stack import QUICK, Stack

REAL = pytest.param("real", marks=[pytest.mark.engine, pytest.mark.slow])
KINDS = ["fake", REAL]
WORD = "a-word-of-16-letters"
NUMBERS = itertools.count(1)


@dataclass
class Subject:
    """A server, and what differs between the two: how an image is called and how its proxy is spoilt by hand."""

    fx: Effects
    image: str
    base: Service
    labels: tuple[tuple[str, str], ...] = ()
    stack: Stack | None = None
    server: FakeServer | None = None

    def service(self) -> Service:
        """A service that nobody else has."""
        number = next(NUMBERS)
        return replace(self.base, name=f"s{number}", routes=(Route(f"s{number}.test"),))

    def release(self, service: Service, version: str = "1.0") -> Release:
        """A release of it."""
        container = Container(self.image, labels=self.labels)
        return Release(service.key, version, "sha256:1", container, service.port, service.health)

    def spec(self, service: Service, number: int = 1, image: str = "") -> ReplicaSpec:
        """A container of it, in blue."""
        container = Container(image or self.image, labels=self.labels)
        told = {
            payload.SERVICE: service.key, payload.ENVIRONMENT: service.environment, payload.RELEASE: "r1",
            payload.VERSION: "1.0", payload.DIGEST: "sha256:1", payload.SLOT: "blue", payload.NUMBER: str(number),
            payload.OF: "1",
        }  # fmt: skip
        name, address = f"{service.environment}-{service.name}-r1-blue-{number}", self.block(service)["blue"][0]
        return ReplicaSpec(name, container, tuple(sorted(told.items())), self.fx.network, address)

    def block(self, service: Service) -> dict[str, list[str]]:
        """Addresses for it."""
        known = self.fx.records.addresses()
        if service.key not in known:
            number, start = len(known) + 1, self.fx.subnet.rsplit(".", 1)[0]
            block = [f"{start}.{16 * number + n}" for n in range(16)]
            self.fx.records.keep_addresses({**known, service.key: {"blue": block[:8], "green": block[8:]}})
        return self.fx.records.addresses()[service.key]

    def sections(self, service: Service) -> dict[str, Backend]:
        """Both slots' sections."""
        return {slot: Backend((at[0],), 8080, service.health) for slot, at in self.block(service).items()}

    def registered(self) -> Service:
        """A service that the proxy knows, none of its slots live."""
        made = self.service()
        self.fx.proxy.register(made.key, self.sections(made))
        return made

    def double(self, service: Service, value: str) -> None:
        """A second entry of the service in the runtime's map, as a hand may make it."""
        if self.server:
            self.server.proxy.entries.append((service.key, value))
        else:
            live: Any = self.fx.proxy
            live._live.add(service.key, value)

    def entries(self, service: Service) -> list[str]:
        """The values that the runtime has for it."""
        if self.server:
            return [value for key, value in self.server.proxy.entries if key == service.key]
        live: Any = self.fx.proxy
        return [entry.value for entry in live._live.entries() if entry.key == service.key]


@pytest.fixture(scope="module", params=KINDS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """The server in memory, or a real one."""
    if request.param == "fake":
        server = FakeServer(app=App())
        health = Health("http", "/health", deadline=20.0, min_healthy_time=0.3)
        yield Subject(server.effects(), "app", Service("test", "any", health=health), server=server)
        return
    with Stack.made() as stack:
        image, labels = images.app("1.0"), (("stackswap.test", "1"),)
        yield Subject(stack.effects(), image, Service(stack.name, "any", health=QUICK), labels, stack=stack)


# -- the engine


def test_a_name_is_given_once(subject: Subject) -> None:
    """A second container of the name is a conflict, which is told from other failures."""
    spec = subject.spec(subject.service())
    made = subject.fx.engine.create(spec)
    with pytest.raises(CreateConflict):
        subject.fx.engine.create(spec)
    subject.fx.engine.remove(made)


def test_an_image_that_is_not_here_makes_no_container(subject: Subject) -> None:
    """And is told as such."""
    service = subject.service()
    with pytest.raises(ImageMissing):
        subject.fx.engine.create(subject.spec(service, image="stackswap-test/never:1"))
    assert subject.fx.engine.replicas(service.key) == ()


def test_a_container_is_made_started_kept_stopped_and_removed(subject: Subject) -> None:
    """As it is told after each: created, running, exited, gone; starting and stopping twice is no matter."""
    engine, service = subject.fx.engine, subject.service()
    made = engine.create(subject.spec(service))
    assert [(r.id, r.state, r.started, r.policy, r.slot) for r in engine.replicas(service.key)] == [
        (made, "created", "", "no", "blue")
    ]
    for call in (engine.start, engine.start):
        call(made)
    engine.keep(made, "always")
    (running,) = engine.replicas(service.key)
    assert (running.running, running.policy, bool(running.started)) == (True, "always", True)
    for _twice in range(2):
        engine.stop(made, 1)
    assert [r.state for r in engine.replicas(service.key)] == ["exited"]
    engine.remove(made)
    assert engine.replicas(service.key) == ()


def test_addresses_tell_whose_they_are(subject: Subject) -> None:
    """By containers, running or not, and by the proxy's sections."""
    registered, service = subject.registered(), subject.service()
    made = subject.fx.engine.create(subject.spec(service))
    found = subject.fx.tenants()
    assert found[subject.block(service)["blue"][0]] == service.key
    assert found[subject.block(registered)["green"][0]] == registered.key
    subject.fx.engine.remove(made)


# -- the proxy


def test_a_service_is_registered_once_and_starts_as_none(subject: Subject) -> None:
    """In file and runtime; the second time nothing is to be done; it can be forgotten."""
    service = subject.service()
    register = partial(subject.fx.proxy.register, service.key, subject.sections(service))
    assert (register(), register()) == (True, False)
    view = subject.fx.proxy.view(service.key)
    assert (view.runtime, view.file, dict(view.backends)) == ("none", "none", subject.sections(service))
    assert subject.fx.proxy.remove(service.key)
    assert not subject.fx.proxy.view(service.key).backends


def test_a_value_is_written_to_file_and_runtime(subject: Subject) -> None:
    """And one of a service that is not known is refused."""
    service = subject.registered()
    for value in ("blue", "green.blue", "none"):
        subject.fx.proxy.point(service.key, value)
        view = subject.fx.proxy.view(service.key)
        assert (view.runtime, view.file) == (value, value)
    with pytest.raises(NotRegistered):
        subject.fx.proxy.point(subject.service().key, "blue")


def test_a_doubled_entry_becomes_one(subject: Subject) -> None:
    """Look-ups use the first; a value that is written leaves one."""
    service = subject.registered()
    subject.double(service, "green")
    assert subject.entries(service) == ["none", "green"] and subject.fx.proxy.view(service.key).runtime == "none"
    subject.fx.proxy.point(service.key, "blue")
    assert subject.entries(service) == ["blue"]


def test_a_slot_is_called_down_unless_it_is_routed(subject: Subject) -> None:
    """By the worker that answers; of a routed one it is refused and nothing is changed."""
    service = subject.registered()
    pid = subject.fx.proxy.force_down(service.key, "green")
    view = subject.fx.proxy.view(service.key)
    assert view.pid == pid and {s.status for s in view.servers if s.slot == "green"} == {"DOWN"}
    subject.fx.proxy.point(service.key, "green.blue")
    for slot in ("green", "blue"):
        with pytest.raises(ProxyError):
            subject.fx.proxy.force_down(service.key, slot)


def test_a_preview_is_opened_once_and_closed_once(subject: Subject) -> None:
    """Whether there was one is told."""
    service = subject.registered()
    assert subject.fx.proxy.preview(service.key, "green", WORD)
    assert subject.fx.proxy.close_preview(service.key)
    assert not subject.fx.proxy.close_preview(service.key)


def test_the_routes_of_a_service_are_what_was_opened(subject: Subject) -> None:
    """The second time nothing is to be done."""
    service = subject.registered()
    assert subject.fx.proxy.open(service.key, service.routes)
    assert not subject.fx.proxy.open(service.key, service.routes)
    assert set(subject.fx.proxy.view(service.key).routes) == set(service.routes)


def test_nobody_has_sessions_where_nobody_came(subject: Subject) -> None:
    """Nor are any cut."""
    service = subject.registered()
    addresses = tuple(subject.block(service)["blue"][:1])
    assert subject.fx.proxy.sessions(addresses) == 0
    assert not subject.fx.proxy.cut(service.key, addresses)


def test_the_door_tells_which_way_it_leads(subject: Subject) -> None:
    """Not at all for a route that nobody has; to no server while nothing is live."""
    service = subject.registered()
    route = service.routes[0]
    assert subject.fx.probe.door(route, service.key).status == 404
    subject.fx.proxy.open(service.key, service.routes)
    answer = subject.fx.probe.door(route, service.key)
    assert answer.status == 503


# -- records and locks


def test_a_seal_changes_with_any_secret_and_tells_nothing(subject: Subject) -> None:
    """The same secrets have the same; none have none."""
    seal = subject.fx.records.seal
    assert seal({}) == "" and len(seal({"A": "1"})) == 8
    assert seal({"A": "1", "B": "2"}) == seal({"B": "2", "A": "1"})
    assert len({seal({"A": "1"}), seal({"A": "2"}), seal({"B": "1"})}) == 3


def test_secret_files_are_kept_read_and_swept(subject: Subject) -> None:
    """Those of releases that still stand stay."""
    service, records = subject.service(), subject.fx.records
    assert records.keep_secrets(service.key, "none", {}) == ""
    for name in ("r1", "r2"):
        assert records.keep_secrets(service.key, name, {"key": f"text of {name}"})
    records.sweep_secrets(service.key, {"r2"})
    assert (records.secrets(service.key, "r1"), records.secrets(service.key, "r2")) == ({}, {"key": "text of r2"})


def test_a_manifest_is_kept_and_dropped(subject: Subject) -> None:
    """One that is not there is None, and can be dropped."""
    service, records = subject.service(), subject.fx.records
    records.keep_manifest(service.key, "r1", {"version": "1.0"})
    assert records.manifest(service.key, "r1") == {"version": "1.0"}
    for _twice in range(2):
        records.drop_manifest(service.key, "r1")
        assert records.manifest(service.key, "r1") is None


def test_a_record_is_what_was_written_last(subject: Subject) -> None:
    """Empty before."""
    service, records = subject.service(), subject.fx.records
    assert records.read(service.key) == {}
    for served in (["r1"], ["r1", "r2"]):
        records.write(service.key, {"served": served})
        assert records.read(service.key) == {"served": served}


def test_a_lock_has_one_holder_and_is_free_after_it(subject: Subject) -> None:
    """Of a service, beside which the proxy's may be taken, and another service's."""
    one, other, locks = subject.service(), subject.service(), subject.fx.locks
    for _twice in range(2):
        with locks.service(one.key), locks.service(other.key), pytest.raises(Held), locks.service(one.key):
            pass
        with locks.service(one.key), locks.proxy():
            pass
