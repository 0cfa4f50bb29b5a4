# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server remembers between calls, as files that only root reads.

None is the truth about what runs or serves. In the home directory: addresses.json, server.key,
services/ENVIRONMENT/SERVICE/ with record.json, history.ndjson and manifests/RELEASE.json, and secrets/.

In secrets/SERVICE/RELEASE/ are a release's secret files, which its containers mount. A process in a container need not
be root, so the files are 0444 in a folder 0755; nobody else on the server reaches them, since the two folders above
are 0700.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import (
    BadInput,
    StackswapError,
)

HISTORY_BYTES = 1_000_000
BROKEN = "broken"  # the one key of what is read in place of a file that cannot be understood
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class NotKept(StackswapError):
    """A file of the records could not be read or written."""

    cause = "record_not_kept"


class Records:
    """The records below a home directory. clock tells the time of day."""

    def __init__(self, home: str = "/var/lib/stackswap", clock: Callable[[], float] = time.time) -> None:
        self._home, self._clock = home, clock

    def read(self, service: str) -> dict[str, Any]:
        """The record; empty if there is none, ``{"broken": file}`` if it cannot be understood."""
        return _read(self._path(service, "record.json")) or {}

    def write(self, service: str, record: Mapping[str, Any]) -> None:
        """Replace the record as a whole, durably; a broken one is kept aside."""
        self._write(self._path(service, "record.json"), record)

    def manifest(self, service: str, release: str) -> dict[str, Any] | None:
        """What the release was made from, without secrets; None if that is not known."""
        found = _read(self._manifest(service, release))
        return None if found is None or BROKEN in found else found

    def keep_manifest(self, service: str, release: str, manifest: Mapping[str, Any]) -> None:
        """Remember what the release is made from."""
        self._write(self._manifest(service, release), manifest)

    def drop_manifest(self, service: str, release: str) -> None:
        """Forget it; one that is not there is fine."""
        with _kept(self._manifest(service, release)) as path, suppress(FileNotFoundError):
            os.remove(path)

    def releases(self, service: str) -> tuple[str, ...]:
        """The releases that have a manifest."""
        with _kept(self._path(service, "manifests")) as folder:
            names = [name.rpartition(".") for name in _names(folder)]
            return tuple(name for name, dummy, kind in names if kind == "json")

    def sealed(self, service: str) -> tuple[str, ...]:
        """The releases that have secret files."""
        with _kept(os.path.dirname(self._secrets(service, "any"))) as folder:
            return tuple(_names(folder))

    def keep_secrets(self, service: str, release: str, files: Mapping[str, str]) -> str:
        """Write a release's secret files, each whole or not at all; answer their folder, '' without any."""
        if not files:
            return ""
        with _kept(self._secrets(service, release)) as folder:
            self._guarded(os.path.dirname(folder))
            self._folder(folder)
            os.chmod(folder, 0o755)
            for name, text in files.items():
                _refuse_file(name)
                draft = f"{folder}.new"
                _put(draft, text.encode("utf-8", "surrogateescape"), os.O_TRUNC, 0o444)
                os.rename(draft, os.path.join(folder, name))
            for name in set(_names(folder)) - set(files):
                os.remove(os.path.join(folder, name))
            _sync(folder)
        return folder

    def secrets(self, service: str, release: str) -> dict[str, str]:
        """What a release's secret files hold, by name."""
        found = {}
        with _kept(self._secrets(service, release)) as folder:
            for name in _names(folder):
                with open(os.path.join(folder, name), "rb") as stream:
                    found[name] = stream.read().decode("utf-8", "surrogateescape")
        return found

    def sweep_secrets(self, service: str, standing: Collection[str]) -> None:
        """Remove the secret files of all releases but these, whose containers stand."""
        with _kept(os.path.dirname(self._secrets(service, "any"))) as folder:
            for name in set(_names(folder)) - set(standing):
                _removed(os.path.join(folder, name))
            with suppress(OSError):  # others are still in it, or it never was
                os.rmdir(folder)

    def note(self, service: str, line: Mapping[str, Any]) -> None:
        """Append a line to the history; a full one becomes the older one."""
        now = datetime.fromtimestamp(self._clock(), timezone.utc).isoformat(timespec="seconds")
        text = json.dumps({"at": now, **line}, sort_keys=True, default=str) + "\n"
        with _kept(self._path(service, "history.ndjson")) as path:
            self._folder(os.path.dirname(path))
            with suppress(FileNotFoundError):
                if os.path.getsize(path) + len(text) > HISTORY_BYTES:
                    os.replace(path, path + ".1")
            _put(path, text.encode(), os.O_APPEND)

    def history(self, service: str, count: int) -> list[dict[str, Any]]:
        """So many of the last lines, the newest first; one that was cut off in the writing is left out."""
        found: list[dict[str, Any]] = []
        with _kept(self._path(service, "history.ndjson")) as path:
            for name in (path, path + ".1"):
                found += reversed(_lines(name) if len(found) < count else [])
        return found[:count]

    def services(self) -> tuple[str, ...]:
        """The services that have been written of, by key."""
        top = os.path.join(self._home, "services")
        pairs = [(outer, inner) for outer in _names(top) for inner in _names(os.path.join(top, outer))]
        return tuple(f"{environment}.{name}" for environment, name in pairs)

    def knows(self, service: str) -> bool:
        """Whether anything is remembered of the service."""
        kept = (self._path(service), os.path.dirname(self._secrets(service, "any")))
        return service in self.addresses() or any(map(os.path.exists, kept))

    def forget(self, service: str) -> None:
        """Remove all that is remembered of a service that has left."""
        with _kept(self._path(service, "manifests")) as manifests:
            folder = os.path.dirname(manifests)
            for path in (manifests, folder):
                for name in _names(path):
                    inner = os.path.join(path, name)
                    if not os.path.isdir(inner):
                        os.remove(inner)
                with suppress(FileNotFoundError):
                    os.rmdir(path)
            with suppress(OSError):  # the environment's folder, unless others are in it
                os.rmdir(os.path.dirname(folder))

    def addresses(self) -> dict[str, dict[str, list[str]]]:
        """Which slot addresses each service has; empty where that is lost: containers and proxy have them, too."""
        found = _read(os.path.join(self._home, "addresses.json")) or {}
        return {} if BROKEN in found else found

    def keep_addresses(self, allotted: Mapping[str, Mapping[str, Any]]) -> None:
        """Remember them; the proxy's lock is held."""
        self._write(os.path.join(self._home, "addresses.json"), allotted)

    def server_key(self) -> bytes:
        """This server's random key, made once; whoever comes first makes it for all."""
        with _kept(os.path.join(self._home, "server.key")) as path:
            if not os.path.exists(path):
                self._make_key(path)
            with open(path, "rb") as stream:
                return stream.read()

    def seal(self, values: Mapping[str, str]) -> str:
        """Eight digits that change with any secret and tell nothing of it; '' without secrets."""
        if not values:
            return ""
        data = json.dumps(sorted(values.items())).encode()
        return hmac.new(self.server_key(), data, hashlib.sha256).hexdigest()[:8]

    def _make_key(self, path: str) -> None:
        self._folder(self._home)
        draft = f"{path}.{os.getpid()}"
        _put(draft, secrets.token_bytes(32), os.O_TRUNC)
        with suppress(FileExistsError):
            os.link(draft, path)
        os.remove(draft)
        _sync(self._home)

    def _path(self, service: str, *below: str) -> str:
        environment, dummy, name = service.partition(".")
        for part in (environment, name):
            _refuse_path(part, "service", service)
        return os.path.join(self._home, "services", environment, name, *below)

    def _manifest(self, service: str, release: str) -> str:
        _refuse_path(release, "release", release)
        return self._path(service, "manifests", f"{release}.json")

    def _secrets(self, service: str, release: str) -> str:
        self._path(service)
        _refuse_path(release, "release", release)
        return os.path.join(self._home, "secrets", service, release)

    def _guarded(self, folder: str) -> None:
        """The two folders above secret files let nobody but root through, whatever was made of them since."""
        self._folder(folder)
        for path in (os.path.dirname(folder), folder):
            os.chmod(path, 0o700)

    def _write(self, path: str, data: Mapping[str, Any]) -> None:
        text = json.dumps(data, sort_keys=True, indent=1) + "\n"
        with _kept(path):
            folder, draft = os.path.dirname(path), f"{path}.new"
            self._folder(folder)
            if BROKEN in (_read(path) or {}):
                os.rename(path, _aside(path))
            _put(draft, text.encode(), os.O_TRUNC)
            os.rename(draft, path)
            _sync(folder)

    def _folder(self, path: str) -> None:
        """Make a folder below home, and each above it, for root alone and durably."""
        if os.path.isdir(path):
            return None
        if path != self._home:
            self._folder(os.path.dirname(path))
            with suppress(FileExistsError):
                os.mkdir(path, 0o700)
            return _sync(os.path.dirname(path))
        return os.makedirs(path, 0o700, exist_ok=True)


