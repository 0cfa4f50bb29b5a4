"""Records the event streams beside it from the plays beside it: python -m tests.unit.wrapper.record.

Real runs of ansible-runner, with paths, times and process ids taken out.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import ansible_runner

HERE = Path(__file__).parent
PLAYS, RECORDED = HERE / "plays", HERE / "recorded"
DEPLOY = {"stackswap_job": "j1", "stackswap_job_kind": "deploy", "stackswap_version": "1.10"}
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
KEPT = (
    *("play", "name", "task", "task_action", "resolved_action", "host", "res", "ignore_errors"),
    *("duration", "artifact_data"),
)
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "successful": ("ladder", {}),
    "failed": ("ladder", {"sick": "web2", "at": "ready"}),
    "claimed": ("ladder", {"sick": "web1", "at": "ready", "how": "claimed"}),
    "unreachable": ("ladder", {"sick": "web2", "at": "ready", "how": "away"}),
    "unreachable_live": ("ladder", {"sick": "web2", "at": "live", "how": "away"}),
    "went_back": ("ladder", {"how": "asked", "seconds": 30}),
    "canceled": ("one_call", {"seconds": 30}),
    "parse_error": ("broken", {}),
}
STOPPED = {"went_back": "file", "canceled": "kill"}


def main() -> None:
    """Record all, or those named."""
    for name in sys.argv[1:] or RUNS:
        rc, events = record(name)
        lines = [json.dumps({"rc": rc}), *(json.dumps(event) for event in events)]
        (RECORDED / f"{name}.ndjson").write_text("\n".join(lines) + "\n")
        print(name, rc, len(events))


def record(name: str) -> tuple[int | None, list[dict[str, Any]]]:
    """Run the play, and keep what ansible-runner told."""
    play, given = RUNS[name]
    events: list[dict[str, Any]] = []
    begun, clock = threading.Event(), iter(range(1000))
    with tempfile.TemporaryDirectory() as folder:
        stop, settings = Path(folder, "stop"), Path(folder, "env", "settings")
        settings.parent.mkdir()
        settings.write_text('{"pexpect_timeout": 0.5, "suppress_ansible_output": true}')

        def heard(raw: dict[str, Any]) -> bool:
            events.append(kept(raw))
            last = "Go live" if play == "one_call" else "Get ready"
            if raw["event"] == "runner_on_start" and raw["event_data"]["task"] == last:
                begun.set()
            return False

        def stopped() -> bool:
            how = STOPPED.get(name)
            if how and begun.is_set() and next(clock) > 2:
                stop.touch()
                return how == "kill"
            return False

        run = ansible_runner.run(
            private_data_dir=folder, project_dir=os.getcwd(), playbook=str(PLAYS / f"{play}.yml"),
            inventory=str(PLAYS / "hosts.yml"), extravars={**DEPLOY, **given},
            envvars={"STACKSWAP_STOP": str(stop), "ANSIBLE_NOCOLOR": "1", "PATH": PATH}, suppress_env_files=True,
            event_handler=heard, cancel_callback=stopped,
        )  # fmt: skip
        return (None if run.status == "canceled" else run.rc), events


def kept(raw: dict[str, Any]) -> dict[str, Any]:
    """The event without what is this machine's."""
    data = {key: value for key, value in (raw.get("event_data") or {}).items() if key in KEPT}
    text = json.dumps({"event": raw["event"], "event_data": data, "stdout": raw.get("stdout", "")})
    return json.loads(text.replace(str(HERE.parents[2]), "/repo"))


if __name__ == "__main__":
    main()
