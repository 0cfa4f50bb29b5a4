# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy on a server: its network, its files, its container. Made, changed and taken away.

What is to be done is looked up first, as words; check mode stops there.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import (
    BadInput,
    StackswapError,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import (
    certificates,
    config,
    files,
    ports,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import (
    Admin,
    Master,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.fragments import (
    Fragments,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.handover import (
    Handover,
    Host,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import (
    Settings,
    binds,
    layout,
    networks,
    proxy_container,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.payload import CONFIG

FAREWELL_SECONDS = 75.0  # a browser's idle connection goes after 60
TIDY_SECONDS = 5.0
STILL = "{} still has sessions: it takes no new ones, and ends with them or after 10 minutes"


class StillUsed(BadInput):
    """The proxy has services; it is not taken away from under them."""

    cause = "still_used"


@dataclass(frozen=True)
class Due:
    """What has to be done. container: '', made, started, made anew, upgraded or tidied."""

    files: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    container: str = ""
    reload: bool = False

    @property
    def words(self) -> list[str]:
        """For people."""
        done = [f"wrote {path}" for path in self.files]
        done += [f"certificate {one}" for one in self.certificates]
        done += [f"container {self.container}"] if self.container else []
        return done + (["reloaded"] if self.reload else [])


class Setup:
    """Has the proxy be there, or not be there."""

    def __init__(
        self,
        settings: Settings,
        host: Host,
        lock: Callable[[], AbstractContextManager[None]],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        patience: float = FAREWELL_SECONDS,
    ) -> None:
        self._settings, self._host, self._lock, self._patience = settings, host, lock, patience
        self._paths, self._handover = layout(settings), Handover(settings, host, sleep, clock)
        admin, master = Admin(self._paths.admin), Master(self._paths.master)
        self._fragments = Fragments(self._paths, admin, master, partial(host.exec, settings.container), sleep)

    def due(self) -> Due:
        """What has to be done; refuses ports that somebody else has, and certificates that would not do."""
        ports.refuse_taken(binds(self._settings), self._paths.config)
        wanted = self._certificates()
        copied = certificates.copies(self._paths.certificates)
        news = tuple(one.words for one in wanted if copied.get(one.file) != one.text)
        news += tuple(f"{name} no more" for name in copied if name not in {one.file for one in wanted})
        written = files.missing(self._settings)
        self._refuse_foreign()
        container = change(self._handover.current(), proxy_container(self._settings)["Labels"][CONFIG])
        if not container and self._handover.untidy():
            container = "tidied"
        stale = self._paths.config in written or bool(news)
        return Due(written, news, container, stale and container in ("", "tidied"))

    def _refuse_foreign(self) -> None:
        """A container of our name that is not this folder's proxy: nobody knows whom it serves."""
        name = self._settings.container
        if not self._handover.current() and self._host.container(name):
            raise BadInput(
                f"a container {name} is there, and it is not the proxy of {self._paths.base}: give the proxy another "
                "name or the home that it had, or remove that container. Nothing was changed"
            )

    def warnings(self) -> list[str]:
        """What works, and will not for ever or not through everything."""
        left = [STILL.format(one["name"]) for one in self._handover.others()]
        return [*left, *self._host.info().warnings, *certificates.soon(self._certificates())]

    def present(self) -> list[str]:
        """Do what is due; what was done, in words. A refusal comes before the lock makes files."""
        self.due()
        with self._lock():
            due = self.due()
            name = self._settings.network
            made = self._host.network(name, *networks(self._settings))
            with self._kept():
                self._write(due)
                self._contain(due.container)
        self._handover.farewell(self._patience if due.container == "upgraded" else min(self._patience, TIDY_SECONDS))
        return ([f"made network {name}"] if made else []) + due.words

    def absent(self, check_mode: bool) -> list[str]:
        """Take container and files away, once no service is left; the network stays."""
        services = files.fragments(self._paths)
        if services:
            left = ", ".join(services)
            raise StillUsed(f"the proxy still has the services {left}: remove them first")
        found = [one for one in (self._handover.current(), *self._handover.others()) if one]
        words = [f"removed container {one['name']}" for one in found]
        if os.path.isdir(self._paths.base):
            words.append(f"removed {self._paths.base}")
        if words and not check_mode:
            with self._lock():
                for one in found:
                    self._handover.discard(one["id"])
                shutil.rmtree(self._paths.base, ignore_errors=True)
        return words

    def _certificates(self) -> tuple[certificates.Certificate, ...]:
        return certificates.proven(self._settings.certificates) if self._settings.certificates else ()

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Base and certificates are put back as they were if what is done with others fails."""
        base, copied = files.read(self._paths.config), certificates.copies(self._paths.certificates)
        try:
            yield
        except StackswapError:
            if base:
                files.write(self._paths.config, base)
                certificates.put(self._paths.certificates, copied)
            raise

    def _write(self, due: Due) -> None:
        """All files; those that a proxy that runs is to read anew are checked before, beside the old ones."""
        copied = {one.file: one.text for one in self._certificates()}
        files.furnish(self._settings)
        if due.reload:
            self._check(copied)
        certificates.put(self._paths.certificates, copied)
        files.install(self._settings)
        if due.reload:
            self._fragments.reload()

    def _check(self, copied: dict[str, str]) -> None:
        trial, folder = f"{self._paths.stage}/haproxy.cfg", f"{self._paths.stage}/certificates"
        try:
            certificates.put(folder, copied)
            files.write(trial, config.base(self._settings).replace(f"{self._paths.certificates} ", f"{folder} "))
            self._fragments.check(trial, self._paths.fragments)
        finally:
            files.drop(trial)
            shutil.rmtree(folder, ignore_errors=True)

    def _contain(self, how: str) -> None:
        """The container as it is wanted, its worker answering, and no other that listens."""
        found = self._handover.current()
        if how == "upgraded":
            with self._fragments.aligned():
                self._handover.take()
        elif how == "started" and found:
            self._host.start(found["id"])
            self._handover.await_answer(found["id"], files.aimed(self._paths))
        elif how in ("made", "made anew"):
            if found:
                self._handover.discard(found["id"], files.aimed(self._paths))
            self._handover.make()
        self._handover.tidy()


def change(found: dict[str, Any] | None, wanted: str) -> str:
    """What a container needs to be the wanted one and run."""
    if found is None:
        return "made"
    if found["config"] != wanted:
        return "upgraded" if found["state"] == "running" else "made anew"
    return "" if found["state"] == "running" else "started"
