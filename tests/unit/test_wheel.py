"""The wheel is enough: installed anywhere, Ansible finds the collection in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSIDE = "ansible_collections/stackswap/bluegreen/"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """The names of the files in it."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_package_and_collection(names: set[str]) -> None:
    """Both are at the top of site-packages, and nothing else is."""
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"stackswap", "ansible_collections"}
    assert {name for name in names if name.startswith("ansible_collections/")} == {
        name for name in names if name.startswith(INSIDE)
    }


def test_the_wheel_holds_what_ansible_needs(names: set[str]) -> None:
    """What galaxy.yml and runtime.yml tell, and each plugin, role and playbook."""
    assert {INSIDE + "galaxy.yml", INSIDE + "meta/runtime.yml", INSIDE + "COPYING"} <= names
    parts = ("plugins", "roles", "playbooks")
    paths = [path for part in parts for path in (ROOT / "collection" / part).rglob("*")]
    wanted = {p.relative_to(ROOT / "collection").as_posix() for p in paths if p.is_file()}
    wanted = {name for name in wanted if "__pycache__" not in name}
    assert {INSIDE + name for name in wanted} <= names


def test_the_wheel_leaves_the_tests_out(names: set[str]) -> None:
    """Tests, molecule scenarios and changelog fragments are for the checkout."""
    folders = ("tests/", "extensions/", "changelogs/fragments/")
    assert not [name for name in names if name.startswith(tuple(INSIDE + f for f in folders))]
    assert not [name for name in names if "__pycache__" in name]


@pytest.mark.slow
def test_ansible_finds_the_collection_in_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    """From site-packages, without the repository, configuration or Galaxy."""
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(site), str(wheel)], check=True)
    listed = json.loads(ansible(site, "ansible-galaxy", "collection", "list", "--format", "json"))
    found = listed[str(site / "ansible_collections")]["stackswap.bluegreen"]
    assert found["version"] == wheel.name.split("-")[1]
    roles = json.loads(ansible(site, "ansible-doc", "-t", "role", "-l", "-j", "stackswap.bluegreen"))
    specs = site.glob("ansible_collections/stackswap/bluegreen/roles/*/meta/argument_specs.yml")
    assert set(roles) == {f"stackswap.bluegreen.{spec.parts[-3]}" for spec in specs}


def ansible(site: Path, *command: str) -> str:
    """What one of Ansible's commands says with this folder first on the path, and no settings."""
    keep = {name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ}
    environment = {**keep, "PYTHONPATH": str(site), "ANSIBLE_LOCAL_TEMP": str(site.parent / "tmp")}
    words = [str(BIN / command[0]), *command[1:]]
    done = subprocess.run(words, cwd=site.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
