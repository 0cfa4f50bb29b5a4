"""Every Python that is promised runs our code: 3.9 on servers, 3.11 to 3.13 beside Ansible. What is not here is told.

The suite itself runs on one of them; the others compile all that they may meet, import all that needs no library, and
plan a swap.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.test_imports import COLLECTION, EFFECTS, PLUGINS, PURE, WRAPPER, files, matches, name_of

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ("3.9",)
CONTROL = ("3.11", "3.12", "3.13")
ON_SERVERS = [*files(PLUGINS / "module_utils"), *files(PLUGINS / "modules")]
EVERYTHING = [*files(PLUGINS), *files(WRAPPER)]
ALONE = ("errors", "events", "fold", "report", "spec", "store", "words")  # of the wrapper: the standard library alone
COMPILE = """
import sys
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        compile(file.read(), name, "exec", dont_inherit=True)
"""
IMPORT = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
PLAN = f"""
from {COLLECTION}.plugins.module_utils import plan
from {COLLECTION}.plugins.module_utils.model import Observed, Placement
live = Placement("p", "blue", healthy=True, approved=True, baked=True, policy="always")
both = frozenset(("blue", "green"))
steps = plan.climb(Observed(True, "blue", "blue", (live,), ("p",), fits=both, door=True), "t", "settled")
assert [step.verb for step in steps][:4] == ["start", "await", "keep", "route"], steps
"""


def found(version: str) -> str:
    """A Python of this version that runs, from the path or from pyenv; '' and a warning where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    built = sorted(map(str, pyenv.glob(f"versions/{version}.*/bin/python{version}")))
    for name in filter(None, [shutil.which(f"python{version}"), *built]):
        if subprocess.run([name, "-c", ""], capture_output=True).returncode == 0:
            return str(name)
    warnings.warn(f"not checked on Python {version}: there is none here", stacklevel=2)
    return ""


def runs(python: str, code: str, words: Sequence[object] = ()) -> None:
    """The code runs, with our sources on its path."""
    path = f"{ROOT / 'playbooks' / 'collections'}:{ROOT / 'wrapper'}"
    command = [python, "-B", "-c", code, *map(str, words)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("version", [*SERVERS, *CONTROL])
def test_what_it_may_meet_compiles(version: str) -> None:
    """Servers have 3.9, of the RHEL 9 family; there only modules and what they use is run."""
    if python := found(version):
        runs(python, COMPILE, ON_SERVERS if version in SERVERS else EVERYTHING)


@pytest.mark.parametrize("version", [*SERVERS, *CONTROL])
def test_what_needs_no_library_is_imported_and_plans_a_swap(version: str) -> None:
    """No newer name of the standard library is met, nor is Ansible or the Docker SDK needed."""
    base = PLUGINS / "module_utils"
    names = [name_of(path, base) for path in files(base)]
    fitting = [name for name in names if matches(name, PURE) or name in EFFECTS]
    modules = [f"{COLLECTION}.plugins.module_utils.{name.replace('/', '.')}" for name in fitting]
    modules += [] if version in SERVERS else [f"stackswap.{name}" for name in ALONE]
    if python := found(version):
        runs(python, IMPORT, modules)
        runs(python, PLAN)


def test_the_suite_runs_on_one_that_is_promised() -> None:
    """Else nothing of it counts."""
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in CONTROL
