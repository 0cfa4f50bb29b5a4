# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job on several services: at each rung every service has its turn, and a gate of its own that all pass or none.

Plain data in, plain data out, as in fleet.py. gates: what the turns of one run came to, by service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import approval, document, fleet
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import absent

ALL = "all"
ENDS = ("back", "failed")  # what one service came to is what the job came to


# -- which services, and who has which turn ---------------------------------------------------------------------------


def names(given: Any, defined: Any) -> list[Any]:
    """The services that a job is for, in their order: one by its name, some as a list or with commas, or ``all``.

    Whether there are such services is not asked here.
    """
    known = list(defined) if isinstance(defined, Mapping) else []
    if ALL in known:
        raise BadInput(f"stackswap_services.{ALL}: that word means every service: give it another name")
    if given == ALL and known:
        return known
    several = given.split(",") if isinstance(given, str) else given
    if not isinstance(several, (list, tuple)) or absent(given):
        return [given]
    asked = [one.strip() if isinstance(one, str) else one for one in several]
    for one in asked:
        if absent(one):
            raise BadInput(f"stackswap_service is {given!r}: there is nothing between two of its commas")
        if asked.count(one) > 1:
            raise BadInput(f"stackswap_service has {one} twice: keep one")
    return asked


def opened(run: str, asks: Sequence[Mapping[str, Any]], servers: Sequence[str], check: bool = False) -> dict[str, Any]:
    """The job as data: what it is for each service, and what is the same for all.

    run: a word that no other run has. servers: the stack in its order. check: whether nothing is to be done. Claims are
    taken by name, so that of two jobs that want the same two services, none holds what the other waits for.
    """
    mine = {server for ask in asks for server in ask["servers"]}
    alone = len(asks) == 1 and len(asks[0]["servers"]) == 1 and asks[0]["promote"] != "no"
    shared = ("kind", "environment", "id", "by", "before", "after", "expect", "promote")
    return {
        "run": run,
        **{name: asks[0][name] for name in shared},
        "services": {ask["service"]: dict(ask) for ask in asks},
        "order": [ask["service"] for ask in asks],
        "claims": sorted(ask["service"] for ask in asks),
        "servers": [server for server in servers if server in mine],
        "alone": alone,
        "waves": not (check or alone or asks[0]["promote"] == "no"),
    }


def waved(gates: Mapping[str, Any], job: Mapping[str, Any], sizes: Any) -> list[dict[str, Any]]:
    """Who goes live when: the first wave of every service, then the second of each, and so on.

    There is always a first one, of no servers where the job has none go live by themselves.
    """
    if not job["waves"]:
        return [{"service": job["order"][0], "servers": []}]
    cut = {name: fleet.waves(list(gate_of(gates, job, name)["fleet"]), sizes) for name in job["order"]}
    most = max(len(waves) for waves in cut.values())
    return [
        {"service": name, "servers": waves[number]}
        for number in range(most)
        for name, waves in cut.items()
        if number < len(waves)
    ]


# -- their gates ------------------------------------------------------------------------------------------------------


def gate_of(gates: Mapping[str, Any], job: Mapping[str, Any], service: str) -> dict[str, Any]:
    """A service's gate in this run; {} where it has had no turn yet. One of an earlier run counts for nothing."""
    mine = gates.get("services") or {} if gates.get("run") == job["run"] else {}
    return dict(mine.get(service) or {})


def passed(gates: Mapping[str, Any], job: Mapping[str, Any], service: str, gate: Mapping[str, Any]) -> dict[str, Any]:
    """All gates after the turn of a service; what was built for it stays known. bad: who is, for any of them.

    along: of a gate, that the service has not failed itself.
    """
    known = {name: gate_of(gates, job, name) for name in job["order"]}
    built = {"built": known[service].get("built") or {}}
    services = {**known, service: {**built, **gate}}
    bad = sorted({server for one in services.values() for server in one.get("bad", ())})
    return {"run": job["run"], "services": services, "bad": bad}


def approved(gates: Mapping[str, Any], expected: str) -> dict[str, Any]:
    """The gates after all plans were looked at anew: shut where one is other than was expected."""
    services = gates["services"]
    if not expected or any(gate.get("shut") for gate in services.values()):
        return dict(gates)
    every = [(name, server, report) for name, gate in services.items() for server, report in gate["reports"].items()]
    places = {approval.place(name, server, len(services) == 1): (name, server) for name, server, dummy in every}
    hashes = {place: str(one[2].get("plan_hash", "")) for place, one in zip(places, every)}
    others = [places[place] for place in approval.differing(expected, hashes)]
    return {**gates, "services": {name: _refused(gate, name, others) for name, gate in services.items()}}


def _refused(gate: Mapping[str, Any], name: str, others: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
    """The gate of a service, shut if one of its servers is among those that plan other than was approved."""
    mine = [server for service, server in others if service == name]
    if not mine:
        return gate
    whys = {**gate["whys"], **{server: approval.told(gate["reports"][server]) for server in mine}}
    bad = sorted({*gate["bad"], *mine})
    words = {**gate["fleet"], **dict.fromkeys(mine, fleet.FAILED)}
    return {**gate, "fleet": words, "whys": whys, "bad": bad, "shut": True}


def taken_along(gates: Mapping[str, Any], job: Mapping[str, Any], service: str) -> str:
    """Why a service that has not failed goes back: with which of the others; '' where none of them has failed."""
    known = {name: gate_of(gates, job, name) for name in job["order"] if name != service}
    others = [name for name, gate in known.items() if gate.get("whys") and not gate.get("along")]
    return f"{' and '.join(others)} failed, and the services of a job switch together or not at all" if others else ""


# -- what the job came to ---------------------------------------------------------------------------------------------


def report_of(gates: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
    """stackswap_report of a job that climbs: the parts of all its services."""
    return document.of_parts(job, [_part(gate_of(gates, job, name), ask) for name, ask in job["services"].items()])


def came_to(gates: Mapping[str, Any], job: Mapping[str, Any]) -> str:
    """How the job ended: ``live`` or ``ready`` where all services did, ``back`` if users of one were taken back."""
    found = {gate_of(gates, job, name).get("outcome") or "failed" for name in job["order"]}
    return next((word for word in ENDS if word in found), min(found)) if len(found) > 1 else min(found)


def _part(gate: Mapping[str, Any], ask: Mapping[str, Any]) -> document.Part:
    built = gate.get("built") or {}
    return document.Part(gate, ask["servers"], ask, built.get("image") or None, built.get("notes") or ())
