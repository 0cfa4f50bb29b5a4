"""The proxy and the prober of a server in memory (tests.lab.fake)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Count, Tally
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer, Backend, Left, Server, View
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import ProxyError, ProxyUnreachable
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.gate import ends
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.maps import canary_of, canary_value
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.policy import door_lines
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import NotRegistered, NotTaken
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.sections import expected_check
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import OPEN, SLOTS, Door, Health, Route

if TYPE_CHECKING:
    from tests.lab.fake import FakeServer


class FakeProxy:
    """A map file, the runtime's entries (doubled keys too), and checks whose word is as old as the last check.

    between() is called between the file and the runtime; deaf: the runtime takes no value any more. rate: users'
    requests a second for every service; dark: it tells no counters.
    """

    def __init__(self, server: FakeServer) -> None:
        self.server, self.pid = server, 100
        self.file: dict[str, str] = {}
        self.entries: list[tuple[str, str]] = []
        self.backends: dict[str, dict[str, Backend]] = {}
        self.routes: dict[str, tuple[Route, ...]] = {}
        self.doors: dict[str, Door] = {}
        self.words: dict[str, tuple[str, str]] = {}
        self.sessions_of: dict[tuple[int, str], int] = {}
        self.previews: dict[str, str] = {}
        self.versions: dict[tuple[str, str], str] = {}
        self.canaries: list[dict[str, str]] = [{}, {}]  # what is in the file, what the runtime has
        self.dealt: list[str] = []
        self.held: list[dict[str, float]] = [{}, {}]  # until when requests wait: in the file, in the runtime
        self.waiting: dict[str, int] = {}
        self.waited = 0
        self.between: Callable[[], object] = str
        self.rate, self.due, self.dark = 0.0, 0.0, False
        self.counted: dict[str, Tally] = {}
        self.ended: dict[str, list[Tally]] = {}
        self.deaf = False

    def view(self, service: str) -> View:
        backends, routes = self.backends.get(service, {}), self.routes.get(service, ())
        at = ((slot, n, a) for slot in SLOTS if slot in backends for n, a in enumerate(backends[slot].addresses, 1))
        servers = tuple(Server(slot, n, a, *self.words.get(a, ("UP", "INI"))) for slot, n, a in at)
        file, runtime = (held.get(service, "") for held in self.canaries)
        return View(
            self.pid,
            self.used(service),
            self.file.get(service, ""),
            servers,
            dict(backends),
            routes,
            canary=canary_of(runtime, file),
            held=ends(*(f"{held[service]:g}" if service in held else "" for held in self.held)),
            door=self.doors.get(service, Door()),
        )

    def tenants(self) -> dict[str, str]:
        every = [(key, backend) for key, slots in self.backends.items() for backend in slots.values()]
        return {address: key for key, backend in every for address in backend.addresses}

    def used(self, service: str) -> str:
        """The value that look-ups find: of a doubled key the first."""
        return next((value for key, value in self.entries if key == service), "")

    def register(self, service: str, backends: Mapping[str, Backend]) -> bool:
        with self.server.locks.proxy():
            news = self._load(service, dict(backends)) or service not in self.file or not self.used(service)
            self.file.setdefault(service, "none")
            if not self.used(service):
                self.entries.append((service, "none"))
            return news

    def configure(self, service: str, slot: str, backend: Backend) -> bool:
        with self.server.locks.proxy():
            return self._load(service, {**self.backends[service], slot: backend})

    def _load(self, service: str, backends: dict[str, Backend]) -> bool:
        """A reload keeps what is served, and forgets every check."""
        news = self.backends.get(service) != backends
        if news:
            self.backends[service], self.words = backends, {}
            self._reload()
        return news

    def _reload(self) -> None:
        """A new worker counts from zero; the old one has been read for the last time."""
        for service, tally in self.counted.items():
            self.ended.setdefault(service, []).append(tally._replace(old=True, ended=True))
        self.pid, self.counted = self.pid + 1, {}

    def restart(self) -> None:
        """The proxy's container is started anew: the maps are read from their files."""
        self.entries, self.pid, self.words, self.sessions_of = list(self.file.items()), self.pid + 1, {}, {}
        self.counted = {}
        self.canaries[1], self.held[1] = dict(self.canaries[0]), dict(self.held[0])
        self.waiting = {}

    def examine(self, service: str, door: Door) -> None:
        door_lines(door)

    def open(self, service: str, routes: tuple[Route, ...], door: Door = OPEN) -> bool:
        with self.server.locks.proxy():
            news = (self.routes.get(service), self.doors.get(service, Door())) != (routes, door)
            self.routes[service], self.doors[service] = routes, door
            return news

    def point(self, service: str, value: str) -> None:
        with self.server.locks.proxy():
            if not self.used(service):
                raise NotRegistered(f"the proxy has no entry of {service}")
            self.file[service] = value
            self.between()
            if self.deaf:
                raise NotTaken(f"the proxy does not show {value}")
            self.entries = [entry for entry in self.entries if entry[0] != service] + [(service, value)]

    def label(self, service: str, slot: str, version: str) -> None:
        self.versions[service, slot] = version

    def share(self, service: str, slot: str, share: int, by: str) -> bool:
        with self.server.locks.proxy():
            self.dealt.append(f"{slot} {share}")
            for held in self.canaries:
                held.pop(service, None)
                if share:
                    held[service] = canary_value(slot, share, by)
                self.between()
            return True

    def preview(self, service: str, slot: str, value: str) -> bool:
        self.close_preview(service)
        self.previews[value] = f"{service}:{slot}"
        return True

    def close_preview(self, service: str) -> bool:
        gone = [word for word, backend in self.previews.items() if backend.partition(":")[0] == service]
        return [self.previews.pop(word) for word in gone] != []

    def hold(self, service: str, until: float) -> bool:
        with self.server.locks.proxy():
            news = bool(until) or any(service in held for held in self.held)
            for held in self.held:
                held.pop(service, None)
                if until:
                    held[service] = float(math.ceil(until))
                self.between()
        self.let_go()
        return news

    def holds(self, service: str) -> bool:
        """Whether its requests wait now."""
        return self.server.clock() < self.held[1].get(service, 0)

    def let_go(self) -> None:
        """Who waited and need not any more asks now."""
        for service in [one for one in self.waiting if not self.holds(one)]:
            for _ in range(self.waiting.pop(service)):
                self.ask(service)

    def force_down(self, service: str, slot: str) -> int:
        shared = any(held.get(service, "").startswith(f"{slot}.") for held in self.canaries)
        routed = shared or slot in f"{self.used(service)}.{self.file[service]}".split(".")
        if routed and not self.holds(service):
            raise ProxyError(f"the {slot} slot of {service} is routed: it is never called down")
        self.words.update(dict.fromkeys(self.backends[service][slot].addresses, ("DOWN", "")))
        return self.pid

    def check(self) -> None:
        """One round of checks of all servers."""
        for backend in (b for slots in self.backends.values() for b in slots.values()):
            for address in backend.addresses:
                box = self.server.engine.at(address)
                well = box is not None and not box.app.shy and 200 <= box.answer().status < 400
                self.words[address] = ("UP", expected_check(backend.health)) if well else ("DOWN", "L4CON")

    def sessions(self, addresses: tuple[str, ...]) -> int:
        return sum(count for (_pid, address), count in self.sessions_of.items() if address in addresses)

    def left(self, addresses: tuple[str, ...]) -> tuple[Left, ...]:
        return tuple(Left("websocket", 5.0) for _ in range(self.sessions(addresses)))

    def tallies(self, service: str) -> tuple[Tally, ...]:
        if self.dark:
            raise ProxyUnreachable("the proxy does not answer")
        return (*self.ended.get(service, ()), self.counted.get(service, Tally(str(self.pid))))

    def serve(self, seconds: float) -> None:
        """Users' requests of this time, one after the other."""
        self.let_go()
        self.due += self.rate * seconds
        while self.due >= 1:
            self.due -= 1
            for service in self.backends:
                self.ask(service)

    def ask(self, service: str) -> Answer:
        """One request through the door: the first slot of the value that is up, or nobody; or it waits."""
        if self.holds(service):
            self.waiting[service] = self.waiting.get(service, 0) + 1
            self.waited += 1
            return Answer(error="no answer yet")
        value = self.used(service)
        up = {s.slot: s for s in reversed(self.view(service).servers) if s.status == "UP"}
        server = next((up[slot] for slot in value.split(".") if slot in up), None)
        box = self.server.engine.at(server.address) if server else None
        answer = box.answer(user=True) if box else Answer(error="nobody")
        told = self.counted.get(service, Tally(str(self.pid)))
        if server and not answer.error:
            done = Count(1, 400 <= answer.status < 500, answer.status >= 500)
            told = told._replace(slots={**told.slots, server.slot: told.of(server.slot).plus(done)})
        lost = bool(answer.error) and value != "none"
        told = told._replace(requests=told.requests + (value != "none"), unanswered=told.unanswered + lost)
        self.counted[service] = told
        name = f"{server.slot}{server.number}" if server else "<NOSRV>"
        return Answer(503 if answer.error else answer.status, told=f"{service}:{value} {name} {value}")

    def cut(self, service: str, addresses: tuple[str, ...]) -> tuple[Left, ...]:
        count = self.left(addresses)
        self.sessions_of = {key: n for key, n in self.sessions_of.items() if key[1] not in addresses}
        return count

    def remove(self, service: str) -> bool:
        with self.server.locks.proxy():
            self.close_preview(service)
            self.routes.pop(service, None)
            for held in self.held:
                held.pop(service, None)
            self.file.pop(service, None)
            self.between()
            self.entries = [entry for entry in self.entries if entry[0] != service]
            return self.backends.pop(service, None) is not None


class FakeProbe:
    """Asks the containers, and the proxy's door. lies: what the door tells instead."""

    def __init__(self, server: FakeServer) -> None:
        self.server, self.lies = server, ""

    def replica(self, address: str, port: int, health: Health, within: float = 2.0) -> Answer:
        box = self.server.engine.at(address)
        return box.answer() if box else Answer(error="no route to host")

    def door(self, route: Route | None, service: str) -> Answer:
        proxy = self.server.proxy
        if route and route not in proxy.routes.get(service, ()):
            return Answer(404)
        answer = proxy.ask(service)
        return replace(answer, told=self.lies) if self.lies else answer
