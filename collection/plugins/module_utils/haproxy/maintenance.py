# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service in maintenance: everyone gets its page, and which slot is live is as it was.

It is the door's, not a release's: plans neither make nor end one, and what they write it does not touch.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files, maps, sections
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import Admin, ProxyError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.fragments import Fragments
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Layout
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.runtime import Map

OLD_BASE = "this server's proxy was set up before there was maintenance: run stackswap setup"
UNKNOWN = "the proxy does not know {service}: deploy it first"


class NotServed(ProxyError):
    """The proxy cannot show a page for the service: it does not know it, or is from before there were pages."""

    cause = "not_served"


@dataclass(frozen=True)
class Notice:
    """What is shown and to whom not. page is HTML; networks are let by; health is answered with 200 by the proxy."""

    page: str
    retry_after: int = 300
    networks: tuple[str, ...] = ()
    health: str = ""


class Maintenance:
    """Starts and ends it: the page first, then file and runtime of each map. Done twice, nothing is done."""

    def __init__(
        self,
        paths: Layout,
        admin: Admin,
        fragments: Fragments,
        lock: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._paths, self._admin, self._fragments, self._lock = paths, admin, fragments, lock
        self._closed, self._bypass = Map(paths.closed, admin), Map(paths.bypass, admin)

    # -- looking

    @property
    def show(self) -> str:
        """The command that shows which services are in maintenance; of an older proxy it makes an error."""
        return self._closed.show

    def due(self, service: str, notice: Notice | None) -> list[str]:
        """What has to be done to have this notice shown, or none; in words."""
        self._refuse(service)
        if notice is None:
            told = [f"end the maintenance of {service}"] if self._shown(service) else []
            return told + (["let no address by any more"] if self._let_by(service) else [])
        wanted = self._page(service, notice)
        words = [] if self._fragments.page(service) == wanted else ["load its page"]
        keys = set(maps.bypass_keys(service, notice.networks))
        words += [] if self._let_by(service) == keys else ["let its addresses by"]
        return words + ([] if self._says(service, notice) else [f"show it for {service}"])

    def state(self, service: str) -> str:
        """What is shown now, as a text for a difference."""
        used = self._closed.used()
        if service not in used:
            return "maintenance: no\n"
        page, by = self._fragments.page(service), len(self._let_by(service))
        shown = files.read(page.file) if page else ""
        return f"maintenance: yes\nretry after: {used[service]}\nlet by: {by} prefixes of addresses\n\n{shown}"

    # -- doing

    def start(self, service: str, notice: Notice) -> list[str]:
        """Have everyone get the page but those who are let by; what was done."""
        with self._lock():
            done = self.due(service, notice)
            self._load(service, notice)
            self._let(service, maps.bypass_keys(service, notice.networks))
            self._set(service, str(notice.retry_after))
        return done

    def end(self, service: str) -> list[str]:
        """Have requests reach the live release again; what was done. The page stays for the next time."""
        with self._lock():
            done = self.due(service, None)
            self.forget(service)
        return done

    def forget(self, service: str) -> None:
        """Show the page no more. The caller holds the lock."""
        if self._ready():
            self._closed.take(service)
            self._closed.forget([service])
            self._let(service, ())

    def sweep(self, service: str) -> None:
        """Leave no page but the one that the service's fragment names. The caller holds the lock."""
        page = self._fragments.page(service)
        own = re.compile(rf"{re.escape(service)}-[0-9a-f]{{12}}\.html")
        for name in os.listdir(self._paths.pages) if os.path.isdir(self._paths.pages) else ():
            path = os.path.join(self._paths.pages, name)
            if own.fullmatch(name) and (page is None or path != page.file):
                files.drop(path)

    # -- the page

    def _page(self, service: str, notice: Notice) -> sections.Page:
        """Named by what it holds: a start of the proxy finds the page that its fragment means."""
        digest = hashlib.sha256(notice.page.encode()).hexdigest()[:12]
        return sections.Page(f"{self._paths.pages}/{service}-{digest}.html", notice.health)

    def _load(self, service: str, notice: Notice) -> None:
        page = self._page(service, notice)
        files.write(page.file, notice.page)
        backends, door = self._fragments.read(service), self._fragments.door(service)
        self._fragments.load(service, sections.fragment(service, backends, door, page))
        self.sweep(service)

    # -- the maps: the file first, so that a restart brings what the runtime has or was about to get

    def _set(self, service: str, value: str) -> None:
        self._closed.put(service, value)
        if service in self._closed.used():
            self._admin.call(self._closed.change(service, value))
        else:
            self._closed.add(service, value)

    def _let(self, service: str, keys: Iterable[str]) -> None:
        """New ones first: nobody who is let by before and after is shut out between."""
        wanted, file, used = tuple(keys), self._bypass.file(), self._bypass.used()
        kept = {key: value for key, value in file.items() if not key.startswith(f"{service}/")}
        self._bypass.write({**kept, **dict.fromkeys(wanted, "1")})
        for key in wanted:
            if key not in used:
                self._bypass.add(key, "1")
        self._bypass.forget(key for key in used if key.startswith(f"{service}/") and key not in wanted)

    # -- what they hold

    def _ready(self) -> bool:
        """Whether the proxy's base knows of maintenance."""
        return self._closed.name in self._admin.call("show map")[0]

    def _refuse(self, service: str) -> None:
        if not self._ready():
            raise NotServed(OLD_BASE)
        if not self._fragments.loaded(service):
            raise NotServed(UNKNOWN.format(service=service))

    def _shown(self, service: str) -> bool:
        return service in self._closed.used() or service in self._closed.file()

    def _says(self, service: str, notice: Notice) -> bool:
        values = (self._closed.used().get(service), self._closed.file().get(service))
        return set(values) == {str(notice.retry_after)}

    def _let_by(self, service: str) -> set[str]:
        """The keys of the service, where file and runtime agree; a key that only one of them has counts as another."""
        file, used = set(self._bypass.file()), set(self._bypass.used())
        own = {key for key in file | used if key.startswith(f"{service}/")}
        return {key if key in file and key in used else f"?{key}" for key in own}
