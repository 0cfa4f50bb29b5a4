# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image on a server, by its content: is it there, and if not, how does it come.

Takes the engine as an argument. A server without a registry knows an image by its config digest,
which is its id; an engine with containerd's store calls the same image by its manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ansible_collections.stackswap.bluegreen.plugins.module_utils import archive, callbacks
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import PlatformDiffers
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image
from ansible_collections.stackswap.bluegreen.plugins.module_utils.room import NoRoom


class ImageAbsent(StackswapError):
    """The image is not on the server and nothing was asked that would bring it."""

    cause = "image_missing"


class ImageDiffers(StackswapError):
    """What came is another image than was asked for."""

    cause = "image_differs"


class Looked(Protocol):
    """What is needed of a server's engine to see what it has."""

    def image(self, reference: str) -> Image | None: ...
    def platform(self) -> str: ...


class Engine(Looked, Protocol):
    """What is needed of a server's engine."""

    def pull(self, reference: str, auth: Mapping[str, str] | None = None) -> Image: ...
    def resolve(self, reference: str, auth: Mapping[str, str] | None = None) -> str: ...
    def layers(self) -> list[tuple[str, ...]]: ...
    def load(self, archive: str) -> tuple[str, ...]: ...
    def tag(self, image: str, repository: str, tag: str) -> None: ...


Held = Callable[[str], "frozenset[str]"]  # what the images of an archive may be called by
Room = Callable[["str | None"], None]  # refuses what there is no room for: an archive, or None for an unknown size
HUB = "docker.io"
RUNS_TOO = {"amd64": ("386",), "arm64": ("arm",)}


def boundless(archive: str | None) -> None:
    """There is room for everything."""


def present(
    params: Mapping[str, Any], engine: Engine, check: bool, held: Held, room: Room = boundless
) -> dict[str, Any]:
    """Have the image there and answer how it came; in check mode, how it would."""
    name, wanted, pinned = params["name"], params["id"], pinned_name(params["name"], params["digest"])
    named = engine.image(name)
    origin = origin_of(params["from"], name, named, pinned)
    found = engine.image(wanted or pinned or name) if wanted or pinned else named
    if found and (wanted or pinned or "@" in name or origin != "registry"):
        return _found(name, found, named, engine, check, pinned)
    if origin == "server":
        raise ImageAbsent(f"the image {name} is not on the server: build and ship it, or name one that is there")
    if origin == "builder" and not params["archive"]:
        known = archive.known(engine.layers())
        return {"changed": check, "how": "missing", "chains": known, "platform": engine.platform()}
    _refuse_full(pinned or name, params, origin, engine, room)
    if check:
        return {"changed": named is None or bool(wanted or pinned) or origin == "builder", "how": "missing"}
    before = named.id if named else ""
    if origin == "registry":
        image, how = _pulled(pinned or name, wanted, params["registry"], engine), "pulled"
        if pinned:
            _name(name, image, engine)
    else:
        image, how = _loaded(name, params["archive"], wanted, engine, held), "loaded"
    return _answer(name, image, how, image.id != before, pinned)


def seen(name: str, engine: Looked) -> dict[str, Any] | None:
    """What has the name, for who asks later in the job; None where nothing has it that this server can run."""
    image = engine.image(name)
    if image is None:
        return None
    try:
        if image.platform:
            refuse_platform(name, image.platform, engine.platform())
    except PlatformDiffers:
        return None
    scripts = list(callbacks.scripts_of(image))
    return {"name": name, "id": image.id, "digests": list(image.digests), "size": image.size, "scripts": scripts}


