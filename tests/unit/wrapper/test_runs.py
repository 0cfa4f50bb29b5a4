"""Real runs of small plays: secrets, cancel, deadline, large results, the library, the disk."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pexpect
import pytest

import stackswap
from stackswap import job, runner
from stackswap.report import Report
from stackswap.show import Nothing
from stackswap.spec import parse
from stackswap.store import Folder, Store

PLAYS = Path(__file__).parent / "plays"
HOSTS = str(PLAYS / "hosts.yml")
MARKER = "m4rker-of-a-s3cret"
QUICK = job.Patience(asked=0.2, interrupted=5.0)
CODE = "import sys; from stackswap.cli import main; sys.exit(main(sys.argv[2:], playbook=sys.argv[1]))"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def swept(tmp_path: Path) -> Iterator[None]:
    """What a job that was killed has in memory goes with the test, as it would with the next job."""
    yield
    Store(tmp_path).prune()


def ran(folder: Path, play: str, *options: str, patience: job.Patience = QUICK) -> Report:
    """A job run here, in this process."""
    line = ["deploy", "shop", "1.10", "-i", HOSTS, "--job-dir", str(folder), *options]
    return job.run(parse(line), Nothing(), patience=patience, playbook=str(PLAYS / f"{play}.yml"))


def words(folder: Path, play: str, *options: str) -> list[str]:
    """The command for a job."""
    line = [str(PLAYS / f"{play}.yml"), "deploy", "shop", "1.10", "-i", HOSTS]
    return [sys.executable, "-c", CODE, *line, "--job-dir", str(folder), *options]


def command(
    folder: Path, play: str, *options: str, under: tuple[str, ...] = (), **environ: str
) -> subprocess.Popen[str]:
    """A job run by the command. under: the command that starts it."""
    return subprocess.Popen(
        [*under, *words(folder, play, *options)],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(folder: Path, seen: Callable[[Folder], Any], seconds: float = 20.0) -> Folder:
    """The job's folder, as soon as that is seen in it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for found in Store(folder).jobs():
            if seen(found):
                return found
        time.sleep(0.05)
    raise AssertionError("not seen in time")


def at_work(folder: Folder) -> bool:
    """Whether the long call has begun."""
    lines = [one for one in folder.events() if one["type"] == "host.started"]
    return any((one["task"], one["host"]) == ("Go live", "web2") for one in lines)


def holding(folder: Path, text: str) -> list[str]:
    """The files on the disk below the folder that hold the text."""
    found = []
    paths = [Path(at, name) for at, _, names in os.walk(folder) for name in names]  # a folder may go meanwhile
    for path in paths:
        with suppress(OSError):  # it may have gone, too
            found += [path.name] if not path.is_symlink() and text.encode() in path.read_bytes() else []
    return found


@pytest.mark.parametrize("verbose", ["", "-vvv"])
def test_no_secret_is_written(tmp_path: Path, verbose: str) -> None:
    """Not from the environment, extra variables, a hiding task, or a module that tells too much."""
    more = ["-e", f"hidden_password={MARKER}", *filter(None, [verbose])]
    running = command(tmp_path, "secrets", *more, CI_JOB_TOKEN=MARKER, HARMLESS=MARKER)
    during: list[str] = []
    memory: set[str] = set()
    while running.poll() is None:
        during += holding(tmp_path, MARKER)
        memory |= {os.readlink(kept) for kept in tmp_path.glob("*/pdd/artifacts")}
        time.sleep(0.02)
    (folder,) = Store(tmp_path).jobs()
    assert running.returncode == 0
    assert not during
    assert not holding(tmp_path, MARKER)
    assert memory
    assert not any(map(os.path.exists, memory)), "what the runner wrote was in memory, and is gone"
    assert "A task that hides what it has" in (folder.path / "log").read_text()


