# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module release_info: what a server knows of its services, read and told."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import backing, standing
from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.answer import HIDDEN
from ansible_collections.stackswap.bluegreen.plugins.module_utils.backing import Backing
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.host import HostEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.watch import WatchingEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import config, files
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.balancer import Balancer
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Settings, layout
from ansible_collections.stackswap.bluegreen.plugins.module_utils.host_report import crew, previous, schedules, serving
from ansible_collections.stackswap.bluegreen.plugins.module_utils.kept import kept
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.module import effects_of, settings_of, versions_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.standing import Box, Wanted


def run_release_info(module: AnsibleModule) -> None:
    """Tell what every service of this server, or the named one, serves; reads only."""
    params = module.params
    module.no_log_values.clear()
    shown = {"module_args": {**params, "backing": HIDDEN if params["backing"] else params["backing"]}}
    try:
        fx = effects_of(params, "", False)
        keys = [key for key in fx.records.services() if params["name"] in (None, "", key.partition(".")[2])]
        found = [_told(fx, key, params) for key in keys]
        engine = WatchingEngine(params["docker_host"])
        server = _server(fx, engine, settings_of(params["proxy"]))
        told, doubts = backing_of(fx, HostEngine(params["docker_host"]), params)
        warnings = engine.info().warnings
    except StackswapError as error:
        module.fail_json(msg=error.what, cause=error.cause, invocation=shown)
        return
    for text in (*warnings, *doubts):
        module.warn(text)
    module.exit_json(changed=False, services=found, server=server, backing=told, invocation=shown)


def _told(fx: Effects, key: str, params: Mapping[str, Any]) -> dict[str, Any]:
    environment, dummy, name = key.partition(".")
    service = Service(environment, name)
    found = look(fx, service)
    versions = versions_of(fx, service, found)
    told = {
        "service": service.name,
        "environment": service.environment,
        "serving": serving(found, versions),
        "previous": previous(found, versions),
        "route": found.view.runtime,
        "file": found.view.file,
        "maintenance": found.view.closed,
        "routes": [f"{r.host}{r.path}" for r in found.view.routes],
        "containers": [
            {"name": r.name, "version": r.version, "slot": r.slot, "state": r.state, "restarts": r.restarts}
            for r in found.containers
        ],
        "processes": crew(found),
        "schedules": schedules(found, fx.cron.runs(key)),
        "claim": _living(fx, found.record.get("claim")),
        "holder": fx.locks.holder(key),
        "draining": _draining(fx, found),
    }
    more = {"kept": kept(fx, key, found)} if params["kept"] else {}
    more.update({"history": fx.records.history(key, params["history"])} if params["history"] > 0 else {})
    return {**told, **more}


def _living(fx: Effects, claim: Any) -> Any:
    """One that has run out keeps nobody out."""
    return claim if claim and float(claim.get("expires", 0)) > fx.now() else None


def _draining(fx: Effects, found: Look) -> dict[str, Any] | None:
    """The slot that runs and is not routed, with the sessions that it still has."""
    for placed in found.seen.placements:
        if placed.running != "none" and not planner.routed(found.seen, placed.slot):
            addresses = tuple(r.address for r in found.of(placed.release, placed.slot) if r.address)
            sessions = fx.proxy.sessions(addresses)
            return {"slot": placed.slot, "sessions": sessions} if sessions else None
    return None


def backing_of(
    fx: Effects, engine: HostEngine, params: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The backing services that are here or ought to be, and what was in the way; none where a service is asked for."""
    if params["backing"] is None or params["name"]:
        return [], ()
    wanted, doubts = _asked(params)
    here = {one.key: one for one in wanted.values() if one.server == params["server"]}
    listed = engine.labelled(backing.LABEL, network=settings_of(params["proxy"]).network)
    boxes = [_box(fx, engine, told, here.get(told["labels"][backing.LABEL])) for told in listed]
    marks = {key: _wanted(fx, engine, one, any(box.key == key for box in boxes)) for key, one in here.items()}
    environment = str((params["environment"] or {}).get("name", "")) if not doubts else ""
    return standing.rows(boxes, marks, environment, {one.key for one in wanted.values()}), doubts


def _asked(params: Mapping[str, Any]) -> tuple[dict[str, Backing], tuple[str, ...]]:
    """What the inventory has; to look at a stack, it need not be right."""
    try:
        return backing.parse(params["backing"], params["environment"], params["servers"] or ()), ()
    except BadInput as error:
        return {}, (f"what backing services there ought to be cannot be told: {error.what}",)


def _wanted(fx: Effects, engine: HostEngine, one: Backing, there: bool) -> Wanted:
    """What a container of it is to be made from, where there is one to compare."""
    image = engine.image(one.container.image) if there else None
    mark = backing.mark(one, image.id, fx.records.seal(one.container.sealed)) if image else ""
    return Wanted(one.container.image, mark)


def _box(fx: Effects, engine: HostEngine, told: Mapping[str, Any], one: Backing | None) -> Box:
    error = (
        fx.probe.replica(told["address"], one.port, backing.OPEN).error if one and told["state"] == "running" else None
    )
    return Box(told, standing.name_of(engine.image(told["image"]), told["image"]), error)


def _server(fx: Effects, engine: WatchingEngine, settings: Settings) -> dict[str, Any]:
    """What all services share here, and the containers with our labels that no record knows."""
    text, known = files.read(layout(settings).config), fx.records.services()
    return {
        "proxy": hashlib.sha256(text.encode()).hexdigest()[:12] if text else "",
        "as_asked": text == config.base(settings),
        "network": engine.subnet(settings.network),
        "drained": Balancer(settings, fx.locks.proxy).drained(),
        "strangers": sorted(name for name, key in engine.owners(settings.network).items() if key not in known),
    }
