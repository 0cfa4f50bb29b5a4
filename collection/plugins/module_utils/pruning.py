# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes away what of a service is beyond its window: containers, then images, then manifests and secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils import claims, execute, spare, window
from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import EngineFailed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service, Step
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.window import Stock, Waste, own_names
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import Work
from ansible_collections.stackswap.bluegreen.plugins.module_utils.world import apply

Left = tuple[tuple[str, str], ...]


class Pruned(NamedTuple):
    """What went of a service, or would; what did not, and why; how many bytes the disk has more; and what stays."""

    found: Look
    gone: tuple[Waste, ...] = ()
    left: Left = ()
    bytes: int = 0
    stays: Mapping[str, Any] = {}


def foresee(fx: Effects, service: Service, names: str) -> Pruned:
    """What would go, and nothing else. names: what the service's own image names begin with."""
    found = look(fx, service)
    steps, seen = planner.sweep(found.seen), found.seen
    for step in steps:
        seen = apply(seen, step)
    stock = _stock(fx, service, names, found, steps)
    waste, left = window.waste(seen, stock, service.keep)
    gone, stays = (*_containers(found, steps), *waste), spare.stays(seen, stock, service.keep)
    return Pruned(found, gone, left, _freed(fx, stock, waste), stays)


def run(fx: Effects, service: Service, names: str, job: str = "") -> Pruned:
    """The same, done, under the service's lock and beside no other job."""
    with fx.locks.service(service.key):
        before = look(fx, service)
        claims.refuse_foreign(before.record.get("claim"), job, fx.now())
        work = Work(fx, service, None)
        execute.run(work, planner.sweep(before.seen))
        found = look(fx, service)
        stock = _stock(fx, service, names, found, ())
        waste, left = window.waste(found.seen, stock, service.keep)
        freed = _freed(fx, stock, waste)
        gone, refused = _remove(fx, service, stock, waste)
        if refused:  # what was to be free with them is not
            freed = _freed(fx, stock, gone)
        containers = _containers(before, [step for step, dummy in work.done])
        stays = spare.stays(found.seen, stock, service.keep)
        return Pruned(found, (*containers, *gone), (*left, *refused), freed, stays)


def _remove(fx: Effects, service: Service, stock: Stock, waste: Sequence[Waste]) -> tuple[tuple[Waste, ...], Left]:
    """An image that somebody has begun to use in this moment is refused by the engine, and stays with its manifest."""
    refused: dict[str, str] = {}
    for one in (one for one in waste if one.kind == "image"):
        try:
            for name in own_names(stock.images[one.name], stock.names) or (one.name,):
                fx.engine.drop(name)
        except EngineFailed as error:
            refused[one.name] = error.what
    bound = {name for name, data in stock.manifests.items() if data.get("container", {}).get("image") in refused}
    gone = tuple(one for one in waste if one.name not in refused and not (one.kind == "manifest" and one.name in bound))
    for one in (one for one in gone if one.kind == "manifest"):
        fx.records.drop_manifest(service.key, one.name)
    if any(one.kind == "secrets" for one in gone):
        fx.records.sweep_secrets(service.key, {r.release for r in fx.engine.replicas(service.key)})
    return gone, tuple(sorted(refused.items()))


def _stock(fx: Effects, service: Service, names: str, found: Look, steps: Sequence[Step]) -> Stock:
    """steps: those that will have discarded containers by then."""
    known = {name: fx.records.manifest(service.key, name) for name in fx.records.releases(service.key)}
    going = {r.name for step in steps for r in found.of(step.release, step.slot)}
    users = {image: [name for name in by if name not in going] for image, by in fx.engine.users().items()}
    used = {**_of_others(fx, service), **{image: f"container {by[0]} uses it" for image, by in users.items() if by}}
    return Stock(
        manifests={name: data for name, data in known.items() if data},
        secrets=fx.records.sealed(service.key),
        images={image.id: image for image in fx.engine.images()},
        names=window.repository_of(names),
        built=service.name,
        used=used,
    )


def _of_others(fx: Effects, service: Service) -> dict[str, str]:
    """The images of all other services of this server."""
    others = [(key, name) for key in fx.records.services() if key != service.key for name in fx.records.releases(key)]
    made = ((key, fx.records.manifest(key, name) or {}) for key, name in others)
    return {str(data.get("container", {}).get("image", "")): f"service {key} needs it" for key, data in made}


def _freed(fx: Effects, stock: Stock, waste: Sequence[Waste]) -> int:
    going = [stock.images[one.name] for one in waste if one.kind == "image"]
    staying = [image for image in stock.images.values() if image not in going]
    return window.freed([(image, fx.engine.sizes(image)) for image in going], staying)


def _containers(found: Look, steps: Sequence[Step]) -> tuple[Waste, ...]:
    return tuple(Waste("container", r.name, r.version) for s in steps for r in found.of(s.release, s.slot))
