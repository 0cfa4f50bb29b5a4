# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module release: options to values, effects put together, a HostReport or a failure with one."""

from __future__ import annotations

import json
import os
import platform
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ansible.module_utils import basic
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import (
    approval,
    baked,
    callbacks,
    fleet,
    job,
    machine,
    presence,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.admission import admit
from ansible_collections.stackswap.bluegreen.plugins.module_utils.blank import NoEngine, NoProxy
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callbacks import Calling
from ansible_collections.stackswap.bluegreen.plugins.module_utils.choose import (
    barrier_passed,
    choose,
    secrets_of,
    settings_of_then,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.crontab.table import Crontab
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine import SOCKET, DockerEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.library import imported
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import EngineFailed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import ProxyError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.files import server_key
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Settings, binds
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import HAProxy
from ansible_collections.stackswap.bluegreen.plugins.module_utils.host_report import (
    failure,
    host_report,
    previous,
    serving,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order
from ansible_collections.stackswap.bluegreen.plugins.module_utils.line import Line, served
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Locks
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import absent
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import RUNGS, WEB, Release, Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.mounted import mounted
from ansible_collections.stackswap.bluegreen.plugins.module_utils.neighbours import ask_often
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.probe import Probe
from ansible_collections.stackswap.bluegreen.plugins.module_utils.prober import Prober
from ansible_collections.stackswap.bluegreen.plugins.module_utils.records import Records
from ansible_collections.stackswap.bluegreen.plugins.module_utils.service import Definition

WHEN = ("then", "now")
SILENT = Line()
ANYWHERE = ("", "*", "0.0.0.0", "[::]", "::")


def run_release(module: AnsibleModule) -> None:
    """Have a release climb; exit with its HostReport, or fail with it and the four sentences."""
    if (module.params["_line"] or {}).get("server"):
        imported()
    served(module.params["_line"], partial(_climbed, module), partial(_anew, module.argument_spec))


def _anew(spec: dict[str, Any], options: Mapping[str, Any]) -> None:
    """The module with other options: all that Ansible adds to them is as in the first call."""
    told = json.loads(basic._ANSIBLE_ARGS)["ANSIBLE_MODULE_ARGS"]
    kept = {name: value for name, value in told.items() if name.startswith("_ansible_")}
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": {**kept, **options}}).encode()
    run_release(AnsibleModule(argument_spec=spec, supports_check_mode=True))


def _climbed(module: AnsibleModule, line: Line) -> None:
    params, release, service, fx = module.params, None, None, None
    module.no_log_values.clear()  # secrets are masked by key: by value, a short one would mask parts of everything
    order = order_of(params)
    try:
        known = {str(params["name"]): params["service"]}
        laid = {str(params["name"]): params["overrides"] or {}}
        defined = services.parse(params["name"], known, params["environment"], laid)
        service = defined.service
        wanted = services.equipped(defined, params["env"], params["attached"] or {})
        order = replace(order, calling=calling_of(params, wanted), migrations=wanted.migrations)
        order = replace(order, volumes=wanted.container.volumes)
        fx = effects_of(params, order.job, module.check_mode, line, order.has(WEB))
        release = choose(fx, wanted, params, module.check_mode)
        past = barrier_passed(fx, wanted, params)
        _refuse_unset(fx, module.check_mode)
        scarce = admit(fx, wanted, params)
        act = job.foresee if module.check_mode else job.run
        result = act(fx, service, release, order)
        asides = _asides(fx, wanted, release, order, params, result.before)
    except StackswapError as error:
        _fail(module, fx, service, release, order, error)
        return
    manifests = manifests_of(fx, service, result.after.seen.served)
    report = host_report(service, release, order, result, manifests)
    notes = [*report["notes"], *asides.pop("notes", ())]
    report.update(asides, check=module.check_mode, notes=notes)
    report["warnings"] += scarce
    report["warnings"] += [f"gone back past a barrier: {past}"] if past and order.state in RUNGS else []
    if module.check_mode:
        digests = {r.release: r.digest for r in result.after.containers}
        report["plan_hash"] = approval.bound(result.after.seen, release, digests, report["plan"])
    with_scripts(fx, release, report)
    _answer(module, report, manifests)


def calling_of(params: Mapping[str, Any], wanted: Definition) -> Calling:
    """What the service's callbacks are called with on this server."""
    local = params["local_env"] or {}
    return Calling(
        options=wanted.callbacks,
        job=str(params["job"] or ""),
        server=str(params["server"] or platform.node()),
        main=local.get("ARTIFAKT_IS_MAIN_INSTANCE") == "1",
    )


def with_scripts(fx: Effects, release: Release | None, report: dict[str, Any]) -> None:
    """Tell which callbacks the image that was asked for has, so that none is called in vain."""
    image = fx.engine.image(release.container.image) if release and release.container.image else None
    if report["asked"] and callbacks.scripts_of(image):
        report["asked"]["scripts"] = list(callbacks.scripts_of(image))


def order_of(params: Mapping[str, Any]) -> Order:
    """What the options ask to be done."""
    return Order(
        state=params["state"],
        back=bool(params["rollback"]),
        restart=bool(params.get("restart")),
        here=None if params["processes"] is None else tuple(params["processes"]),
        now=params["now"],
        drill=bool(params.get("drill")),
        job=str(params["job"] or ""),
        holder=str(params["holder"] or ""),
        claim_seconds=float(params["claim_seconds"]),
        kind=str(params["kind"] or ""),
        wait=float(params.get("wait") or 0),
        promote=params["promote"],
        preview=str(params["preview"] or ""),
        unmounted=tuple(params.get("unmounted") or ()),
    )


def effects_of(params: Mapping[str, Any], job_id: str, blank: bool, line: Line = SILENT, web: bool = True) -> Effects:
    """The real things. blank: where there is no engine or proxy yet, such as know nothing (check mode).

    web: whether the server has any use for a proxy.
    """
    settings = settings_of(params["proxy"])
    records = Records(settings.home)
    locks = Locks(settings.home, job=job_id, wait_seconds=float(params.get("wait") or 0))
    engine = _or(lambda: DockerEngine(params["docker_host"]), EngineFailed, NoEngine(), blank)
    proxy = _proxy(engine, settings, locks) if web and isinstance(engine, DockerEngine) else NoProxy()
    if blank:
        proxy = _or(lambda: _answering(proxy), ProxyError, NoProxy(), blank)
    address, port = door_of(settings)
    here = isinstance(engine, DockerEngine) and engine.local
    return Effects(
        engine=engine,
        proxy=proxy,
        probe=Probe(address, port, tls=port == 443, key=server_key(settings), proxied=settings.proxy_protocol),
        records=records,
        locks=locks,
        clock=time.monotonic,
        now=time.time,
        sleep=time.sleep,
        token=partial(secrets.token_hex, 16),
        prober=Prober,
        network=settings.network,
        subnet=settings.subnet,
        holders=partial(engine.holders, settings.network),
        mounts=mounted,
        tenants=lambda: {**proxy.tenants(), **engine.tenants(settings.network)},
        cron=Crontab(settings.home, params["docker_host"] or os.environ.get("DOCKER_HOST") or SOCKET),
        tell=line.tell,
        stop_asked=line.stop_asked,
        available=machine.available if here else lambda: None,
        ask_often=partial(ask_often, settings.subnet) if here else lambda: None,
    )


def settings_of(given: Mapping[str, Any] | None) -> Settings:
    """The proxy's settings that matter here."""
    told = services.parse_proxy(given)
    plain: dict[str, Any] = {n: tuple(v) if isinstance(v, (list, tuple)) else v for n, v in told.items()}
    if "labels" in plain and isinstance(plain["labels"], Mapping):
        plain["labels"] = tuple(sorted(plain["labels"].items()))
    return Settings(**plain)


def door_of(settings: Settings) -> tuple[str, int]:
    """Where this server's own requests reach the public door."""
    pairs = binds(settings)
    address, port = next((pair for pair in pairs if pair[1] != 443), pairs[0])
    return ("127.0.0.1" if address in ANYWHERE else address.strip("[]"), port)


def _proxy(engine: DockerEngine, settings: Settings, locks: Locks) -> HAProxy:
    def run(argv: Sequence[str]) -> tuple[int, str]:
        return engine.exec(settings.container, argv)

    return HAProxy(settings, locks.proxy, run)


def _answering(proxy: Any) -> Any:
    proxy.view("-")
    return proxy


def _or(make: Callable[[], Any], refused: type[Exception], otherwise: Any, blank: bool) -> Any:
    try:
        return make()
    except refused:
        if not blank:
            raise
        return otherwise


def _refuse_unset(fx: Effects, check: bool) -> None:
    """Before anything changes: the proxy answers."""
    if not check:
        fx.proxy.view("-")


def _asides(
    fx: Effects, wanted: Definition, release: Release | None, order: Order, params: Mapping[str, Any], before: Look
) -> dict[str, Any]:
    """What else is to be told: whose settings and secrets a rollback runs with, and what is in the image as built.

    Of a claim, which image the server has by the name of the version's.
    """
    if order.state == "claimed" and not (order.back or order.restart or absent(params["version"])):
        return {"here": presence.seen(services.reference(wanted, services.parse_version(params["version"])), fx.engine)}
    if release is None or order.state not in RUNGS or order.restart:
        return {}
    if order.back:
        then = settings_of_then(fx, wanted, release, params["local_env"] or {})
        return {"secrets": secrets_of(fx, wanted, release), "settings": then}
    image = fx.engine.image(release.container.image)
    label = dict(image.labels).get(baked.LABEL, "") if image else ""
    name = planner.live_release(before.seen)
    live = (fx.records.manifest(wanted.service.key, name) if name else None) or {}
    rotated = live.get("digest") == release.digest and live.get("seal") != release.seal
    return {"notes": list(baked.notes(label, services.own_env(wanted), rotated))}


def manifests_of(fx: Effects, service: Service, names: Sequence[str]) -> dict[str, Any]:
    found = {name: fx.records.manifest(service.key, name) for name in names}
    return {name: data for name, data in found.items() if data}


def _answer(module: AnsibleModule, report: dict[str, Any], manifests: Mapping[str, Any]) -> None:
    """Exit or fail; the report goes along either way."""
    facts: dict[str, Any] = {"stackswap": report, "changed": report["changed"], "invocation": {}}
    if report["check"]:
        facts["changed"] = any(changing(line) for line in report["plan"])
        before = {"serving": report["serving"]}
        told = {name: report[name] for name in ("plan", "notes", "secrets") if report.get(name)}
        facts["diff"] = {"before": before, "after": {**before, "plan": [], **told}, "before_header": "now"}
    for warning in report["warnings"]:
        module.warn(warning)
    if report["failed"]:
        module.fail_json(msg=message(report["failed"]), **facts)
    module.exit_json(msg=said(report), steps=[step["did"] for step in report["steps"]], plan=report["plan"], **facts)


def changing(line: str) -> bool:
    """Whether a planned step changes anything, by its first word."""
    return line.split(" ", 1)[0] not in ("await", "confirm", "watch", "drain")


def said(report: Mapping[str, Any]) -> str:
    """A line for people."""
    now, asked = report["serving"], report["asked"]
    serves = f"{report['service']} {now['version']} serves from {now['slot']}" if now else "nothing serves"
    whose = {name: f"the {name} of {report[name]}" for name in ("settings", "secrets") if report.get(name) in WHEN}
    more = (f"; it has {' and '.join(whose.values())}" if whose else "") + "".join(
        f"; {note}" for note in report.get("notes", ())
    )
    if report["check"]:
        planned = f"{len(report['plan'])} steps planned" if report["plan"] else "nothing to do"
        return f"{serves}; {planned}{more}"
    nothing = "" if report["changed"] else ", nothing had to be changed"
    ready = f"; {asked['version']} is ready" if asked and report["rung"] == "ready" and asked != now else ""
    return f"{serves}{ready}{nothing}{more}"


def message(failed: Mapping[str, Any]) -> str:
    """The four sentences, and the last lines of evidence, as Ansible shows them."""
    text = f"{failed['what']}. Now: {failed['serves']}. Kept: {failed['kept']}. Next: {failed['next']}."
    lines = "\n".join(failed.get("evidence", ())[-10:])
    return f"{text}\nIts last lines:\n{lines}" if lines else text


def _fail(
    module: AnsibleModule,
    fx: Effects | None,
    service: Service | None,
    release: Release | None,
    order: Order,
    error: StackswapError,
) -> None:
    """What could not even begin: nothing was changed by this call. What users get is told where it can be seen."""
    known = service or Service(str((module.params["environment"] or {}).get("name", "")), str(module.params["name"]))
    report = fleet.refused(known.name, known.environment, order.state, order.job, error.cause, error.what)
    found = _glance(fx, known) if fx and service else None
    if fx and found:
        versions = versions_of(fx, known, found)
        seen = serving(found, versions)
        report.update(before=seen, serving=seen, previous=previous(found, versions))
        report["failed"] = failure(known, release, error, found, versions)
    else:
        report["failed"].update(failure(known, release, error), serves="this call has changed nothing")
    report["check"] = module.check_mode
    module.fail_json(msg=message(report["failed"]), changed=False, stackswap=report, invocation={})


def _glance(fx: Effects, service: Service) -> Look | None:
    """What is there, where it can be seen at all."""
    try:
        return look(fx, service)
    except StackswapError:
        return None


def versions_of(fx: Effects, service: Service, found: Look) -> dict[str, str]:
    """Release names to the versions that people know."""
    manifests = manifests_of(fx, service, found.seen.served)
    told = {name: str(data["version"]) for name, data in manifests.items()}
    return {**told, **{r.release: r.version for r in found.containers}}
