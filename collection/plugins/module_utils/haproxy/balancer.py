# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the balancer in front is told of this server: to leave it out, or to take it in again; and who still comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import stats
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import Admin, Master
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.entrance import DRAINED
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Settings, layout
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import PATIENCE
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.runtime import Map
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.workers import Everywhere, Workers


class Unasked(BadInput):
    """No balancer asks this proxy, so there is nothing to tell it."""

    cause = "no_health_path"


class Balancer:
    """One server's word to the balancer in front. It survives restarts of the proxy: the file comes first."""

    def __init__(
        self,
        settings: Settings,
        lock: Callable[[], AbstractContextManager[None]],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        paths = layout(settings)
        self._settings, self._lock = settings, lock
        self._workers = Workers(Admin(paths.admin), Master(paths.master, patience=PATIENCE), paths, sleep)
        self._admin = Everywhere(paths.admin, self._workers, PATIENCE)
        self._map = Map(paths.drain, self._admin)

    def drained(self) -> bool:
        """Whether the server is left out, now and after a restart."""
        return DRAINED in self._map.file()

    def drain(self) -> bool:
        """Have it left out; whether that was news."""
        self._refuse_unasked()
        with self._lock():
            wrote = self._map.put(DRAINED, "yes")
            fresh = DRAINED not in self._map.used()
            if fresh:
                self._map.add(DRAINED, "yes")
            return wrote or fresh

    def undrain(self) -> bool:
        """Have it taken in again; whether that was news."""
        self._refuse_unasked()
        with self._lock():
            gone = self._map.forget([DRAINED])
            return self._map.take(DRAINED) or gone

    def traffic(self, addresses: tuple[str, ...]) -> tuple[int, tuple[int, int]]:
        """The sessions that these addresses have, and a count that every request to a service changes."""
        stat, info = self._admin.call("show stat", "show info")
        return self._workers.sessions(addresses), (stats.pid(info), stats.taken(stat))

    def _refuse_unasked(self) -> None:
        if not self._settings.health_path:
            raise Unasked("stackswap_proxy.health_path is not set: give the path that the balancer asks, then: setup")
        if self._map.name not in self._admin.call("show map")[0]:
            raise Unasked("the proxy was set up before servers could drain: run setup again")
