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

from tests.lab import images, receptor
from tests.lab.fleet import BIN, ROOT, Fleet
from tests.lab.host import Host, hosts

pytestmark = [pytest.mark.engine, pytest.mark.slow]
PAGE = (ROOT / "collection" / "docs" / "fleet.md").read_text(encoding="utf-8")
OVER_SSH, OVER_RECEPTOR = re.findall(r"```console\n((?:(?!```).)*ansible-runner transmit.*?)```", PAGE, re.DOTALL)
(NODE,) = re.findall(r"```yaml\n(# /etc/receptor/receptor.conf.*?)```", PAGE, re.DOTALL)
PORT = 7323


@pytest.fixture
def node(servers: Fleet) -> Iterator[Host]:
    """A machine with ansible-core, ansible-runner and the collection, which reaches the servers; read-only ours."""
    needed = {str(path) for path in (ROOT, BIN.parent, Path(sys.base_prefix))}
    with hosts(1, "", *(f"--volume={path}:{path}:ro" for path in needed)) as (made,):
        images.docker("network", "connect", servers.servers[0].network, made.container)
        yield made


def put(text: str, here: dict[str, str]) -> str:
    """Return what the page shows, with the names that hold here."""
    for shown, real in here.items():
        assert shown in text, shown
        text = text.replace(shown, real)
    return text


def before(servers: Fleet, version: str) -> str:
    """Return the commands that make the job."""
    key = str(servers.servers[0].host.key)
    made = OVER_SSH.partition("ansible-runner transmit")[0]
    return put(made, {"~/.ssh/deploy": key, "inventories/production": "production", "1.4.2": version})


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


def went_well(servers: Fleet, node: Host, folder: Path, sent: str, then: str) -> None:
    """The job that is made and sent so deploys the version, and nothing of it is left there, its key least of all."""
    inventory(servers, folder / "production")
    environ = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder)}
    words = ["sh", "-ec", before(servers, then) + sent]
    done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, timeout=200)
    assert (done.returncode, servers.answers()) == (0, [then] * 3), done.stdout + done.stderr
    found = folder / "job" / "artifacts" / "deploy"
    report = reported(found)
    assert (report["status"], report["outcome"]) == ("successful", "new")
    assert report["line"] in (found / "stdout").read_text()
    assert node.run("ls -A /run/stackswap-job 2>/dev/null || true") == ""


def test_a_deploy_runs_on_another_machine_and_its_events_come_back(servers: Fleet, node: Host, tmp_path: Path) -> None:
    """Over SSH."""
    _now, then = servers.even()
    ssh = " ".join(["ssh", "-i", str(node.key), *node.args, f"root@{node.address}"])
    sent = OVER_SSH[OVER_SSH.index("ansible-runner transmit") :]
    went_well(servers, node, tmp_path, put(sent, {"ssh node": ssh, "/opt/stackswap/bin": str(BIN)}), then)


def test_a_deploy_is_sent_over_a_mesh_of_receptor(servers: Fleet, node: Host, tmp_path: Path) -> None:
    """As to an execution node of AWX."""
    _now, then = servers.even()
    conf = put(NODE, {"/opt/stackswap/bin": str(BIN), str(PORT): str(PORT)})
    node.run(f"mkdir -p /etc/receptor && cat >/etc/receptor/receptor.conf <<'END'\n{conf}END")
    path = f"PATH={BIN}:/usr/bin:/bin"
    command = f"exec env {path} {receptor.program()} --config /etc/receptor/receptor.conf"
    images.docker("exec", "--detach", node.container, "sh", "-c", command)
    with receptor.control(tmp_path, f"{node.address}:{PORT}") as socket:
        went_well(servers, node, tmp_path, put(OVER_RECEPTOR, {"/run/receptor.sock": str(socket)}), then)
