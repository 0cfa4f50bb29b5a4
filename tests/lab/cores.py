"""Other releases of ansible-core, each in a folder of its own with its commands; made once."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tests.lab.alone import alone

BUILD = Path(__file__).parents[2] / ".build" / "cores"
OWN = ".".join(version("ansible-core").split(".")[:2])
CORES = sorted({"2.18", "2.19", OWN})  # the oldest that is promised, one between, the newest for this Python


@alone("cores")
def commands(core: str) -> Path:
    """Return the folder of a release's commands; the checkout's own where it is that one."""
    if core == OWN:
        return Path(sys.executable).parent
    folder = BUILD / core
    if not (folder / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        wanted = [f"ansible-core=={core}.*"]
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *wanted], check=True)
        (folder / "made").touch()
    return folder / "bin"
