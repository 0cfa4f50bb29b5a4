"""The collection's Molecule scenarios, against the engine of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import images

pytestmark = [pytest.mark.engine, pytest.mark.slow]

COLLECTION = Path(__file__).parents[2] / "collection"
TOOLS = Path(sys.executable).parent


def test_every_scenario_converges_and_a_second_run_changes_nothing() -> None:
    """Each is converged, run again and verified; what they made is removed."""
    found = {"PATH": f"{TOOLS}:{os.environ['PATH']}", "STACKSWAP_MOLECULE_IMAGE": images.busybox()}
    environ = {**os.environ, **found, "NO_COLOR": "1"}
    command = [TOOLS / "molecule", "test", "--all"]
    done = subprocess.run(command, cwd=COLLECTION, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    for scenario in ("deploy", "setup"):
        assert f"{scenario} > idempotence: Executed: Successful" in done.stdout + done.stderr
