# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HostReport: what one call did on one server, the one document for results, failures and the wrapper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError, explain
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Release, Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.words import sentence

FORMAT = 1
IN_MAINTENANCE = "users get the maintenance page all the while; to let them in: stackswap maintenance {name} end"


def host_report(
    service: Service, release: Release | None, order: Order, result: Result, manifests: Mapping[str, Any]
) -> dict[str, Any]:
    """The report of a call. manifests: of the releases that containers no longer tell of, by name."""
    versions = known_versions(result, release, manifests)
    report = {
        "v": FORMAT,
        "service": service.name,
        "environment": service.environment,
        "job": order.job,
        "rung": order.state,
        "changed": result.changed,
        "before": serving(result.before, versions),
        "serving": serving(result.after, versions),
        "asked": {"release": release.name, "version": release.version, "digest": release.digest} if release else None,
        "previous": previous(result.after, versions),
        "steps": [
            {"verb": step.verb, "did": _named(step, service, versions, True), "seconds": round(seconds, 3)}
            for step, seconds in result.done
        ],
        "plan": [_named(step, service, versions, False) for step in result.plan],
        "figures": dict(result.figures or {}),
        "callbacks": [dict(told) for told in result.callbacks],
        "drains": [dict(told) for told in result.drains],
        "notes": draining(service, result.after) if order.state == "settled" else [],
        "maintenance": result.after.view.closed,
        "warnings": [
            *result.warnings,
            *([IN_MAINTENANCE.format(name=service.name)] if result.after.view.closed else []),
        ],
        "failed": None,
    }
    if result.after.crew:
        report["processes"] = crew(result.after)
    if result.loss is not None:
        report["loss"] = dict(result.loss)
    if result.error is not None:
        report["failed"] = failure(service, release, result.error, result.after, versions)
    return report


def failure(
    service: Service,
    release: Release | None,
    error: StackswapError,
    after: Look | None = None,
    versions: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The four sentences of an error, and its evidence."""
    versions, asked = versions or {}, release.version if release else ""
    now = serving(after, versions) if after else None
    step = error.facts.get("step")
    what = error.what
    if step is not None and step.release:
        what = f"{service.name} {versions.get(step.release, asked)} {what}"
    told = explain(error.cause, what, service.name, asked, now["version"] if now else "", kept(after, release))
    if "retreat" in error.facts:
        told["what"] += f"; and the way back was cut off: {error.facts['retreat']}"
    if "blind" in error.facts:
        told.update(serves=f"what users get cannot be told: {error.facts['blind']}", kept="not known")
    return {**told, "evidence": list(error.evidence)}


def draining(service: Service, after: Look) -> list[str]:
    """Who was let go and still runs: the next call stops it."""
    seen = after.seen
    left = [r.version for r in after.replicas if r.running and r.slot and not planner.routed(seen, r.slot)]
    return [f"{service.name} {version} finishes what it has, and the next job stops it" for version in sorted({*left})]


def kept(after: Look | None, release: Release | None) -> str:
    """The candidate's containers that stand stopped, with their logs."""
    if after is None or release is None:
        return ""
    names = [r.name for r in after.containers if r.release == release.name and not r.running]
    return f"stopped, with its log: {' '.join(names)}" if names else ""


def known_versions(result: Result, release: Release | None, manifests: Mapping[str, Any]) -> dict[str, str]:
    """Release names to the versions that people know."""
    told = {name: str(data.get("version", "")) for name, data in manifests.items()}
    told.update({r.release: r.version for look in (result.before, result.after) for r in look.containers})
    return {**told, release.name: release.version} if release else told


def serving(look: Look, versions: Mapping[str, str]) -> dict[str, Any] | None:
    """What users get: the live release; its backup while the proxy falls back on it."""
    seen = look.seen
    slots = [slot for slot in planner.slots(seen.runtime) if slot]
    slot = next((s for s in slots if planner.up(seen, s)), slots[0] if slots else "")
    placed = seen.occupant(slot) if slot else None
    if placed is None:
        return _worked(look, versions)
    digest = next((r.digest for r in look.of(placed.release, slot)), "")
    version = versions.get(placed.release, "")
    return {
        "release": placed.release,
        "version": version,
        "digest": digest,
        "slot": slot,
        "healthy": placed.up,
        "since": next((r.started for r in look.of(placed.release, slot)), ""),
    }


def _worked(look: Look, versions: Mapping[str, str]) -> dict[str, Any] | None:
    """On a server without web, the release whose workers run."""
    name = look.seen.working
    if not name:
        return None
    group = [r for r in look.crew if r.release == name]
    first = min(group, key=lambda r: r.process)
    return {
        "release": name,
        "version": versions.get(name, ""),
        "digest": first.digest,
        "slot": "",
        "healthy": all(one.works for one in look.seen.workers if one.release == name),
        "since": first.started,
        "process": first.process,
    }


def crew(look: Look) -> list[dict[str, Any]]:
    """The processes without traffic, of which something runs or ought to."""
    live = planner.live_release(look.seen)
    running = [one for one in look.seen.workers if not one.clocked]
    shown = [one for one in running if one.running != "none" or one.release == live]
    return [
        {
            "process": one.process,
            "release": one.release,
            "version": next((r.version for r in group), ""),
            "running": sum(r.running for r in group),
            "of": max((r.of for r in group), default=1),
            "restarts": sum(r.restarts for r in group),
        }
        for one in shown
        for group in [[r for r in look.crew if (r.process, r.release) == (one.process, one.release)]]
    ]


def schedules(look: Look, runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What cron runs, and how the last runs of each ended, the newest first."""
    made = {(r.process, r.release): r for r in look.crew}
    return [
        {
            "process": name,
            "release": release,
            "version": getattr(made.get((name, release)), "version", ""),
            "schedule": getattr(made.get((name, release)), "schedule", ""),
            "runs": [dict(run) for run in runs if run.get("process") == name][:5],
        }
        for name, release in look.seen.scheduled
    ]


def previous(look: Look, versions: Mapping[str, str]) -> dict[str, str] | None:
    """What a rollback without a version goes to."""
    name = planner.previous(look.seen)
    return {"release": name, "version": versions.get(name, "")} if name else None


def _named(step: Any, service: Service, versions: Mapping[str, str], past: bool) -> str:
    named = {name: f"{service.name} {version}" for name, version in versions.items()}
    return sentence(step, named, past)
