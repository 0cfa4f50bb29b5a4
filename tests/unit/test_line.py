"""A long call speaks, listens, goes on by itself, and always leaves a result or a free lock."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import line as lines
from ansible_collections.stackswap.bluegreen.plugins.module_utils.line import (
    Line,
    collect,
    served,
    sweep,
)
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.followed import END, POLL

MODULE = "ansible_collections.stackswap.bluegreen.plugins.module_utils.line"
# As a module does: work that tells, can be stopped, and prints its result. What follows the call
# only the worker may reach.
CALL = f"""
import json, os, sys, time
from {MODULE} import Line, detach
folder, left = sys.argv[1], sys.argv[5]
grace, turns, lease = map(float, sys.argv[2:5])
def work():
    line = Line(folder, lease=lease)
    for turn in range(int(turns)):
        line.tell("bake", "watching", n=turn + 1, of=int(turns))
        if line.stop_asked():
            print(json.dumps({{"failed": True, "msg": "went back: " + line.stop_asked()}}))
            sys.exit(1)
        time.sleep(0.1)
    if left == "crash":
        raise RuntimeError("boom")
    if left != "silent":
        print("\\n" + json.dumps({{"changed": True, "pid": os.getpid(), "sid": os.getsid(0)}}))
    sys.exit(0)
try:
    detach(folder, grace, work)
finally:
    with open(folder + ".left", "a") as stream:
        stream.write(f"{{os.getpid()}}\\n")
"""


class Listener:
    """The other side of a call that was started in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lines = folder, []

    def start(self, grace: float, turns: int, lease: float = 0, left: str = "result") -> dict:
        """Start the call as Ansible does, its output in a pipe, and answer what came."""
        words = [sys.executable, "-c", CALL, str(self.folder)]
        words += [str(grace), str(turns), str(lease), left]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(words, capture_output=True, env=env, timeout=60)
        assert done.stderr == b""
        assert done.returncode == 0
        return json.loads(done.stdout)

    def poll(self, stop: bool = False) -> tuple[int, str]:
        """One poll, as the action plugin makes it: its exit code, and the result if there is one."""
        at, ask = len(self.lines), "true > stop; " if stop else ""
        words = POLL.format(folder=self.folder, at=at, next=at + 1, stop=ask, end=END)
        done = subprocess.run(["sh", "-c", words], capture_output=True, text=True)
        told, _end, result = f"\n{done.stdout}".partition(f"\n{END}\n")
        self.lines += [json.loads(line) for line in told.split("\n") if line]
        return done.returncode, result

    def follow(self) -> dict:
        """Poll to the end."""
        for _ in range(200):
            code, result = self.poll()
            assert code == 0
            if result:
                return json.loads(result)
        raise AssertionError("no end")


@pytest.fixture
def listener(tmp_path: Path) -> Listener:
    """A listener to a folder whose parent is not there yet."""
    return Listener(tmp_path / "run" / "job-1")


