# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job is asked to do, read once on the control node: refused here, nothing has been touched."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import backing, processes
from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.agreement import main_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.definition import Definition
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import absent, merged, nearest
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import WEB
from ansible_collections.stackswap.bluegreen.plugins.module_utils.presence import registry_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import Source
from ansible_collections.stackswap.bluegreen.plugins.module_utils.variables import VARIABLES, parse_variables

BY_NAME = ("remove", "logs", "exec")
MANNER = {  # of a job: what its calls on servers are given besides, by the names of the variables
    "stackswap_wait_claim": "wait",
    "stackswap_claim_seconds": "claim_seconds",
    "stackswap_now": "now",
    "stackswap_drill": "drill",
    "stackswap_force": "force",
    "stackswap_unmounted": "unmounted",
}
LOOKING = {"tail": 100, "follow": False, "previous": False, "process": ""}
OF_SERVER = ("drain", "undrain")
BUILDS = ("build", "build-and-deploy")
STATES = {"start": "started", "end": "ended"}
STARTS = ("deploy", "build-and-deploy", "rollback", "restart")
NAMES = (
    *("stackswap_service", "stackswap_services", "stackswap_environment", "stackswap_overrides", "stackswap_proxy"),
    *("stackswap_engine_source", "stackswap_engine_deadline", "stackswap_pull_seconds"),
    *VARIABLES,
)