def test_command_line_and_environment_are_never_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the moment either in which ansible-runner has written them and nothing has begun."""
    monkeypatch.setenv("CI_JOB_TOKEN", MARKER)
    seen: list[tuple[str, list[str], bool]] = []
    scrub = runner._Scrub.__call__

    def watched(self: Any, status: Any, runner_config: Any) -> None:
        written = Path(runner_config.artifact_dir, "command")
        seen.append((status["status"], holding(tmp_path, MARKER), written.exists() and MARKER in written.read_text()))
        scrub(self, status, runner_config)

    monkeypatch.setattr(runner._Scrub, "__call__", watched)
    ran(tmp_path, "broken", "-e", f"hidden_password={MARKER}")
    assert [name for name, _, _ in seen][:2] == ["starting", "running"]
    assert not [held for _, held, _ in seen if held]
    assert seen[1][2], "it was written, to memory"


def test_a_job_that_obeys_is_canceled_and_nothing_is_unknown(tmp_path: Path) -> None:
    """The action plugin sees the file, the server goes back, the report is whole."""
    patient = job.Patience(asked=60, interrupted=60)
    asked = threading.Thread(
        target=lambda: until(tmp_path, lambda f: any(e["type"] == "progress" for e in f.events())).cancel("command")
    )
    asked.start()
    report = ran(tmp_path, "ladder", "-e", "how=asked", "-e", "seconds=40", patience=patient)
    asked.join()
    assert (report.status, report.exit, report.outcome) == ("canceled", 130, "unchanged")
    assert not report.working
    types = [event["type"] for event in Store(tmp_path).find("last").events()]
    assert {"job.canceling", "play.ended"} <= set(types)


def test_a_job_that_does_not_obey_is_interrupted_and_says_so(tmp_path: Path) -> None:
    """Ctrl-C twice: exit 130 at once, and the server not heard out is unknown."""
    running = command(tmp_path, "one_call", "-e", "seconds=60")
    until(tmp_path, at_work)
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    until(tmp_path, lambda folder: folder.status() == "canceling")
    time.sleep(0.7)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert time.monotonic() - began < 30
    assert "asked to stop" in out
    assert out.splitlines()[-1].startswith("BROKEN OFF: web2")
    report = Store(tmp_path).find("last").report()
    assert report is not None
    assert {name: one["outcome"] for name, one in report.servers.items()} == {
        "web1": "unchanged",
        "web2": "unknown",
    }


def waits(folder: Folder) -> bool:
    """Whether a server waits in a call that obeys."""
    return any(event["type"] == "progress" for event in folder.events())


def test_a_terminal_that_is_closed_asks_the_job_to_stop(tmp_path: Path) -> None:
    """The server goes back and the report is whole, though there is nobody any more to read what is said."""
    near, far = os.openpty()
    heard = ["env", "--default-signal=HUP"]  # also where the tests themselves were started to outlive a terminal
    line = [*heard, "setsid", "--ctty", *words(tmp_path, "ladder", "-e", "how=asked", "-e", "seconds=40")]
    running = subprocess.Popen(line, stdin=far, stdout=far, stderr=far)
    os.close(far)
    folder = until(tmp_path, waits)
    os.close(near)
    assert running.wait(timeout=60) == 130
    assert folder.canceled_by() == "signal"
    report = folder.report()
    assert report is not None
    assert (report.status, report.exit, report.outcome, report.working) == ("canceled", 130, "unchanged", ())


@pytest.mark.parametrize(("often", "interrupts"), [("push", True), ("hang_up", False)])
def test_a_terminal_is_closed_once_however_often_it_is_told(tmp_path: Path, often: str, interrupts: bool) -> None:
    """A shell passes the signal on, and the system sends another when the shell ends: nobody has asked twice."""
    folder = Store(tmp_path).create("20260101-000000-abcdef")
    running = job.Running(parse(["deploy", "shop"]), folder, Nothing(), job.Patience(), job.Clocks())
    getattr(running, often)()
    getattr(running, often)()
    running.tick()
    assert (running.stop.why, running.stop.interrupted is not None) == ("canceled", interrupts)


def test_a_job_that_was_started_with_nohup_goes_on(tmp_path: Path) -> None:
    """Who starts it so wants that."""
    running = command(tmp_path, "ladder", "-e", "how=asked", "-e", "seconds=2", under=("nohup",))
    folder = until(tmp_path, waits)
    running.send_signal(signal.SIGHUP)
    running.communicate(timeout=60)
    assert (running.returncode, folder.canceled_by()) == (0, "")


def test_a_deadline_stops_the_job(tmp_path: Path) -> None:
    """Asked, interrupted, and exit 6."""
    report = ran(tmp_path, "one_call", "-e", "seconds=60", "--deadline", "3")
    assert (report.status, report.exit, report.reason) == ("timeout", 6, "deadline")
    assert report.working == ("web2",)


def test_a_wrapper_that_is_killed_leaves_a_lost_job(tmp_path: Path) -> None:
    """Found by its lock, told from its events."""
    running = command(tmp_path, "one_call", "-e", "seconds=4")
    folder = until(tmp_path, at_work)
    running.kill()
    running.wait()
    report = folder.report()
    assert report is not None
    assert (report.status, report.reason, report.exit) == ("error", "lost", 4)
    assert "web2" in report.working


def test_a_result_of_a_megabyte_is_survived(tmp_path: Path) -> None:
    """ansible-runner empties it; the report of the play still tells all."""
    report = ran(tmp_path, "ladder", "-e", "bulk=1000000")
    assert (report.exit, report.outcome) == (0, "new")
    events = Store(tmp_path).find("last").path / "events.ndjson"
    assert events.stat().st_size < 100_000


def test_a_disk_that_is_full_and_a_closed_pipe_stop_no_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing and writing are not the job."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "append", full)
    monkeypatch.setattr(Nothing, "event", full)
    assert ran(tmp_path, "ladder").exit == 0


def test_the_library_gives_a_report(tmp_path: Path) -> None:
    """The same job as a call; from a thread too, where no signal can be had."""
    found: list[Report] = []
    options = {"inventory": HOSTS, "job_dir": str(tmp_path), "extra_vars": {"sick": "web2"}}
    options["_playbook"] = str(PLAYS / "ladder.yml")
    call = threading.Thread(target=lambda: found.append(stackswap.deploy("shop", "1.10", **options)))
    call.start()
    call.join()
    (report,) = found
    assert report.ok and report.outcome == "new"
    assert report.servers["web1"]["serving"]["version"] == "1.10"
    report.raise_for_status()
    assert json.loads(report.to_json())["report"]["line"] == report.line


def test_signals_are_the_callers_again(tmp_path: Path) -> None:
    """What was set before is set after."""
    before = signal.getsignal(signal.SIGINT)
    ran(tmp_path, "broken")
    assert signal.getsignal(signal.SIGINT) is before


def test_json_ends_with_the_whole_result(tmp_path: Path) -> None:
    """Standard output is JSON lines, and Ansible's own text goes to standard error."""
    out, err = command(tmp_path, "ladder", "--output", "json", "-v").communicate()
    last = [json.loads(line) for line in out.splitlines()][-1]
    assert last["type"] == "job.finished"
    assert last["data"]["report"]["outcome"] == "new"
    assert "PLAY [Deploy]" in err


