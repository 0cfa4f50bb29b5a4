# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's cron: a file for each service in its folder, the program that its lines run, and how the runs ended."""

from __future__ import annotations

import glob
import inspect
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import schedule
from ansible_collections.stackswap.bluegreen.plugins.module_utils.crontab import rota
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput

FOLDER = "/etc/cron.d"
DAEMONS = ("cron", "crond", "fcron", "bcron-sched")


class Crontab:
    """The cron of this server. home: where runs are remembered. engine: the address of its engine."""

    def __init__(self, home: str, engine: str, folder: str = FOLDER) -> None:
        self._home, self._engine, self._folder = os.path.join(home, "cron"), engine, folder

    def scheduled(self, service: str) -> tuple[tuple[str, str], ...]:
        """The processes of a service that it runs, each with its release."""
        try:
            with open(self._path(service), encoding="utf-8") as file:
                return schedule.read(file.read())
        except FileNotFoundError:
            return ()

    def put(self, service: str, entries: Sequence[schedule.Entry]) -> None:
        """Have it run these and no others of the service."""
        if not self._engine.startswith("unix://"):
            raise BadInput(f"cron reaches an engine by its socket alone, and this one is at {self._engine}")
        kept, program = os.path.join(self._home, service), os.path.join(self._home, "rota.py")
        os.makedirs(kept, mode=0o700, exist_ok=True)
        os.makedirs(self._folder, exist_ok=True)
        _write(program, inspect.getsource(rota), 0o600)
        before = [sys.executable, program, kept, self._engine]
        _write(self._path(service), schedule.written(service, entries, before), 0o644)

    def drop(self, service: str) -> None:
        """Have it run nothing of the service, and forget what ran."""
        with suppress(FileNotFoundError):
            os.remove(self._path(service))
        shutil.rmtree(os.path.join(self._home, service), ignore_errors=True)

    def runs(self, service: str) -> list[dict[str, Any]]:
        """How the runs of a service ended, the newest first."""
        found: list[dict[str, Any]] = []
        for path in glob.glob(os.path.join(glob.escape(os.path.join(self._home, service)), "*.runs")):
            with suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
                found += [json.loads(line) for line in file]
        return sorted(found, key=lambda one: str(one.get("at", "")), reverse=True)

    def daemon(self) -> bool:
        """Whether anybody reads the file. A cron in a container is none of this server's."""
        mine = os.stat("/proc/self/ns/pid").st_ino
        for process in glob.glob("/proc/[0-9]*"):
            with suppress(OSError), open(f"{process}/comm", encoding="utf-8") as file:
                if file.read().strip() in DAEMONS and os.stat(f"{process}/ns/pid").st_ino == mine:
                    return True
        return False

    def _path(self, service: str) -> str:
        return os.path.join(self._folder, schedule.file_of(service))


def _write(path: str, text: str, mode: int) -> None:
    """By rename: cron reads no file whose name begins with a dot."""
    folder, name = os.path.split(path)
    handle, made = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
    os.rename(made, path)
