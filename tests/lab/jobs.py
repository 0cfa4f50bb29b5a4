"""Whole jobs on a test's stack: the wrapper's command, this machine as the one server, an inventory of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.stack import Stack

STACKSWAP = Path(sys.executable).with_name("stackswap")
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


@dataclass
class Job:
    """A job that ended: its exit code, its report, and all that was printed."""

    code: int
    report: dict[str, Any]
    printed: str

    @property
    def line(self) -> str:
        """The last line, for people."""
        return str(self.report.get("line", ""))

    def server(self, service: str) -> dict[str, Any]:
        """What the one server tells of a service."""
        return dict(self.report["report"]["services"][service]["servers"]["web1"])


class Jobs:
    """Runs jobs for the services of an inventory in a folder, which pages and such lie in."""

    def __init__(self, stack: Stack, folder: Path, services: dict[str, Any]) -> None:
        self.stack, self.folder, self.services = stack, folder, services

    def __call__(self, *words: str, **variables: Any) -> Job:
        """One job, with these variables beside those of the inventory."""
        told = self.stack.settings
        names = ("home", "container", "image", "network", "subnet")
        proxy = {**{name: getattr(told, name) for name in names}, "listen": list(told.listen)}
        given = {
            "stackswap_environment": {"name": self.stack.name},
            "stackswap_proxy": proxy,
            "stackswap_services": self.services,
        }
        group = {"stackswap": {"hosts": {"web1": LOCAL}}}
        inventory = self.folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"children": group, "vars": given}}))
        extra = ("-e", json.dumps(variables)) if variables else ()
        environ = {**os.environ, "XDG_STATE_HOME": str(self.folder / "state")}
        command = [str(STACKSWAP), *words, "-i", str(inventory), *extra, "--output", "json"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        report = next((one["data"] for one in reversed(lines) if one["type"] == "job.finished"), {})
        return Job(done.returncode, report, done.stdout + done.stderr)
