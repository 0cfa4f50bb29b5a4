# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy's files: read, and written so that a reader finds the old or the new, never a part."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import config, gate
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import (
    Layout,
    Settings,
    layout,
)

FOLDER_MODE, FILE_MODE = 0o700, 0o600


def read(path: str) -> str:
    """The text of a file, '' where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(path: str, text: str) -> None:
    """Put the text there by rename, on the disk before anybody sees it."""
    folder, name = os.path.split(path)
    handle, made = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), FILE_MODE)
            os.fsync(file.fileno())
        os.rename(made, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(made)
        raise
    sync(folder)


def drop(path: str) -> None:
    """Take a file away, if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(path)
        sync(os.path.dirname(path))


def put(path: str, text: str) -> None:
    """The file with this text; no file where the text is empty."""
    if text:
        write(path, text)
    else:
        drop(path)


def sync(folder: str) -> None:
    """Make renames in a folder last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- which container is the proxy


def aim(paths: Layout, number: int) -> None:
    """Have all calls go to the sockets of the container with this number, from one moment to the next."""
    made = f"{paths.current}.new"
    drop(made)
    os.symlink(str(number), made)
    os.rename(made, paths.current)
    sync(paths.run)


def aimed(paths: Layout) -> int:
    """The number of the container that is the proxy, 0 where none is."""
    with suppress(OSError, ValueError):
        return int(os.readlink(paths.current))
    return 0


def places(paths: Layout) -> tuple[int, ...]:
    """The numbers of the containers that have a folder of sockets."""
    with suppress(FileNotFoundError):
        return tuple(sorted(int(name) for name in os.listdir(paths.run) if name.isdigit()))
    return ()


# -- the services


def fragments(paths: Layout) -> tuple[str, ...]:
    """The services that have a fragment."""
    with suppress(FileNotFoundError):
        names = sorted(os.listdir(paths.fragments))
        return tuple(n[:-4] for n in names if n.endswith(".cfg") and not n.startswith("."))
    return ()


@contextmanager
def staged(paths: Layout, service: str, text: str) -> Iterator[str]:
    """A copy of all fragments with this one changed, for a check; '' leaves the service's out."""
    folder = tempfile.mkdtemp(prefix="check.", dir=paths.stage)
    try:
        for name in fragments(paths):
            shutil.copyfile(paths.fragment(name), os.path.join(folder, f"{name}.cfg"))
        put(os.path.join(folder, f"{service}.cfg"), text)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- what a server needs before the proxy's container starts


def missing(settings: Settings) -> tuple[str, ...]:
    """The paths that ``install`` would make or change."""
    paths = layout(settings)
    folders = [path for path in paths.folders if not os.path.isdir(path)]
    files = [path for path in (paths.key, *_maps(paths)) if not os.path.exists(path)]
    wanted = {paths.gate: gate.script(paths), paths.config: config.base(settings)}
    stale = [path for path, text in wanted.items() if read(path) != text]
    return (*folders, *files, *stale)


def _maps(paths: Layout) -> tuple[str, ...]:
    return (paths.live, paths.route, paths.preview, paths.versions, paths.drain, *_doors(paths))


def _doors(paths: Layout) -> tuple[str, ...]:
    return (paths.canary, paths.closed, paths.bypass, paths.held)


def install(settings: Settings) -> tuple[str, ...]:
    """All that the proxy reads; answers what was written."""
    wanted = missing(settings)
    furnish(settings)
    if layout(settings).config in wanted:
        write(layout(settings).config, config.base(settings))
    return wanted


def furnish(settings: Settings, token: Callable[[], str] = lambda: secrets.token_hex(32)) -> None:
    """All but the base: folders, the server's key, empty maps, the gate."""
    paths, wanted = layout(settings), missing(settings)
    os.makedirs(settings.home, FOLDER_MODE, exist_ok=True)
    for folder in paths.folders:
        os.makedirs(folder, FOLDER_MODE, exist_ok=True)
    if paths.key in wanted:
        write(paths.key, token() + "\n")
    for path in _maps(paths):
        if path in wanted:
            write(path, "")
    if paths.gate in wanted:
        write(paths.gate, gate.script(paths))


def server_key(settings: Settings) -> str:
    """The key that confirmations show to the proxy."""
    return read(layout(settings).key).strip()
