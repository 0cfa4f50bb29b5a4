"""Receptor, the mesh that AWX's execution nodes are in: Debian 13's program, unpacked here and installed nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import debian

SUITE = "trixie"
ROOT = Path(__file__).resolve().parents[2] / ".build" / "receptor"
PROGRAM, CTL = ROOT / "usr" / "bin" / "receptor", Path(sys.executable).with_name("receptorctl")
WITHIN = 20.0


def program() -> Path:
    """Return where the program is; it is fetched once."""
    if not PROGRAM.exists():
        debian.unpacked(ROOT, SUITE, "receptor")
    return PROGRAM


@contextmanager
def control(folder: Path, peer: str) -> Iterator[Path]:
    """Run the node named control, with this peer as address:port; yield its socket once it knows of another node."""
    socket, said = folder / "receptor.sock", folder / "receptor.log"
    words = ["--node", "id=control", "--log-level", "level=warning", "--control-service", "service=control"]
    words += [f"filename={socket}", "--tcp-peer", f"address={peer}", "redial=true"]
    with said.open("w") as out:
        process = subprocess.Popen([program(), *words], stdout=out, stderr=out, env={"PATH": os.environ["PATH"]})
    try:
        until = time.monotonic() + WITHIN
        while "exec1" not in known(socket):
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError(f"the nodes do not find each other: {said.read_text()}")
            time.sleep(0.2)
        yield socket
    finally:
        process.kill()
        process.wait()


def known(socket: Path) -> str:
    """Return what the node tells of itself and of the others; nothing while it does not answer."""
    if not socket.exists():
        return ""
    done = subprocess.run([CTL, "--socket", socket, "status"], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""
