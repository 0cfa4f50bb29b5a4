# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a service as its inventory defines them, and which server has which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.kinds import Wrong
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import nearest
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import WEB, Health, Process

SHORT = ("port", "routes")  # what says at the top that there is a process web


def has_web(given: Mapping[str, Any]) -> bool:
    """Whether a service takes traffic: unless it has other processes alone."""
    named = given.get("processes") or {}
    running = [name for name, one in named.items() if not one.get("schedule")]
    return WEB in named or not running or any(key in given for key in SHORT)


def others(given: Mapping[str, Any]) -> tuple[Process, ...]:
    """The processes besides web, by name."""
    named = given.get("processes") or {}
    return tuple(_process(name, dict(one)) for name, one in sorted(named.items()) if name != WEB)


def _process(name: str, given: dict[str, Any]) -> Process:
    if not given.get("command"):
        raise Wrong("is missing: a list, the command and its arguments", ("processes", name, "command"))
    given.pop("group", None)
    health = {"kind": "none", **given.pop("health", {})}
    test = health.pop("command", ())
    return Process(name, health=Health(**health), test=test, **given)


def groups(given: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Each process with its group of the inventory, '' for the whole stack; what cron runs is the main server's."""
    named = given.get("processes") or {}
    web: dict[str, Any] = {WEB: {}} if has_web(given) else {}
    every = sorted({**web, **named}.items())
    return tuple((name, str(one.get("group", ""))) for name, one in every if not one.get("schedule"))


def places(
    service: str, wanted: Sequence[tuple[str, str]], servers: Sequence[str], inventory: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """The servers that have something of a service, in the stack's order, each with its processes."""
    found: dict[str, list[str]] = {server: [] for server in servers}
    for process, group in wanted:
        members = servers if not group else [one for one in servers if one in inventory.get(group, ())]
        if not members and servers:
            raise BadInput(
                _nobody(f"stackswap_services.{service}.processes.{process}.group", group, servers, inventory)
            )
        for server in members:
            found[server].append(process)
    return {server: names for server, names in found.items() if names}


def known_places(
    services: Mapping[str, Any], servers: Sequence[str], inventory: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, list[str]]]:
    """The places of all services that have any; to look at a stack, its inventory need not be right."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, given in services.items():
        try:
            found[name] = places(name, groups(given), servers, inventory)
        except (BadInput, AttributeError):
            continue
    return found


def having(
    process: str, service: str, given: Mapping[str, Any], places: Mapping[str, list[str]], main: str
) -> dict[str, list[str]]:
    """Of the servers of a service those that have a process of it; what cron runs, the main one has.

    Without any, which is where the inventory is not right, the servers themselves are to say.
    """
    if not places:
        return {}
    known = {name for names in places.values() for name in names}
    clocked = {name for name, one in (given.get("processes") or {}).items() if one.get("schedule")}
    if process in clocked:
        return {main: [process]}
    if process not in known:
        meant = nearest(process, known | clocked)
        raise BadInput(f"stackswap_process is {process}, which {service} does not have: {meant}")
    return {server: names for server, names in places.items() if process in names}


def _nobody(path: str, group: str, servers: Sequence[str], inventory: Mapping[str, Sequence[str]]) -> str:
    if group in inventory:
        return f"{path} is {group}, and no server of that group is in group stackswap: take one in"
    known = [name for name, members in inventory.items() if not {*members}.isdisjoint(servers)]
    return f"{path} is {group}, which is no group of the inventory: {nearest(group, known)}"
