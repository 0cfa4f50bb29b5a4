# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module service: a service leaves the server; it need not be in the inventory any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import fleet
from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.host_report import failure, host_report
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order
from ansible_collections.stackswap.bluegreen.plugins.module_utils.leaving import leave
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.module import effects_of, manifests_of, message


def run_service(module: AnsibleModule) -> None:
    """Do what is asked; exit or fail with a HostReport."""
    params = module.params
    try:
        report = _left(params, module.check_mode)
    except StackswapError as error:
        report = _refused(params, error)
    facts = {"stackswap": report, "changed": report["changed"], "plan": report.get("plan", []), "invocation": {}}
    if module.check_mode:
        facts["changed"] = bool(report.get("plan"))
    if report["failed"]:
        module.fail_json(msg=message(report["failed"]), **facts)
    module.exit_json(msg=_said(params["state"], report), **facts)


def _left(params: Mapping[str, Any], check: bool) -> dict[str, Any]:
    service = services.named(params["name"], params["environment"])
    service = replace(service, drain_timeout=float(params["drain_timeout"]))
    order = Order(
        state=params["state"],
        job=str(params["job"] or ""),
        holder=str(params["holder"] or ""),
        claim_seconds=float(params["claim_seconds"]),
    )
    fx = effects_of(params, order.job, check)
    result = leave(fx, service, order, check and order.state == "absent")
    return {
        **host_report(service, None, order, result, manifests_of(fx, service, result.before.seen.served)),
        "check": check,
    }


def _refused(params: Mapping[str, Any], error: StackswapError) -> dict[str, Any]:
    """What could not even begin."""
    service = Service(str((params["environment"] or {}).get("name", "")), str(params["name"]))
    told = (params["state"], str(params["job"] or ""), error.cause, error.what)
    report = fleet.refused(service.name, service.environment, *told)
    report["failed"].update(failure(service, None, error), serves="this call has changed nothing")
    return report


def _said(state: str, report: Mapping[str, Any]) -> str:
    name = report["service"]
    if state != "absent":
        return f"{name} is {state}"
    if report["check"]:
        return f"{name}: {len(report['plan'])} steps planned" if report["plan"] else f"{name} is not here"
    return f"{name} has left this server" if report["changed"] else f"{name} was not here, nothing had to be changed"
