# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attached services of an application: which variables tell it where they are and how to get in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.kinds import Wrong
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import closest

ROOT = "stackswap_attached"
PASSWORD = "password"
PLACE = {"host": "HOST", "port": "PORT"}
DATABASE = {**PLACE, "user": "USER", PASSWORD: "PASSWORD", "database": "DATABASE_NAME", "prefix": "DATABASE_PREFIX"}


class Kind(NamedTuple):
    """What the platform tells of a kind of service: the port that it has by itself, and its variables by option."""

    port: int
    variables: Mapping[str, str]


KINDS = {
    "mysql": Kind(3306, DATABASE),
    "postgresql": Kind(5432, DATABASE),
    "redis": Kind(6379, {**PLACE, PASSWORD: "PASSWORD"}),
    "es": Kind(9200, PLACE),
}


class Told(NamedTuple):
    """Variables by name: those that all may see, and those that are secrets."""

    env: dict[str, str]
    secrets: dict[str, str]


def told(attach: Sequence[str], attached: Mapping[str, Mapping[str, Any]]) -> Told:
    """What an application with these attached services is told. attached: all that there are, by name."""
    found, names = Told({}, {}), dict[str, str]()
    for place, name in enumerate(attach):
        if name not in attached:
            raise Wrong(f"{name} is not a known attached service: {_meant(name, attached)}", ("attach", place))
        kind = _kind(name, attached[name])
        if kind in names:
            both = f"{names[kind]} and {name}, both of kind {kind}"
            raise Wrong(f"has {both}: the application can be told of one of a kind", ("attach",))
        names[kind] = name
        _add(found, kind, name, attached[name])
    return found


def _add(found: Told, kind: str, name: str, given: Mapping[str, Any]) -> None:
    """One service's variables, each where it belongs."""
    known = KINDS[kind]
    for option in given:
        if option != "kind" and option not in known.variables:
            fitting = ", ".join(known.variables)
            raise BadInput(f"{ROOT}.{name}.{option} is not an option of kind {kind}, which has {fitting}")
    if "host" not in given:
        raise BadInput(f"{ROOT}.{name}.host is missing: the application must be told where it is")
    for option, value in {"port": known.port, **given}.items():
        if option in known.variables:
            group = found.secrets if option == PASSWORD else found.env
            group[f"ARTIFAKT_{kind.upper()}_{known.variables[option]}"] = str(value)


def _kind(name: str, given: Mapping[str, Any]) -> str:
    """What it is told to be; else its name, if that is a kind."""
    kind = str(given.get("kind", name))
    if kind not in KINDS:
        raise BadInput(f"{ROOT}.{name}.kind is missing: name one of {', '.join(KINDS)}")
    return kind


def _meant(name: str, attached: Mapping[str, Any]) -> str:
    near = closest(name, attached)
    listed = f"{ROOT} has {', '.join(sorted(attached)) or 'none'}"
    return f"did you mean {near}? {listed}" if near else listed
