"""Jobs that show what a service says: that alone on standard output, kept nowhere, and the command's exit code."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import document, fleet
from stackswap.events import Event
from stackswap.fold import Fold
from stackswap.job import Clocks, Patience, Running
from stackswap.report import Ending, Report, judge
from stackswap.show.through import Through
from stackswap.spec import Spec
from stackswap.store import Folder, Store

NOW = {"release": "a", "version": "1", "slot": "blue"}


def ended(code: int, text: str = "") -> Report:
    """An exec that came to its end."""
    server = {**fleet.blank("shop", "test", "observed"), "before": NOW, "serving": NOW, "figures": {"exit_code": code}}
    job = {"id": "j", "kind": "exec", "environment": "test", "service": "shop", "version": ""}
    whys = {"web1": text} if text else {}
    report = document.report_of({"reports": {"web1": server}, "whys": whys}, ["web1"], job, None)
    fold = Fold("j", "exec", "shop")
    for event in (Event("play.started"), Event("play.ended", {"report": report})):
        fold.add(event)
    return judge(fold, Ending(rc=2 if text else 0))


@pytest.mark.parametrize("code", [1, 3, 5, 42, 255])
def test_the_commands_exit_code_is_the_jobs(code: int) -> None:
    """Whatever it is, though some of them have a meaning of ours elsewhere."""
    report = ended(code, f"the command ended with exit code {code}")
    assert (report.exit, report.status) == (code, "failed")
    assert report.line == f"web1: the command ended with exit code {code}"


def test_a_command_that_ends_well_is_a_job_that_does() -> None:
    """Its exit code is 0."""
    assert (ended(0).exit, ended(0).status, ended(0).outcome) == (0, "successful", "unchanged")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """Of a job that is alive."""
    begun = Store(tmp_path).create("20260101-000000-abcdef")
    begun.begin({})
    yield begun
    begun.release()


def test_only_what_the_service_says_goes_to_standard_output(folder: Folder) -> None:
    """With its server before it in logs; it is in no file of the job, for it may hold anything."""
    out, err = io.StringIO(), io.StringIO()
    running = Running(Spec(kind="logs"), folder, Through(out, err), Patience(), Clocks())
    events: list[tuple[str, dict[str, Any]]] = [
        ("host.started", {"action": "logs"}),
        ("progress", {"phase": "log", "msg": "a SECRET of the application's"}),
        ("progress", {"phase": "out", "msg": "three"}),
        ("progress", {"phase": "await", "msg": "no"}),
        ("message", {"level": "warning", "text": "no"}),
        ("host.ok", {"action": "logs", "changed": True}),
    ]
    for kind, data in events:
        running.tell(Event(kind, data, "web1"))
    running.screen.finish(ended(3, "it failed"))
    assert out.getvalue() == "web1 | a SECRET of the application's\nthree\n"
    assert err.getvalue() == "web1: it failed\n"
    kept = [path.read_text() for path in folder.path.rglob("*") if path.is_file()]
    assert any("await" in text for text in kept) and not any("SECRET" in text for text in kept)
