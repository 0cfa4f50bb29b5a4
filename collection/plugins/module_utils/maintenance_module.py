# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module maintenance: options to a notice, the proxy told to show it or not, a HostReport."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import fleet, forms, history, kinds
from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.maintenance import Maintenance, Notice
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.page import page_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import HAProxy
from ansible_collections.stackswap.bluegreen.plugins.module_utils.host_report import serving
from ansible_collections.stackswap.bluegreen.plugins.module_utils.kinds import Wrong
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.module import effects_of, message
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, look

RUNG = "maintained"


def run_maintenance(module: AnsibleModule) -> None:
    """Start or end the maintenance of a service; exit with a HostReport, or fail with it."""
    params = module.params
    try:
        service, notice = service_of(params), notice_of(params)
        fx = effects_of(params, str(params["job"] or ""), False)
        report, diff = maintained(fx, service, notice, module.check_mode, params)
    except StackswapError as error:
        name, place = str(params["name"]), str((params["environment"] or {}).get("name", ""))
        report = fleet.refused(name, place, RUNG, str(params["job"] or ""), error.cause, error.what)
        module.fail_json(msg=message(report["failed"]), changed=False, stackswap=report)
        return
    module.exit_json(msg=said(report), changed=bool(report["steps"] or report["plan"]), diff=diff, stackswap=report)


def service_of(params: Mapping[str, Any]) -> Service:
    """The service by its name and environment."""
    place = services.parse_environment(params["environment"])
    try:
        return Service(place["name"], str(kinds.at("name", forms.short_name, params["name"])))
    except Wrong as wrong:
        raise BadInput(wrong.what) from None


def notice_of(params: Mapping[str, Any]) -> Notice | None:
    """What is to be shown; None to end it."""
    if params["state"] == "ended":
        return None
    try:
        networks = kinds.at("bypass", kinds.items(forms.network), params["bypass"] or ())
        path = params["health"]
        health = kinds.at("health", forms.probe_path, path) if path else ""
        retry = kinds.at("retry_after", kinds.number(1, 86400, " of seconds"), params["retry_after"])
    except Wrong as wrong:
        raise BadInput(wrong.what) from None
    return Notice(page_of(params["page"]), retry, networks, health.partition("?")[0])


def maintained(
    fx: Effects, service: Service, notice: Notice | None, check: bool, params: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Have it be so; the report and the difference. In check mode only what would be done is told."""
    proxy = fx.proxy
    if not isinstance(proxy, HAProxy):
        raise BadInput("there is no proxy on this server yet: run stackswap setup")
    before, keeper = look(fx, service), proxy.maintenance
    was = keeper.state(service.key)
    done = keeper.due(service.key, notice) if check else change(keeper, service.key, notice)
    report = report_of(service, before, str(params["job"] or ""), done, check)
    report["maintenance"] = notice is not None
    if done and not check:
        note(fx, service, report, str(params["holder"] or ""), f"maintenance {params['state']}")
    diff = {"before": was, "after": wanted(notice), "before_header": "now", "after_header": "then"}
    return report, diff if done else {"before": was, "after": was}


def note(fx: Effects, service: Service, report: Mapping[str, Any], by: str, kind: str) -> None:
    """A line for the service's history: what is live is as it was."""
    live, now = report["serving"] or {}, fx.now()
    story = history.begun({"began": now, "from": live.get("release", ""), "kind": kind}, now, "")
    told = history.line(story, report["job"], by, live.get("release", ""), now, {live.get("release", ""): live})
    fx.records.note(service.key, told)


def change(keeper: Maintenance, key: str, notice: Notice | None) -> list[str]:
    """Start or end it; what was done."""
    return keeper.start(key, notice) if notice else keeper.end(key)


def report_of(service: Service, found: Look, job: str, done: list[str], check: bool) -> dict[str, Any]:
    """The HostReport: what is live is as it was."""
    versions = {r.release: r.version for r in found.replicas}
    now = serving(found, versions)
    report = {**fleet.blank(service.name, service.environment, RUNG, job), "before": now, "serving": now}
    report.update(changed=bool(done) and not check, check=check, plan=done if check else [])
    report["steps"] = [] if check else [{"verb": "maintain", "did": words} for words in done]
    return report


def wanted(notice: Notice | None) -> str:
    """A notice as a text, for a difference."""
    if notice is None:
        return "maintenance: no\n"
    by = " ".join(notice.networks) or "nobody"
    return f"maintenance: yes\nretry after: {notice.retry_after}\nlet by: {by}\n\n{notice.page}"


def said(report: Mapping[str, Any]) -> str:
    """A line for people."""
    state = "is in maintenance" if report["maintenance"] else "is not in maintenance"
    would = "; this would be changed: " + ", ".join(report["plan"]) if report["plan"] else ""
    return f"{report['service']} {state}{would}" if not would else f"{report['service']}{would}"
