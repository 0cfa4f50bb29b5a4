"""The scripts around the callbacks, run by real shells, and what makes build.sh run again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_scripts import (
    ENTRYPOINT,
    RUN,
    environment,
    fingerprint,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from tests.lab import debian

SHELLS = {"dash": "dash", "bash": "bash", "busybox": "busybox-static"}  # each with its package


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    """A shell that images have."""
    debian.need(SHELLS[request.param], request.param)
    return ["busybox", "sh"] if request.param == "busybox" else [request.param]


@pytest.fixture
def wrapper(tmp_path: Path):
    """Start the wrapper in a shell, its callback being this text."""

    def start(shell: list[str], callback: str, *words: str, **env: str) -> subprocess.Popen[str]:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        script, moved = folder / "callback", folder / "wrapper"
        script.write_text("#!/bin/sh\n" + callback)
        script.chmod(0o755)
        moved.write_text(ENTRYPOINT.replace("/.artifakt/entrypoint.sh", str(script)))
        usual = {"PATH": "/usr/bin:/bin"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        program = shutil.which(shell[0]) or shell[0]
        return subprocess.Popen([program, *shell[1:], str(moved), *words], env=usual | env, **pipes)

    return start


def test_the_default_process_takes_the_wrappers_place(shell: list[str], wrapper) -> None:
    """Same process, same arguments, same environment but for what the callback left."""
    words = ["sh", "-c", 'echo $$ "$#" "$1" "$name" "$code" "$MORE"; exit 42', "x", "a  b", "c"]
    started = wrapper(shell, 'echo "MORE=x  \'y\' $z" >>"$STACKSWAP_ENV_FILE"', *words, name="n", code="c")
    out, err = started.communicate(timeout=60)
    assert (out, err) == (f"{started.pid} 2 a  b n c x  'y' \n", "")
    assert started.returncode == 42


def test_a_failing_callback_is_the_end(shell: list[str], wrapper) -> None:
    """Its exit code is kept and the application is not started."""
    started = wrapper(shell, "echo why >&2; exit 7", "echo", "started")
    out, err = started.communicate(timeout=60)
    assert started.returncode == 7
    assert out == ""
    assert err.splitlines()[0] == "why"
    assert "failed with exit code 7" in err


@pytest.mark.parametrize("left", ["no equals sign", "1A=x", "A B=x", "=x"])
def test_a_line_that_is_no_variable_is_refused(left: str, shell: list[str], wrapper) -> None:
    """And what it holds is not shown: it may be a secret."""
    started = wrapper(shell, f"echo '{left}' >$STACKSWAP_ENV_FILE", "echo", "started")
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out) == (65, "")
    assert left not in err


def test_the_file_is_a_plain_list_and_goes_away(shell: list[str], wrapper) -> None:
    """Comments, empty lines, `export` and a last line without an end; nothing is evaluated."""
    left = "# c\\n\\nexport A=$(id)\\nB=`id`"
    callback = f'printf \'{left}\' >"$STACKSWAP_ENV_FILE"; echo "$STACKSWAP_ENV_FILE"'
    started = wrapper(shell, callback, "sh", "-c", 'echo "$A|$B|${STACKSWAP_ENV_FILE-none}"')
    out, _ = started.communicate(timeout=60)
    path, values = out.splitlines()
    assert values == "$(id)|`id`|none"
    assert not Path(path).exists()


def test_nothing_to_start_is_said(shell: list[str], wrapper) -> None:
    """An image without ENTRYPOINT and CMD, and no command."""
    started = wrapper(shell, "true")
    assert "neither ENTRYPOINT nor CMD" in started.communicate(timeout=60)[1]
    assert started.returncode == 64


def test_a_stop_during_the_callback_reaches_it(shell: list[str], wrapper) -> None:
    """The callback may tidy up; the application is not started; nobody waits for a kill."""
    callback = "trap 'echo tidy; exit 1' TERM; echo ready; while :; do sleep 0.1; done"
    started = wrapper(shell, callback, "echo", "started")
    assert started.stdout.readline() == "ready\n"
    began = time.monotonic()
    started.send_signal(signal.SIGTERM)
    out, _ = started.communicate(timeout=60)
    assert (out, started.returncode) == ("tidy\n", 143)
    assert time.monotonic() - began < 20


def test_build_sh_gets_exactly_what_was_given(shell: list[str], tmp_path: Path) -> None:
    """Quotes, newlines and dollars come through as they are."""
    values = {"A": 'it\'s "$HOME" `id` \\n', "B": "two\nlines\n", "C": "", "D": "'" * 65536, "E": "'\"$`\\\n" * 10000}
    secret, callback = tmp_path / "env", tmp_path / "build.sh"
    secret.write_text(environment({"A": values["A"]}, {name: values[name] for name in "BCDE"}))
    callback.write_text('#!/bin/sh\npwd; printf "%s|" "$A" "$B" "$C" "$D" "$E"\n')
    callback.chmod(0o755)
    moved = RUN.replace("/run/secrets/stackswap-env", str(secret))
    moved = moved.replace("/.artifakt/build.sh", str(callback))
    root = tmp_path / "code root"
    root.mkdir()
    done = subprocess.run([*shell, "-c", moved, "sh", str(root)], capture_output=True, text=True)
    assert done.stdout == f"{root}\n" + "".join(f"{value}|" for value in values.values())
    done = subprocess.run([*shell, "-c", moved, "sh", "/nosuch"], capture_output=True, text=True)
    assert done.returncode == 71
    assert "the code root /nosuch is not in the image" in done.stderr


@pytest.mark.parametrize(
    ("env", "secrets", "said"),
    [
        ({"A B": "x"}, {}, "cannot be the name"),
        ({"A": 1}, {}, "env.A is not text"),
        ({}, {"A": True}, "secrets.A is not text"),
        ({"A": "x"}, {"A": "y"}, "both in env and in secrets"),
        ({"A": "x\0"}, {}, "zero byte"),
        ({"A": "x" * 200_000}, {}, r"env\.A is larger than 120000 bytes, which no process can be given"),
        ({}, dict.fromkeys("ABCDE", "x" * 110000), "larger than 500000 bytes together"),
    ],
)
def test_what_cannot_be_an_environment_is_refused(env: dict, secrets: dict, said: str) -> None:
    """Before anything is built."""
    with pytest.raises(BadInput, match=said):
        environment(env, secrets)


def test_the_fingerprint_changes_with_every_value_and_shows_none() -> None:
    """Secrets are told apart by this builder's key only."""
    base = fingerprint({"A": "1"}, {"S": "hunter2"}, b"k")
    others = [
        fingerprint({"A": "2"}, {"S": "hunter2"}, b"k"),
        fingerprint({"A": "1"}, {"S": "hunter3"}, b"k"),
        fingerprint({"A": "1"}, {"S": "hunter2"}, b"l"),
        fingerprint({"A": "1", "S": "hunter2"}, {}, b"k"),
    ]
    assert len({base, *others}) == 5
    assert "hunter2" not in base
    assert base == fingerprint({"A": "1"}, {"S": "hunter2"}, b"k")


