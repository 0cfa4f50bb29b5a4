# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers that a reload sends away: they are held, and read, until their last connection has ended or our process has.

What they have counted is kept in a file, for the services of other jobs too. Losing it costs figures, never service.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Tally, tally_of, tally_told
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files, stats
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import Admin, Held, ProxyError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.tallies import tallies

MEMORY = 10  # workers
Kept = dict[str, dict[str, Tally]]  # by worker, then by service


class Leaving:
    """The workers on their way out. The caller has the proxy's lock, but where it only asks."""

    def __init__(self, path: str, admin: Admin) -> None:
        self._path, self._admin = path, admin
        self._held: dict[str, Held] = {}

    @property
    def some(self) -> bool:
        """Whether any is held."""
        return bool(self._held)

    @contextmanager
    def sent(self) -> Iterator[None]:
        """While the worker that serves is sent away; where that fails it stays after all."""
        going = self.hold()
        try:
            yield
            self.keep()
        except ProxyError:
            self.drop(going)
            raise

    def hold(self) -> str:
        """Hold the worker that serves, which is about to go; its id, '' where it cannot be held."""
        with suppress(ProxyError):
            held = self._admin.hold()
            worker = stats.worker_id(held.call("show info"))
            self._held[worker] = held
            return worker
        return ""

    def drop(self, worker: str) -> None:
        """It stays after all."""
        if worker in self._held:
            self._held.pop(worker).close()

    def keep(self) -> None:
        """Read those that are held; whoever has no connection left may go."""
        fresh = {worker: self._told(worker) for worker in [*self._held]}
        self._write({worker: told for worker, told in fresh.items() if told})

    def kept(self, service: str) -> dict[str, Tally]:
        """What is known of workers that may have ended, by worker."""
        return {worker: told.get(service, told[""]) for worker, told in self._kept().items() if "" in told}

    def _told(self, worker: str) -> dict[str, Tally]:
        """All that it has counted, for the last time where nobody is left; nothing where it is gone already."""
        try:
            told = tallies(self._held[worker].call("show stat"), worker, old=True)
        except (ProxyError, ValueError):
            self.drop(worker)
            return {}
        if not told[""].open:
            self.drop(worker)
        return told

    def _kept(self) -> Kept:
        try:
            found = json.loads(files.read(self._path) or "{}")
            return {worker: {name: tally_of(one) for name, one in told.items()} for worker, told in found.items()}
        except (AttributeError, KeyError, TypeError, ValueError):
            return {}

    def _write(self, fresh: Kept) -> None:
        kept = self._kept()
        if any(kept.get(worker) != told for worker, told in fresh.items()):
            kept = {**{worker: told for worker, told in kept.items() if worker not in fresh}, **fresh}
            recent = [*kept.items()][-MEMORY:]
            data = {worker: {name: tally_told(one) for name, one in told.items()} for worker, told in recent}
            files.write(self._path, json.dumps(data))
