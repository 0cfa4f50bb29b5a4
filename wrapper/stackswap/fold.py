"""What is known of every server, from what was heard of it: the report that a lost job still has.

Pure. Equal to the collection's own report wherever a playbook came to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stackswap.events import Event

# Actions that run on the control node or the builder: what becomes of them says nothing of a server.
ELSEWHERE = frozenset(
    "add_host assert debug fail fleet_gate group_by image_build import_role import_tasks "
    "include_role include_tasks include_vars meta pause preflight report set_fact set_stats".split()
)
GATES = frozenset({"fleet_gate", "report"})
SHOWN = ("serving", "previous")  # nothing is an answer too
LISTS = ("callbacks", "warnings", "drains", "notes")
SWAPS = ("stackswap.bluegreen.release", "stackswap.bluegreen.service")
UNHEARD = "unknown"
ALL = "all"  # in the place of a service: every one of the inventory


class Fold:
    """The tally of a job. services: what each server last said; answers: why a server failed.

    service: the name that was asked for, or several with commas, or ``all``.
    """

    def __init__(self, job: str, kind: str, service: str = "", version: str = "") -> None:
        self.job, self.kind, self.service, self.version = job, kind, service, version
        self.services: dict[str, dict[str, dict[str, Any]]] = {}
        self.answers: dict[str, str] = {}
        self.causes: set[str] = set()
        self.silent: dict[str, str] = {}
        self.busy: dict[str, str] = {}
        self.texts: list[str] = []
        self.report: Mapping[str, Any] | None = None
        self.played = self.broken = False

    def add(self, event: Event) -> None:
        """Take in what happened."""
        if event.type == "play.started":
            self.played = True
        elif event.type == "play.ended":
            report = event.data.get("report")
            self.report = report if _fits(report) else None
        elif event.type == "message" and event.data.get("level") != "warning":
            self._said(event)
        elif event.host and event.type.partition(".")[0] in ("host", "item"):
            self._of_host(event.host, event)

    def asks(self, service: str) -> bool:
        """Whether the job is for this service."""
        return self.service == ALL or service in self.named

    @property
    def named(self) -> list[str]:
        """The services that were asked for by name."""
        return [one.strip() for one in self.service.split(",") if one.strip() not in ("", ALL)]

    def working(self) -> list[str]:
        """The servers from which an answer was awaited when the last event came."""
        return sorted(host for host, action in self.busy.items() if _last(action) not in ELSEWHERE)

    def _said(self, event: Event) -> None:
        """Ansible's own words matter until a play begins: they tell why none does."""
        if not self.played or event.data.get("level") == "error":
            self.texts = [*self.texts, str(event.data.get("text", ""))][-200:]

    def _of_host(self, host: str, event: Event) -> None:
        action = str(event.data.get("action", ""))
        if event.type == "host.started":
            self.busy[host] = action
            return
        if event.type.startswith("host."):
            self.busy.pop(host, None)
        report = event.data.get("stackswap")
        if isinstance(report, Mapping) and _is_report(report):
            self._heard(host, report, str(event.data.get("msg") or ""))
        elif event.type == "host.unreachable":
            self._unreachable(host, event)
        elif event.type == "host.failed":
            self._failed(host, action, event)

    def _heard(self, host: str, report: Mapping[str, Any], msg: str) -> None:
        servers = self.services.setdefault(report["service"], {})
        servers[host] = merge(servers.get(host), report)
        self.silent.pop(host, None)
        if report["failed"]:
            text = msg or report["failed"].get("what", "")
            self.answers[host] = f"{report['service']}: {text}" if len(self.services) > 1 else text
            self.causes.add(report["failed"].get("cause", ""))

    def _unreachable(self, host: str, event: Event) -> None:
        self.answers[host] = self.silent[host] = str(event.data.get("msg") or "unreachable")
        self.causes.add("unreachable")

    def _failed(self, host: str, action: str, event: Event) -> None:
        """A failure without a HostReport. A gate's own, on whichever server, is no server's."""
        if _last(action) in GATES:
            return
        if _last(action) == "preflight":  # what was asked is refused before any server is touched
            self.causes.add("bad_input")
        if action in SWAPS:  # it broke off without a report: what serves there now is not known
            self.silent[host] = str(event.data.get("msg") or "failed")
        if not event.data.get("ignored"):
            self.answers[host] = str(event.data.get("msg") or "failed")
            self.broken = True


