"""Runs ansible-test sanity on a copy of the collection, and insists that it really ran.

ansible-test refuses a tree reached through a symlink and downloads a script to bootstrap pip; so
it gets a plain copy, and a home of its own in which a stand-in for that script lies ready.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
COPY = BUILD / "ansible_collections" / "stackswap" / "bluegreen"
HOME = BUILD / "home"
KEPT = (".git", "tests/output")  # ansible-test's virtual environments are in its output folder
LOG = BUILD / "sanity.log"
FEWEST = 20
TOLD = re.compile(r"(ERROR|FATAL|See documentation|Traceback)")  # the rest is pip's talk

GET_PIP = """\
import subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip"])
left_out = ("--no-setuptools", "--no-wheel")
wanted = [word for word in sys.argv[1:] if word not in left_out]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "--quiet", *wanted]))
"""


def sources() -> list[Path]:
    """The collection's files as git knows them, with the new ones and without the deleted."""
    if not (ROOT / ".git").exists():
        found = [path.relative_to(ROOT) for path in (ROOT / "collection").rglob("*")]
        return sorted(path for path in found if "__pycache__" not in path.parts and is_file(path))
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
    ]  # root may test another's checkout
    command += ["--cached", "--others", "--exclude-standard", "collection"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for path in map(Path, sorted(set(listed.split("\0")))) if is_file(path)]


def is_file(path: Path) -> bool:
    """Whether it is a file of the checkout."""
    return (ROOT / path).is_file()


def copy() -> None:
    """Make the copy equal to the sources, in a repository of its own: the outer hides it."""
    shutil.rmtree(BUILD / "kept", ignore_errors=True)
    for name in KEPT:
        move(COPY / name, BUILD / "kept" / name)
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    for source in sources():
        target = COPY / source.relative_to("collection")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / source, target)
    for name in KEPT:
        move(BUILD / "kept" / name, COPY / name)
    subprocess.run(["git", "init", "--quiet"], cwd=COPY, check=True)
    (COPY / ".git" / "info").mkdir(exist_ok=True)
    (COPY / ".git" / "info" / "exclude").write_text("tests/output/\n")


def move(source: Path, target: Path) -> None:
    """Move what exists."""
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)


def make_home() -> None:
    """Lay the stand-in where ansible-test looks for it; pip keeps the user's settings and cache."""
    requirements = importlib.util.find_spec("ansible_test._internal.python_requirements")
    assert requirements and requirements.origin
    version = re.search(r"pip='([\d.]+)'", Path(requirements.origin).read_text())
    assert version, "ansible-test names its pip in another way now"
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / f"get_pip_{version[1].replace('.', '_')}.py").write_text(GET_PIP)
    for name in (".cache", ".config", ".pip"):
        if (Path.home() / name).exists() and not (HOME / name).is_symlink():
            (HOME / name).symlink_to(Path.home() / name)


def run() -> tuple[int, set[str]]:
    """Run the sanity tests; give the exit code and the names of the tests that were begun."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    tool = str(Path(sys.executable).parent / "ansible-test")
    command = [tool, "sanity", "--venv", "--python", python, "--color", "no"]
    with LOG.open("w", encoding="utf-8") as log:
        code = subprocess.run(
            command,
            cwd=COPY,
            env={**os.environ, "HOME": str(HOME)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ).returncode
    return code, set(re.findall(r'(?m)^Running sanity test "([^"]+)"', LOG.read_text()))


def verdict(code: int, ran: set[str]) -> int:
    """Tell what ran and what was found; the exit code."""
    lines = LOG.read_text().splitlines()
    told = [line for line in lines if TOLD.match(line)]
    failed = code != 0 or len(ran) < FEWEST
    if failed:
        print("\n".join(told or lines[-20:]))
        print(f"sanity: all of it is in {LOG.relative_to(ROOT)}")
    print(f"sanity: {len(ran)} tests ran ({FEWEST} at least), {'FAILED' if failed else 'passed'}")
    return int(failed)


def main() -> int:
    """Copy, run, count; one at a time in a checkout."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "sanity.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ignored = [str(path) for path in sources() if path.match("tests/sanity/ignore*")]
        if ignored:
            raise SystemExit(f"sanity: no ignore files here: {', '.join(ignored)}")
        make_home()
        copy()
        return verdict(*run())


if __name__ == "__main__":
    sys.exit(main())
