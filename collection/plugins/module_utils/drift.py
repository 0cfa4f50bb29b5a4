# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a fleet is sick, and where servers differ that should be alike.

Plain data in, plain data out: found is what release_info told, by server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

DIGITS = 12
Found = Mapping[str, Mapping[str, Any]]
Places = Mapping[str, Mapping[str, Any]]


BACKING = {
    "absent": "{name} is not on {server}, where the inventory has it: stackswap backing {name}",
    "differs": "{name} on {server} is not made as the inventory asks: stackswap backing {name}",
    "unknown": "the inventory does not know the backing service {name} on {server}",
    "elsewhere": "{name} is on {server}, and the inventory has it on another server",
}


class Finding(NamedTuple):
    """Something that ought to be otherwise, and the servers that it is about."""

    servers: tuple[str, ...]
    what: str


def entries(found: Found) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What each server told of each service."""
    for server, result in found.items():
        for entry in result.get("services") or ():
            yield server, entry


def standing(found: Found) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What each server told of each backing service."""
    for server, result in found.items():
        for one in result.get("backing") or ():
            yield server, one


def short(digest: str) -> str:
    """As much of a digest as people compare."""
    return digest.rpartition(":")[2][:DIGITS]


# -- what is sick -----------------------------------------------------------------------------------------------------


def sick(found: Found) -> list[Finding]:
    """Where users are not served, or would not be after a restart of the proxy."""
    ill = [Finding((server,), f"{entry['service']} on {server} {why}") for server, entry, why in _troubles(found)]
    return [*ill, *_of_fallen(found)]


def _troubles(found: Found) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    for server, entry in entries(found):
        now = entry["serving"]
        if not now:
            yield server, entry, "is not served"
        elif not now.get("healthy"):
            yield server, entry, f"serves {now['version']}, and that is not healthy"
        for one in idle(entry):
            yield server, entry, f"has {one['running']} of {one['of']} {one['process']} of {one['version']} running"
        if entry["route"] != entry["file"]:
            yield server, entry, f"has {entry['route'] or 'nothing'} at the proxy and {entry['file']} in its file"


def _of_fallen(found: Found) -> Iterator[Finding]:
    """Backing services that do not serve; of those that nobody wants where they are, nobody expects it."""
    for server, one in standing(found):
        if one["drift"] in ("", "differs") and one["state"] != "running":
            yield Finding((server,), f"{one['name']} on {server} is {one['state']}")
        elif one["drift"] in ("", "differs") and one["health"] == "unhealthy":
            yield Finding((server,), f"{one['name']} on {server} runs, and is not healthy")


def idle(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The processes of what serves of which not all run."""
    live = (entry["serving"] or {}).get("release")
    return [one for one in entry.get("processes", ()) if one["release"] == live and one["running"] < one["of"]]


# -- where servers differ ---------------------------------------------------------------------------------------------


def drift(found: Found, places: Places | None = None) -> list[Finding]:
    """Where servers differ in what should be alike, and what nobody knows.

    places: of each service of the inventory, the servers that ought to have something of it.
    """
    heard = {server: result for server, result in found.items() if result.get("server")}
    return [*_of_services(heard, places or {}), *_of_servers(heard), *_of_strangers(heard), *_of_backing(heard)]


def _of_services(found: Found, places: Places) -> Iterator[Finding]:
    told = {(entry["service"], server): entry for server, entry in entries(found)}
    for name in dict.fromkeys(name for name, dummy in told):
        mine = {server: told[name, server] for server in found if (name, server) in told}
        missing = tuple(server for server in found if server not in mine and server in places.get(name, found))
        if missing:
            yield Finding(missing, f"{name} is on {' '.join(mine)} and not on {' '.join(missing)}")
        serving = {server: entry["serving"] for server, entry in mine.items() if entry["serving"]}
        yield from _differ(f"version of {name}", {s: now["version"] for s, now in serving.items()})
        yield from _differ(f"digest of {name}", {s: short(now["digest"]) for s, now in serving.items()})
        yield from _differ(f"configuration of {name}", {s: _id(now["release"]) for s, now in serving.items()})
        doors = {server: one for server, one in mine.items() if not (one["serving"] or {}).get("process")}
        yield from _differ(f"routes of {name}", {s: " ".join(sorted(one["routes"])) for s, one in doors.items()})


def _of_servers(found: Found) -> Iterator[Finding]:
    shared = {server: result["server"] for server, result in found.items()}
    yield from _differ("network", {server: one["network"] for server, one in shared.items()})
    yield from _differ("proxy's configuration", {server: one["proxy"] for server, one in shared.items()})
    stale = tuple(server for server, one in shared.items() if not one["as_asked"])
    if stale:
        yield Finding(stale, f"the proxy is not set up as asked on {' '.join(stale)}: stackswap setup")


def _of_strangers(found: Found) -> Iterator[Finding]:
    for server, result in found.items():
        for name in result["server"]["strangers"]:
            yield Finding((server,), f"nobody knows the container {name} on {server}, which has a service's labels")


def _of_backing(found: Found) -> Iterator[Finding]:
    for server, one in standing(found):
        if one["drift"]:
            yield Finding((server,), BACKING[one["drift"]].format(name=one["name"], server=server))


def _differ(noun: str, values: Mapping[str, str]) -> Iterator[Finding]:
    groups: dict[str, list[str]] = {}
    for server, value in values.items():
        groups.setdefault(value, []).append(server)
    if len(groups) > 1:
        each = ", ".join(f"{value or 'none'} on {' '.join(on)}" for value, on in groups.items())
        yield Finding(tuple(values), f"{noun}: {each}")


def _id(release: str) -> str:
    """Alike on all servers, which a whole name with its seal is not."""
    return release.partition("-")[0]