@pytest.fixture
def locked(tmp_path: Path) -> dict[str, str]:
    """The environment of a container whose entrypoint.sh runs under the lock; nobody waits long."""
    lock = tmp_path / "data" / ".stackswap" / "lock"
    return {"ARTIFAKT_ENTRYPOINT_LOCK": str(lock), "STACKSWAP_ENTRYPOINT_LOCK_SECONDS": "60"}


def test_callbacks_under_the_lock_run_one_at_a_time(wrapper, tmp_path: Path, locked: dict[str, str]) -> None:
    """The file is never removed, so that a waiter and a newcomer mean the same lock."""
    ran = tmp_path / "ran"
    callback = f'echo in >>"{ran}"; sleep 0.4; echo out >>"{ran}"'
    shells = [["busybox", "sh"] if name == "busybox" else [name] for name in SHELLS]
    started = [wrapper(shell, callback, "true", **locked) for shell in (shells * 3)[:3]]
    assert [one.wait(timeout=120) for one in started] == [0, 0, 0]
    assert ran.read_text().split() == ["in", "out"] * 3
    assert Path(locked["ARTIFAKT_ENTRYPOINT_LOCK"]).read_text() == ""


@pytest.fixture
def holder(shell: list[str], wrapper, locked: dict[str, str]):
    """A container whose entrypoint.sh has the lock and does not end by itself."""
    started = wrapper(shell, "echo $$; exec sleep 300 >/dev/null 2>&1", "true", **locked)
    callback = int(started.stdout.readline())
    yield started
    started.kill()
    os.kill(callback, signal.SIGKILL)
    started.communicate(timeout=60)


