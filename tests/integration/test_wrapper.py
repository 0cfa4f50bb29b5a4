"""The wrapper as it is installed: from a wheel, from a checkout, and with the collection's plays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STACKSWAP = Path(sys.executable).parent / "stackswap"
JOBS = (
    "setup",
    "build",
    "deploy",
    "build-and-deploy",
    "rollback",
    "restart",
    "remove",
    "logs",
    "exec",
    "maintenance",
    "status",
    "prune",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a venv that has a wheel of this checkout, and our libraries behind it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(site), str(wheel)], check=True)
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (site / "libraries.pth").write_text("\n".join(libraries) + "\n")
    return folder / "venv" / "bin"


def stackswap(*words: str, at: Path, command: tuple[str, ...] = (str(STACKSWAP),), **more: str):
    """The command, away from the checkout."""
    keep = {name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ}
    environ = {**keep, "XDG_STATE_HOME": str(at / "state"), **more}
    return subprocess.run([*command, *words], cwd=at, env=environ, capture_output=True, text=True)


@pytest.mark.parametrize("job", JOBS)
def test_every_job_finds_its_playbook(job: str, tmp_path: Path) -> None:
    """From an editable install, anywhere, without configuration."""
    words = {"setup": (), "status": (), "exec": ("--", "shop", "true"), "maintenance": ("shop", "start")}
    done = stackswap(job, "-i", "web1,", "--syntax-check", *words.get(job, ("shop",)), at=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout + (done.stderr if job in ("logs", "exec") else "")  # their output is what containers say
    assert f"bluegreen/playbooks/{job.replace('-', '_')}.yml" in told


def test_a_run_without_servers_fails_and_changes_nothing(tmp_path: Path) -> None:
    """The playbook's own guard: Ansible's answer would be success."""
    done = stackswap("setup", "-i", "web1,", "-c", "local", "--output", "json", at=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["type"], last["data"]["outcome"]) == ("job.finished", "unchanged")
    assert "No server of group stackswap" in last["data"]["line"]


def test_a_bare_checkout_finds_the_collection(tmp_path: Path) -> None:
    """Without an install, the collection's folder is told to Ansible."""
    code = "import stackswap.play as p, sys; p._on_path = lambda root: False; "
    code += "from stackswap.cli import main; sys.exit(main(sys.argv[1:]))"
    python = (sys.executable, "-S", "-c", "import site, sys; site.main(); " + code)
    words = ("setup", "-i", "web1,", "--syntax-check")
    done = stackswap(*words, at=tmp_path, command=python, PYTHONPATH=str(ROOT / "wrapper"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wheel_is_enough(installed: Path, tmp_path: Path) -> None:
    """Package and collection lie side by side in site-packages."""
    python = (str(installed / "python"), "-m", "stackswap")
    words = ("setup", "-i", "web1,", "--syntax-check", "-v")
    path = f"{STACKSWAP.parent}:{os.environ['PATH']}"
    done = stackswap(*words, at=tmp_path, command=python, PATH=path, PYTHONPATH="")
    assert done.returncode == 0, done.stdout + done.stderr


def test_looking_at_jobs_does_not_load_the_engine(tmp_path: Path) -> None:
    """Listing answers in the time that Python takes: ansible-runner is not imported."""
    code = "import sys; from stackswap.cli import main; main(['jobs']); "
    code += "sys.exit('ansible_runner' in sys.modules or 'rich' in sys.modules)"
    assert stackswap(at=tmp_path, command=(sys.executable, "-c", code)).returncode == 0
