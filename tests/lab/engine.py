"""A Docker engine for the tests: the one that answers, else the one that setup installs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import docker
from docker.errors import DockerException

from tests.lab.alone import alone

ROOT = Path(__file__).parents[2]
ROLE = {"name": "stackswap.bluegreen.stackswap", "tasks_from": "setup_builder"}


@alone("engine")
def ready() -> docker.APIClient:
    """Return a client of the engine that answers and builds, running the product's setup if none does."""
    client = answering()
    if client is None or not builds():
        set_up()
        client = answering()
    if client is None:
        raise RuntimeError("no Docker engine answers, not even after the role's setup")
    return client


def answering() -> docker.APIClient | None:
    """Return a client of the engine of the environment, if it answers."""
    try:
        client = docker.APIClient(version="auto", timeout=60, **docker.utils.kwargs_from_env())
        client.ping()
    except DockerException:
        return None
    return client


def builds() -> bool:
    """Tell whether there is a docker command that knows buildx."""
    try:
        return subprocess.run(["docker", "buildx", "version"], capture_output=True).returncode == 0
    except OSError:
        return False


def set_up() -> None:
    """Make this machine a builder with the role's own setup, with Debian 13's engine where none is."""
    ansible = Path(sys.executable).with_name("ansible")
    options = ["-e", f"ansible_python_interpreter={sys.executable}", "-e", "stackswap_engine_source=trixie"]
    role = ["-m", "ansible.builtin.include_role", "-a", " ".join(f"{name}={text}" for name, text in ROLE.items())]
    done = subprocess.run(
        [ansible, "localhost", "-c", "local", *options, *role], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"the role's setup failed:\n{(done.stdout + done.stderr)[-4000:]}")
