# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All workers of the proxy: after a reload the old ones go on with the sessions they have.

After an upgrade so do those of the container before: its master is another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Tally
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Left
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files, stats
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import (
    Admin,
    Master,
    ProxyError,
    ProxyGone,
    ProxyUnreachable,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Layout
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.tallies import tallies

TRIES, TURNS, TURN, LOOKS = 5, 40, 0.05, 4
SILENT, SOON = 5, 1.0  # looks at a living worker that may come to nothing, and the seconds of each
WRITES = ("set map", "add map", "del map")


class Workers:
    """Counts and ends sessions, whichever worker has them."""

    def __init__(
        self, admin: Admin, master: Master, paths: Layout, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._admin, self._master, self._paths, self._sleep = admin, master, paths, sleep

    def sessions(self, addresses: tuple[str, ...]) -> int:
        """The sessions of these addresses in all workers."""
        return sum(self._sessions(master, addresses) for master in self._masters())

    def _sessions(self, master: Master, addresses: tuple[str, ...]) -> int:
        """The same of one container, counted while no worker came."""
        for _turn in range(TRIES):
            pids = self._pids(master)
            counts = [self._counted(master, pid, addresses) for pid in pids]
            if set(self._pids(master)) <= set(pids):
                return sum(counts)
        raise ProxyError("the proxy starts workers faster than their sessions can be counted")

    def tallies(self, service: str) -> tuple[Tally, ...]:
        """What each worker has counted for a service; of another container all are on their way out."""
        read = [tally for master in self._masters() for tally in self._tallies(master, service)]
        return tuple(tally for tally in read if tally)

    def _tallies(self, master: Master, service: str) -> list[Tally | None]:
        """The same of one container, read while no worker came."""
        for _turn in range(TRIES):
            found = self._living(master)
            read = [self._tally(master, worker, service) for worker in found]
            if set(self._pids(master)) <= {worker.pid for worker in found}:
                return read
        raise ProxyError("the proxy starts workers faster than they can be read")

    def _tally(self, master: Master, worker: stats.Worker, service: str) -> Tally | None:
        """What one has counted; None of one that has ended since. Where it answered itself, the least of several looks:

        its lines are not all of one moment, and an answer of the application may come between them.
        """
        info, looks = self._told(master, worker.pid, "show info", "Name:"), []
        old = worker.kind == "old" or master is not self._master
        for _look in range(LOOKS):
            text = self._told(master, worker.pid, "show stat", "# pxname")
            if not text or not info:
                return None
            told = tallies(text, stats.worker_id(info), old)
            looks.append(told.get(service, told[""]))
            if looks[-1].unanswered <= 0:
                break
        return looks[-1]._replace(unanswered=min(look.unanswered for look in looks))

    def left(self, addresses: tuple[str, ...]) -> tuple[Left, ...]:
        """The sessions of these addresses in all workers, each by its kind and age."""
        found = [session for master, pid in self._all() for session in self._open(master, pid, addresses)]
        return tuple(session.left for session in found)

    def _open(self, master: Master, pid: int, addresses: tuple[str, ...]) -> tuple[stats.Session, ...]:
        text = self._told(master, pid, "show stat", "# pxname")
        rows = stats.slot_rows(text, addresses) if text else ()
        places = {(row.backend, row.server) for row in rows if row.sessions + row.queued}
        told = self._told(master, pid, "show sess", "0x") if places else ""
        return tuple(session for session in stats.sessions(told) if (session.backend, session.server) in places)

    def cut(self, service: str, addresses: tuple[str, ...]) -> tuple[Left, ...]:
        """End the sessions of these addresses that belong to the service; which they were."""
        count, serving = self.left(addresses), (self._master, self._master.serving())
        for master, pid in self._all():
            text = self._told(master, pid, "show stat", "# pxname")
            found = stats.slot_rows(text, addresses) if text else ()
            rows = [row for row in found if row.backend.startswith(f"{service}:")]
            if (master, pid) == serving:
                for row in rows:
                    self._admin.call(f"shutdown sessions server {row.backend}/{row.server}")
            elif rows:
                self._cut_old(master, pid, {(row.backend, row.server) for row in rows})
        return count

    def tell(self, commands: Iterable[str]) -> None:
        """Say this to every worker but the serving one, as far as they still hear."""
        serving = (self._master, self._master.serving())
        for master, pid in self._all():
            if (master, pid) != serving:
                for command in commands:
                    with suppress(ProxyUnreachable):
                        master.worker_call(pid, command)

    def _cut_old(self, master: Master, pid: int, places: set[tuple[str, str]]) -> None:
        """A worker that is on its way out ends sessions one by one only."""
        for session in stats.sessions(self._told(master, pid, "show sess", "0x")):
            if (session.backend, session.server) in places:
                with suppress(ProxyUnreachable):  # it ends with its last session, and says nothing then
                    master.worker_call(pid, f"shutdown session {session.id}")

    def _counted(self, master: Master, pid: int, addresses: tuple[str, ...]) -> int:
        text = self._told(master, pid, "show stat", "# pxname")
        return stats.slot_sessions(text, addresses) if text else 0

    def _told(self, master: Master, pid: int, command: str, start: str) -> str:
        """A worker's answer; '' of one that has ended since: it falls silent before it is gone.

        Of one that ends while it is asked, the master of 3.2 never says so.
        """
        text, silent = "", 0
        for _turn in range(TURNS):
            try:
                text = master.worker_call(pid, command, SOON)
            except ProxyGone:
                pass
            except ProxyUnreachable:
                silent += 1
            if text and text.startswith(start):
                return text
            if pid not in self._pids(master):
                return ""
            if silent >= SILENT:
                break
            self._sleep(TURN)
        raise ProxyError(f"worker {pid} of the proxy does not answer {command}: {text[:200]}")

    def _masters(self) -> list[Master]:
        """The current container's, and that of each other which has a folder of sockets."""
        current = files.aimed(self._paths)
        others = [number for number in files.places(self._paths) if number != current]
        return [self._master, *(Master(f"{self._paths.place(number)}/master.sock") for number in others)]

    def _all(self) -> Iterator[tuple[Master, int]]:
        for master in self._masters():
            yield from ((master, pid) for pid in self._pids(master))

    def _pids(self, master: Master) -> tuple[int, ...]:
        """The workers below a master; none where a container other than the current one is gone."""
        return tuple(worker.pid for worker in self._living(master))

    def _living(self, master: Master) -> tuple[stats.Worker, ...]:
        try:
            return tuple(w for w in master.workers() if w.kind in ("worker", "old"))
        except ProxyGone:
            if master is self._master:
                raise
            return ()


class Everywhere(Admin):
    """The serving worker's socket. What changes a map is told to all other workers too: they still route."""

    def __init__(self, path: str, workers: Workers, patience: float = 0.0) -> None:
        super().__init__(path, patience=patience)
        self._workers = workers

    def call(self, *commands: str) -> list[str]:
        """The serving worker's answers; whether others hear of it does not matter to them.

        Lines are named by their references in one worker alone: such a command stays there.
        """
        answers = super().call(*commands)
        changes = [command for command in commands if command.startswith(WRITES) and " #" not in command]
        if changes:
            with suppress(ProxyUnreachable):
                self._workers.tell(changes)
        return answers
