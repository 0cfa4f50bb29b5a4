"""What the demo found before it began, so that cleaning takes away its own and nothing else."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".build" / "demo"
FILE = FOLDER / "state.json"
SHARED = Path("/mnt/shared")
BESIDE = ("haproxy", "stackswap-haproxy", "python:3.12-slim", "stackswap-test/python:1")
PIDFILES = (Path("/run/docker.pid"), Path("/var/run/docker.pid"))


def load() -> dict[str, Any]:
    """Return what was noted, nothing if nothing was."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads(FILE.read_text())
    return {}


def begin() -> None:
    """Note what was there before the first demo; a second run keeps the first one's note."""
    if not load():
        note(engine=engine_pid() or answers(), shared=SHARED.exists(), images=images_beside())


def note(**found: object) -> None:
    """Add to what is noted."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(load() | found))


def answers() -> bool:
    """Tell whether a Docker engine answers."""
    return run("docker", "version", "--format={{.Server.Version}}")[0] == 0


def engine_pid() -> int:
    """Return the process id of the engine, 0 if none runs here."""
    for file in PIDFILES:
        with contextlib.suppress(OSError, ValueError):
            pid = int(file.read_text())
            if b"dockerd" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    return 0


def images_beside() -> list[str]:
    """Return the images that a demo makes or fetches besides its own: the proxy's, and what stands for its base."""
    ask = ("docker", "image", "ls", "--format={{.Repository}}:{{.Tag}}")
    return sorted(" ".join(run(*ask, name)[1] for name in BESIDE).split())


def images_since(found: Mapping[str, Any]) -> list[str]:
    """Return those of them that were not there before the first demo; none if nothing is noted."""
    return sorted(set(images_beside()) - set(found.get("images", images_beside())))


def run(*words: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it printed, 127 if there is no such command."""
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except OSError:
        return 127, ""
    return done.returncode, done.stdout.strip()
