"""A module's process stays for the next calls, does each in a fork, and goes when nobody asks any more.

The calls are made by the shell command with which the action plugin makes them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.own_folder import own_folder
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.followed import END, POLL
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.forked import CALL, NONE
from tests.unit.test_line import wait_for, written

# As a module: what its options ask for, printed; imported once, by the first process of all.
MODULE = """
import json, os, sys, time
from ansible_collections.stackswap.bluegreen.plugins.module_utils.line import served
BORN = os.getpid()
def main(options):
    def work(line):
        line.tell("work", options["say"])
        time.sleep(options.get("takes", 0))
        if options["say"] == "boom":
            raise RuntimeError("boom")
        if options["say"] == "stop":
            while not line.stop_asked():
                time.sleep(0.02)
        print(json.dumps({"said": options["say"], "born": BORN, "pid": os.getpid(), "parent": os.getppid()}))
        sys.exit(0)
    served(options["_line"], work, main)
try:
    main(json.loads(sys.argv[1]))
finally:
    open(sys.argv[2], "a").write("left\\n")
"""


class Job:
    """The calls of one job on this machine."""

    def __init__(self, folder: Path) -> None:
        self.name, self.calls, self.left = f"server-{os.getpid()}-{folder.name}", 0, folder / "left"
        self.home = Path(own_folder())

    def line(self, **told: Any) -> dict[str, Any]:
        """What the action plugin tells of itself."""
        self.calls += 1
        name = f"{self.name}-call{self.calls}"
        return {"name": name, "grace": 1.0, "lease": 30.0, "stop": False, "rest": 20.0, **told}

    def first(self, say: str, **told: Any) -> dict[str, Any]:
        """A call of the module itself, which leaves a fork server."""
        options = {"say": say, "_line": self.line(server=self.name, **told)}
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        words = [sys.executable, "-c", MODULE, json.dumps(options), str(self.left)]
        done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return dict(json.loads(done.stdout))

    def call(self, say: str, takes: float = 0, **told: Any) -> tuple[int, Any]:
        """A call through the fork server: the exit code, and its result or the folder in which it goes on."""
        line = self.line(**told)
        asked = {"name": line["name"], "rest": line["rest"], "args": {"say": say, "takes": takes, "_line": line}}
        stop = " stop" if line["stop"] else ""
        command = CALL.format(server=self.name, call=line["name"], grace=line["grace"], stop=stop)
        done = subprocess.run(
            ["sh", "-c", command],
            input=f"\n{json.dumps(asked)}",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout.strip()

    def folders(self) -> list[str]:
        """What is there of this job."""
        return [path.name for path in self.home.glob(f"{self.name}*")]

    def server(self) -> int:
        """The process that holds the server's lock, 0 if there is none."""
        alive = self.home / self.name / "alive"
        inode = f":{alive.stat().st_ino} " if alive.exists() else "no"
        held = [line for line in Path("/proc/locks").read_text().splitlines() if inode in line]
        return int(held[0].split()[4]) if held else 0


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """A job of its own; its server does not outlive the test."""
    job = Job(tmp_path)
    yield job
    if serving := job.server():
        os.kill(serving, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{serving}").exists())
    for name in job.folders():
        for path in (job.home / name).iterdir():
            path.unlink()
        (job.home / name).rmdir()


def test_a_call_is_done_in_a_fork_of_what_the_first_one_left(job: Job) -> None:
    """Nothing is started or imported anew; each call has a process of its own, and its folder goes."""
    first = job.first("one")
    code, second = job.call("two")
    third = job.call("three")[1]
    assert (code, second["said"], third["said"]) == (0, "two", "three")
    assert first["born"] == second["born"] == third["born"], "imported once"
    assert {first["parent"], second["parent"], third["parent"]} == {job.server()}, "forked from one process"
    assert len({first["pid"], second["pid"], third["pid"]}) == 3
    assert job.folders() == [job.name]
    assert (job.home / job.name).stat().st_mode & 0o777 == 0o700
    assert (job.home / job.name / "ask").stat().st_mode & 0o777 == 0o600


def test_options_larger_than_a_pipe_arrive(job: Job) -> None:
    """A call is not done before all of it is there."""
    job.first("one")
    assert job.call("x" * 300_000)[1]["said"] == "x" * 300_000


def test_a_long_call_is_followed_as_any_other(job: Job) -> None:
    """Within the grace its folder is told; its lines and its result come with a poll."""
    job.first("one")
    code, folder = job.call("long", takes=1.0, grace=0.2)
    assert code == 0 and folder.startswith(str(job.home))
    text = ""
    for _turn in range(20):
        words = POLL.format(folder=folder, at=0, next=1, stop="", end=END)
        text = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=True).stdout
        if f"\n{END}\n" in text:
            break
        time.sleep(0.1)
    told, _end, result = text.partition(f"\n{END}\n")
    assert json.loads(told.splitlines()[0])["msg"] == "long"
    assert json.loads(result)["said"] == "long"
    assert job.folders() == [job.name]


