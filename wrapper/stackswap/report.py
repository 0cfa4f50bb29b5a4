"""What came of a job: status, outcome for users, exit code, and the report as a document.

Pure. Outcome and exit code come from what servers said, not from Ansible's counters, which call a
rescued failure success and an ignored one nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stackswap.errors import error_of
from stackswap.fold import Fold, outcome, together, unheard, whole
from stackswap.loss import summed
from stackswap.words import line_of, not_begun

EXITS = {"failed": 1, "error": 4, "timeout": 6, "canceled": 130, "successful": 0}
REASONS = {1: "failed", 2: "usage", 3: "unreachable", 4: "internal", 5: "claimed",
           6: "deadline", 130: "user"}  # fmt: skip
ERROR = re.compile(r"^\[ERROR\]|^ERROR!|: error: ")
SETBACKS = {"unreachable"}


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How the run ended for the wrapper. stop: canceled or timeout, cut: it was torn off."""

    rc: int | None = None
    stop: str = ""
    cut: bool = False
    lost: bool = False
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of a job. document is the report by its schema; working: servers not heard out."""

    job: str
    kind: str
    status: str
    reason: str
    exit: int
    document: Mapping[str, Any] = field(repr=False)
    working: tuple[str, ...] = ()
    rc: int | None = None
    said: str = field(default="", repr=False)
    started: str = ""
    finished: str = ""

    @property
    def ok(self) -> bool:
        """Whether all went well."""
        return self.exit == 0

    @property
    def outcome(self) -> str:
        """What users got: unchanged, new, back, mixed, unknown."""
        return str(self.document["outcome"])

    @property
    def line(self) -> str:
        """The last line, for people."""
        return str(self.document["line"])

    @property
    def services(self) -> Mapping[str, Any]:
        """What each service came to."""
        return self.document["services"]

    @property
    def servers(self) -> dict[str, Any]:
        """What each server came to; of a job for several services, by service/server."""
        alone = len(self.services) == 1
        return {
            server if alone else f"{name}/{server}": said
            for name, service in self.services.items()
            for server, said in service["servers"].items()
        }

    @property
    def backing(self) -> Mapping[str, Any]:
        """Of a status the backing services, by server."""
        return dict(self.document.get("backing", {}))

    def raise_for_status(self) -> None:
        """Nothing, if all went well; else the exception for it."""
        if not self.ok:
            raise error_of(self.exit)(self)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON data: what result.json holds."""
        told = {"v": 1, "job": self.job, "kind": self.kind, "status": self.status}
        told |= {"outcome": self.outcome, "reason": self.reason, "exit": self.exit, "rc": self.rc}
        told |= {"started": self.started, "finished": self.finished, "line": self.line}
        return {**told, "working": list(self.working), "said": self.said, "report": self.document}

    def to_json(self, indent: int | None = None) -> str:
        """All of it as JSON text."""
        return json.dumps(self.to_dict(), indent=indent)


def read(told: Mapping[str, Any]) -> Report:
    """The report in a result.json."""
    names = ("job", "kind", "status", "reason", "exit", "rc", "started", "finished", "said")
    kept = {name: told[name] for name in names if name in told}
    return Report(document=told["report"], working=tuple(told.get("working", ())), **kept)


def document(fold: Fold, status: str, working: tuple[str, ...] = ()) -> dict[str, Any]:
    """The report that the events alone give. working: servers whose last call was not heard out."""
    environments = {r["environment"] for s in fold.services.values() for r in s.values()}
    environment = min(environments, default="")
    places = {name: dict(servers) for name, servers in fold.services.items()}
    answers = dict(fold.answers)
    for server in working:
        answers.setdefault(server, "its last call was not heard out")
    _fill(fold, places, environment, [*working, *fold.silent])
    services = {name: _service(fold, name, servers) for name, servers in places.items()}
    found = [service["outcome"] for service in services.values()]
    unplaced = ["unknown"] if (working or fold.silent) and not services else []
    told: dict[str, Any] = {
        "v": 1,
        "job": {"id": fold.job, "kind": fold.kind, "environment": environment},
        "status": status,
        "outcome": together([*found, *unplaced]),
        "services": services,
        "answers": answers,
        **_lost(services),
    }
    return {**told, "line": line_of(told, working) if fold.played else not_begun(fold.kind, status)}


def _lost(services: Mapping[str, Any]) -> dict[str, Any]:
    """The sum over all services."""
    servers = [server for service in services.values() for server in service["servers"].values()]
    counted = summed(server.get("loss") for server in servers)
    return {"loss": counted} if counted else {}