def test_a_password_is_asked_of_the_person_at_the_terminal(tmp_path: Path) -> None:
    """Ansible asks the wrapper, the wrapper asks the person, and nobody writes it down."""
    line = [str(PLAYS / "ladder.yml"), "deploy", "shop", "1.10", "-i", HOSTS, "-K"]
    words = ["-c", CODE, *line, "--job-dir", str(tmp_path), "--output", "plain"]
    person = pexpect.spawn(sys.executable, words, encoding="utf-8", timeout=60)
    person.expect("BECOME password: ")
    person.sendline(MARKER)
    person.expect(pexpect.EOF)
    person.close()
    assert person.exitstatus == 0
    assert MARKER not in (person.before or "")
    assert not holding(tmp_path, MARKER)


def test_a_person_at_a_terminal_sees_the_table(tmp_path: Path) -> None:
    """Drawn over itself while the job runs, on a real terminal; the last picture and the last line stay."""
    line = [str(PLAYS / "ladder.yml"), "deploy", "shop", "1.10", "-i", HOSTS, "--job-dir", str(tmp_path)]
    environ = {name: text for name, text in os.environ.items() if name not in ("CI", "NO_COLOR")}
    words = {"encoding": "utf-8", "timeout": 60, "dimensions": (40, 120), "env": {**environ, "TERM": "xterm"}}
    person = pexpect.spawn(sys.executable, ["-c", CODE, *line], **words)
    person.expect(pexpect.EOF)
    person.close()
    shown = str(person.before)
    assert person.exitstatus == 0, shown
    assert "\x1b[1A" in shown, "it was drawn over itself"
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).splitlines()
    assert [row for row in last if re.match(r"web1 +done: Report +\d+ s +1\.10", row)], shown
    assert last[-1].strip() == "shop: new"


def test_without_a_terminal_a_password_cannot_be_asked(tmp_path: Path) -> None:
    """A usage error at once, not a job that waits for ever."""
    report = ran(tmp_path, "ladder", "-K")
    assert report.exit == 2
    assert "password file" in report.said
