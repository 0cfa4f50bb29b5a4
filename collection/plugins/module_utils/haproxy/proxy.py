# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy's verbs.

Each change is {re-read, write the file, write the runtime, read back} under the proxy's lock. The
file comes first, so that a restart brings what the runtime has or was about to get.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Tally
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Backend, Left, View
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import (
    maps,
    sections,
    stats,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import (
    Admin,
    Master,
    ProxyError,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.fragments import (
    Fragments,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.holding import Holding
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import (
    Settings,
    layout,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.maintenance import Maintenance
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.runtime import Map
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.workers import Everywhere, Workers
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import OPEN, SLOTS, Door, Route

TRIES, TURN = 5, 0.1
PATIENCE = 8.0  # seconds: the engine starts a proxy that has crashed again, each time a little later
TOLD = 3  # times: a check that was under way may have counted meanwhile, and the row then says DOWN 1/2
DIFFERS = Route("", "")


class NotRegistered(ProxyError):
    """The proxy does not know the service, or not the backend that its value names."""

    cause = "not_registered"


class NotTaken(ProxyError):
    """The runtime does not show what was written to it."""

    cause = "not_taken"


class RouteTaken(BadInput):
    """Another service has the route. facts: owner."""

    cause = "route_taken"


class HAProxy:
    """One server's proxy. run executes a command in its container: exit code and what it said."""

    def __init__(
        self,
        settings: Settings,
        lock: Callable[[], AbstractContextManager[None]],
        run: Callable[[Sequence[str]], tuple[int, str]],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        self._paths, self._lock, self._sleep = layout(settings), lock, sleep
        self._master = Master(self._paths.master, clock=clock, sleep=sleep, patience=patience)
        self._workers = Workers(Admin(self._paths.admin), self._master, self._paths, sleep)
        self._admin = Everywhere(self._paths.admin, self._workers, patience)
        self._live = Map(self._paths.live, self._admin)
        self._route = Map(self._paths.route, self._admin)
        self._preview = Map(self._paths.preview, self._admin)
        self._versions = Map(self._paths.versions, self._admin)
        self._canary = Map(self._paths.canary, self._admin)
        self._fragments = Fragments(self._paths, self._admin, self._master, run, sleep)
        self._leaving = self._fragments.leaving
        self._holding = Holding(self._paths, self._admin, lock)
        self.maintenance = Maintenance(self._paths, self._admin, self._fragments, lock)

    # -- looking

    def view(self, service: str) -> View:
        """What one worker knows of a service at one moment; routes as ``_routes`` tells."""
        doors = (self._canary.show, self.maintenance.show, self._holding.show)
        shown = (self._live.show, self._route.show, *doors, "show stat", "show info")
        live, route, canary, closed, held, stat, info = self._admin.call(*shown)
        found = stats.entries_of(live, service)
        return View(
            pid=stats.pid(info),
            runtime=found[0].value if found else "",
            file=self._live.file().get(service, ""),
            servers=tuple(s for slot in SLOTS for s in stats.servers(stat, service, slot)),
            backends=self._fragments.loaded(service),
            routes=self._routes(route, service),
            door=self._fragments.door(service),
            closed=bool(stats.entries_of(closed, service)),
            canary=self._shared(canary, service),
            held=self._holding.ends(held, service),
        )

    def tenants(self) -> dict[str, str]:
        """The addresses of all services that have a fragment, and their keys."""
        return self._fragments.tenants()

    def _routes(self, shown: str, service: str) -> tuple[Route, ...]:
        """The service's routes, and the route of no host if file and runtime differ in them."""
        file = maps.owned(self._route.file(), service)
        found = [entry.key for entry in stats.entries(shown) if entry.value == service]
        differs = () if sorted(file) == sorted(found) else (DIFFERS,)
        return (*(maps.route_of(key) for key in file), *differs)

    def _shared(self, shown: str, service: str) -> str:
        """The slot that shares the traffic, and its share, by runtime and file."""
        used = next((entry.value for entry in stats.entries_of(shown, service)), "")
        return maps.canary_of(used, self._canary.file().get(service, ""))

    def sessions(self, addresses: tuple[str, ...]) -> int:
        """The sessions of these addresses in all workers, also those that a reload left."""
        return self._workers.sessions(addresses)

    # -- a service comes, changes, and goes

    def register(self, service: str, backends: Mapping[str, Backend]) -> bool:
        """Make the service known: its fragment, and its one entry, which starts as none."""
        with self._lock():
            loaded = self._fragments.load(service, self._text(service, backends))
            entered = self._enter(maps.checked_service(service))
        return loaded or entered

    def configure(self, service: str, slot: str, backend: Backend) -> bool:
        """Suit the sections of a slot to the release that is to come into it."""
        with self._lock():
            backends = self._fragments.read(service)
            if not backends:
                raise NotRegistered(f"the proxy has no fragment of {service}: register it")
            wanted = self._text(service, {**backends, slot: backend})
            return self._fragments.load(service, wanted)

    def remove(self, service: str) -> bool:
        """Forget the service: its routes, its entry, its fragment."""
        with self._lock():
            closed = self._set_routes(service, ())
            self._forget_previews(service)
            for slot in SLOTS:
                self._versions.take(f"{service}:{slot}")
            self.maintenance.forget(service)
            self._canary.take(service)
            self._canary.forget([service])
            self._holding.forget(service)
            left = self._leave(service)
            gone = self._fragments.load(service, "")
            self.maintenance.sweep(service)
            return gone or left or closed

    def _text(self, service: str, backends: Mapping[str, Backend]) -> str:
        """The service's fragment with these slots, and the door and the page that it has."""
        return sections.fragment(service, backends, self._fragments.door(service), self._fragments.page(service))

    # -- what is served

    def examine(self, service: str, door: Door) -> None:
        """Refuse a door that the proxy would not take. Nothing is changed, and no lock is taken."""
        self._fragments.examine(service, door)

    def open(self, service: str, routes: tuple[Route, ...], door: Door = OPEN) -> bool:
        """Let exactly these routes lead to the service, through this door: it stands before they do."""
        with self._lock():
            backends = self._fragments.read(service)
            wanted = sections.fragment(service, backends, door, self._fragments.page(service))
            hung = bool(backends) and self._fragments.load(service, wanted)
            return self._set_routes(service, routes) or hung

    def point(self, service: str, value: str) -> None:
        """Write the service's value: file, then runtime; then the serving worker has it."""
        if maps.parse_value(value) is None:
            raise BadInput(f"{value!r} is no value of the live map")
        with self._lock():
            self._refuse_unknown(service, value)
            self._live.put(service, value)
            for _turn in range(TRIES):
                if self._pointed(service, value):
                    return
                self._sleep(TURN)
        raise NotTaken(f"the proxy does not show {value} for {service} after it was written")

    def label(self, service: str, slot: str, version: str) -> None:
        """Say which version is in a slot, for the access log: nothing else reads it."""
        key, noted = f"{service}:{slot}", self._versions
        with self._lock():
            noted.put(key, version)
            if noted.name not in self._admin.call("show map")[0]:
                return
            if key in noted.used():
                self._admin.call(noted.change(key, version))
            else:
                noted.add(key, version)

    def share(self, service: str, slot: str, share: int, by: str) -> bool:
        """Have so many of a hundred requests go to a slot, the live one being its backup; none with a share of 0.

        As with all maps the file comes first.
        """
        if not 0 <= share <= 100 or slot not in SLOTS or by not in ("request", "client"):
            raise BadInput(f"{share} of a hundred by {by} is no share for {slot}")
        with self._lock():
            if self._canary.name not in self._admin.call("show map")[0]:
                raise NotTaken("this server's proxy was set up before traffic could be shared: run stackswap setup")
            if not share:
                gone = self._canary.take(service)
                return self._canary.forget([service]) or gone
            value = maps.canary_value(slot, share, by)
            self._refuse_unknown(service, value.partition(":")[0])
            self._canary.put(service, value)
            if service in self._canary.used():
                self._admin.call(self._canary.change(service, value))
            else:
                self._canary.add(service, value)
            return True

    def hold(self, service: str, until: float) -> bool:
        """Have the service's requests wait until this time of day, or no more with 0; whether that was news."""
        return self._holding.hold(service, until)

    def preview(self, service: str, slot: str, value: str) -> bool:
        """Let requests with this value of the preview header reach a slot; no other value leads to the service.

        False from a proxy that was set up before there were previews, until it is set up again.
        """
        if not maps.WORD.match(value) or slot not in SLOTS:
            raise BadInput("the word of a preview is 16 to 128 letters and digits, and it leads to a slot")
        with self._lock():
            if self._preview.name not in self._admin.call("show map")[0]:
                return False
            self._forget_previews(service)
            self._preview.put(value, f"{service}:{slot}")
            self._preview.add(value, f"{service}:{slot}")
        return True

    def close_preview(self, service: str) -> bool:
        """Let no value of the preview header lead to the service any more; whether one did."""
        if not maps.previews(self._preview.file(), service):
            return False
        with self._lock():
            return self._forget_previews(service)

    def _forget_previews(self, service: str) -> bool:
        """The runtime first: what is in the runtime is in the file, whatever cuts this off."""
        file = self._preview.file()
        words = maps.previews(file, service)
        if words:
            self._preview.forget(words)
            self._preview.write({word: backend for word, backend in file.items() if word not in words})
        return bool(words)

    def force_down(self, service: str, slot: str) -> int:
        """Call a slot down, so that only new checks call it up; the worker that was told.

        One that is routed is not, unless all requests wait.
        """
        with self._lock():
            live, waits, stat = self._admin.call(self._live.show, self._holding.show, "show stat")
            if self._holding.ends(waits, service) <= time.time():
                self._refuse_routed(service, slot, live)
            held = [f"{row.backend}/{row.server}" for row in stats.holders(stat, service, slot)]
            if not held:
                raise NotRegistered(f"the proxy has no servers for the {slot} slot of {service}")
            down = [f"set server {name} health down" for name in held]
            for dummy in range(TOLD):
                stat, info = self._admin.call(*down, "show stat", "show info")[-2:]
                rows = stats.holders(stat, service, slot)
                if rows and all(row.status == "DOWN" for row in rows):
                    return stats.pid(info)
            told = tuple(f"{row.backend}/{row.server}: {row.status}" for row in rows)
            raise NotTaken(f"{service}'s {slot} slot is not down as told", told)

    def left(self, addresses: tuple[str, ...]) -> tuple[Left, ...]:
        """The sessions of these addresses in all workers, by kind and age."""
        return self._workers.left(addresses)

    def tallies(self, service: str) -> tuple[Tally, ...]:
        """What the workers have counted for a service, also those that ended after a reload."""
        if self._leaving.some:
            with self._lock():
                self._leaving.keep()
        living = {tally.worker: tally for tally in self._workers.tallies(service)}
        kept = self._leaving.kept(service).items()
        ended = [tally._replace(ended=True) for worker, tally in kept if worker not in living]
        return (*living.values(), *ended)

    def cut(self, service: str, addresses: tuple[str, ...]) -> tuple[Left, ...]:
        """End the sessions that these addresses have in all workers; which they were."""
        with self._lock():
            return self._workers.cut(service, addresses)

    # -- the live map

    def _refuse_unknown(self, service: str, value: str) -> None:
        live, stat = self._admin.call(self._live.show, "show stat")
        if not stats.entries_of(live, service):
            raise NotRegistered(f"the proxy has no entry of {service}: register it")
        if value != maps.NONE and f"{service}:{value}" not in stats.backends(stat):
            raise NotRegistered(f"the proxy has no backend {service}:{value}: configure its slots")

    def _refuse_routed(self, service: str, slot: str, live: str) -> None:
        values = [entry.value for entry in stats.entries_of(live, service)]
        values.append(self._live.file().get(service, maps.NONE))
        values += [held.get(service, "").partition(".")[0] for held in (self._canary.file(), self._canary.used())]
        if any(slot in value.split(".") for value in values):
            raise ProxyError(f"the {slot} slot of {service} is routed: it is never called down")

    def _pointed(self, service: str, value: str) -> bool:
        """Whether the serving worker, told so, has exactly one entry with this value."""
        _told, shown, info = self._admin.call(self._live.change(service, value), self._live.show, "show info")
        found = stats.entries_of(shown, service)
        if len(found) > 1:
            self._live.merge(found)
            return False
        here = [entry.value for entry in found] == [value]
        return here and stats.pid(info) == self._master.serving()

    def _enter(self, service: str) -> bool:
        """Have one entry of the service: as none where it has none."""
        wrote = service not in self._live.file() and self._live.put(service, maps.NONE)
        found = [entry for entry in self._live.entries() if entry.key == service]
        if len(found) > 1:
            self._live.merge(found)
        elif not found:
            self._live.add(service, maps.NONE)
        return wrote or len(found) != 1

    def _leave(self, service: str) -> bool:
        taken = self._live.take(service)
        return self._live.forget([service]) or taken

    # -- the routes

    def _set_routes(self, service: str, routes: Iterable[Route]) -> bool:
        """New ones first: no request is without a way while others go."""
        keys, file, used = maps.route_keys(routes), self._route.file(), self._route.used()
        refuse_taken(service, keys, {**used, **file})
        kept = {key: owner for key, owner in file.items() if owner != service}
        wrote = self._route.write({**kept, **dict.fromkeys(keys, service)})
        fresh = [key for key in keys if key not in used]
        for key in fresh:
            self._route.add(key, service)
        gone = self._route.forget(k for k in maps.owned(used, service) if k not in keys)
        shown = maps.owned(self._route.used(), service)
        if set(shown) != set(keys):
            raise NotTaken(f"the proxy shows the routes {shown} for {service}, not {keys}")
        return wrote or gone or bool(fresh)


def refuse_taken(service: str, keys: Iterable[str], owners: Mapping[str, str]) -> None:
    """Refuse routes that lead to another service."""
    for key in keys:
        owner = owners.get(key, service)
        if owner != service:
            raise RouteTaken(
                f"the route {key} belongs to {owner} on this server: take it from there first",
                owner=owner,
            )
