# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last line of a job: what happened, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import selftest
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import drain, loss
from ansible_collections.stackswap.bluegreen.plugins.module_utils.outcomes import (
    BACK,
    GONE,
    MIXED,
    NEW,
    UNCHANGED,
    UNKNOWN,
)


def line(report: Mapping[str, Any], service: str) -> str:
    """What happened, for people, in one line."""
    told = report["services"].get(service)
    if not told:
        return f"{report['job']['kind']} {report['status']}"
    if report["job"]["kind"] == "selftest":
        return "\n".join(f"{name}: {_tested(server)}" for name, server in told["servers"].items())
    if report["status"] == "failed" and report["job"]["kind"] in ("logs", "exec"):
        return "; ".join(f"{server}: {text.splitlines()[0]}" for server, text in report["answers"].items())
    if report["status"] == "failed":
        return _bad_line(report, told, service)
    if report["job"]["kind"] == "build":
        return f"{service} {told['version']} is built: {(told.get('image') or {}).get('name', '')}"
    if report["job"]["kind"] in ("logs", "exec"):
        return f"{service} {_versions(told['servers'], 'serving')} serves on {' '.join(told['servers'])}."
    if report["job"]["kind"] == "remove":
        return _left_line(told["servers"], service)
    if report["job"]["kind"] == "restart" and told["outcome"] == NEW:
        return f"{service} {_versions(told['servers'], 'serving')} was restarted on {' '.join(told['servers'])}."
    if told.get("promote") == "no" or report["job"]["kind"] == "maintenance":
        return (_ready_line if told.get("promote") == "no" else _maintenance_line)(told, service)
    return _good_line(told, service) + _asides(told["servers"]) + _planned(report, told["servers"])


def _tested(server: Mapping[str, Any]) -> str:
    """What a selftest came to on a server."""
    return selftest.line(server["checks"]) if server.get("checks") else "not proved: see its answer"


def _planned(report: Mapping[str, Any], servers: Mapping[str, Mapping[str, Any]]) -> str:
    """The steps of a plan that can be approved, once for all servers that have the same."""
    if not report.get("plan_hash"):
        return ""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, one in servers.items():
        groups.setdefault(tuple(one.get("plan") or ("nothing to do",)), []).append(name)
    return "".join(f"\n{' '.join(on)}:" + "".join(f"\n  {step}" for step in plan) for plan, on in groups.items())


def _left_line(servers: Mapping[str, Mapping[str, Any]], service: str) -> str:
    if any(s.get("check") for s in servers.values()):
        planned = ", ".join(f"{len(s.get('plan') or ())} steps on {name}" for name, s in servers.items())
        return f"{service}: planned, and nothing done: {planned}."
    left = [name for name, s in servers.items() if s.get("changed")]
    return f"{service} has left {' '.join(left)}." if left else f"{service} is on none of {' '.join(servers)}."


def _ready_line(told: Mapping[str, Any], service: str) -> str:
    """Who waits to be promoted, and how that is done."""
    servers, now = told["servers"], _versions(told["servers"], "serving")
    if any(s.get("check") for s in servers.values()):
        return _good_line(told, service)
    ready = _versions(servers, "asked")
    if ready == now:
        return f"{service} {now} serves on {' '.join(servers)} already; there is nothing to promote."
    users = f"users get {now}" if now else "nothing serves yet"
    promote = f"stackswap deploy {service} {ready} -e stackswap_promote=only"
    return f"{service} {ready} is ready on {' '.join(servers)}; {users}. Promote: {promote}"


def _maintenance_line(told: Mapping[str, Any], service: str) -> str:
    """Who gets the page where, and what is live underneath."""
    servers, now = told["servers"], _versions(told["servers"], "serving")
    if any(s.get("check") for s in servers.values()):
        each = "; ".join(f"{name}: {', '.join(s.get('plan') or ()) or 'nothing'}" for name, s in servers.items())
        return f"{service}: planned, and nothing done. {each}."
    on = [name for name, s in servers.items() if s.get("maintenance")]
    under = f"; {now} stays live underneath. End: stackswap maintenance {service} end" if now else ""
    if on:
        return f"{service} is in maintenance on {' '.join(on)}{under}"
    return f"{service} is not in maintenance on {' '.join(servers)}; users get {now or 'nothing'}."


def _asides(servers: Mapping[str, Mapping[str, Any]]) -> str:
    """Whose settings and secrets a rollback runs with, and what else is to be known, each once."""
    whose = [text for text in (_whose(servers, name) for name in ("settings", "secrets")) if text]
    notes = dict.fromkeys(note for s in servers.values() for note in s.get("notes", ()))
    return (f" It has {' and '.join(whose)}." if whose else "") + "".join(f" {note}." for note in notes)


