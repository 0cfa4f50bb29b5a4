# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a service's images a builder need not keep: decided by what all servers tell that they keep.

Only what a build has labelled as the service's, and has no name but the service's own, and is older than what is live.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.drift import Found, entries
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image, Observed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.window import (
    BUILT,
    TO_THE_SECOND,
    VERSION,
    Stock,
    kept,
    own_names,
)


def stays(seen: Observed, stock: Stock, keep: int) -> dict[str, Any]:
    """What a server keeps of a service: image ids and versions, and since when what is live was made, '' unknown."""
    manifests = [stock.manifests[name] for name in kept(seen, keep) if name in stock.manifests]
    live = stock.manifests.get(planner.live_release(seen), {})
    image = stock.images.get(str(live.get("container", {}).get("image", "")))
    return {
        "images": sorted({str(one["container"]["image"]) for one in manifests}),
        "versions": sorted({str(one["version"]) for one in manifests}),
        "since": image.made if image else "",
    }


def folded(found: Found, servers: Sequence[str], service: str) -> tuple[tuple[str, ...], str]:
    """What the builder keeps for all servers, and since when; never anything to go where one of them has not told."""
    told = {server: entry["stays"] for server, entry in entries(found) if entry["service"] == service}
    whole = {*told} == {*servers} and all(one["since"] for one in told.values())
    names = {name for one in told.values() for name in (*one["images"], *one["versions"])}
    return tuple(sorted(names)), min(one["since"] for one in told.values()) if told and whole else ""


def spare(images: Sequence[Image], names: str, built: str, keep: Collection[str], since: str) -> list[Image]:
    """Those of the images that may go. names: what the service's own begin with; keep: ids and versions that stay."""

    def goes(image: Image) -> bool:
        labels, all_names = dict(image.labels), (*image.tags, *image.digests)
        ours = labels.get(BUILT) == built and image.tags and len(all_names) == len(own_names(image, names))
        tags = {tag.rpartition(":")[2] for tag in image.tags}
        needed = image.id in keep or labels.get(VERSION) in keep or not tags.isdisjoint(keep)
        return bool(ours and not needed and image.made[:TO_THE_SECOND] < since[:TO_THE_SECOND])

    return [image for image in images if goes(image)]


def told(going: Sequence[Image], left: Mapping[str, str], freed: int) -> dict[str, Any]:
    """As prune tells it of a server."""
    gone = [image for image in going if image.id not in left]
    versions = {image.id: dict(image.labels).get(VERSION, "") for image in gone}
    return {
        "removed": [{"kind": "image", "name": image.id, "version": versions[image.id]} for image in gone],
        "left": [{"image": image, "why": why} for image, why in sorted(left.items())],
        "bytes": freed,
    }
