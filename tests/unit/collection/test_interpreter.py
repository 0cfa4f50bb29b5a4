"""Which Python runs the modules on a server: named by somebody, or the system's; no server is asked for one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: stackswap.bluegreen.stackswap, tasks_from: story_tasks}
      when: false
    - ansible.builtin.command: /bin/true
      changed_when: false
    - ansible.builtin.debug: {msg: "python {{ ansible_python_interpreter }} of {{ ansible_facts }}"}
"""
SYSTEM, OTHER = "/usr/bin/python3", sys.executable
NAMED = {
    "nobody": ("", "", "", SYSTEM),
    "the inventory": (f"ansible_python_interpreter={OTHER}", SYSTEM, SYSTEM, OTHER),
    "the environment": ("", OTHER, SYSTEM, OTHER),
    "ansible.cfg": ("", "", OTHER, OTHER),
    "nobody, but a word for discovery": ("", "", "auto_silent", SYSTEM),
}


@pytest.mark.parametrize("who", NAMED)
def test_the_python_is_the_systems_unless_somebody_names_one(who: str, tmp_path: Path) -> None:
    """A variable wins, then the environment, then ansible.cfg; none of them is discovered."""
    variable, environment, configured, wanted = NAMED[who]
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "hosts").write_text(f"server1 ansible_connection=local {variable}\n")
    line = f"interpreter_python = {configured}\n" if configured else ""
    (tmp_path / "ansible.cfg").write_text(
        f"[defaults]\ncollections_path = {ROOT / 'playbooks' / 'collections'}\n{line}"
    )
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}
    env |= {"ANSIBLE_PYTHON_INTERPRETER": environment} if environment else {}
    command = [Path(sys.executable).with_name("ansible-playbook"), "play.yml", "-i", "hosts"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"python {wanted} of {{}}" in done.stdout