def _whose(servers: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """Of when the settings or secrets are that a rollback runs with; '' where there are none to tell of."""
    found = {server: s[name] for server, s in servers.items() if s.get(name) in ("then", "now")}
    words = sorted(set(found.values()))
    each = ", ".join(f"of {word} on {' '.join(n for n in found if found[n] == word)}" for word in words)
    return f"the {name} {f'of {words[0]}' if len(words) == 1 else each}" if words else ""


def _good_line(told: Mapping[str, Any], service: str) -> str:
    servers = told["servers"]
    planned = {name: len(s.get("plan") or ()) for name, s in servers.items() if s.get("check")}
    if planned:
        each = ", ".join(f"{count} steps on {name}" for name, count in planned.items())
        return f"{service}: planned, and nothing done: {each}."
    now, was = (_versions(servers, name) for name in ("serving", "before"))
    text = f"{service} {now or 'nothing'} serves on {' '.join(servers)}"
    if told["outcome"] == UNCHANGED:
        same = "nothing had to be changed" if not any(s.get("changed") for s in servers.values()) else "as before"
        return f"{text}; {same}."
    back = _versions(servers, "previous")
    kept = f"; was {was}, kept" if was and back else f"; was {was}" if was else ""
    return (
        f"{text}{kept}.{counted_line(told)}{f' Back: stackswap rollback {service}{_drilled(servers)}' if back else ''}"
    )


def _drilled(servers: Mapping[str, Mapping[str, Any]]) -> str:
    """That the way back was tried everywhere, and what it took at the most."""
    took = [s.get("figures", {}).get("drill_ms") for s in servers.values()]
    return f" (tried: {max(took):.0f} ms)" if None not in took else ""


def counted_line(told: Mapping[str, Any]) -> str:
    """What users lost, and which sessions were cut."""
    cuts = [one["cut"] for server in told["servers"].values() for one in server.get("drains", ())]
    return "".join(f" {text}" for text in (loss.sentence(told.get("loss")), drain.sentence(cuts)) if text)


def _bad_line(report: Mapping[str, Any], told: Mapping[str, Any], service: str) -> str:
    server, text = next(iter(report["answers"].items()), ("", "no reason was given"))
    failed = (told["servers"].get(server) or {}).get("failed") or {}
    what = str(failed.get("what") or text).splitlines()[0].rstrip(".")
    everywhere = len(told["servers"]) > 1 and list(report["answers"].values()) == [text] * len(told["servers"])
    head = {GONE: "GONE", UNCHANGED: "NOT switched", BACK: "BACK on the old", NEW: "switched, and not finished"}
    heading = head.get(told["outcome"], "MIXED" if told["outcome"] == MIXED else "UNKNOWN")
    whose = "" if everywhere or not server else f"{server}: "
    counted = "" if told["outcome"] == UNCHANGED else counted_line(told)
    name = f"{service} " if len(report["services"]) > 1 else ""
    return f"{name}{heading}: {whose}{what}.{_users(told)}{counted}{_ways_out(told, service)}"


def _users(told: Mapping[str, Any]) -> str:
    """What users get now, everywhere or server by server."""
    servers, gets = told["servers"], _versions(told["servers"], "serving")
    unheard = [name for name, one in servers.items() if not one.get("heard", True)]
    if told["outcome"] in (UNCHANGED, BACK) and unheard:
        heard = " ".join(name for name in servers if name not in unheard)
        users = f" Users get {gets or 'nothing'} on {heard}, as before." if heard else ""
        return f"{users} Nothing was changed on {' '.join(unheard)}."
    if ", " in gets or told["outcome"] in (MIXED, UNKNOWN):
        return f" {', '.join(f'{name}: {_gets(one)}' for name, one in servers.items())}."
    return f" Users get {gets} everywhere." if gets else ""


def _gets(server: Mapping[str, Any]) -> str:
    """The version that users of a server get; what was last known of one that may have switched since is no answer."""
    return "unknown" if server["outcome"] == UNKNOWN else str((server.get("serving") or {}).get("version") or "unknown")


def _ways_out(told: Mapping[str, Any], service: str) -> str:
    """What makes a mixed stack one again."""
    was = {(one.get("before") or {}).get("version", "") for one in told["servers"].values() if one["outcome"] == NEW}
    if told["outcome"] != MIXED or not told["version"]:
        return ""
    back = f"; or back: stackswap rollback {service} {min(was)}" if len(was - {""}) == 1 else ""
    return f" Finish: stackswap deploy {service} {told['version']}{back}"


def _versions(servers: Mapping[str, Mapping[str, Any]], name: str) -> str:
    found = {(server.get(name) or {}).get("version", "") for server in servers.values()} - {""}
    return ", ".join(sorted(found))
