"""Jobs as AWX runs them: a fresh clone, an inventory script, marked variables, ansible-runner; no Galaxy, no settings.

The Python that runs them has Ansible and nothing of this checkout, so that the collection is found
beside the playbook or not at all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".build" / "awx"
LIBRARIES = ("ansible-core", "ansible-runner", "docker")  # the last for the server, which is this machine
SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GIT = ("git", "-c", "safe.directory=*", "-c", "user.name=test", "-c", "user.email=test@localhost")

# By AWX's rule a playbook has a line like this; releases until 2022 know no ansible.builtin. before it.
LIKE_A_PLAYBOOK = re.compile(r"\s*-?\s*(hosts|import_playbook):")
NEVER = {"roles", "tasks", "group_vars", "host_vars"}


def tools() -> Path:
    """Return the folder with Ansible's commands and their Python, made once."""
    wanted = [f"{name}=={version(name)}" for name in LIBRARIES]
    made = TOOLS / "made"
    if not made.exists() or made.read_text().split() != wanted:
        shutil.rmtree(TOOLS, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", TOOLS], check=True)
        subprocess.run([TOOLS / "bin" / "python", "-m", "pip", "install", "--quiet", *wanted], check=True)
        made.write_text("\n".join(wanted))
    return TOOLS / "bin"


def committed(folder: Path) -> Path:
    """Commit the working tree as it is now, with what git does not know yet, in a repository of its own."""
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", at=ROOT)
    for name in sorted(set(filter(None, listed.split("\0")))):
        if os.path.lexists(ROOT / name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    for words in ("init --quiet", "add --all", "commit --quiet --message=now"):
        git(*words.split(), at=folder)
    return folder


def git(*words: str, at: Path) -> str:
    """Run git and return what it prints."""
    return subprocess.run([*GIT, *words], cwd=at, check=True, capture_output=True, text=True).stdout


def playbooks(project: Path) -> list[str]:
    """Return what AWX would offer for a job template, by the strictest form of its rule."""
    found = []
    for folder, _, names in os.walk(project):
        inside = Path(folder).relative_to(project)
        if not (NEVER & set(inside.parts) or any(part.startswith(".") for part in inside.parts)):
            files = [inside / name for name in names if name.endswith((".yml", ".yaml"))]
            found += [str(file) for file in files if like_a_playbook(project / file)]
    return sorted(found)


def like_a_playbook(file: Path) -> bool:
    """Tell whether a line makes it one."""
    return any(LIKE_A_PLAYBOOK.match(line) for line in file.read_text().splitlines())


class Marked(yaml.SafeDumper):
    """Writes every text as one that is never a template, as AWX does with what people type."""

    def represent_data(self, data: Any) -> yaml.Node:
        return self.represent_scalar("!unsafe", data) if isinstance(data, str) else super().represent_data(data)


@dataclass(frozen=True)
class Job:
    """One job that has ended."""

    code: int
    said: str
    artifacts: Mapping[str, Any]

    @property
    def report(self) -> Mapping[str, Any]:
        """The report among the artifacts; empty if there is none."""
        return self.artifacts.get("stackswap_report") or {}


class Awx:
    """A project, an inventory and the jobs that run with them."""

    def __init__(self, folder: Path, project: Path, inventory: Mapping[str, Any]) -> None:
        self.folder, self.project, self.inventory = folder, project, inventory
        self.number = 40

    def launch(self, playbook: str, survey: Mapping[str, Any], user: str = "ada") -> Job:
        """Run one job to its end."""
        self.number += 1
        private = self.folder / f"awx_{self.number}"
        private.mkdir(parents=True)
        git("clone", "--quiet", str(self.project), str(private / "project"), at=self.folder)
        self._write(private, {**self._told(user, Path(playbook).stem), **survey})
        command = [tools() / "ansible-runner", "run", private, "--playbook", playbook, "--ident", str(self.number)]
        environ = {"PATH": f"{tools()}:{SYSTEM}", "HOME": str(private), "LANG": "C.UTF-8"}
        environ |= {name: os.environ[name] for name in ("DOCKER_HOST",) if name in os.environ}
        done = subprocess.run([*command, "--quiet"], cwd=private, env=environ, capture_output=True, text=True)
        kept = private / "artifacts" / str(self.number)
        said = (kept / "stdout").read_text() if (kept / "stdout").exists() else done.stdout + done.stderr
        return Job(done.returncode, said, artifacts(kept / "job_events"))

    def _write(self, private: Path, variables: Mapping[str, Any]) -> None:
        """Lay out what ansible-runner reads."""
        script = private / "inventory" / "hosts"
        texts = {
            script: f"#!/usr/bin/env python3\nprint({json.dumps(self.inventory)!r})\n",
            private / "env" / "extravars": yaml.dump(dict(variables), Dumper=Marked, default_flow_style=False),
            private / "env" / "envvars": json.dumps(self._environment(private)),
            private / "env" / "cmdline": "--forks=5 --user=root",
            private / "env" / "settings": json.dumps({"job_timeout": 600, "suppress_ansible_output": True}),
        }
        for path, text in texts.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        script.chmod(0o700)

    def _environment(self, private: Path) -> dict[str, str]:
        own = {"JOB_ID": str(self.number), "INVENTORY_ID": "2", "AWX_PRIVATE_DATA_DIR": str(private)}
        return {**own, "ANSIBLE_COLLECTIONS_PATH": "/nonexistent", "PROJECT_REVISION": self._revision()}

    def _revision(self) -> str:
        return git("rev-parse", "HEAD", at=self.project).strip()

    def _told(self, user: str, template: str) -> dict[str, Any]:
        """What AWX tells every job, under both its names."""
        told = {
            "job_id": self.number,
            "job_launch_type": "manual",
            "project_revision": self._revision(),
            "job_template_id": 7,
            "job_template_name": template,
            "inventory_id": 2,
            "inventory_name": "test",
            "user_id": 3,
            "user_name": user,
            "user_email": "",
            "user_first_name": "",
            "user_last_name": "",
        }
        return {f"{name}_{key}": value for name in ("awx", "tower") for key, value in told.items()}


def artifacts(events: Path) -> dict[str, Any]:
    """Return what the job's last event has for the jobs after it."""
    for file in events.glob("*.json"):
        event = json.loads(file.read_text())
        if event["event"] == "playbook_on_stats":
            return event["event_data"].get("artifact_data") or {}
    return {}
