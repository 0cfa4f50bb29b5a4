# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release as JSON for a server's records, without secret values: what a rollback needs.

Apart from the model, which knows no format, and from parameters, which may have changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    FILE,
    Container,
    Health,
    Process,
    Release,
)

FORMAT = 1


def manifest(release: Release) -> dict[str, Any]:
    """The release as JSON data. Of its secrets it has the names."""
    made = release.container
    named = {"secrets": list(dict(made.secrets)), "secret_files": list(dict(made.secret_files))}
    container = {**made.__dict__, **named}
    health = dict(release.health.__dict__)
    processes = [_listed(asdict(one)) for one in release.processes]
    made_of = {"container": _listed(container), "health": health, "processes": processes}
    return {"v": FORMAT, **release.__dict__, **made_of}


def processes_of(data: Mapping[str, Any]) -> tuple[Process, ...]:
    """The processes besides web that the release of a manifest has."""
    found = [{**_tupled(one), "health": Health(**one["health"])} for one in data.get("processes", ())]
    return tuple(Process(**one) for one in found)


def sealed_names(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of all secrets that the release had, as Container.sealed has them."""
    made = data.get("container", {})
    return (*made.get("secrets", ()), *(f"{FILE}{name}" for name in made.get("secret_files", ())))


def from_manifest(data: Mapping[str, Any], sealed: Mapping[str, str], seal: str | None = None) -> Release:
    """The release of this manifest, with these values of its secrets; seal is theirs, else that of then."""
    _refuse_missing(data, sealed_names(data), sealed)
    try:
        if data["v"] != FORMAT:
            raise ValueError(f"its format is {data['v']}")
        container = Container(**{**_tupled(data["container"]), **_values(data["container"], sealed)})
        plain = {name: data[name] for name in ("service", "version", "digest", "port", "replicas")}
        return Release(
            **plain,
            container=container,
            health=Health(**data["health"]),
            seal=data["seal"] if seal is None else seal,
            restart=data.get("restart", ""),
            processes=processes_of(data),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"the manifest of a release cannot be read ({error}): deploy it anew") from None


def _refuse_missing(data: Mapping[str, Any], names: Iterable[str], sealed: Mapping[str, str]) -> None:
    missing = [name.replace(FILE, "the file ") for name in sorted(names) if name not in sealed]
    if missing:
        raise BadInput(f"release {data.get('version')} had secrets that are not given now: {', '.join(missing)}")


def _values(made: Mapping[str, Any], sealed: Mapping[str, str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """The values of the secrets that the release had, of both kinds."""
    names, files = sorted(made.get("secrets", ())), sorted(made.get("secret_files", ()))
    return {
        "secrets": tuple((name, sealed[name]) for name in names),
        "secret_files": tuple((name, sealed[f"{FILE}{name}"]) for name in files),
    }


def _listed(value: Any) -> Any:
    """JSON's lists for tuples."""
    if isinstance(value, dict):
        return {name: _listed(one) for name, one in value.items()}
    return [_listed(one) for one in value] if isinstance(value, (list, tuple)) else value


def _tupled(value: Any) -> Any:
    """Tuples for JSON's lists."""
    if isinstance(value, Mapping):
        return {name: _tupled(one) for name, one in value.items()}
    return tuple(_tupled(one) for one in value) if isinstance(value, list) else value
