"""ansible-runner's events as our own: few types, little data, nothing that looks secret.

Pure. What is written, folded and drawn are these, so that a job can be told again from its file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST = 32_768
MASK = "***"
SECRET = re.compile(
    r"passw|passphrase|secret|token|credential|(private|api|access|encryption)[_-]?key"
    r"|(^|[_-])(key|pass|pwd|auth|authorization)$",
    re.IGNORECASE,
)
SHOWN = re.compile(r'"([\w.-]+)": ("(?:[^"\\]|\\.)*"|\{[^{}]*\})')
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
PROGRESS = "progress: "

RESULTS = {
    "runner_on_ok": "host.ok",
    "runner_on_failed": "host.failed",
    "runner_on_unreachable": "host.unreachable",
    "runner_on_skipped": "host.skipped",
    "runner_item_on_ok": "item.ok",
    "runner_item_on_failed": "item.failed",
}
LEVELS = {"warning": "warning", "system_warning": "warning", "error": "error", "verbose": "text"}


@dataclass(frozen=True)
class Event:
    """Something that happened: job.*, play.*, task.*, host.*, item.*, progress, message."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    host: str | None = None
    task: str | None = None

    def envelope(self, job: str, seq: int, ts: str) -> dict[str, Any]:
        """As it is written: one line of events.ndjson."""
        where = {"host": self.host, "task": self.task}
        told = {name: value for name, value in where.items() if value is not None}
        return {"v": 1, "seq": seq, "ts": ts, "job": job, "type": self.type, **told,
                "data": dict(self.data)}  # fmt: skip


def opened(envelope: Mapping[str, Any]) -> Event:
    """The event in an envelope."""
    return Event(envelope["type"], envelope.get("data", {}), envelope.get("host"), envelope.get("task"))


def translate(raw: Mapping[str, Any]) -> Iterator[Event]:
    """What one of ansible-runner's events says to us; nothing, for most kinds."""
    kind, data = raw.get("event", ""), raw.get("event_data") or {}
    task = data.get("task") or None
    if kind in RESULTS:
        yield Event(RESULTS[kind], _result(data), data.get("host"), task)
    elif kind == "runner_on_start":
        yield Event("host.started", _action(data), data.get("host"), task)
    elif kind == "playbook_on_task_start":
        yield Event("task.started", _action(data), None, task)
    elif kind == "playbook_on_play_start":
        yield Event("play.started", {"play": data.get("play") or data.get("name") or ""})
    elif kind == "playbook_on_stats":
        yield Event("play.ended", _ended(data))
    elif kind in LEVELS:
        yield from _lines(LEVELS[kind], plain(raw.get("stdout") or ""), task)


def plain(text: str) -> str:
    """The text without colours."""
    return COLOUR.sub("", text).replace("\r", "")


def mask(text: str) -> str:
    """Ansible's own text, in which -v shows results as JSON: masked by key, as far as text goes."""
    return SHOWN.sub(lambda found: f'"{found[1]}": {_shown(*found.groups())}', text)


def _shown(key: str, value: str) -> str:
    return f'"{MASK}"' if SECRET.search(key) else value if value[0] != "{" else mask(value)


def scrub(value: Any) -> Any:
    """The value as JSON data, masked wherever its key looks secret."""
    if isinstance(value, Mapping):
        return {str(key): _masked(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(one) for one in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _masked(key: str, value: Any) -> Any:
    hidden = SECRET.search(key) and value not in (None, "", True, False)
    return MASK if hidden else scrub(value)


def _action(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"action": data.get("resolved_action") or data.get("task_action") or ""}


def _result(data: Mapping[str, Any]) -> dict[str, Any]:
    res = data.get("res")
    res = res if isinstance(res, Mapping) else {}
    told: dict[str, Any] = {**_action(data), "changed": bool(res.get("changed"))}
    if data.get("duration"):
        told["seconds"] = round(float(data["duration"]), 2)
    if data.get("ignore_errors") or res.get("ignore_unreachable"):
        told["ignored"] = True
    if res.get("censored"):
        told["msg"] = "what came of it is hidden by no_log"
    elif res.get("msg"):
        told["msg"] = _text(res["msg"])
    if isinstance(res.get("stackswap"), Mapping):
        told["stackswap"] = scrub(res["stackswap"])
    return _fit(told)


def _text(msg: Any) -> str:
    return msg if isinstance(msg, str) else json.dumps(scrub(msg))


def _ended(data: Mapping[str, Any]) -> dict[str, Any]:
    """The end of all plays, with the report where the playbook made one."""
    report = (data.get("artifact_data") or {}).get("stackswap_report")
    return {"report": scrub(report)} if isinstance(report, Mapping) else {}


def _lines(level: str, text: str, task: str | None) -> Iterator[Event]:
    for line in text.split("\n") if level == "text" else [text]:
        told = _progress(line, task) if line.startswith(PROGRESS) else None
        if told or line.strip():
            yield told or Event("message", {"level": level, "text": line[:4000]}, None, task)


def _progress(line: str, task: str | None) -> Event | None:
    """A line of a long module: 'progress: {"host":.., "phase":.., "msg":.., "n":.., "of":..}'."""
    try:
        told = json.loads(line.removeprefix(PROGRESS))
    except ValueError:
        return None
    if not isinstance(told, dict):
        return None
    kept = {name: told[name] for name in ("phase", "msg", "n", "of", "t") if name in told}
    return Event("progress", _fit(kept), told.get("host"), task)


def _fit(data: dict[str, Any]) -> dict[str, Any]:
    """The data in less than MOST bytes: the state is kept, what is long is cut."""
    if len(json.dumps(data)) <= MOST:
        return data
    short = {**data, "cut": True, "msg": str(data.get("msg", ""))[:2000]}
    report: Mapping[str, Any] = data.get("stackswap") or {}
    for cut in (_shorter, _bare) if report else ():
        short["stackswap"] = cut(report)
        if len(json.dumps(short)) <= MOST:
            return short
    return {name: value for name, value in short.items() if name != "stackswap"}


def _shorter(report: Mapping[str, Any]) -> dict[str, Any]:
    steps = [{**step, "did": str(step.get("did"))[:300]} for step in report.get("steps") or ()]
    return {**report, "plan": [], "steps": steps[-60:], "failed": _failure(report.get("failed"))}


def _bare(report: Mapping[str, Any]) -> dict[str, Any]:
    return {**_shorter(report), "steps": [], "figures": {}}


def _failure(failed: Any) -> Any:
    if not isinstance(failed, Mapping):
        return None
    clipped = {key: value[:1000] for key, value in failed.items() if isinstance(value, str)}
    return {**clipped, "evidence": [str(line)[:200] for line in failed.get("evidence") or ()][-20:]}