def wait_for(true: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until it is true."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def written(path: Path) -> bool:
    """Whether its line is there: a file is there empty before it is written."""
    return path.exists() and path.read_text().endswith("\n")


def worker_of(folder: Path) -> int:
    """The process that holds the folder's lock."""
    inode = f":{(folder / 'alive').stat().st_ino} "
    held = [line for line in Path("/proc/locks").read_text().splitlines() if inode in line]
    return int(held[0].split()[4])


def test_a_short_call_answers_as_if_it_had_not_been_detached(listener: Listener) -> None:
    """Its result comes at once and no folder stays."""
    answer = listener.start(grace=5, turns=1)
    assert answer["changed"] is True
    assert answer["pid"] != answer["sid"]
    assert not listener.folder.exists()


def test_a_long_call_is_followed_line_by_line_and_collected_once(listener: Listener) -> None:
    """In a session of its own; lines in order; a folder for root alone, gone after it."""
    assert listener.start(grace=0.2, turns=12) == {
        "changed": False,
        "detached": str(listener.folder),
    }
    assert listener.folder.stat().st_mode & 0o777 == 0o700
    assert listener.folder.parent.stat().st_mode & 0o777 == 0o700
    assert os.getsid(worker_of(listener.folder)) != os.getsid(0)
    result = listener.follow()
    assert result["changed"] is True
    assert [line["n"] for line in listener.lines] == list(range(1, 13))
    assert {(line["phase"], line["msg"], line["of"]) for line in listener.lines} == {("bake", "watching", 12)}
    assert not listener.folder.exists()
    assert listener.poll()[0] == 3


def test_only_the_worker_reaches_what_follows_the_call(listener: Listener) -> None:
    """What Ansible unpacked is removed by the worker at its end, and by nobody before."""
    listener.start(grace=0, turns=5)
    left = Path(f"{listener.folder}.left")
    assert not left.exists()
    result = listener.follow()
    wait_for(lambda: written(left))
    assert left.read_text().split() == [str(result["pid"])]


def test_a_call_that_is_asked_stops_where_it_is_safe(listener: Listener) -> None:
    """It says so in its result."""
    listener.start(grace=0, turns=100)
    assert listener.poll(stop=True)[0] == 0
    assert listener.follow() == {"failed": True, "msg": "went back: asked"}
    assert len(listener.lines) < 30


def test_a_killed_worker_is_known_at_once(listener: Listener) -> None:
    """By its lock, not by waiting; then the folder goes with a failure as its result."""
    listener.start(grace=0, turns=100)
    assert listener.poll() == (0, "")
    os.kill(worker_of(listener.folder), signal.SIGKILL)
    began = time.monotonic()
    wait_for(lambda: listener.poll()[0] == 4)
    assert time.monotonic() - began < 5
    assert "without a result" in json.loads(collect(str(listener.folder)))["msg"]
    assert not listener.folder.exists()


def test_nobody_polling_leaves_the_call_alone_after_the_lease(listener: Listener) -> None:
    """Polls keep it; without them it is alone."""
    listener.start(grace=0, turns=100, lease=0.7)
    for _ in range(10):
        assert listener.poll() == (0, "")
        time.sleep(0.1)
    began = time.monotonic()
    wait_for((listener.folder / "result").exists)
    assert 0.4 < time.monotonic() - began < 5
    assert json.loads(collect(str(listener.folder)))["msg"] == "went back: alone"


@pytest.mark.parametrize(
    ("left", "msg"),
    [("crash", "RuntimeError: boom"), ("silent", "the work ended without a result")],
)
@pytest.mark.parametrize("grace", [0, 5])
def test_whatever_happens_there_is_a_result(listener: Listener, grace: float, left: str, msg: str) -> None:
    """A crash, or work that prints nothing, is a failure in words."""
    answer = listener.start(grace=grace, turns=3, left=left)
    result = listener.follow() if grace == 0 else answer
    assert result == {"failed": True, "changed": False, "msg": msg}


def test_work_that_goes_on_cannot_be_collected(listener: Listener) -> None:
    """Its folder stays."""
    listener.start(grace=0, turns=10)
    assert "still goes on" in json.loads(collect(str(listener.folder)))["msg"]
    assert listener.follow()["changed"] is True


def test_a_terminal_that_hangs_up_does_not_end_the_work(listener: Listener) -> None:
    """Ansible runs some commands on a terminal, which goes with the first process."""
    words = [sys.executable, "-c", CALL, str(listener.folder), "0", "8", "0", "result"]
    main, end = pty.openpty()

    def own() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        words,
        stdin=end,
        stdout=end,
        stderr=end,
        env=env,
        start_new_session=True,
        preexec_fn=own,  # noqa: PLW1509 - no threads here
    )
    os.close(end)
    assert b"detached" in os.read(main, 4096)
    os.close(main)
    process.wait()
    assert listener.follow()["changed"] is True


def test_a_folder_is_never_used_twice(listener: Listener) -> None:
    """A second call for it fails before it has begun."""
    listener.start(grace=0, turns=5)
    with pytest.raises(AssertionError):
        listener.start(grace=0, turns=5)
    assert listener.follow()["changed"] is True


def test_without_a_folder_all_is_silent() -> None:
    """A module never needs a listener."""
    line = Line(lease=1)
    line.tell("bake")
    assert line.stop_asked() == ""