def _fill(fold: Fold, places: dict[str, dict[str, Any]], environment: str, silent: Iterable[str]) -> None:
    """Mark the servers that were not heard to the end, in every service that they may have."""
    for server in silent:
        mine = [name for name, servers in places.items() if server in servers]
        for name in mine or fold.named or list(places):
            servers = places.setdefault(name, {})
            known = servers.get(server) or unheard(name, environment)
            servers[server] = {**known, "outcome": "unknown"}


def _service(fold: Fold, name: str, servers: Mapping[str, Any]) -> dict[str, Any]:
    told = {s: {**said, "outcome": said.get("outcome") or outcome(said)}
            for s, said in servers.items()}  # fmt: skip
    asked = {str((said.get("asked") or {}).get("version", "")) for said in servers.values()} - {""}
    version = fold.version if fold.asks(name) else min(asked, default="")
    counted = summed(said.get("loss") for said in told.values())
    lost = {"loss": counted} if counted else {}
    return {"version": version, "outcome": whole(told), "servers": told, **lost}


def judge(fold: Fold, ending: Ending, started: str = "", finished: str = "") -> Report:
    """What came of it all."""
    working = tuple(fold.working()) if ending.cut or ending.lost else ()
    well = _well(fold, ending)
    told = fold.report
    if told is None or working:
        told = document(fold, "successful" if well else "failed", working)
    status, code = ("successful", 0) if well else _badly(fold, told, ending)
    said = "" if well else "\n".join(filter(None, [ending.error, *_unplayed(fold)]))
    return Report(
        job=fold.job, kind=fold.kind, status=status, exit=code, document=told, working=working,
        reason="" if not code else "lost" if ending.lost else REASONS.get(code, "failed"),
        rc=ending.rc, said=said, started=started, finished=finished,
    )  # fmt: skip


def _well(fold: Fold, ending: Ending) -> bool:
    """Whether all of it succeeded. A lost return code is made good by a report, nothing else is."""
    if ending.lost or ((ending.cut or ending.error) and fold.report is None):
        return False
    if fold.report is not None:
        return fold.report["status"] == "successful" and ending.rc in (0, None)
    failed = any(one["failed"] for servers in fold.services.values() for one in servers.values())
    return ending.rc == 0 and not failed and not fold.silent


def _badly(fold: Fold, told: Mapping[str, Any], ending: Ending) -> tuple[str, int]:
    """Status and exit code of a job that did not succeed."""
    if ending.stop:
        return ending.stop, EXITS[ending.stop]
    if ending.lost:
        return "error", 4
    command = _exit_code(told)
    if command:
        return "failed", command
    if not fold.played:
        refused = ending.rc is not None and 0 < ending.rc < 127
        return "error", 2 if refused else 4
    heard = fold.causes | _causes(told)
    untouched = together(_outcomes(told)) == "unchanged"
    if "claimed" in heard or ("held" in heard and untouched):
        return "failed", 5
    if heard == {"bad_input"} and untouched:
        return "failed", 2
    if "unreachable" in heard and heard <= SETBACKS and not _other(fold):
        return "failed", 3
    if not heard and not fold.broken and fold.report is None:
        return "error", 4
    return "failed", 1


def _exit_code(told: Mapping[str, Any]) -> int:
    """The exit code of the command that a job has run in a service; 0 where it has run none."""
    servers = [one for service in told["services"].values() for one in service["servers"].values()]
    codes = [(one.get("figures") or {}).get("exit_code") for one in servers]
    return next((code for code in codes if isinstance(code, int)), 0)


def _other(fold: Fold) -> bool:
    """Whether something else than silence failed; where the playbook reports, its word counts."""
    return fold.broken and fold.report is None


def _outcomes(told: Mapping[str, Any]) -> list[str]:
    return [one["outcome"] for service in told["services"].values() for one in service["servers"].values()]


def _causes(told: Mapping[str, Any]) -> set[str]:
    servers = [one for service in told["services"].values() for one in service["servers"].values()]
    return {one["failed"].get("cause", "") for one in servers if one.get("failed")}


def _unplayed(fold: Fold) -> list[str]:
    """Ansible's own words on why no play began, or why one broke off: from the error on."""
    if fold.played and fold.report is not None:
        return []
    errors = [at for at, text in enumerate(fold.texts) if ERROR.search(text)]
    usage = bool(errors) and "error: " in fold.texts[errors[0]] and fold.texts[0][:6] == "usage:"
    if errors:
        return fold.texts[errors[0] :][: 1 if usage else 20]
    return [] if fold.played else fold.texts[-10:]
