# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's sections in the proxy: a fragment of backends, rendered, read back, and checked for what is not its own.

A fragment changes when a slot gets a release with another port, health check or number of replicas; which slot serves
is in the map alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Backend
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import (
    BadInput,
    StackswapError,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import raw
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.maps import (
    checked_service,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.policy import door_lines
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    OPEN,
    SLOTS,
    Door,
    Health,
    other,
)

MARK = "# stackswap "
CHECK_PATH = re.compile(r"^/[A-Za-z0-9._~%!&()*+,=:@/?-]*$")
ADDRESS = re.compile(r"^[0-9.]+$|^[0-9a-fA-F:]+$")
AGENT = "hdr User-Agent stackswap"
PAGE_FILE = re.compile(r"^/[A-Za-z0-9_./-]+$")
RETURN = ["http-request", "return"]
WORDS = ("server", "option", "no", "retries", "http-check", *raw.WORDS)


@dataclass(frozen=True)
class Page:
    """What a service shows in maintenance: a file, and the path that is answered with 200 all the same."""

    file: str
    health: str = ""


class FragmentRefused(StackswapError):
    """A fragment holds what is not a service's own; nothing was changed."""

    cause = "fragment_refused"


# -- rendering it


def fragment(service: str, backends: Mapping[str, Backend], door: Door = OPEN, page: Page | None = None) -> str:
    """All sections of a service: each slot alone, with the other as backup, and waited for; the door before each."""
    checked_service(service)
    slots = {slot: data_of(backend) for slot, backend in sorted(backends.items())}
    known = {"service": service, "slots": slots, **({"door": asdict(door)} if door != OPEN else {})}
    known.update({"page": asdict(page)} if page else {})
    lines = [MARK + json.dumps(known, sort_keys=True)]
    for slot in SLOTS:
        if slot in backends:
            for part in (alone, backed, waiting):
                head, *rest = part(service, slot, backends)
                lines += [head, *door_lines(door), *rest]
    lines += closing(service, page) if page else []
    return "\n".join(lines) + "\n"


def alone(service: str, slot: str, backends: Mapping[str, Backend]) -> list[str]:
    """The slot without a backup. A single replica is checked in ``backed``, and waited for."""
    backend, head = backends[slot], [f"backend {service}:{slot} from web"]
    if own_checks(backend):
        return head + check_lines(backend) + checked(slot, backend)
    tracked = f" track {service}:{slot}.{other(slot)}/{slot}1"
    return [*head, *patient(), *servers(slot, backend, tracked)]


def backed(service: str, slot: str, backends: Mapping[str, Backend]) -> list[str]:
    """The slot with the other as its backup: here its replicas are checked and watched."""
    backend, rest = backends[slot], other(slot)
    lines = [f"backend {service}:{slot}.{rest} from web", *check_lines(backend)]
    if rest not in backends:
        return lines + watched(slot, backend)
    spare = [
        f"    server {rest}{number} {place} track {service}:{rest}.{slot}/{rest}{number} backup"
        for number, place in places(backends[rest])
    ]
    return [*lines, "    option allbackups", *watched(slot, backend), *spare]


def waiting(service: str, slot: str, backends: Mapping[str, Backend]) -> list[str]:
    """Nobody of the value is up: keep the request and knock, for 15 turns of a second."""
    head = [f"backend {service}:wait-{slot} from web", *patient()]
    return head + servers(slot, backends[slot], " error-limit 1000000 on-error fastinter")


def closing(service: str, page: Page) -> list[str]:
    """The page for everyone, and 200 where a health check asks: a balancer in front keeps the server."""
    if not PAGE_FILE.match(page.file) or (page.health and not CHECK_PATH.match(page.health)):
        raise BadInput(f"{page.file} or {page.health} is no path for a page or a health check")
    asked = f"if {{ path -m str {page.health} }}"
    well = f'    http-request return status 200 content-type text/plain string "in maintenance" {asked}'
    shown = f'status 503 content-type "text/html; charset=utf-8" file {page.file}'
    again = 'hdr retry-after "%[var(txn.closed)]" hdr cache-control no-store'
    head = f"backend {service}:maintenance from web"
    return [head, *([well] if page.health else []), f"    http-request return {shown} {again}"]


def own_checks(backend: Backend) -> bool:
    """Whether the slot is also checked where it serves alone: for one replica it is not."""
    return len(backend.addresses) > 1


def patient() -> list[str]:
    """Options of a backend whose requests stay until its server is back."""
    return ["    retries 15", "    no option redispatch"]


def servers(slot: str, backend: Backend, options: str) -> list[str]:
    """A line for each replica."""
    return [f"    server {slot}{number} {place}{options}" for number, place in places(backend)]


def checked(slot: str, backend: Backend) -> list[str]:
    """A line for each replica that is checked here."""
    return servers(slot, backend, " check")


def watched(slot: str, backend: Backend) -> list[str]:
    """The same, where bad answers to users may count, too."""
    answers = " observe layer7 error-limit 10" if backend.observe == "layer7" else ""
    return servers(slot, backend, f" check{answers}")


def places(backend: Backend) -> list[tuple[int, str]]:
    """The replicas' numbers and where they listen."""
    if not backend.addresses or not all(map(ADDRESS.match, backend.addresses)):
        raise BadInput(f"a slot needs addresses, and {backend.addresses} are none")
    if not 0 < backend.port < 65536:
        raise BadInput(f"{backend.port} is no port")
    return [(n, f"{address}:{backend.port}") for n, address in enumerate(backend.addresses, 1)]


def check_lines(backend: Backend) -> list[str]:
    """How replicas are asked, as the own probe asks; without a path a connection is enough."""
    path, host = backend.health.path, places(backend)[0][1]
    if backend.health.kind != "http":
        return []
    if not CHECK_PATH.match(path):
        raise BadInput(f"{path!r} is no path for a health check")
    return [
        "    option httpchk",
        f"    http-check send meth GET uri {path} ver HTTP/1.1 hdr Host {host} {AGENT}",
        "    http-check expect status 200-399",
    ]


def expected_check(health: Health) -> str:
    """The check code of a replica that is healthy."""
    return "L7OK" if health.kind == "http" else "L4OK"


# -- reading it back


def told(text: str, what: str) -> Any:
    """What the fragment's first line tells of this; {} where it does not."""
    line = next((line for line in text.splitlines() if line.startswith(MARK)), MARK + "{}")
    try:
        return json.loads(line[len(MARK) :]).get(what) or {}
    except (ValueError, AttributeError):
        return {}


def read_door(text: str) -> Door:
    """The door that the fragment was made with."""
    try:
        found = told(text, "door").items()
        fields: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in found}
        return Door(**fields)
    except (TypeError, AttributeError):
        return OPEN


