# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release is meant: a version with its image, the live one with the settings of now, or one gone back to.

Or the live one as it is, in new containers: a restart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.barrier import BARRING, Barred, barring
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import ImageMissing
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import absent
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import FILE, WEB, Image, Release, bare
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import Definition


class NothingKept(BadInput):
    """There is no release to go back to."""

    cause = "nothing_kept"


class NotReady(BadInput):
    """There is no release that waits to be promoted."""

    cause = "not_ready"


def choose(fx: Effects, wanted: Definition, params: Mapping[str, Any], check: bool = False) -> Release | None:
    """The release that the options mean on this server; None where none is meant, or going back finds none.

    check: an image that is not here yet is taken to be some other than all that are.
    """
    if params.get("restart") and params["state"] != "released":
        return _again(fx, wanted, params)
    if params["rollback"] and params["state"] not in ("back", "released"):
        return _kept(fx, wanted, params)
    if params["state"] in ("claimed", "released"):
        return None
    without_web = WEB not in (params.get("processes") or (WEB,))
    if params.get("promote") == "only" and not (without_web and not absent(params["version"])):
        return _waiting(fx, wanted, params)
    if not absent(params["version"]):
        return _versioned(fx, wanted, params, check)
    if params["state"] == "absent":
        name = wanted.service.name
        raise BadInput(f"name the version that is to go; for {name} to leave the server: stackswap remove {name}")
    if params["state"] == "back" and absent(params["image"]):
        return None
    return _of_live(fx, wanted, params, check)


def _versioned(fx: Effects, wanted: Definition, params: Mapping[str, Any], check: bool) -> Release | None:
    version = services.parse_version(params["version"])
    reference = services.reference(wanted, version) if absent(params["image"]) else str(params["image"])
    image = fx.engine.image(reference) or (Image(reference) if check else None)
    if image is None and params["state"] == "back":
        return None
    if image is None:
        raise ImageMissing(f"the image {reference} is not on this server")
    return _made(fx, wanted, version, image, params, check)


def _of_live(fx: Effects, wanted: Definition, params: Mapping[str, Any], check: bool) -> Release:
    """The image that is live, with the settings of now."""
    found = look(fx, wanted.service)
    live = planner.live_release(found.seen)
    data = fx.records.manifest(wanted.service.key, live) if live else None
    if not data:
        raise BadInput("no version was named, and nothing is live on this server that it could be taken from")
    image = fx.engine.image(data["container"]["image"])
    if image is None:
        raise ImageMissing(f"the image of {data['version']}, which is live, is not on this server any more")
    return _made(fx, wanted, data["version"], image, params, check)


def _made(
    fx: Effects, wanted: Definition, version: str, image: Image, params: Mapping[str, Any], check: bool
) -> Release:
    digest = identity(image, wanted.image)
    empty = check and not fx.engine.replicas(wanted.service.key)  # nothing to compare with, and no key is to be made
    seal = "" if empty else fx.records.seal(wanted.container.sealed)
    made = services.release_of(wanted, version, image, digest, seal, platform=params.get("local_env") or {})
    return replace(made, restart=_restarted(fx, wanted, made))


def _restarted(fx: Effects, wanted: Definition, release: Release) -> str:
    """The mark of the restart in which the release has served last: it is that one, and nothing is to be changed."""
    served = fx.records.read(wanted.service.key).get("served", ())
    name = next((one for one in reversed(served) if bare(one) == release.name), release.name)
    data = fx.records.manifest(wanted.service.key, name) if name != release.name else None
    return str((data or {}).get("restart", ""))


