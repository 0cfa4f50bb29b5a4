# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's fragment moves in: checked beside the others, taken back if the proxy refuses it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Backend
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import (
    files,
    sections,
    stats,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import (
    Admin,
    Master,
    ProxyError,
    ReloadRefused,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import (
    Layout,
    check_command,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.leaving import Leaving
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.policy import NEEDS
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.runtime import Map
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import OPEN, Door, Health

TRIES, TURN = 100, 0.02


class CheckRefused(ProxyError):
    """HAProxy would not start with the changed configuration; nothing was changed."""

    cause = "check_refused"


class Fragments:
    """The folder of fragments and the reloads that read it. The caller holds the proxy's lock."""

    def __init__(
        self,
        paths: Layout,
        admin: Admin,
        master: Master,
        run: Callable[[Sequence[str]], tuple[int, str]],
        sleep: Callable[[float], None],
    ) -> None:
        self._paths, self._admin, self._master = paths, admin, master
        self._live, self._run, self._sleep = Map(paths.live, admin), run, sleep
        self.leaving = Leaving(paths.counted, admin)

    def read(self, service: str) -> dict[str, Backend]:
        """The slots of the service's fragment."""
        return sections.read_fragment(files.read(self._paths.fragment(service)))

    def door(self, service: str) -> Door:
        """The door of the service's fragment."""
        return sections.read_door(files.read(self._paths.fragment(service)))

    def examine(self, service: str, door: Door) -> None:
        """Refuse a door that HAProxy would not take, for the service as it is or, if it is new, for any slot."""
        if door in (OPEN, self.door(service)):
            return
        if NEEDS not in files.read(self._paths.config):
            raise CheckRefused("this server's proxy was set up before services had doors: run stackswap setup")
        backends = self.read(service) or {"blue": Backend(("127.0.0.1",), 1, Health(kind="none"))}
        with files.staged(self._paths, service, sections.fragment(service, backends, door)) as folder:
            self.check(self._paths.config, folder)

    def page(self, service: str) -> sections.Page | None:
        """The page that the service shows in maintenance, if it has had one."""
        return sections.read_page(files.read(self._paths.fragment(service)))

    def loaded(self, service: str) -> dict[str, Backend]:
        """The same, none while no reload has confirmed them."""
        return {} if os.path.exists(self._pending(service)) else self.read(service)

    def tenants(self) -> dict[str, str]:
        """The addresses in all fragments, and whose they are."""
        every = [(key, backend) for key in files.fragments(self._paths) for backend in self.read(key).values()]
        return {address: key for key, backend in every for address in backend.addresses}

    def load(self, service: str, text: str) -> bool:
        """Have the proxy run with this fragment ('': without); whether anything had to be done."""
        path, mark = self._paths.fragment(service), self._pending(service)
        before = files.read(path)
        if text == before and not os.path.exists(mark):
            return False
        sections.lint(text, service)
        with files.staged(self._paths, service, text) as folder:
            self.check(self._paths.config, folder)
        files.write(mark, "")
        files.put(path, text)
        try:
            self.reload()
        except ReloadRefused:
            files.put(path, before)
            files.drop(mark)
            raise
        files.drop(mark)
        return True

    def check(self, base: str, folder: str) -> None:
        """Refuse a configuration that HAProxy only half likes: its exit code alone is no proof."""
        code, told = self._run(check_command(base, folder))
        complaints = stats.complaints(told)
        if code or complaints:
            lines = complaints or tuple(told.splitlines()[-5:])
            first = next(iter(lines), f"exit code {code}")
            raise CheckRefused(f"HAProxy refuses the changed configuration: {first}", lines)

    def reload(self) -> int:
        """Read all files anew, no service changing its slot; the process id that serves then."""
        with self.aligned(), self.leaving.sent():
            pid = self._master.reload()
            self._await(pid)
            return pid

    @contextmanager
    def aligned(self) -> Iterator[None]:
        """While a worker starts and reads the live map's file, that says what is served now.

        They differ where a job ended between the two: which is right, the next job of that service decides.
        """
        file = self._live.file()
        changed = self._live.write({**file, **self._live.used()})
        try:
            yield
        finally:
            if changed:
                self._live.write(file)

    def _await(self, pid: int) -> None:
        """Wait until calls reach the new worker, twice in a row."""
        seen = 0
        for _turn in range(TRIES):
            (info,) = self._admin.call("show info")
            seen = seen + 1 if stats.pid(info) == pid else 0
            if seen == 2:
                return
            self._sleep(TURN)
        raise ProxyError("the proxy has a new worker, and its socket leads to another")

    def _pending(self, service: str) -> str:
        return os.path.join(self._paths.pending, service)
