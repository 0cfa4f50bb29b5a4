"""The last line of a job for people, where the playbook did not come to write its own.

Pure. Takes the report as data, so that it reads the same of a job that was lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stackswap.loss import cut, sentence, summed

UNKNOWN = "not known"
Servers = Mapping[str, Mapping[str, Any]]


def line_of(report: Mapping[str, Any], working: Sequence[str]) -> str:
    """One line: what serves where, why it failed, what to type."""
    told = [_service(name, service["servers"]) for name, service in report["services"].items()]
    kind, why = report["job"]["kind"], _why(report["answers"])
    if not told and not working:
        return f"{kind}: {report['status']}{why}"
    if report["status"] == "successful":
        if kind == "remove":
            return " ".join(_removed(name, servers) for name, _, servers in told)
        return "\n".join(_restarted(*item) if kind == "restart" else _well(*item) for item in told)
    still = f" May still be at work: {' '.join(working)}." if working else ""
    look = _look(report) if report["outcome"] in ("mixed", "unknown") else ""
    counted = "" if report["outcome"] == "unchanged" else sentence(report.get("loss"))
    now = [_now(item, alone=len(told) == 1) for item in told]
    parts = [f"{_verdict(report['outcome'])}{why}.{still}", *now, counted, look]
    return " ".join(filter(None, parts))


def not_begun(kind: str, status: str) -> str:
    """Of a job in which no play began: a listing, or a refusal by Ansible."""
    return f"{kind} {'did not begin' if status == 'failed' else 'only listed'}: nothing was changed."


def _service(name: str, servers: Servers) -> tuple[str, dict[str, list[str]], Servers]:
    """A service with the servers of each version that serves."""
    versions: dict[str, list[str]] = {}
    for server, report in servers.items():
        versions.setdefault(_version(report), []).append(server)
    return name, versions, servers


def _version(report: Mapping[str, Any]) -> str:
    if report["outcome"] == "unknown":
        return UNKNOWN
    return (report["serving"] or {}).get("version", "nothing")


def _well(name: str, versions: Mapping[str, Sequence[str]], servers: Servers) -> str:
    serves = ", ".join(f"{name} {version} serves on {_and(on)}" for version, on in versions.items())
    was = {_before(one) for one in servers.values() if one["outcome"] == "new"} - {""}
    kept = any(one.get("previous") for one in servers.values())
    if not any(one["outcome"] != "unchanged" for one in servers.values()):
        return f"{serves}; nothing to change."
    if not was:
        return f"{serves}."
    back = f" Back: stackswap rollback {name}" if kept else ""
    counted = sentence(summed(one.get("loss") for one in servers.values()))
    told = "".join(f" {text}" for text in (counted, cut(servers.values())) if text)
    return f"{serves}; was {', '.join(sorted(was))}{', kept' if kept else ''}.{told}{back}"


def _removed(name: str, servers: Servers) -> str:
    left = [server for server, one in servers.items() if one["changed"]]
    return f"{name} has left {_and(left)}." if left else f"{name} is on none of {_and(list(servers))}."


def _restarted(name: str, versions: Mapping[str, Sequence[str]], servers: Servers) -> str:
    if not any(one["outcome"] == "new" for one in servers.values()):
        return _well(name, versions, servers)
    return " ".join(f"{name} {version} was restarted on {_and(on)}." for version, on in versions.items())


def _before(report: Mapping[str, Any]) -> str:
    return (report["before"] or {}).get("version", "")


def _now(told: tuple[str, dict[str, list[str]], Servers], alone: bool) -> str:
    """What users get of a service; its name is told where there are others."""
    service, versions, _ = told
    name = "" if alone else f"{service} "
    known = {version: on for version, on in versions.items() if version != UNKNOWN}
    lost = f"Not known: {_and(versions[UNKNOWN])}." if UNKNOWN in versions else ""
    if len(known) == 1 and not lost:
        return f"Users get {name}{next(iter(known))} everywhere."
    serve = ", ".join(f"{name}{version} on {_and(on)}" for version, on in known.items())
    return " ".join(filter(None, [f"Users get {serve}." if serve else "", lost]))


def _and(servers: Sequence[str]) -> str:
    return " ".join(sorted(servers))


def _why(answers: Mapping[str, str]) -> str:
    if not answers:
        return ""
    server, what = next(iter(answers.items()))
    more = f" (and {len(answers) - 1} more)" if len(answers) > 1 else ""
    return f": {server}: {what.partition(chr(10))[0].rstrip('.')}{more}"


def _verdict(outcome: str) -> str:
    verdicts = {
        "gone": "GONE",
        "unchanged": "NOT switched",
        "back": "WENT BACK",
        "mixed": "MIXED",
        "unknown": "BROKEN OFF",
        "new": "FAILED after the switch",
    }
    return verdicts[outcome]


def _look(report: Mapping[str, Any]) -> str:
    services = list(report["services"])
    return f"Look: stackswap status {services[0] if len(services) == 1 else ''}".rstrip()
