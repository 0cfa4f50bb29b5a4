# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build is made of: its id, and what of the environment build.sh has seen, told without any value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_scripts import fingerprint

LABEL = "stackswap.baked"
SECRETS = "=secrets"  # no variable can have this name
DIGITS = 12
STALE = "{name} was other when build.sh ran: it stays as built until the next build-and-deploy"
ROTATED = "a secret has changed, and build.sh saw {names}: what it made of them stays until the next build-and-deploy"
PLATFORM = ("ARTIFAKT_", "STACKSWAP_")  # what the platform tells a container, and no build, is no difference


def build_id(of: Mapping[str, Any], env: Mapping[str, str], secrets: Mapping[str, str], key: bytes) -> str:
    """Twelve digits that are the same for the same code, options and environment, and others for others.

    Secrets are in it by the builder's own key, so that nobody can try values against it.
    """
    text = json.dumps(dict(of), sort_keys=True, default=list)
    return hashlib.sha256(f"{text}\n{fingerprint(env, secrets, key)}".encode()).hexdigest()[:DIGITS]


def baked(env: Mapping[str, str], secrets: Iterable[str]) -> str:
    """The text of the label: each variable with a digest of its value, and the names of the secrets."""
    told: dict[str, Any] = {name: _digest(value) for name, value in env.items()}
    names = sorted(secrets)
    return json.dumps({**told, **({SECRETS: names} if names else {})}, sort_keys=True, separators=(",", ":"))


def notes(label: str, env: Mapping[str, str], rotated: bool) -> tuple[str, ...]:
    """What is told of an image that is deployed with this environment.

    rotated: whether a secret is another than when the same image went live; which one, nobody knows.
    """
    seen = ", ".join(_hidden(label)) if rotated else ""
    return (*(STALE.format(name=name) for name in changed(label, env)), *([ROTATED.format(names=seen)] * bool(seen)))


def changed(label: str, env: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that differ from what build.sh saw, are new, or are gone; none where the label tells nothing."""
    seen = _seen(label)
    if seen is None:
        return ()
    hidden = seen.pop(SECRETS, [])
    now = {name: _digest(value) for name, value in env.items() if name in seen or not name.startswith(PLATFORM)}
    return tuple(name for name in sorted({*seen, *now}) if seen.get(name) != now.get(name) and name not in hidden)


def _hidden(label: str) -> tuple[str, ...]:
    """The secrets that build.sh saw, by name."""
    return tuple((_seen(label) or {}).get(SECRETS, ()))


def _seen(label: str) -> dict[str, Any] | None:
    """What the label tells; None where it tells nothing."""
    try:
        seen = json.loads(label)
    except ValueError:
        return None
    return seen if isinstance(seen, dict) else None


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