def asked(
    kind: str,
    given: Mapping[str, Any],
    servers: Sequence[str],
    inventory: str,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """The job as data, without secrets: who, what, which version, which image and from where, how it is built.

    given: the stackswap_* variables. servers: the whole stack in its order. inventory: the folder it lies in. groups:
    the inventory's, with their servers.
    """
    known = {name: value for name, value in given.items() if not absent(value)}
    _refuse_unknown(known)
    jobs = parse_variables({name: value for name, value in known.items() if name in VARIABLES})
    if kind in OF_SERVER:
        return _of_server(kind, known, jobs, servers)
    if kind == "backing":
        return _of_backing(known, jobs, servers)
    if kind in BY_NAME:
        return _named(kind, known, jobs, servers, groups or {})
    definition = services.parse(
        known.get("stackswap_service"),
        known.get("stackswap_services"),
        known.get("stackswap_environment"),
        known.get("stackswap_overrides"),
    )
    if kind in STARTS:
        services.equipped(definition, known.get(services.JOB_ENV), _attached(known, servers))
    back_to = known.get("stackswap_rollback_to") if kind == "rollback" else None
    version = None if kind == "maintenance" else back_to or known.get("stackswap_version")
    named = "" if absent(version) else services.parse_version(version)
    if kind == "restart" and named:
        raise BadInput("stackswap_version is given, and a restart is of what is live: deploy the version instead")
    if kind in BUILDS:
        _refuse_unbuildable(definition, named)
    main, places = _places(definition, servers, str(known.get("stackswap_main") or ""), groups or {})
    return {
        "kind": kind,
        **_called(kind, jobs),
        "places": _with_web(places) if kind == "maintenance" else places,
        "service": definition.service.name,
        "environment": definition.service.environment,
        "version": named,
        "expect": str(jobs.get("stackswap_expect", "")),
        "main": main,
        "image": None if jobs.get("stackswap_promote") == "only" else _image(kind, definition, named),
        "build": _build(definition, jobs, inventory) if kind in BUILDS else None,
        "promote": _promote(kind, jobs, definition.service.overlap),
        "maintenance": _maintenance(definition, jobs, inventory) if kind == "maintenance" else None,
        **{name: _files(jobs.get(f"stackswap_{name}", ()), inventory) for name in ("before", "after")},
    }


def _called(kind: str, jobs: Mapping[str, Any]) -> dict[str, Any]:
    """How the job's calls on servers are meant, whatever the job is called in the history."""
    given = {option: jobs[name] for name, option in MANNER.items() if name in jobs}
    manner = {option: list(one) if isinstance(one, tuple) else one for option, one in given.items()}
    return {"rollback": kind == "rollback", "restart": kind == "restart", "manner": manner}


def _places(
    definition: Definition, servers: Sequence[str], main: str, groups: Mapping[str, Sequence[str]]
) -> tuple[str, dict[str, list[str]]]:
    """The main server, and what each server runs; what has a schedule runs on the main one alone."""
    places = processes.places(definition.service.name, definition.groups, servers, groups)
    main = main_of(servers, main, places)
    clocked = [process.name for process in definition.processes if process.schedule]
    return main, {server: [*names, *(clocked if server == main else ())] for server, names in places.items()}


def _with_web(places: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {server: list(names) for server, names in places.items() if WEB in names}


def _of_server(kind: str, known: Mapping[str, Any], jobs: Mapping[str, Any], servers: Sequence[str]) -> dict[str, Any]:
    """A job on one server of the stack, by its name."""
    server = jobs.get("stackswap_drain_server")
    if server not in servers:
        what = (
            f"stackswap_drain_server {server} is no server of group stackswap"
            if server
            else "stackswap_drain_server is missing"
        )
        raise BadInput(f"{what}: {nearest(str(server or ''), servers)}")
    environment = services.parse_environment(known.get("stackswap_environment"))["name"]
    return {
        "kind": kind,
        "service": "",
        "environment": environment,
        "version": "",
        "server": server,
        "wait": jobs.get("stackswap_drain_wait", 60),
        "main": server,
        "image": None,
        "build": None,
        "before": [],
        "after": [],
    }


def _attached(known: Mapping[str, Any], servers: Sequence[str]) -> dict[str, Any]:
    """The attached services, those that the stack runs itself among them."""
    given, ours = known.get(services.ATTACHED), known.get(backing.ROOT)
    return backing.joined(given, ours, known.get("stackswap_environment"), servers)


def _of_backing(known: Mapping[str, Any], jobs: Mapping[str, Any], servers: Sequence[str]) -> dict[str, Any]:
    """Backing services, by their names; one that the inventory does not know any more may be on any server."""
    ours = backing.parse(known.get(backing.ROOT), known.get("stackswap_environment"), servers)
    state = str(jobs.get("stackswap_backing_state", "present"))
    names = backing.chosen(str(jobs.get("stackswap_backing_name", "")), ours, state)
    places = [ours[name].server for name in names if name in ours] or list(servers)
    environment = services.parse_environment(known.get("stackswap_environment"))["name"]
    told = {"kind": "backing", "service": "", "environment": environment, "version": "", "state": state}
    told |= {"names": {server: [n for n in names if n not in ours or ours[n].server == server] for server in servers}}
    told |= {"places": [server for server in servers if server in places], "servers": list(servers)}
    return {**told, "main": next(iter(servers), ""), "image": None, "build": None, "before": [], "after": []}


def _named(
    kind: str,
    known: Mapping[str, Any],
    jobs: Mapping[str, Any],
    servers: Sequence[str],
    groups: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """A job on a service by its name, for the inventory may not know it any more; remove is of every server.

    Where a process is named it is on the servers that have that.
    """
    service = services.named(known.get("stackswap_service"), known.get("stackswap_environment"))
    command = list(jobs.get("stackswap_command", ()))
    if kind == "exec" and not command:
        raise BadInput("stackswap_command is missing: a list, the command and its arguments")
    told: dict[str, Any] = {"kind": kind, "service": service.name, "environment": service.environment, "version": ""}
    told |= {name: jobs.get(f"stackswap_{name}", default) for name, default in LOOKING.items()} | {"command": command}
    if kind == "remove" and told["process"]:
        raise BadInput("stackswap_process is given, and a service leaves with all of its processes: leave it out")
    mine = _defined(service.name, known) if kind != "remove" else {}
    places = processes.known_places({service.name: mine} if mine else {}, servers, groups).get(service.name, {})
    chosen = str(known.get("stackswap_main") or "")
    if told["process"]:
        main = main_of(servers, chosen, places)
        places = processes.having(told["process"], service.name, mine, places, main)
    told |= {"places": places} if places else {}
    main = main_of(servers, chosen, places or None)
    return {**told, "main": main, "image": None, "build": None, "before": [], "after": []}


def _defined(name: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """What the inventory has of a service, what this environment has otherwise laid over it; {} where it has none."""
    parts = [known.get(root) for root in (services.SERVICES, services.OVERRIDES)]
    found, over = (part.get(name) if isinstance(part, Mapping) else None for part in parts)
    return merged(found, over if isinstance(over, Mapping) else {}) if isinstance(found, Mapping) else {}


def _promote(kind: str, jobs: Mapping[str, Any], overlap: bool) -> str:
    """Whether the job ends at ready, or begins there."""
    word = str(jobs.get("stackswap_promote", "yes"))
    if word != "yes" and kind not in ("deploy", "build-and-deploy"):
        raise BadInput(f"stackswap_promote is {word}, and a {kind} promotes nothing: leave it out")
    if word != "yes" and not overlap:
        raise BadInput(
            f"stackswap_promote is {word}, and the service says overlap: false: what is ready does not run before it "
            "is live, so there is nothing to look at. Leave it out"
        )
    if word == "only" and kind != "deploy":
        raise BadInput("stackswap_promote is only, and a build would make another release: run deploy")
    if jobs.get("stackswap_preview") and word != "no":
        raise BadInput("stackswap_preview leads to what is ready: it goes with stackswap_promote=no")
    return word


def _maintenance(definition: Definition, jobs: Mapping[str, Any], inventory: str) -> dict[str, Any]:
    """The options of the module of that name. page: a file on the control node, '' for the plain one."""
    word, wanted, health = jobs.get("stackswap_maintenance"), definition.maintenance, definition.service.health
    if not word:
        raise BadInput("stackswap_maintenance is missing: start or end")
    page = str(wanted.get("page", ""))
    return {
        "state": STATES[word],
        "page": posixpath.normpath(posixpath.join(inventory, page)) if page else "",
        "template": page.endswith(".j2"),
        "retry_after": wanted.get("retry_after", 300),
        "bypass": list(wanted.get("bypass", ())),
        "health": health.path if health.kind == "http" else "",
    }


def _files(given: Sequence[str], inventory: str) -> list[str]:
    """Task files, as paths that hold wherever the play is run from."""
    return [posixpath.normpath(posixpath.join(inventory, one)) for one in given]


def _refuse_unknown(known: Mapping[str, Any]) -> None:
    """A misspelt name would otherwise count as not given."""
    for name in known:
        if name not in NAMES:
            raise BadInput(f"{name} is not known: {nearest(name, NAMES)}")


def _refuse_unbuildable(definition: Definition, version: str) -> None:
    name = definition.service.name
    if definition.source is None:
        raise BadInput(f"stackswap_services.{name} has no source: there is nothing to build; deploy its image instead")
    if not version:
        raise BadInput("stackswap_version is missing: a build needs the name of the version, quoted, such as '1.4.2'")


def _image(kind: str, definition: Definition, version: str) -> dict[str, str] | None:
    """Its name and where it comes from; None where the live image is meant, or a kept one."""
    if not version or kind == "rollback":
        return None
    built_here = definition.source is not None and definition.image is None
    name = services.reference(definition, version)
    return {"name": name, "from": "builder" if built_here else "auto", "registry": registry_of(name)}


def _build(definition: Definition, jobs: Mapping[str, Any], inventory: str) -> dict[str, Any]:
    """The options of image_build but env and all that is secret, which never travel through a result."""
    made, told = definition.build, (definition.source or Source()).told
    if told.get("path"):
        told["path"] = posixpath.normpath(posixpath.join(inventory, told["path"]))
    return {
        "source": told,
        "image": definition.image or "",
        "push": definition.image is not None,
        "dockerfile": made.dockerfile or "",
        "target": made.target or "",
        "args": dict(made.args),
        "base_images": {**dict(jobs.get("stackswap_base_images", ())), **dict(made.base_images)},
        "callbacks": dict(made.callbacks or {}),
        "code_root": made.code_root or "",
        "runtime": made.runtime or "",
        "persistent": None if definition.persistent is None else list(definition.persistent),
        "platforms": list(made.platforms),
        "cache_from": list(made.cache_from),
        "cache_to": list(made.cache_to),
        "cache_limit": made.cache_limit or "",
        "image_limit": made.image_limit or "",
        "timeout": made.timeout,
        "labels": dict(made.labels),
        "ssh": made.ssh,
        "pull": made.pull,
        "no_cache": bool(jobs.get("stackswap_no_cache")),
        "criticality": definition.criticality,
    }
