# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a service stays on its server, and what may go: decided here, done elsewhere.

The window is what can be gone back to. Nothing goes that anybody else has a use for, or that was never ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image, Observed

BUILT, VERSION = "stackswap.built", "org.opencontainers.image.version"  # labels that a build here gives its images
TO_THE_SECOND = 19  # characters of a time: engines differ in what comes after
LIBRARY = ("docker.io/library/", "docker.io/")


class Waste(NamedTuple):
    """A thing that goes. kind is ``container``, ``image``, ``manifest`` or ``secrets``; name is what is removed."""

    kind: str
    name: str
    version: str = ""
    bytes: int = 0


class Stock(NamedTuple):
    """What a server has of a service: manifests by release, folders of secrets, images by id.

    names: the image names that are the service's own begin so. used: image ids that somebody needs, and who. built: the
    service's name, as the label says it of images that were built for it.
    """

    manifests: Mapping[str, Mapping[str, Any]]
    secrets: Sequence[str] = ()
    images: Mapping[str, Image] = {}
    names: str = ""
    used: Mapping[str, str] = {}
    built: str = ""


def kept(seen: Observed, keep: int) -> tuple[str, ...]:
    """The releases that stay: all with containers, the way back, and so many that have served before the live one.

    Releases that differ in the values of their secrets alone are one, and one that was gone back from is none of them.
    """
    standing = {placed.release for placed in seen.placements}
    live = _id(planner.live_release(seen))
    good = [name for name in reversed(seen.served) if name not in seen.rejected and _id(name) != live]
    ids = tuple(dict.fromkeys(map(_id, good)))[:keep]
    within = {name for name in seen.served if _id(name) in (*ids, live)}
    back = {planner.previous(seen)} - {""}
    return tuple(sorted(standing | within | back))


def waste(seen: Observed, stock: Stock, keep: int) -> tuple[tuple[Waste, ...], tuple[tuple[str, str], ...]]:
    """What goes of images, manifests and secrets once no needless container stands; and what does not, and why."""
    stays = kept(seen, keep)
    needed = {_image(stock.manifests[name]): f"release {name}" for name in stays if name in stock.manifests}
    going, left = [], {}
    for image in dict.fromkeys(_image(data) for name, data in sorted(stock.manifests.items()) if name not in stays):
        why = needed.get(image) or stock.used.get(image) or _others(stock, image)
        if image in stock.images and image not in needed:
            left.update({image: why} if why else {})
            going += [] if why else [image]
    images = (*_images(stock, going), *_unstarted(seen, stock))
    old = [name for name in stock.manifests if name not in _remembered(seen, stays)]
    gone = [name for name in sorted(old) if _image(stock.manifests[name]) not in left]
    manifests = tuple(Waste("manifest", name, _version(stock, name)) for name in gone)
    standing = {placed.release for placed in seen.placements}
    secrets = tuple(Waste("secrets", name) for name in sorted(stock.secrets) if name not in standing)
    return (*images, *manifests, *secrets), tuple(sorted(left.items()))


def _unstarted(seen: Observed, stock: Stock) -> Iterator[Waste]:
    """Images that were built for the service, came here, and never were a release: those older than what is live.

    What is newer may be about to be deployed.
    """
    recorded = {_image(data) for data in stock.manifests.values()}
    live = stock.images.get(_image(stock.manifests.get(planner.live_release(seen), {})))
    if live is None or not live.made or not stock.built:
        return
    for image in stock.images.values():
        labels, names = dict(image.labels), (*image.tags, *image.digests)
        ours = labels.get(BUILT) == stock.built and len(names) == len(own_names(image, stock.names)) > 0
        old = image.made[:TO_THE_SECOND] < live.made[:TO_THE_SECOND]
        if ours and old and image.id not in recorded and image.id not in stock.used:
            yield Waste("image", image.id, labels.get(VERSION, ""), image.size)


def own_names(image: Image, names: str) -> tuple[str, ...]:
    """The names of an image that are the service's own."""
    return tuple(name for name in (*image.tags, *image.digests) if repository_of(name) == names)


def repository_of(reference: str) -> str:
    """An image's name without tag and digest, as the engine shows it."""
    bare = reference.partition("@")[0]
    head, slash, tail = bare.rpartition("/")
    whole = f"{head}{slash}{tail.partition(':')[0]}"
    return next((whole[len(prefix) :] for prefix in LIBRARY if whole.startswith(prefix)), whole)


def freed(going: Sequence[tuple[Image, Sequence[int]]], staying: Sequence[Image]) -> int:
    """How many bytes the disk has more: the layers that no image has that stays. Each comes with its own sizes."""
    needed = {chain for image in staying for chain in _chains(image.layers)}
    sizes = {chain: size for image, layers in going for chain, size in zip(_chains(image.layers), layers)}
    return sum(size for chain, size in sizes.items() if chain not in needed)


def _remembered(seen: Observed, stays: Sequence[str]) -> set[str]:
    """The releases whose manifests stay: all since the oldest that stays, for what came later may bar the way back."""
    oldest = min((n for n, name in enumerate(seen.served) if name in stays), default=len(seen.served))
    return {*stays, *seen.served[oldest:]}


def _others(stock: Stock, image: str) -> str:
    """Why an image is not ours alone; '' if it is."""
    found = stock.images.get(image)
    own = own_names(found, stock.names) if found else ()
    others = [name for name in (*found.tags, *found.digests) if name not in own] if found else []
    return f"it is named {others[0]}, too" if others else ""


def _images(stock: Stock, going: Sequence[str]) -> Iterator[Waste]:
    versions = {_image(data): str(data["version"]) for data in reversed([*stock.manifests.values()])}
    yield from (Waste("image", image, versions[image], stock.images[image].size) for image in going)


def _chains(layers: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(layers[: number + 1]) for number in range(len(layers))]


def _version(stock: Stock, name: str) -> str:
    return str(stock.manifests[name].get("version", ""))


def _image(data: Mapping[str, Any]) -> str:
    return str(data.get("container", {}).get("image", ""))


def _id(name: str) -> str:
    return name.partition("-")[0]