def read_fragment(text: str) -> dict[str, Backend]:
    """The slots that the fragment was made from; none where it does not tell."""
    slots = told(text, "slots")
    try:
        return {slot: backend_of(data) for slot, data in slots.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def data_of(backend: Backend) -> dict[str, Any]:
    """A backend as data, without what is as it always was."""
    told = asdict(backend)
    return {name: value for name, value in told.items() if (name, value) != ("observe", "layer4")}


def backend_of(data: Mapping[str, Any]) -> Backend:
    """A backend from its data."""
    health, observe = Health(**data["health"]), str(data.get("observe", "layer4"))
    return Backend(tuple(data["addresses"]), int(data["port"]), health, observe)


def read_page(text: str) -> Page | None:
    """The page that the fragment was made with."""
    told = next((line for line in text.splitlines() if line.startswith(MARK)), MARK + "{}")
    try:
        found = json.loads(told[len(MARK) :]).get("page")
        return Page(**found) if found else None
    except (TypeError, ValueError, AttributeError):
        return None


def lint(text: str, service: str) -> None:
    """Refuse what is not a backend of this service: HAProxy would take a stolen port."""
    tails = "|".join(f"{slot}|{slot}.{other(slot)}|wait-{slot}" for slot in SLOTS).replace(".", r"\.")
    head = re.compile(rf"backend {re.escape(service)}:({tails}|maintenance) from web")
    if text and not text.endswith("\n"):
        raise FragmentRefused(f"the proxy's fragment of {service} ends within a line")
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#") or words[0] in WORDS or words[:2] == RETURN or head.fullmatch(line):
            continue
        raise FragmentRefused(f"line {number} of the proxy's fragment of {service}: {line.strip()}")
