"""stackswap callbacks lint: the playbook's findings as lines, and an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stackswap.cli import main


def write(folder: Path, name: str, text: str, mode: int = 0o755) -> None:
    """Write a file of an application."""
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(text.encode())
    path.chmod(mode)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application with one script that is as it should be."""
    write(tmp_path, "app/.artifakt/build.sh", "#!/bin/sh\nset -e\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "app"


def test_nothing_wrong_is_said(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A relative path is meant from here, and no inventory is needed."""
    assert main(["callbacks", "lint", "app"]) == 0
    assert capsys.readouterr().out == "nothing is wrong with the callbacks\n"


def test_errors_come_first_and_are_the_exit_code(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings alone are no failure."""
    write(app, ".artifakt/after.sh", "set -e\n", 0o644)
    assert main(["callbacks", "lint", str(app)]) == 0
    assert [line.split()[:4] for line in capsys.readouterr().out.splitlines()] == [
        ["warning", ".artifakt/after.sh", "is", "not"],
        ["warning", ".artifakt/after.sh", "has", "no"],
    ]
    write(app, ".artifakt/verify.sh", "#!/bin/sh\r\nset -e\r\n")
    assert main(["callbacks", "lint", str(app), "--output", "json"]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["level"], one["file"]) for one in told] == [
        ("error", ".artifakt/verify.sh"),
        ("warning", ".artifakt/after.sh"),
        ("warning", ".artifakt/after.sh"),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "wants the application's folder"),
        (("lint",), "wants the application's folder"),
        (("look", "app"), "wants the application's folder"),
        (("lint", "nosuch"), "there is no folder nosuch"),
        (("lint", "app", "more"), "no more than 2 words"),
    ],
)
def test_what_is_missing_is_said(
    words: tuple[str, ...], said: str, app: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything runs."""
    assert main(["callbacks", *words]) == 2
    assert said in capsys.readouterr().err
