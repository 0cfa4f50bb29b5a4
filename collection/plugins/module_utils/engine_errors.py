# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container engine refuses, as errors: told apart by its answer, with what to do.

EngineFailed          any refusal that has no name of its own
 +-- EngineMissing EngineUnreachable EnginePermission EngineTooOld       no engine to speak to
 +-- ImageMissing ContainerMissing AddressTaken NetworkMismatch NoSpace  it cannot do this one thing
 +-- PullFailed (PullDenied PullNotFound PullLimited PullNoNetwork) LoadFailed (LayersMissing) PlatformDiffers
CreateConflict        a Moved: another container has the name, so observe anew
"""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import (
    Moved,
    StackswapError,
)


class EngineFailed(StackswapError):
    """The engine refused; what says what was asked and its own words."""

    cause = "engine_failed"


class EngineMissing(EngineFailed):
    """The Python library for Docker is not installed, or not one that works."""

    cause = "engine_missing"


class EngineUnreachable(EngineFailed):
    """Nobody answers at the engine's socket, or it stopped answering."""

    cause = "engine_unreachable"


class EnginePermission(EngineFailed):
    """This user may not use the engine's socket."""

    cause = "engine_permission"


class EngineTooOld(EngineFailed):
    """The engine speaks an API that is too old."""

    cause = "engine_too_old"


class ImageMissing(EngineFailed):
    """The image is not on this engine."""

    cause = "image_missing"


class ContainerMissing(EngineFailed):
    """The container is not on this engine."""

    cause = "container_missing"


class AddressTaken(EngineFailed):
    """Another container holds the fixed address or the port."""

    cause = "address_taken"


class NetworkMismatch(EngineFailed):
    """A network of this name exists with other addresses, or another network has these."""

    cause = "network_mismatch"


class NoSpace(EngineFailed):
    """The engine's disk is full; what runs goes on running."""

    cause = "no_space"


class PullFailed(EngineFailed):
    """The image could not be fetched."""

    cause = "pull_failed"


class PullDenied(PullFailed):
    """The registry wants other credentials, or hides that the image does not exist."""

    cause = "pull_denied"


class PullNotFound(PullFailed):
    """The registry answers and has no such image."""

    cause = "pull_not_found"


class PullLimited(PullFailed):
    """The registry has had enough of us for now."""

    cause = "pull_limited"


class PullNoNetwork(PullFailed):
    """The registry could not be reached."""

    cause = "pull_no_network"


class PlatformDiffers(EngineFailed):
    """The image is made for other machines than this server."""

    cause = "platform_differs"


class LoadFailed(EngineFailed):
    """The archive could not be loaded."""

    cause = "load_failed"


class LayersMissing(LoadFailed):
    """The archive leaves out a layer that this engine lacks: send the whole one."""

    cause = "layers_missing"


class CreateConflict(Moved):
    """A container of this name exists."""

    cause = "create_conflict"


# In order: the first whose words are in the engine's answer, in lower case.
REFUSALS = (
    (NoSpace, ("no space left", "disk quota exceeded")),
    (ImageMissing, ("no such image", "reference does not exist")),
    (ContainerMissing, ("no such container",)),
    (CreateConflict, ("is already in use by container",)),
    (AddressTaken, ("address already in use", "port is already allocated")),
    (NetworkMismatch, ("pool overlaps", "invalid pool request")),
)
PULLS = (
    (NoSpace, ("no space left", "disk quota exceeded")),
    (PlatformDiffers, ("no matching manifest for", "does not match the specified platform")),
    (PullLimited, ("toomanyrequests", "too many requests", "rate limit")),
    (PullDenied, ("unauthorized", "authentication required", "denied", "no basic auth")),
    (PullNotFound, ("manifest unknown", "not found", "name unknown", "no such manifest")),
    (
        PullNoNetwork,
        (
            *("dial tcp", "no such host", "i/o timeout", "connection refused", "tls handshake"),
            *("deadline exceeded", "client.timeout", "eof", "connection reset", "x509"),
            *("network is unreachable", "server gave http response", "no route to host"),
        ),
    ),
)
LOADS = (
    (NoSpace, ("no space left", "disk quota exceeded")),
    (LayersMissing, ("no such file or directory", "layer not found", "content digest")),
)
ADVICE = {
    NoSpace: "free space on the disk of its data root; nothing that runs was touched",
    PullLimited: "wait, or log in to the registry (stackswap_registries)",
    PullDenied: "check the login (stackswap_registries) and the name of the image",
    PullNotFound: "check the name and the version, or build it first",
    PullNoNetwork: "check the way from this server to the registry",
    PlatformDiffers: "build it for the platform of this server",
}


def refusal(doing: str, answer: str) -> StackswapError:
    """The engine's answer to what we were doing, as an error."""
    return _told(REFUSALS, EngineFailed, doing, answer)


def pull_refusal(reference: str, answer: str) -> StackswapError:
    """Why the image could not be fetched."""
    return _told(PULLS, PullFailed, f"fetch image {reference}", answer)


def load_refusal(answer: str) -> StackswapError:
    """Why the archive could not be loaded."""
    return _told(LOADS, LoadFailed, "load the image archive", answer)


def unreachable(address: str, answer: str) -> StackswapError:
    """Why there is no talk with the engine at this address."""
    words = answer.lower()
    if "permission denied" in words:
        advice = "become root, or let this user into the docker group"
        return EnginePermission(f"this user may not use the Docker engine at {address}: {advice}")
    if "not supported url scheme" in words:
        advice = "install docker >= 7.1, or requests < 2.32"
        return EngineMissing(f"Python's docker library is too old for its requests library: {advice}")
    advice = "is Docker installed and running? `systemctl status docker` tells, setup installs it"
    return EngineUnreachable(f"no Docker engine answers at {address}: {advice}", (answer,))


def _told(
    table: tuple[tuple[type[StackswapError], tuple[str, ...]], ...],
    otherwise: type[StackswapError],
    doing: str,
    answer: str,
) -> StackswapError:
    words = answer.lower()
    kind = next((kind for kind, signs in table if any(s in words for s in signs)), otherwise)
    advice = f"; {ADVICE[kind]}" if kind in ADVICE else ""
    return kind(f"could not {doing}: {answer.strip()}{advice}")
