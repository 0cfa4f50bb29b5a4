# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services whose requests wait at the gate: begun and ended, in the file and in all workers, the file first."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import gate, stats
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import Admin, ProxyError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Layout
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.runtime import Map

OLD_BASE = (
    "this server's proxy cannot hold requests: it was set up before there were holds, or its HAProxy has no Lua. Run "
    "setup, with an image that has"
)


class NotHeld(ProxyError):
    """The proxy cannot have requests wait; nothing was changed."""

    cause = "not_held"


class Holding:
    """Which services are held, and until when."""

    def __init__(self, paths: Layout, admin: Admin, lock: Callable[[], AbstractContextManager[None]]) -> None:
        self._held, self._admin, self._lock = Map(paths.held, admin), admin, lock

    @property
    def show(self) -> str:
        """The command that shows who is held; of an older proxy it makes an error."""
        return self._held.show

    def ends(self, shown: str, service: str) -> float:
        """When the service's hold is over, by what the runtime shows and the file says."""
        used = next((entry.value for entry in stats.entries_of(shown, service)), "")
        return gate.ends(used, self._held.file().get(service, ""))

    def hold(self, service: str, until: float) -> bool:
        """Have the service's requests wait until this time of day, or no more with 0; whether that was news."""
        with self._lock():
            if not until:
                return self.forget(service)
            if self._held.name not in self._admin.call("show map")[0]:
                raise NotHeld(OLD_BASE)
            value = str(math.ceil(until))
            self._held.put(service, value)
            if service in self._held.used():
                self._admin.call(self._held.change(service, value))
            else:
                self._held.add(service, value)
            return True

    def forget(self, service: str) -> bool:
        """Have nobody wait for the service. The caller holds the lock."""
        gone = self._held.take(service)
        return self._held.forget([service]) or gone
