# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be gone back to on a server: each release that has served, with all that stands in the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.choose import barrier_of, id_of, then
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.manifest import sealed_names
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look

GONE = "its image is not on this server any more"


def kept(fx: Effects, key: str, found: Look) -> list[dict[str, Any]]:
    """The releases that have served and do not now, the one that served last first.

    Releases that differ in the values of their secrets alone are one.
    """
    live = id_of(planner.live_release(found.seen))
    names = {id_of(name): name for name in found.seen.served}
    newest = [name for name in reversed(found.seen.served) if names[id_of(name)] == name and id_of(name) != live]
    known = ((name, fx.records.manifest(key, name)) for name in newest)
    return [_told(fx, key, found, name, data) for name, data in known if data]


def _told(fx: Effects, key: str, found: Look, name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    standing = [r for r in found.containers if r.release == name]
    image = fx.engine.image(data["container"]["image"]) is not None
    barrier = barrier_of(fx, key, found, name)
    return {
        "release": name,
        "version": str(data["version"]),
        "digest": str(data["digest"]),
        "containers": "running" if any(r.running for r in standing) else "kept" if standing else "none",
        "image": image,
        "barrier": barrier,
        "rejected": name in found.seen.rejected,
        "settings": "then",
        "secrets": _secrets(fx, key, found, data),
        "hindrance": barrier or ("" if image else GONE),
    }


def _secrets(fx: Effects, key: str, found: Look, data: Mapping[str, Any]) -> str:
    """Of when its secrets would be: those of then are known while a container has them."""
    if not sealed_names(data):
        return "none"
    return "now" if then(fx, key, found, data) is None else "then"
