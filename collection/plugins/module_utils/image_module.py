# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module image: its effects put together, its answer and its failures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import machine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.answer import Answer
from ansible_collections.stackswap.bluegreen.plugins.module_utils.archive import held
from ansible_collections.stackswap.bluegreen.plugins.module_utils.blank import NoEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine import DockerEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import (
    EngineMissing,
    EngineUnreachable,
    ImageMissing,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.images import Images
from ansible_collections.stackswap.bluegreen.plugins.module_utils.incoming import ROOTS, Incoming, waiting
from ansible_collections.stackswap.bluegreen.plugins.module_utils.presence import present, resolved
from ansible_collections.stackswap.bluegreen.plugins.module_utils.room import Disk, floors_of, refuse_full
from ansible_collections.stackswap.bluegreen.plugins.module_utils.spare import spare, told
from ansible_collections.stackswap.bluegreen.plugins.module_utils.window import freed, repository_of

CONTAINERD = "/var/lib/containerd"  # where an engine with containerd's store has its images, unless told otherwise


def run_image(module: AnsibleModule) -> None:
    """The module image."""
    answer = Answer(module, {"registry": ("password",)})
    params: dict[str, Any] = {name: None if value == "" else value for name, value in module.params.items()}
    try:
        answer.give(**STATES[params["state"]](params, module.check_mode))
    except StackswapError as error:
        answer.fail(error)
    except OSError as error:
        answer.crash(error)


def _present(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """On a server: have it there. Of what is shipped, take this part, and load the whole when it is complete."""
    engine, floors = _engine(params["docker_host"], check), floors_of(params["room"])
    if params["part"] and not check:
        return _received(params, engine)

    def refuse(archive: str | None) -> None:
        refuse_full(params["name"], os.path.getsize(archive) if archive else None, _disk(engine), floors)

    told = present(params, engine, check, _held, refuse)
    if "chains" in told:
        return {**told, "disk": _disk(engine), **({} if check else waiting())}
    return {**told, "bytes": os.path.getsize(params["archive"]) if told["how"] == "loaded" else 0}


def _received(params: dict[str, Any], engine: Any) -> dict[str, Any]:
    part = params["part"]
    incoming = Incoming(part)
    incoming.append(params["archive"], part["offset"])
    if not incoming.complete():
        return {"changed": False, "how": "received", "received": incoming.received()}
    try:
        told = present({**params, "archive": incoming.path}, engine, False, _held)
        return {**told, "bytes": part["size"]}
    finally:
        incoming.remove()


def _held(path: str) -> frozenset[str]:
    with open(path, "rb") as archive:
        return held(archive)


def _disk(engine: Any) -> Disk | None:
    """The fuller of the disks that an image needs; None where they are not this machine's, or cannot be seen."""
    if not isinstance(engine, DockerEngine) or not engine.local:
        return None
    known = engine.info()
    free = {path: machine.free(path) for path in (known.root, *[CONTAINERD] * known.containerd)}
    seen = {path: size for path, size in free.items() if size is not None}
    if not seen:
        return None
    path = min(seen, key=lambda one: seen[one])
    return Disk(path, seen[path], machine.same(path, os.path.dirname(ROOTS.rstrip("/"))))


def _resolved(params: Mapping[str, Any], check: bool) -> dict[str, Any]:
    """On a server: ask the registry."""
    return resolved(params, DockerEngine(params["docker_host"]))


def _engine(host: str | None, check: bool) -> Any:
    """The server's engine; for a check of a server that has none yet, one that knows no image."""
    try:
        return DockerEngine(host)
    except (EngineMissing, EngineUnreachable):
        if not check:
            raise
        return NoEngine()


def _find(params: Mapping[str, Any], check: bool) -> dict[str, Any]:
    """On a builder: tell what has the name."""
    images = Images(params["docker_cli"], params["docker_host"])
    found = images.look(params["id"] or params["name"])
    if not found:
        return {"changed": False, "how": "found", "image": {"id": ""}}
    told: dict[str, Any] = {"id": found.image.id, "layers": list(found.layers), "platform": found.image.platform}
    told |= {"sizes": list(images.sizes(found.image.id, len(found.layers)))}
    return {"changed": False, "how": "found", "image": told}


def _save(params: Mapping[str, Any], check: bool) -> dict[str, Any]:
    """On a builder: write the archive without the layers that the server has."""
    images = Images(params["docker_cli"], params["docker_host"])
    wanted = params["id"] or params["name"]
    if not images.look(wanted):
        raise ImageMissing(f"the image {params['name']} ({wanted}) is not on the builder: build it first")
    if check:
        return {"changed": True, "how": "saved", "bytes": 0}
    saved = images.save(wanted, params["archive"], params["omit"])
    told = {"bytes": saved.size, "digest": saved.digest, "omitted": saved.omitted}
    return {"changed": True, "how": "saved", **told}


def _prune(params: Mapping[str, Any], check: bool) -> dict[str, Any]:
    """On a builder: take away what no server keeps of the images that were built for the service."""
    images, names = Images(params["docker_cli"], params["docker_host"]), repository_of(params["name"])
    here = images.all()
    going = spare(here, names, params["built"] or "", params["keep"], params["since"] or "")
    sizes = {image.id: images.sizes(image.id, len(image.layers)) for image in going}
    left: dict[str, str] = {}
    for name, owner in [(name, image.id) for image in going for name in image.tags if not check]:
        why = images.drop(name)
        left.update({owner: why} if why else {})
    gone = [image for image in going if image.id not in left]
    weight = freed([(image, sizes[image.id]) for image in gone], [image for image in here if image not in gone])
    return {"changed": bool(gone), "how": "pruned", "pruned": told(going, left, weight)}


STATES = {"pruned": _prune, "present": _present, "resolved": _resolved, "found": _find, "saved": _save}