def test_a_call_that_fails_or_is_stopped_leaves_the_server_as_it_was(job: Job) -> None:
    """What is raised in a fork is its own result, and a stop that is asked at once is seen."""
    job.first("one")
    assert job.call("boom")[1] == {"failed": True, "changed": False, "msg": "RuntimeError: boom"}
    assert job.call("stop", stop=True)[1]["said"] == "stop"
    assert job.call("two")[1]["said"] == "two"


def test_a_server_goes_when_nobody_asks_and_only_then_what_was_unpacked(job: Job) -> None:
    """Its folder goes with it; whoever calls later is told that there is none, and nothing is left of the call."""
    job.first("one")
    assert job.call("two", rest=0.3)[0] == 0
    assert not job.left.exists()
    wait_for(lambda: not job.folders())
    wait_for(lambda: written(job.left))
    assert job.left.read_text() == "left\n", "by one process, at the end of all"
    assert job.call("three") == (NONE, "") and not job.folders()
    job.first("four")
    assert job.call("five")[1]["said"] == "five", "and a first call leaves a new one"


def test_a_server_waits_for_the_call_that_is_under_way(job: Job) -> None:
    """However short its rest is: what the call still imports is there."""
    job.first("one")
    folder = Path(job.call("long", takes=2.0, grace=0.1, rest=0.1)[1])
    time.sleep(1.2)
    assert job.name in job.folders() and not job.left.exists()
    wait_for((folder / "result").exists)
    wait_for(lambda: job.name not in job.folders())


def test_a_killed_server_is_none(job: Job) -> None:
    """The next call is told so at once, and starts the module itself; the killed one's folder bars a second server."""
    serving = job.first("one")["parent"]
    os.kill(serving, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{serving}").exists())
    assert job.call("two") == (NONE, "")
    assert job.first("three")["said"] == "three"
    assert job.call("four") == (NONE, "") and job.folders() == [job.name]


def test_half_a_call_is_none(job: Job) -> None:
    """A caller whose connection breaks has asked for nothing."""
    job.first("one")
    ask = os.open(job.home / job.name / "ask", os.O_WRONLY)
    os.write(ask, b'{"name": "half", "args": {"say"')
    os.close(ask)
    assert job.call("two")[1]["said"] == "two"


def test_a_call_right_behind_half_a_call_is_done(job: Job) -> None:
    """The server may not have seen yet that the first caller is gone: it reads both as one."""
    job.first("one")
    ask = os.open(job.home / job.name / "ask", os.O_WRONLY)
    os.write(ask, b'{"name": "half", "args": {"say"')
    closing = threading.Timer(0.5, os.close, [ask])
    closing.start()
    assert job.call("two")[1]["said"] == "two"
    closing.join()


def test_a_server_may_be_left_before_there_is_anything_to_do(job: Job) -> None:
    """The call that leaves it does not do its work, and the next one does, in a fork of it."""
    assert job.first("boom", idle=True) == {"changed": False}
    code, told = job.call("two")
    assert (code, told["said"]) == (0, "two") and told["born"] != told["pid"]
