"""Other releases of ansible-core, each in a folder of its own with its commands; made once.

Those from 2.20 on need a newer Python than Debian 12 has: Debian 13's is unpacked here, and installed nowhere.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tests.lab import debian
from tests.lab.alone import alone

BUILD = Path(__file__).parents[2] / ".build" / "cores"
OWN = ".".join(version("ansible-core").split(".")[:2])
CORES = sorted({"2.18", "2.19", "2.20", "2.21", OWN})  # from the oldest that is promised to the newest there is
SUITE, NEWER = "trixie", "3.13"
FROM = (2, 20)  # what needs the newer Python
PARTS = (f"python{NEWER}-minimal", f"libpython{NEWER}-minimal", f"libpython{NEWER}-stdlib")
LIBRARIES = ("libc6", "libexpat1", "libffi8", "liblzma5", "libsqlite3-0", "libssl3t64", "libuuid1", "zlib1g")
ROOT = BUILD / f"python{NEWER}"
COMMAND = """#!/bin/sh
export PYTHONHOME={root}/usr PYTHONPATH={packages}
exec {loader} --library-path {library} {root}/usr/bin/python{python} -c \\
    "import sys; sys.argv[0] = '$0'; from ansible.cli.playbook import main; main()" "$@"
"""


@alone("cores")
def commands(core: str) -> Path:
    """Return the folder of a release's commands; the checkout's own where it is that one."""
    if core == OWN:
        return Path(sys.executable).parent
    folder = BUILD / core
    if not (folder / "made").exists():
        newer = tuple(map(int, core.split("."))) >= FROM
        (_beside_newer if newer else _in_venv)(folder, f"ansible-core=={core}.*")
        (folder / "made").touch()
    return folder / "bin"


def _in_venv(folder: Path, wanted: str) -> None:
    """Install it for this Python."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", wanted], check=True)


def _beside_newer(folder: Path, wanted: str) -> None:
    """Install it for the newer Python; of its commands there is ansible-playbook alone."""
    packages, script = folder / "packages", folder / "bin" / "ansible-playbook"
    asked = ["--target", packages, "--upgrade", "--python-version", NEWER, "--only-binary=:all:"]
    asked += ["--ignore-requires-python", wanted]  # it would be asked of this Python
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *asked], check=True)
    script.parent.mkdir(exist_ok=True)
    loader = next(_newer_python().glob("usr/lib/*/ld-linux*"))
    words = {"root": ROOT, "packages": packages, "loader": loader, "library": loader.parent, "python": NEWER}
    script.write_text(COMMAND.format(**words))
    script.chmod(0o755)


def _newer_python() -> Path:
    """Return where the newer Python is; it is fetched once."""
    if not (ROOT / "made").exists():
        debian.unpacked(ROOT, SUITE, *PARTS, *LIBRARIES)
        (ROOT / "made").touch()
    return ROOT