def test_who_waits_for_the_lock_says_for_whom_and_gives_up(holder, shell: list[str], wrapper, locked) -> None:
    """With an exit code of its own, and the application is not started."""
    started = wrapper(shell, "true", "echo", "started", **locked | {"STACKSWAP_ENTRYPOINT_LOCK_SECONDS": "1.0"})
    out, err = started.communicate(timeout=60)
    assert (out, started.returncode) == ("", 75)
    waits, gave_up = err.splitlines()
    held = f"{os.uname().nodename} since 20"
    assert "waits up to 1 s for its lock, which is held by " + held in waits
    assert "gave up after 1 s: .artifakt/entrypoint.sh is still run by " + held in gave_up


def test_the_lock_ends_with_its_holder(holder, shell: list[str], wrapper, locked) -> None:
    """Even with one that was killed; nobody has to remove a file."""
    started = wrapper(shell, "true", "echo", "started", **locked)
    assert "waits" in started.stderr.readline()
    holder.kill()
    assert started.communicate(timeout=60)[0] == "started\n"


def test_a_stop_while_waiting_for_the_lock_is_obeyed(holder, shell: list[str], wrapper, locked) -> None:
    """Process 1 of a container has to listen."""
    started = wrapper(shell, "true", "echo", "started", **locked)
    assert "waits" in started.stderr.readline()
    started.send_signal(signal.SIGTERM)
    assert started.communicate(timeout=60)[0] == ""
    assert started.returncode == 143


def test_neither_children_nor_the_application_keep_the_lock(shell: list[str], wrapper, locked) -> None:
    """It is free as soon as entrypoint.sh has ended."""
    callback = 'sleep 300 >/dev/null 2>&1 & echo "CHILD=$!" >"$STACKSWAP_ENV_FILE"'
    first = wrapper(shell, callback, "sh", "-c", "echo $CHILD; exec sleep 300", **locked)
    child = int(first.stdout.readline())
    try:
        second = wrapper(shell, "true", "echo", "started", **locked)
        assert second.communicate(timeout=60) == ("started\n", "")
    finally:
        os.kill(child, signal.SIGKILL)
        first.kill()
        first.communicate(timeout=60)


LOCKS = {
    "no flock": ({"PATH": "/nonexistent"}, 69, "needs the command flock"),
    "no number": ({"STACKSWAP_ENTRYPOINT_LOCK_SECONDS": "soon"}, 64, "not a number of seconds"),
    "no place": ({"ARTIFAKT_ENTRYPOINT_LOCK": "/proc/nosuch/lock"}, 73, "cannot be written by user"),
}


@pytest.mark.parametrize(("env", "code", "said"), LOCKS.values(), ids=LOCKS)
def test_a_lock_that_cannot_be_is_refused(env, code: int, said: str, shell: list[str], wrapper, locked) -> None:
    """At the start and in words; the callback does not run without it."""
    started = wrapper(shell, "echo ran", "echo", "started", **locked | env)
    out, err = started.communicate(timeout=60)
    assert (out, started.returncode) == ("", code)
    assert said in err


def test_the_platforms_own_variables_ask_for_the_lock(holder, shell: list[str], wrapper, locked) -> None:
    """Its names and its meaning: a path, and a time in seconds."""
    env = {name: one for name, one in locked.items() if name.startswith("ARTIFAKT")}
    started = wrapper(shell, "true", "echo", "started", **env, ARTIFAKT_TIMEOUT_LOCK="0")
    assert started.wait(timeout=60) == 75
    assert wrapper(shell, "true", "true", ARTIFAKT_TIMEOUT_LOCK="1").wait(timeout=60) == 0
