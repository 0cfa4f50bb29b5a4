# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A map of the proxy: its file, which a start and a reload read, and what the serving worker has.

The caller holds the proxy's lock where it writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files, maps, stats
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import Admin


class Map:
    """One map. HAProxy knows it by its path, spelt as in its configuration."""

    def __init__(self, path: str, admin: Admin) -> None:
        self._path, self._admin = path, admin

    @property
    def name(self) -> str:
        """What HAProxy knows it by."""
        return self._path

    @property
    def show(self) -> str:
        """The command that shows the runtime's entries, for use among others."""
        return f"show map {self._path}"

    # -- the file

    def file(self) -> dict[str, str]:
        """The file's entries."""
        return maps.parse(files.read(self._path), self._path)

    def write(self, entries: Mapping[str, str]) -> bool:
        """Have exactly these entries in the file; whether that was news."""
        news = dict(entries) != self.file()
        if news:
            files.write(self._path, maps.render(entries))
        return news

    def put(self, key: str, value: str) -> bool:
        """Have this entry in the file."""
        return self.write({**self.file(), key: value})

    def take(self, key: str) -> bool:
        """Have no such entry in the file."""
        return self.write({name: value for name, value in self.file().items() if name != key})

    # -- the runtime

    def entries(self) -> tuple[stats.Entry, ...]:
        """The runtime's entries, those of a doubled key too, in the order that look-ups use."""
        return stats.entries(self._admin.call(self.show)[0])

    def used(self) -> dict[str, str]:
        """What look-ups find: of a doubled key the first."""
        return {entry.key: entry.value for entry in reversed(self.entries())}

    def change(self, key: str, value: str) -> str:
        """The command that changes every entry of a key; it makes none."""
        return f"set map {self._path} {key} {value}"

    def add(self, key: str, value: str) -> None:
        """Make an entry: only where there is none, or there are two."""
        self._admin.call(f"add map {self._path} {key} {value}")

    def forget(self, keys: Iterable[str]) -> bool:
        """Have no such entries; whether there were any."""
        found = [key for key in keys if key in self.used()]
        for key in found:
            self._admin.call(f"del map {self._path} {key}")
        return bool(found)

    def merge(self, found: Sequence[stats.Entry]) -> None:
        """Leave the first of a key's entries, which is the one in use, once all agree."""
        self._admin.call(self.change(found[0].key, found[0].value))
        for entry in found[1:]:
            self._admin.call(f"del map {self._path} #{entry.ref}")
