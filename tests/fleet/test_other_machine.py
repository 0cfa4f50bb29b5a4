"""A deploy that runs on another machine than the control node, just as the documentation has it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import images
from tests.lab.fleet import BIN, ROOT, Fleet
from tests.lab.host import Host, hosts

pytestmark = [pytest.mark.engine, pytest.mark.slow]
PAGE = (ROOT / "collection" / "docs" / "fleet.md").read_text(encoding="utf-8")
(COMMANDS,) = re.findall(r"```console\n((?:(?!```).)*ansible-runner worker.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def node(servers: Fleet) -> Iterator[Host]:
    """A machine with ansible-core, ansible-runner and the collection, which reaches the servers; read-only ours."""
    needed = {str(path) for path in (ROOT, BIN.parent, Path(sys.base_prefix))}
    with hosts(1, "", *(f"--volume={path}:{path}:ro" for path in needed)) as (made,):
        images.docker("network", "connect", servers.servers[0].network, made.container)
        yield made


def commands(servers: Fleet, node: Host, version: str) -> str:
    """Return the commands of the page, with the names that hold here."""
    ssh = " ".join(["ssh", "-i", str(node.key), *node.args, f"root@{node.address}"])
    here = {
        "~/.ssh/deploy": str(servers.servers[0].host.key),
        "inventories/production": "production",
        "ssh node": ssh,
        "/opt/stackswap/bin": str(BIN),
        "1.4.2": version,
    }
    text = COMMANDS
    for shown, real in here.items():
        assert shown in text, shown
        text = text.replace(shown, real)
    return text


def inventory(servers: Fleet, folder: Path) -> None:
    """Write the servers as another machine reaches them: no key, no path of ours."""
    told = json.loads(servers.inventory("other").read_text())
    unchecked = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    for one in told["all"]["children"]["stackswap"]["hosts"].values():
        one.pop("ansible_ssh_private_key_file")
        one["ansible_ssh_common_args"] = unchecked
    folder.mkdir()
    (folder / "hosts.json").write_text(json.dumps(told))


def reported(folder: Path) -> dict[str, Any]:
    """Return the report, from the last of the events that came back."""
    (last,) = [
        json.loads(path.read_text()) for path in folder.glob("job_events/*") if "playbook_on_stats" in path.read_text()
    ]
    return last["event_data"]["artifact_data"]["stackswap_report"]


def test_a_deploy_runs_on_another_machine_and_its_events_come_back(servers: Fleet, node: Host, tmp_path: Path) -> None:
    """Nothing of the job is left there, its key least of all."""
    _now, then = servers.even()
    inventory(servers, tmp_path / "production")
    environ = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    words = ["sh", "-ec", commands(servers, node, then)]
    done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=200)
    assert (done.returncode, servers.answers()) == (0, [then] * 3), done.stdout + done.stderr
    found = tmp_path / "job" / "artifacts" / "deploy"
    report = reported(found)
    assert (report["status"], report["outcome"]) == ("successful", "new")
    assert report["line"] in (found / "stdout").read_text()
    assert node.run("ls -A /run/stackswap-job 2>/dev/null || true") == ""
