"""The demo as a newcomer runs it: told as it goes, its last line one JSON object; and all of it taken away again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo import clean, state
from tests.lab.building import docker

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture
def told() -> Iterator[subprocess.CompletedProcess[str]]:
    """The demo run to its end, then cleaned."""
    assert not state.load(), "a demo is set up in this checkout: make clean takes it away"
    try:
        yield subprocess.run(
            [sys.executable, "-m", "tests.demo"], cwd=state.ROOT, capture_output=True, text=True, timeout=600
        )
    finally:
        subprocess.run([sys.executable, "-m", "tests.demo", "clean"], cwd=state.ROOT, check=True)


def test_the_demo_loses_nothing_and_leaves_nothing(told: subprocess.CompletedProcess[str]) -> None:
    """1.0, then 1.1 under load, then back."""
    said = json.loads(told.stdout.splitlines()[-1])
    assert told.returncode == 0, told.stdout + told.stderr
    assert said["ok"] and said["versions"] == ["1.0", "1.1", "1.0"]
    assert (said["failed"], said["streams_cut"]) == (0, 0)
    assert said["requests"] > 1000
    subprocess.run([sys.executable, "-m", "tests.demo", "clean"], cwd=state.ROOT, check=True)
    assert not docker("ps", "--all", "--quiet", *(f"--filter={wanted}" for wanted in clean.CONTAINERS))
    assert not docker("image", "ls", "--quiet", clean.IMAGE)
    assert not any(map(Path.exists, (*clean.FOLDERS, state.FOLDER)))