def at_hand(params: Mapping[str, Any], here: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The answer of ``present`` by what was seen on the server, where the server need not be asked for it again."""
    name, wanted, pinned = params["name"], params.get("id"), pinned_name(params["name"], params.get("digest"))
    if params.get("state", "present") != "present" or not here or here["name"] != name:
        return None
    image = Image(here["id"], digests=tuple(here["digests"]), size=here["size"])
    exact = wanted or pinned or ("@" in name and name)
    if exact and exact not in (image.id, *image.digests):
        return None
    if not exact and origin_of(params.get("from", "registry"), name, image) != "server":
        return None
    return _answer(name, image, "present", False, pinned, here["scripts"])


def resolved(params: Mapping[str, Any], engine: Engine) -> dict[str, Any]:
    """The digest that the registry has for the name; nothing is fetched."""
    digest = engine.resolve(params["name"], params["registry"])
    return {"changed": False, "how": "resolved", "image": {"digest": pinned_name(params["name"], digest)}}


def registry_of(name: str) -> str:
    """The registry that an image's name tells."""
    first, slash, dummy = name.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else HUB


def pinned_name(name: str, digest: str | None) -> str:
    """The name of exactly this content: the repository with a digest; '' without one."""
    if not digest:
        return ""
    return digest if "@" in digest else f"{_repository(name)}@{digest}"


def refuse_platform(name: str, made_for: str, server: str) -> None:
    """Refuse an image for other machines; what does not say is let through."""
    here, told = server.split("/"), made_for.split("/")
    if not made_for or (told[0] == here[0] and told[1] in (here[1], *RUNS_TOO.get(here[1], ()))):
        return
    advice = "build it for this server's platform, or leave the server out"
    raise PlatformDiffers(f"the image {name} is made for {made_for}, and this server is {server}: {advice}")


def origin_of(asked: str, name: str, named: Image | None, pinned: str = "") -> str:
    """Where it comes from; for ``auto`` the registry that the name tells, else the server if the image is there.

    A digest is a registry's word for one content, whatever else has the name here.
    """
    if asked != "auto":
        return "builder" if asked == "peer" else asked
    return "registry" if registry_of(name) != HUB or named is None or pinned else "server"


def _refuse_full(name: str, params: Mapping[str, Any], origin: str, engine: Engine, room: Room) -> None:
    """Before anything comes: there is room for it. What a registry calls by the name may be here already."""
    try:
        room(None if origin == "registry" else params["archive"])
    except NoRoom:
        digest = engine.resolve(name, params["registry"]) if origin == "registry" else ""
        if not digest or not engine.image(pinned_name(name, digest)):
            raise


def _pulled(name: str, wanted: str | None, login: Mapping[str, str] | None, engine: Engine) -> Image:
    image = engine.pull(name, login)
    refuse_platform(name, image.platform, engine.platform())
    if wanted and image.id != wanted:
        raise ImageDiffers(f"{name} is {image.id} in the registry, not {wanted}")
    return image


def _found(name: str, found: Image, named: Image | None, engine: Engine, check: bool, pinned: str) -> dict[str, Any]:
    """It is there already; what may lack is its name."""
    if found.platform:
        refuse_platform(name, found.platform, engine.platform())
    lacks = (named is None or named.id != found.id) and "@" not in name
    if lacks and not check:
        _name(name, found, engine)
    return _answer(name, found, "present", lacks, pinned)


def _loaded(name: str, path: str, wanted: str | None, engine: Engine, held: Held) -> Image:
    """Load an archive, and give the image that it must hold its name; another archive is not loaded at all."""
    told = held(path)
    if wanted and wanted not in told:
        raise ImageDiffers(f"the archive holds {', '.join(sorted(told)) or 'no image'}, not {wanted}")
    ids = [one for one in engine.load(path) if one in told]
    image = engine.image(wanted if wanted in ids else ids[0]) if ids else None
    if image is None:
        raise ImageDiffers(f"the archive was loaded, and the engine has no image {wanted or 'of it'}")
    refuse_platform(name, image.platform, engine.platform())
    _name(name, image, engine)
    return image


def _name(name: str, image: Image, engine: Engine) -> None:
    """Give it its name, unless that is a digest, which it has by itself."""
    if "@" in name or name == image.id:
        return
    tag = name[len(_repository(name)) + 1 :]
    engine.tag(image.id, _repository(name), tag or "latest")


def _repository(name: str) -> str:
    """The name without its tag or digest."""
    bare = name.partition("@")[0]
    repository, colon, tag = bare.rpartition(":")
    return repository if colon and "/" not in tag else bare


def _answer(
    name: str, image: Image, how: str, changed: bool, pinned: str, scripts: Sequence[str] | None = None
) -> dict[str, Any]:
    """What is said of an image that is there. scripts: its callbacks, where the image itself does not tell them."""
    own = [digest for digest in image.digests if digest.startswith(f"{_repository(name)}@")]
    own.sort(key=lambda digest: digest not in (name, pinned))
    told = {
        "id": image.id,
        "digest": (own or [image.id])[0],
        "name": name,
        "tags": [name],
        "size": image.size,
        "scripts": list(callbacks.scripts_of(image) if scripts is None else scripts),
    }
    return {"changed": changed, "how": how, "image": told}