def _again(fx: Effects, wanted: Definition, params: Mapping[str, Any]) -> Release:
    """The release that serves, or did until it died, with the settings and secrets it has, under the job's mark."""
    named = [name for name in ("rollback", "version", "image") if not absent(params[name]) and params[name]]
    if named or absent(params.get("job")):
        raise BadInput(
            f"a restart is of what is live, and {named[0]} names another" if named else "a restart needs the job's name"
        )
    found = look(fx, wanted.service)
    name = planner.live_release(found.seen) or next(
        (one for one in reversed(found.seen.served) if one not in found.seen.rejected), ""
    )
    if not name:
        raise BadInput(f"nothing of {wanted.service.name} is live on this server to be restarted: deploy a version")
    made = _as_known(fx, wanted, found, name, params)
    return replace(made, restart=hashlib.sha256(str(params["job"]).encode()).hexdigest()[:6])


def identity(image: Image, repository: str | None) -> str:
    """The image by content: its digest in the service's own repository, else its id (R12)."""
    name = (repository or "").partition("@")[0]
    own = [d.partition("@")[2] for d in image.digests if repository and d.partition("@")[0] in (name, _untagged(name))]
    return own[0] if own else image.id


def _untagged(name: str) -> str:
    head, dummy, tail = name.rpartition("/")
    bare = tail.partition(":")[0]
    return f"{head}/{bare}" if head else bare


def _kept(fx: Effects, wanted: Definition, params: Mapping[str, Any]) -> Release:
    """The release of a rollback: by its name on this server, by version, or the previous one.

    Its secrets are those of then while its containers stand, since nothing else has them; else those of now.
    """
    found = look(fx, wanted.service)
    name = _name_of(fx, wanted, found, params)
    _refuse_barred(fx, wanted, found, name, params)
    return _as_known(fx, wanted, found, name, params)


def _as_known(fx: Effects, wanted: Definition, found: Look, name: str, params: Mapping[str, Any]) -> Release:
    """The release as it was made."""
    data = _known_of(fx, wanted, found, name)
    if not data:
        raise NothingKept(f"nothing is known any more of release {name}: deploy its version instead")
    _refuse_gone(fx, found, name, data)
    values = then(fx, wanted.service.key, found, data)
    now = wanted.container.sealed
    seal = data["seal"] if values else _seal(fx, services.sealed_names(data), now)
    made = services.from_manifest(data, values or now, seal)
    return services.of_server(made, wanted, params.get("local_env"))


def _waiting(fx: Effects, wanted: Definition, params: Mapping[str, Any]) -> Release | None:
    """The release that an earlier job left ready, as it was made then; or the live one, if that has been promoted."""
    found, version = look(fx, wanted.service), "" if absent(params["version"]) else str(params["version"])
    live = planner.live_slot(found.seen)
    ready = [p for p in found.seen.placements if p.up and (p.approved or p.slot == live)]
    told = [(p.slot == live, p.release, fx.records.manifest(wanted.service.key, p.release) or {}) for p in ready]
    named = sorted(one[:2] for one in told if version in ("", one[2].get("version")) and (version or not one[0]))
    if named:
        return _as_known(fx, wanted, found, named[0][1], params)
    if params["state"] == "back":
        return None
    name = f"{wanted.service.name} {version}".strip()
    raise NotReady(f"no release of {name} waits on this server to be promoted")


def _refuse_barred(fx: Effects, wanted: Definition, found: Look, name: str, params: Mapping[str, Any]) -> None:
    why = "" if params.get("force") else barrier_of(fx, wanted.service.key, found, name)
    if why:
        raise Barred(f"{wanted.service.name} cannot go back: {why}")


def _refuse_gone(fx: Effects, found: Look, name: str, data: Mapping[str, Any]) -> None:
    """Before anything changes: without a container and without its image there is nothing that could be started."""
    if not any(r.release == name for r in found.containers) and not fx.engine.image(data["container"]["image"]):
        raise NothingKept(f"the image of {data['version']} is not on this server any more: deploy {data['version']}")


