# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module release_info: what a server knows of its services, read and told."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.watch import WatchingEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import config, files
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.balancer import Balancer
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Settings, layout
from ansible_collections.stackswap.bluegreen.plugins.module_utils.host_report import crew, previous, schedules, serving
from ansible_collections.stackswap.bluegreen.plugins.module_utils.kept import kept
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.module import effects_of, settings_of, versions_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, look


def run_release_info(module: AnsibleModule) -> None:
    """Tell what every service of this server, or the named one, serves; reads only."""
    params = module.params
    module.no_log_values.clear()
    try:
        fx = effects_of(params, "", False)
        keys = [key for key in fx.records.services() if params["name"] in (None, "", key.partition(".")[2])]
        found = [_told(fx, key, params) for key in keys]
        engine = WatchingEngine(params["docker_host"])
        server = _server(fx, engine, settings_of(params["proxy"]))
        warnings = engine.info().warnings
    except StackswapError as error:
        module.fail_json(msg=error.what, cause=error.cause)
        return
    for text in warnings:
        module.warn(text)
    module.exit_json(changed=False, services=found, server=server)


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