def merge(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> dict[str, Any]:
    """What a server said in one call more: its last state, its first baseline and first failure,
    all its steps. A call that could not look (heard: false, or it failed with nothing seen) leaves what serves."""
    if before is None:
        return dict(now)
    heard, known = now.get("heard", True), before.get("heard", True)
    blind = not heard or bool(now["failed"] and not (now["before"] or now["serving"] or now["steps"]))
    unseen = {name: before.get(name) for name in SHOWN} if blind else {}
    state = {**now, **unseen}
    return {
        **before,
        **{name: value for name, value in state.items() if value is not None or name in SHOWN},
        "before": before["before"] if known else now["before"],
        "changed": before["changed"] or now["changed"],
        "steps": [*before["steps"], *now["steps"]],
        "figures": {**before.get("figures", {}), **now.get("figures", {})},
        **{name: _joined(before, now, name) for name in LISTS if name in before or name in now},
        "failed": before["failed"] or now["failed"],
        "heard": known or heard,
    }


def _joined(before: Mapping[str, Any], now: Mapping[str, Any], name: str) -> list[Any]:
    """What was told in all calls; a warning or a note is told once."""
    found = [*before.get(name, ()), *now.get(name, ())]
    return [one for number, one in enumerate(found) if name in ("callbacks", "drains") or one not in found[:number]]


def outcome(report: Mapping[str, Any]) -> str:
    """What a server's users got."""
    if not report.get("heard", True):
        return UNHEARD
    if report["before"] and not report["serving"]:
        return "gone"
    if _release(report["before"]) != _release(report["serving"]):
        return "new"
    routed = any(step.get("verb") == "route" for step in report["steps"])
    return "back" if routed else "unchanged"


def together(outcomes: Iterable[str]) -> str:
    """What the users of several servers got."""
    found = set(outcomes)
    if not found:
        return "unchanged"
    if len(found) == 1:
        return found.pop()
    if found == {"back", "unchanged"}:  # who never left is where the others are again
        return "back"
    return UNHEARD if UNHEARD in found else "mixed"


def whole(servers: Mapping[str, Mapping[str, Any]]) -> str:
    """What the users of a service got: where all serve one version in the end, who had it before has been joined."""
    found = together(one["outcome"] for one in servers.values())
    serving = {(one.get("serving") or {}).get("version") for one in servers.values()}
    return "new" if found == "mixed" and len(serving) == 1 and None not in serving else found


def unheard(service: str, environment: str) -> dict[str, Any]:
    """The place of a server that never spoke."""
    return {"v": 1, "service": service, "environment": environment, "rung": "observed",
            "changed": False, "before": None, "serving": None, "steps": [], "failed": None,
            "heard": False}  # fmt: skip


def _release(release: Any) -> Any:
    return release.get("release") if isinstance(release, Mapping) else None


def _last(action: str) -> str:
    return action.rpartition(".")[2]


def _is_report(report: Mapping[str, Any]) -> bool:
    """Whether it is a HostReport of the version that we know."""
    needed = ("service", "environment", "rung", "changed", "before", "serving", "steps", "failed")
    return report.get("v") == 1 and all(name in report for name in needed)


def _fits(report: Any) -> bool:
    """Whether it is a report of the version that we know."""
    needed = ("job", "status", "outcome", "services", "answers", "line")
    return isinstance(report, Mapping) and report.get("v") == 1 and all(n in report for n in needed)