def barrier_passed(fx: Effects, wanted: Definition, params: Mapping[str, Any]) -> str:
    """What a rollback that is forced goes past, as words; '' where nothing is in its way."""
    if not (params.get("force") and params["rollback"]) or params["state"] == "back":
        return ""
    found = look(fx, wanted.service)
    return barrier_of(fx, wanted.service.key, found, _name_of(fx, wanted, found, params))


def barrier_of(fx: Effects, service: str, found: Look, name: str) -> str:
    """What bars the way back to a release, as words; '' when nothing does.

    Releases that differ in the secrets they were given are one: what bars them is in their code.
    """
    live, served = planner.live_release(found.seen), found.seen.served
    kept = {one: fx.records.manifest(service, one) for one in {*served, live} if one}
    declared = sorted(kept.items(), key=lambda pair: (pair[1] or {}).get("migrations") in BARRING)
    manifests = {id_of(one): data for one, data in declared if data}
    return barring(id_of(name), id_of(live), [id_of(one) for one in served], manifests)


def id_of(name: str) -> str:
    """The release's id, out of its name on this server."""
    return name.partition("-")[0]


def secrets_of(fx: Effects, wanted: Definition, release: Release) -> str:
    """Whether a release that is gone back to has the secrets of ``then`` or of ``now``; ``none`` if it has none."""
    names = release.container.sealed
    if not names:
        return "none"
    return "now" if _seal(fx, names, wanted.container.sealed) == release.seal else "then"


def settings_of_then(fx: Effects, wanted: Definition, release: Release, local: Mapping[str, str]) -> str:
    """``now`` if a release that is gone back to has just the settings that its version would get now, else ``then``."""
    image = fx.engine.image(release.container.image)
    try:
        made = services.release_of(wanted, release.version, image, release.digest, platform=local) if image else None
    except BadInput:
        made = None
    return "now" if made and made.id == release.id else "then"


def _seal(fx: Effects, names: Iterable[str], now: Mapping[str, str]) -> str:
    """The seal of the values of now; '' where one has none, or there is no name."""
    values = {name: now.get(name, "") for name in names}
    return fx.records.seal(values) if all(values.values()) else ""


def then(fx: Effects, service: str, found: Look, data: Mapping[str, Any]) -> dict[str, str] | None:
    """The values that the release's own containers were made with, proven by its seal; None where none stands."""
    names = services.sealed_names(data)
    for replica in found.containers:
        if names and replica.digest == data["digest"]:
            known = fx.engine.variables(replica.id)
            known.update({f"{FILE}{name}": text for name, text in fx.records.secrets(service, replica.release).items()})
            values = {name: known[name] for name in names if name in known}
            if len(values) == len(names) and fx.records.seal(values) == data["seal"]:
                return values
    return None


def _known_of(fx: Effects, wanted: Definition, found: Look, name: str) -> dict[str, Any] | None:
    """What a release was made from; one that is to be made with other secrets is known by its id."""
    same = [one for one in found.seen.served if id_of(one) == id_of(name)]
    known = (fx.records.manifest(wanted.service.key, one) for one in (name, *reversed(same)))
    return next(filter(None, known), None)


def _name_of(fx: Effects, wanted: Definition, found: Look, params: Mapping[str, Any]) -> str:
    if not absent(params["release"]):
        return str(params["release"])
    manifests = {name: fx.records.manifest(wanted.service.key, name) or {} for name in found.seen.served}
    if absent(params["version"]):
        name = planner.previous(found.seen)
        if not name:
            raise NothingKept(f"{wanted.service.name} has no release to go back to{_known(manifests)}")
        return name
    version = services.parse_version(params["version"])
    named = [name for name, data in manifests.items() if data.get("version") == version]
    if not named:
        raise NothingKept(f"version {version} of {wanted.service.name} is not kept here{_known(manifests)}")
    return named[-1]


def _known(manifests: Mapping[str, Mapping[str, Any]]) -> str:
    told = [str(data["version"]) for data in manifests.values() if data]
    return f"; kept are {', '.join(told)}" if told else ""
