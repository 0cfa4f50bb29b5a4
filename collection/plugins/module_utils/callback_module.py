# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module run_callback: a callback on the main server, once for a release, or in the end of a job."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import callback_run, callbacks, fleet, job
from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callbacks import ABORT, BEGUN, DONE, Callback, Told
from ansible_collections.stackswap.bluegreen.plugins.module_utils.choose import choose
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects, unasked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.host_report import failure, host_report
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.line import Line, served
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Release, Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.module import (
    calling_of,
    effects_of,
    message,
    with_scripts,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, look

RUNG = "called"


class CallbackFailed(StackswapError):
    """A callback that the release hangs on has failed; no server has begun with the release."""

    cause = "callback_failed"


class CutOff(StackswapError):
    """An earlier job began the callback, and nobody knows how far it came."""

    cause = "callback_cut_off"


# -- the module -------------------------------------------------------------------------------------------------------


def run_callback(module: AnsibleModule) -> None:
    """Run the callback if it is due; exit or fail with a HostReport. after.sh never fails."""
    served(module.params["_line"], partial(_ran, module))


def _ran(module: AnsibleModule, line: Line) -> None:
    params = module.params
    module.no_log_values.clear()
    try:
        report, ran = _called(params, module.check_mode, line)
    except StackswapError as error:
        _refused(module, error)
        return
    for warning in report["warnings"]:
        module.warn(warning)
    facts = {"stackswap": report, "changed": report["changed"], "callbacks": report["callbacks"], "invocation": {}}
    if report["failed"]:
        module.fail_json(msg=message(report["failed"]), **facts)
    module.exit_json(msg=ran, **facts)


def _called(params: Mapping[str, Any], check: bool, line: Line) -> tuple[dict[str, Any], str]:
    known, laid = {str(params["name"]): params["service"]}, {str(params["name"]): params["overrides"] or {}}
    defined = services.parse(params["name"], known, params["environment"], laid)
    wanted = services.equipped(defined, params["env"], params["attached"])
    order = Order(
        state=RUNG,
        back=bool(params["rollback"]),
        job=str(params["job"] or ""),
        holder=str(params["holder"] or ""),
        claim_seconds=float(params["claim_seconds"]),
        calling=calling_of(params, wanted),
    )
    fx = effects_of(params, order.job, check, line)
    release = choose(fx, wanted, {**params, "state": "ready", "force": True}, check)
    if release is None:
        raise StackswapError("there is no release to run a callback of")
    result = called(fx, wanted.service, release, order, params["moment"], str(params["outcome"] or ""), check)
    report = host_report(wanted.service, release, order, result, {})
    report.update(check=check, changed=params["moment"] == "release" and bool(result.callbacks))
    with_scripts(fx, release, report)
    return report, _said(params["moment"], report)


def _said(moment: str, report: Mapping[str, Any]) -> str:
    if not report["callbacks"]:
        return f"{moment}.sh is not due"
    told = report["callbacks"][-1]
    return told["error"] or f"{moment}.sh exited 0 after {told['seconds']:.1f} s"


def _refused(module: AnsibleModule, error: StackswapError) -> None:
    """What could not even begin."""
    params = module.params
    place = str((params["environment"] or {}).get("name", ""))
    service = Service(place, str(params["name"]))
    report = fleet.refused(service.name, place, RUNG, str(params["job"] or ""), error.cause, error.what)
    if params["moment"] == "after":
        module.warn(f"after.sh was not run: {error.what}")
        module.exit_json(changed=False, msg=f"after.sh was not run: {error.what}", callbacks=[], invocation={})
    report["failed"].update(failure(service, None, error), serves="this call has changed nothing")
    module.fail_json(msg=message(report["failed"]), changed=False, stackswap=report, callbacks=[], invocation={})


# -- what it does -----------------------------------------------------------------------------------------------------


def called(
    fx: Effects, service: Service, release: Release, order: Order, moment: str, outcome: str = "", check: bool = False
) -> Result:
    """Run a callback of this moment if it is due, under the lock that keeps it from running twice."""
    callback = callbacks.due(moment, fx.engine.image(release.container.image), order.calling.options)
    if callback is None or check:
        found = look(fx, service, release)
        return Result(found, found)
    if moment == "release":
        with fx.locks.service(service.key):
            return _once(fx, service, release, order, callback)
    with fx.locks.service(f"{service.key}.{moment}"):
        found = look(fx, service, release)
        ran = _run(fx, service, release, order, callback, found, outcome)
        return Result(found, found, callbacks=(ran.told,), warnings=(ran.error,) if ran.error else ())


def _once(fx: Effects, service: Service, release: Release, order: Order, callback: Callback) -> Result:
    """R16: once for a release, recorded before and after; never on the way back, nor for what is live."""
    before = look(fx, service, release)
    state = callbacks.state_of(before.record, release, callback.moment)
    live = planner.live_release(before.seen).partition("-")[0] == release.id
    if order.back or live or state == DONE:
        return Result(before, before)
    job.claim(fx, service, before, order)
    if state == BEGUN and not callback.idempotent:
        raise CutOff(f"release.sh of {service.name} {release.version} was begun by an earlier job, and cut off")
    _mark(fx, service, release, callback, BEGUN)
    fx.at("after begun")
    ran = _run(fx, service, release, order, callback, before)
    if ran.over:
        _mark(fx, service, release, callback, "" if ran.error else DONE)
    after = look(fx, service, release)
    if ran.error and callback.on_error == ABORT:
        what = f"{service.name} {release.version} was not begun with: {ran.error}"
        job.note_failed(fx, service, order, what)
        error = CallbackFailed(what, tuple(ran.told["lines"]))
        return Result(before, after, callbacks=(ran.told,), error=error)
    return Result(before, after, callbacks=(ran.told,), warnings=(ran.error,) if ran.error else ())


def _run(
    fx: Effects,
    service: Service,
    release: Release,
    order: Order,
    callback: Callback,
    found: Look,
    outcome: str = "",
) -> callback_run.Run:
    told = Told(previous=callback_run.version_before(fx, service, found, release), outcome=outcome)
    asked = unasked if callback.moment == "after" else fx.stop_asked  # a job that was stopped has an end, too
    fx.tell(callback.moment, f"{callback.moment}.sh runs")
    return callback_run.run(fx, service, release, callback, order.calling, told, asked)


def _mark(fx: Effects, service: Service, release: Release, callback: Callback, state: str) -> None:
    record = {name: value for name, value in fx.records.read(service.key).items() if name != "broken"}
    marks = callbacks.marked(record, release, callback.moment, state, fx.now())
    fx.records.write(service.key, {**record, "hooks_done": marks})
