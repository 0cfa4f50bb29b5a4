"""The story for those who run playbooks bare: a line for each rung and server, if it is enabled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.fleet import blank
from ansible_collections.stackswap.bluegreen.plugins.module_utils.words import told

ROOT = Path(__file__).resolve().parents[3]
STEPS = [
    {"verb": "start", "did": "started shop 1.2", "seconds": 0.5},
    {"verb": "await", "did": "awaited it", "seconds": 2},
]
DONE = {**blank("shop", "test", "ready"), "steps": STEPS, "serving": {"version": "1.1"}}
FAILED = {**DONE, "failed": {"what": "shop 1.2 exited 3"}}


def test_a_call_is_a_line() -> None:
    """What was done and how long it took, and what serves now."""
    assert told("web1", DONE) == "web1 ready: started shop 1.2, awaited it (2.5 s); shop 1.1 serves"


def test_a_failure_says_so_first() -> None:
    """With what was done before it."""
    begun = "web1 ready: FAILED: shop 1.2 exited 3; before that started shop 1.2, awaited it (2.5 s); shop 1.1 serves"
    assert told("web1", FAILED) == begun


def test_a_call_that_did_nothing_is_no_news() -> None:
    """Nor one before anything serves."""
    assert told("web1", blank("shop", "test", "claimed")) == ""


@pytest.mark.slow
@pytest.mark.parametrize("enabled", [True, False])
def test_a_play_tells_it_when_asked_to(tmp_path: Path, enabled: bool) -> None:
    """In a real run, beside Ansible's own words; and not where nobody asked."""
    answer = json.dumps({"changed": True, "stackswap": DONE})
    module = tmp_path / "library" / "answer.py"
    module.parent.mkdir()
    module.write_text(f"#!{sys.executable}\nprint({answer!r})\n")
    play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [{"answer": {}}]}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    environ = {
        **os.environ,
        **({"ANSIBLE_CALLBACKS_ENABLED": "stackswap.bluegreen.story"} if enabled else {}),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    command = [Path(sys.executable).with_name("ansible-playbook"), "play.yml"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    line = "localhost ready: started shop 1.2, awaited it (2.5 s); shop 1.1 serves"
    assert (line in done.stdout.splitlines()) is enabled, done.stdout + done.stderr
