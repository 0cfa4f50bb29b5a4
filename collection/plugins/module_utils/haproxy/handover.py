# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one container of the proxy to another, which takes over its listening sockets: no connection is refused.

Which container is the proxy is told by one link, to the folder of its sockets. Before the link moves the old one is the
proxy, after it the new one; whatever a call leaves half done, ``tidy`` ends: all others stop listening, keep the
sessions that they have, and go with them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any, Protocol

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import ProxyHost
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files, stats
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import (
    Admin,
    Master,
    ProxyError,
    ProxyUnreachable,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import (
    LABEL,
    NUMBER,
    Settings,
    layout,
    proxy_container,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import ALWAYS, NO
from ansible_collections.stackswap.bluegreen.plugins.module_utils.payload import EngineInfo

START_SECONDS, TURN = 15.0, 0.05
LEAVE = "SIGUSR1"  # HAProxy then closes its listening sockets and ends with its last session
RUNNING = ("running", "paused", "restarting")

Found = dict[str, Any]


class Host(ProxyHost, Protocol):
    """The engine of the proxy's server."""

    def start(self, container: str) -> None: ...
    def stop(self, container: str, seconds: int) -> None: ...
    def remove(self, container: str) -> None: ...
    def keep(self, container: str, policy: str) -> None: ...
    def logs(self, container: str, lines: int) -> str: ...
    def rename(self, container: str, name: str) -> None: ...
    def signal(self, container: str, name: str) -> None: ...
    def info(self) -> EngineInfo: ...
    def labelled(self, label: str, value: str) -> tuple[Found, ...]: ...


class Handover:
    """The containers of one proxy: the current one, one to come, and those that are on their way out."""

    def __init__(
        self, settings: Settings, host: Host, sleep: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        self._settings, self._host, self._sleep, self._clock = settings, host, sleep, clock
        self._paths = layout(settings)

    def current(self) -> Found | None:
        """The container that is the proxy, running or not."""
        number = files.aimed(self._paths)
        return next((one for one in self._all() if _number(one) == number), None)

    def others(self) -> tuple[Found, ...]:
        """Those that were the proxy, or were to be."""
        number = files.aimed(self._paths)
        return tuple(one for one in self._all() if _number(one) != number)

    def untidy(self) -> bool:
        """Whether an upgrade was cut off: a container has not the name or the policy that it should have."""
        now, name = self.current(), self._settings.container
        right = not now or (now["name"], now["policy"]) == (name, ALWAYS)
        return not right or any(one["state"] not in RUNNING or one["policy"] != NO for one in self.others())

    # -- changes; the caller holds the proxy's lock

    def make(self) -> None:
        """The first container, or another in the place of one that does not run."""
        number = self._next()
        os.makedirs(self._paths.place(number), files.FOLDER_MODE)
        files.aim(self._paths, number)
        self.await_answer(self._host.run_service(proxy_container(self._settings, number)), number)

    def take(self) -> None:
        """Another container beside the current one, then in its place; the current one serves on if that fails."""
        self.tidy()
        before, number = files.aimed(self._paths), self._next()
        os.makedirs(self._paths.place(number), files.FOLDER_MODE)
        document = proxy_container(self._settings, number, before)
        document["name"] = self._retired(number)
        document["HostConfig"]["RestartPolicy"]["Name"] = NO
        try:
            self._start(document, number)
        except StackswapError:
            shutil.rmtree(self._paths.place(number), ignore_errors=True)
            raise
        files.aim(self._paths, number)
        self.tidy()

    def _start(self, document: Found, number: int) -> None:
        """A container that answers, or none."""
        made = self._host.run_service(document)
        try:
            self.await_answer(made, number)
        except ProxyError:
            self.discard(made)
            raise

    def tidy(self) -> None:
        """Have the current one alone be the proxy: by its name, after a reboot, and on its ports."""
        now, name = self.current(), self._settings.container
        if now and now["policy"] != ALWAYS:
            self._host.keep(now["id"], ALWAYS)
        for one in self.others():
            self._retire(one)
        if now and now["name"] != name:
            self._host.rename(now["id"], name)
        known = [_number(one) for one in self._all()]
        for number in files.places(self._paths):
            if number not in known:
                shutil.rmtree(self._paths.place(number), ignore_errors=True)

    def _retire(self, one: Found) -> None:
        if one["state"] not in RUNNING:
            self.discard(one["id"], _number(one))
            return
        if one["policy"] != NO:
            self._host.keep(one["id"], NO)
        if one["name"] == self._settings.container:
            self._host.rename(one["id"], self._retired(_number(one)))
        self._host.signal(one["id"], LEAVE)

    def discard(self, container: str, number: int = 0) -> None:
        """No such container, nor its sockets."""
        self._host.stop(container, 1)
        self._host.remove(container)
        if number:
            shutil.rmtree(self._paths.place(number), ignore_errors=True)

    # -- waiting; without the lock

    def farewell(self, seconds: float) -> None:
        """Give those on their way out so long, and take away what has ended."""
        until = self._clock() + seconds
        while True:
            left = self.others()
            for one in left:
                if one["state"] not in RUNNING:
                    self.discard(one["id"], _number(one))
            if all(one["state"] not in RUNNING for one in left) or self._clock() > until:
                return
            self._sleep(TURN)

    def await_answer(self, container: str, number: int) -> None:
        """Wait for the container's worker; why there is none, in its own words."""
        until = self._clock() + START_SECONDS
        while not self._answers(number):
            if self._clock() > until or not self._runs(container):
                raise self._silent(container)
            self._sleep(TURN)

    def _answers(self, number: int) -> bool:
        """Whether the master has a worker and calls reach it: an old socket file is no sign."""
        place = self._paths.place(number)
        try:
            (info,) = Admin(f"{place}/admin.sock").call("show info")
            return stats.pid(info) == Master(f"{place}/master.sock").serving() != 0
        except ProxyUnreachable:
            return False

    def _runs(self, container: str) -> bool:
        return any(one["id"] == container and one["state"] in RUNNING for one in self._all())

    def _silent(self, container: str) -> ProxyError:
        lines = tuple(self._host.logs(container, 10).splitlines())
        why = next(iter(stats.complaints("\n".join(lines))), "its log says no more")
        return ProxyError(f"the proxy's container {self._settings.container} does not come up: {why}", lines)

    # -- names and numbers

    def _all(self) -> tuple[Found, ...]:
        return self._host.labelled(LABEL, self._settings.container)

    def _next(self) -> int:
        return 1 + max((*map(_number, self._all()), *files.places(self._paths)), default=0)

    def _retired(self, number: int) -> str:
        return f"{self._settings.container}-{number}"


def _number(one: Found) -> int:
    """Which of the folders of sockets is the container's."""
    text = one["labels"].get(NUMBER, "")
    return int(text) if text.isdigit() else 0
