"""What cron runs of a service, as cron would: containers of what serves, one at a time, over deploys and back."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.watch import WatchingEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.host_report import schedules
from ansible_collections.stackswap.bluegreen.plugins.module_utils.inside_module import Watch, read
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.leaving import leave
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Bake, Process, Release, Route, Service
from tests.lab import images
from tests.lab.building import docker
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]
SECRET = "t0k3n-of-the-night"
SAYS = (
    '[ -z "$SAYS" ] || echo "$SAYS $VERSION"; echo "$VERSION $TOKEN" >>/journal/ran; sleep ${NAP:-0}; exit ${CODE:-0}'
)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server with its proxy."""
    with Stack.made() as made:
        yield made


class Place:
    """A service with a process that cron runs."""

    def __init__(self, stack: Stack, name: str, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        folder.chmod(0o777)
        self.service: Service = stack.service(name, routes=(Route(f"{name}.test"),), bake=Bake(0.1))

    def deploy(self, version: str, back: bool = False, **env: str) -> Result:
        """Deploy a version, or go back to it."""
        done = self.stack.run(self.service, self.release(version, **env), back=back)
        assert done.error is None, done.error
        return done

    def release(self, version: str, **env: str) -> Release:
        """A release of it."""
        told = (("VERSION", version), *sorted(env.items()))
        made = self.stack.release(
            self.service,
            version,
            images.app("1.0"),
            env=told,
            secrets=(("TOKEN", SECRET),),
            volumes=(f"{self.folder}:/journal",),
        )
        nightly = Process("nightly", ("sh", "-c", SAYS), schedule="15 3 * * *")
        return replace(made, processes=(nightly,))

    @property
    def table(self) -> Path:
        """The file that cron reads."""
        return Path(self.stack.settings.home, "cron.d", f"stackswap_{self.service.key.replace('.', '_')}")

    def begin(self) -> subprocess.Popen[str]:
        """Run the table's line as cron does."""
        settings = [line for line in self.table.read_text().splitlines() if "=" in line.split(" ")[0]]
        (line,) = [line for line in self.table.read_text().splitlines() if line.startswith("15 3 * * * root ")]
        command = ["env", "-i", *settings, "HOME=/root", "LOGNAME=root", "/bin/sh", "-c", line.split(" root ", 1)[1]]
        assert SECRET not in line
        return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/")

    def ran(self) -> tuple[int, str]:
        """Run it to its end: its exit code, and what cron would send to root."""
        process = self.begin()
        said, _ = process.communicate(timeout=30)
        return process.returncode, said

    def told(self) -> dict[str, Any]:
        """What status tells."""
        fx = self.stack.effects()
        (one,) = schedules(self.stack.look(self.service), fx.cron.runs(self.service.key))
        return one

    def journal(self) -> list[str]:
        """What the runs have written."""
        path = self.folder / "ran"
        return path.read_text().splitlines() if path.exists() else []


def test_cron_runs_what_serves_over_deploys_and_back(stack: Stack, tmp_path: Path) -> None:
    """In a new container each time, with the release's own environment and secrets, and status tells how it ended."""
    place = Place(stack, "clocked", tmp_path)
    place.deploy("1", CODE="3")
    assert place.told()["runs"] == [] and (place.table.stat().st_mode & 0o777) == 0o644
    assert place.ran() == (3, "")
    place.deploy("2")
    assert place.ran() == (0, "")
    place.deploy("1", back=True, CODE="3")
    assert place.ran() == (3, "")
    assert place.journal() == [f"{version} {SECRET}" for version in ("1", "2", "1")]
    told = place.told()
    assert (told["process"], told["version"], told["schedule"]) == ("nightly", "1", "15 3 * * *")
    assert [(run["version"], run["exit_code"], run["error"]) for run in told["runs"]] == [
        ("1", 3, ""), ("2", 0, ""), ("1", 3, ""),
    ]  # fmt: skip
    again = stack.run(place.service, place.release("1", CODE="3"))
    assert not again.changed


def test_what_the_last_run_has_said_is_heard_by_its_name(stack: Stack, tmp_path: Path) -> None:
    """Until the next one says something else."""
    place, heard = Place(stack, "heard", tmp_path), list[str]()
    line: Any = SimpleNamespace(tell=lambda dummy, text, again=False: heard.append(text), stop_asked=lambda: "")
    asked = {"cursor": None, "tail": 9, "follow": False, "previous": False, "process": "nightly"}

    def told() -> list[str]:
        heard.clear()
        read(Watch(stack.effects(), WatchingEngine(), line), place.service, asked)
        return [*heard]

    for version in ("1", "2"):
        place.deploy(version, SAYS="counted to")
        if version == "1":
            with pytest.raises(BadInput, match="nightly of heard has not run yet on this server"):
                told()
        assert place.ran() == (0, "")
        assert told() == [f"counted to {version}"]


def test_a_run_is_neither_ended_by_a_deploy_nor_begun_beside_another(stack: Stack, tmp_path: Path) -> None:
    """Also where the one that began it was killed: its container still runs."""
    place = Place(stack, "long", tmp_path)
    place.deploy("1", NAP="8")
    first = place.begin()
    until = time.monotonic() + 10
    while not place.journal() and time.monotonic() < until:
        time.sleep(0.05)
    place.deploy("2")
    assert place.ran() == (1, f"{place.service.key} nightly: the run before it is still under way\n")
    first.kill()
    first.wait()
    code, said = place.ran()
    assert (code, place.journal()) == (1, [f"1 {SECRET}"]), said
    (name,) = docker("ps", f"--filter=label=stackswap.callback={place.service.key}", "--format={{.Names}}").split()
    assert docker("wait", name).strip() == "0"
    assert place.ran() == (0, "")
    assert place.journal() == [f"1 {SECRET}", f"2 {SECRET}"]


def test_a_service_that_leaves_leaves_nothing_to_cron(stack: Stack, tmp_path: Path) -> None:
    """Neither the table, nor a container, nor what is known of runs."""
    place = Place(stack, "gone", tmp_path)
    inside = docker("run", "--detach", "--rm", "--label=stackswap.test=1", images.busybox(), "crond", "-f", "-c", "/")
    try:
        done = place.deploy("1")
    finally:
        docker("rm", "--force", inside)
    running = subprocess.run(["pgrep", "-x", "--ns", str(os.getpid()), "cron"], capture_output=True).returncode == 0
    assert any("no cron runs on this server" in text for text in done.warnings) is not running, "a container's is none"
    assert place.ran()[0] == 0
    assert leave(stack.effects(), place.service, Order("absent")).error is None
    assert not place.table.exists()
    for label in ("service", "callback"):
        assert docker("ps", "-aq", f"--filter=label=stackswap.{label}={place.service.key}") == ""
    assert stack.effects().cron.runs(place.service.key) == []