@contextmanager
def _kept(path: str) -> Iterator[str]:
    """The path, with the system's errors told in our own."""
    try:
        yield path
    except OSError as error:
        raise NotKept(f"could not keep {path}: {error.strerror or error}") from error


def _read(path: str) -> dict[str, Any] | None:
    """What the file holds; None without a file."""
    with _kept(path):
        try:
            with open(path, "rb") as stream:
                text = stream.read()
        except FileNotFoundError:
            return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {BROKEN: path}


def _lines(path: str) -> list[dict[str, Any]]:
    """The lines of a file that can be understood; none without a file."""
    found = []
    with suppress(FileNotFoundError), open(path, "rb") as stream:
        for text in stream:
            with suppress(ValueError):
                found.append(json.loads(text))
    return [line for line in found if isinstance(line, dict)]


def _put(path: str, data: bytes, how: int, mode: int = 0o600) -> None:
    """Write all of it to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600)
    with open(descriptor, "wb", buffering=0) as stream:
        os.fchmod(descriptor, mode)
        rest = memoryview(data)
        while rest:
            rest = rest[stream.write(rest) :]
        os.fsync(descriptor)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _removed(path: str) -> None:
    """A release's folder with its files, or a draft."""
    if not os.path.isdir(path):
        return os.remove(path)
    for name in _names(path):
        os.remove(os.path.join(path, name))
    return os.rmdir(path)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _aside(path: str) -> str:
    return next(
        aside for aside in (f"{path}.broken-{number}" for number in range(1, 1_000_000)) if not os.path.exists(aside)
    )


def _refuse_path(part: str, noun: str, whole: str) -> None:
    if not NAME.fullmatch(part):
        raise BadInput(f"{whole!r} cannot be the name of a {noun} on disk")


def _refuse_file(name: str) -> None:
    if "/" in name or name.startswith("."):
        raise BadInput(f"{name!r} cannot be the name of a secret file")
