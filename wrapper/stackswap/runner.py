"""The only door to ansible-runner: runs one play and tells what happens, as it happens.

Apart from the rest so that another engine could take its place.
"""

from __future__ import annotations

import getpass
import json
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ansible_runner

from stackswap.errors import Usage
from stackswap.play import Play

POLL = 0.5
SETTINGS = {"pexpect_timeout": POLL, "suppress_ansible_output": True}
PROMPTS = {
    r"SSH password:\s*?$": "SSH password: ",
    r"BECOME password.*:\s*?$": "BECOME password: ",
    r"Vault password( \([^)]*\))?:\s*?$": "Vault password: ",
}


class Answer(str):
    """A password, asked of the person at the terminal in the moment in which Ansible asks for it.

    ansible-runner sends `answer + newline`; so nothing needs to be known of what Ansible will ask,
    which may stand in ansible.cfg, and nothing is kept.
    """

    def __add__(self, end: str) -> str:
        """The answer as it is sent."""
        if not sys.stdin.isatty():
            raise Usage("Ansible asks for a password and there is no terminal: use a password file")
        with _interruptible():
            return getpass.getpass(str(self)) + end


@contextmanager
def _interruptible() -> Iterator[None]:
    """While a person is asked, Ctrl-C means what it means everywhere."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def run(
    play: Play,
    private: Path,
    job: str,
    heard: Callable[[Mapping[str, Any]], None],
    stop: Callable[[], bool],
) -> int | None:
    """Run it to its end. heard gets each event, stop is asked twice a second: True kills the play.

    Answers ansible-playbook's return code; None if it has none of its own.
    """

    def handle(raw: Mapping[str, Any]) -> bool:
        heard(raw)
        return False  # no file for it

    settings = private / "env" / "settings"
    settings.parent.mkdir(mode=0o700, parents=True)
    settings.write_text(json.dumps(SETTINGS))  # given as an argument, they would be dropped
    scrub = _Scrub()
    ended = ansible_runner.run(
        private_data_dir=str(private),
        project_dir=os.getcwd(),
        ident=job,
        binary=play.binary,
        cmdline=shlex.join([*play.arguments, play.playbook]),
        envvars=dict(play.environment),
        passwords={pattern: Answer(prompt) for pattern, prompt in PROMPTS.items()},
        suppress_env_files=True,
        fact_cache_type="",
        event_handler=handle,
        status_handler=scrub,
        cancel_callback=stop,
    )
    scrub.close()  # it may have ended before it began
    return None if ended.status in ("canceled", "timeout") else ended.rc


class _Scrub:
    """Keeps command line and environment off the disk, where ansible-runner writes them just before it begins.

    Its file is one in memory until it was written, and holds only names from then on.
    """

    def __init__(self) -> None:
        self._memory: int | None = None

    def __call__(self, status: Mapping[str, Any], runner_config: Any) -> None:
        path = Path(runner_config.artifact_dir) / "command"
        if status["status"] == "starting":
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._memory = os.memfd_create("command")
            path.symlink_to(f"/proc/self/fd/{self._memory}")
        elif status["status"] == "running":
            path.unlink()
            kept = {"command": runner_config.command[:1], "env": sorted(runner_config.env)}
            path.write_text(json.dumps({**kept, "cwd": runner_config.cwd}))
            self.close()

    def close(self) -> None:
        """What was in memory is gone."""
        if self._memory is not None:
            os.close(self._memory)
            self._memory = None