def test_telling_never_fails_the_call(tmp_path: Path) -> None:
    """The folder is gone, the message is strange."""
    Line(str(tmp_path / "gone")).tell("bake")
    Line(str(tmp_path)).tell("bake", msg="a\x1eb\x85c\u2028d\ne")
    text = (tmp_path / "lines").read_text()
    assert text.isascii() and text.count("\n") == 1
    assert json.loads(text)["msg"] == "a\x1eb\x85c\u2028d\ne"


def test_the_lease_is_counted_by_the_monotonic_clock(tmp_path: Path) -> None:
    """What seen's time says does not matter, only that it changes."""
    clock = [0.0]
    line = Line(str(tmp_path), lease=30, clock=lambda: clock[0])
    seen = tmp_path / "seen"
    for now, stamp, told in [
        (29, None, ""),
        (31, None, "alone"),
        (32, 10**9, ""),
        (61, 10**9, ""),
        (63, 10**9, "alone"),
        (64, 5 * 10**8, ""),
    ]:
        clock[0] = now
        if stamp:
            seen.touch()
            os.utime(seen, (stamp, stamp))
        assert line.stop_asked() == told
    (tmp_path / "stop").touch()
    assert line.stop_asked() == "asked"


def test_old_folders_without_work_are_swept_and_others_stay(tmp_path: Path) -> None:
    """A day old, nobody's lock, and nothing in it but ours."""
    for name in ("new", "old", "busy", "foreign"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "alive").touch()
        (folder / "lines").write_text("{}\n")
    (tmp_path / "foreign" / "precious").touch()
    (tmp_path / "a-file").touch()
    for name in ("old", "busy", "foreign", "a-file"):
        os.utime(tmp_path / name, (0, 0))
    with (tmp_path / "busy" / "alive").open() as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        assert sweep(str(tmp_path)) == (str(tmp_path / "old"),)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["a-file", "busy", "foreign", "new"]
    assert (tmp_path / "foreign" / "lines").exists()
    assert sweep(str(tmp_path / "gone")) == ()


def test_what_is_told_again_and_again_is_told_once(tmp_path: Path) -> None:
    """A wait samples four times a second, and says the same most of the time."""
    line = Line(str(tmp_path))
    for msg in ("waiting", "waiting", "healthy", "waiting"):
        line.tell("await", msg)
    told = [json.loads(text)["msg"] for text in (tmp_path / "lines").read_text().splitlines()]
    assert told == ["waiting", "healthy", "waiting"]


def test_a_build_that_never_ends_talking_does_not_fill_the_disk(tmp_path: Path) -> None:
    """Whole lines up to a limit; the rest is in the log of the build."""
    line = Line(str(tmp_path))
    for number in range(3000):
        line.tell("build", f"{number} {'x' * 1000}")
    text = (tmp_path / "lines").read_text()
    assert len(text) <= lines.MOST and text.endswith("}\n")


def test_without_a_name_a_module_does_its_work_here_and_now() -> None:
    """As ad hoc, and in check mode."""
    heard: list[str] = []
    served(None, lambda line: heard.append(line.stop_asked()))
    served({}, lambda line: heard.append(line.stop_asked()))
    assert heard == ["", ""]


@pytest.mark.parametrize("name", ["../etc", "a/b", ".hidden", "a b"])
def test_a_folder_lies_nowhere_else(name: str) -> None:
    """The name comes with the options of a module."""
    with pytest.raises(ValueError, match="cannot be the name"):
        served({"name": name}, lambda line: None)


def test_a_stop_that_was_asked_for_before_the_call_is_heard_in_it(tmp_path: Path) -> None:
    """The work begins with it."""
    told = served_in(tmp_path, {"name": "job-1", "grace": -1, "stop": True})
    assert told["detached"] == str(tmp_path / "run" / "job-1")
    wait_for((tmp_path / "run" / "job-1" / "result").exists)
    assert json.loads(collect(told["detached"])) == {"msg": "asked"}


def served_in(folder: Path, asked: dict) -> dict:
    """What a module prints that is asked so, with its folders in this one."""
    code = (
        f"import json, sys; from ansible_collections.stackswap.bluegreen.plugins.module_utils import line as lines; "
        f"lines.own_folder = lambda: {str(folder / 'run')!r}; "
        f"lines.served({asked!r}, lambda line: print(json.dumps({{'msg': line.stop_asked()}})))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, timeout=60, check=True)
    return json.loads(done.stdout)
