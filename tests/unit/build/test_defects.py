"""The ten defects that the platform's own images and scripts had: a test for each that ours has none of them.

The numbers are kept in the names. What another file tests already is named in ELSEWHERE.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import dockerfile, folder, persistent
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_scripts import ENTRYPOINT, RUN
from ansible_collections.stackswap.bluegreen.plugins.module_utils.dockerfile import Choice
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import health
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Health, Image
from tests.unit.build.test_persistent import Machine
from tests.unit.collection.test_judges import sample

TESTS = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "1 the lock file was removed by its holder, so that two could hold it": (
        "unit/build/test_scripts.py::test_callbacks_under_the_lock_run_one_at_a_time",
        "unit/build/test_scripts.py::test_the_lock_ends_with_its_holder",
    ),
    "3 a callback that was sourced changed the application's process": (
        "unit/build/test_scripts.py::test_the_default_process_takes_the_wrappers_place",
        "unit/build/test_scripts.py::test_a_failing_callback_is_the_end",
    ),
    "4 a script without exec bit was skipped without a word": (
        "integration/test_build.py::test_scripts_without_exec_bit_or_first_line_run_and_are_told",
    ),
    "5 a container that waited for its database was unhealthy for good": (
        "integration/test_entrypoints.py::test_unhealthy_before_the_deadline_and_healthy_after_is_healthy",
    ),
    "6 all waited without end for the main server": (
        "integration/test_callback_plays.py::test_a_release_script_that_fails_lets_nobody_begin",
        "unit/build/test_scripts.py::test_who_waits_for_the_lock_says_for_whom_and_gives_up",
    ),
    "7 the new version rewrote what the old one still served": (
        "unit/build/test_persistent.py::test_a_seed_is_copied_once_and_nothing_is_overwritten",
        "unit/collection/test_callbacks.py::test_what_bars_the_way_back",
        "integration/test_callbacks.py::test_release_changes_data_while_the_old_one_serves",
    ),
    "9 a copy of the folder nested where one was": (
        "integration/test_build.py::test_an_image_built_from_one_of_ours_is_wrapped_once",
    ),
    "8 a deploy with other values left those of the build in the image and did not say so": (
        "integration/test_environment.py::test_what_was_baked_into_the_image_is_told_when_it_has_changed",
    ),
}


def start(tmp_path: Path, callback: str, *words: str, **env: str) -> subprocess.Popen[str]:
    """Start a container with this entrypoint.sh."""
    script = tmp_path / "callback"
    if not script.exists():
        script.write_text(f"#!/bin/sh\n{callback}\n")
        script.chmod(0o755)
    text = ENTRYPOINT.replace("/.artifakt/entrypoint.sh", str(script))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    usual = {"PATH": "/usr/bin:/bin"}
    return subprocess.Popen(["/bin/sh", "-c", text, "sh", *words], env=usual | env, **pipes)


@pytest.mark.parametrize("test", [one for tests in ELSEWHERE.values() for one in tests])
def test_what_is_tested_elsewhere_is_there(test: str) -> None:
    """A test that was renamed is named anew here; it asserts something, and nothing skips it."""
    path, _, name = test.partition("::")
    tree = ast.parse((TESTS / path).read_text())
    (found,) = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    assert any(isinstance(node, ast.Assert) for node in ast.walk(found))
    assert not any("skip" in ast.dump(mark) for mark in found.decorator_list)


def test_1_the_lock_file_stays(tmp_path: Path) -> None:
    """It is the same file before and after, and nobody removes it."""
    lock = tmp_path / "lock"
    env = {"ARTIFAKT_ENTRYPOINT_LOCK": str(lock), "STACKSWAP_ENTRYPOINT_LOCK_SECONDS": "60"}
    assert start(tmp_path, "true", "true", **env).wait(timeout=60) == 0
    before = lock.stat().st_ino
    assert start(tmp_path, "true", "true", **env).wait(timeout=60) == 0
    assert lock.stat().st_ino == before


def test_2_servers_do_not_wait_for_each_other_unless_they_are_asked_to(tmp_path: Path) -> None:
    """Without the lock, the callbacks of two containers run at the same time: each waits for the other here."""
    meet = (
        f'touch "{tmp_path}/$ME"; n=0\n'
        f'until [ -e "{tmp_path}/$OTHER" ]; do n=$((n + 1)); [ $n -lt 600 ] || exit 9; sleep 0.1; done'
    )
    blue = start(tmp_path, meet, "true", ME="blue", OTHER="green")
    green = start(tmp_path, meet, "true", ME="green", OTHER="blue")
    assert [one.wait(timeout=120) for one in (blue, green)] == [0, 0]


def test_3_a_callback_leaks_nothing_but_what_it_means_to(tmp_path: Path) -> None:
    """Not its exit, its options, its directory, its functions, its variables; its env file, yes."""
    callback = 'set -efu; cd /; export LEAK=1; umask 077; echo MEANT=1 >"$STACKSWAP_ENV_FILE"; exit 0'
    shown = 'case $- in *[ef]*) echo options;; esac; echo "${LEAK-no} $MEANT $(umask) $PWD"'
    out, err = start(tmp_path, callback, "sh", "-c", shown).communicate(timeout=60)
    umask = os.umask(0)
    os.umask(umask)
    assert (out, err) == (f"no 1 {umask:04o} {os.getcwd()}\n", "")


@pytest.mark.parametrize("moment", ["build", "entrypoint", "release", "verify", "after"])
def test_4_every_script_is_executable_in_the_image(tmp_path: Path, moment: str) -> None:
    """And that it was not is told."""
    path = tmp_path / "cb" / f"{moment}.sh"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\nset -e\n")
    path.chmod(0o600)
    assert "is not executable" in dockerfile.check(folder.callbacks(str(path.parent)))[0]
    with folder.staged(str(path.parent), {}) as staged:
        assert Path(staged, "artifakt", path.name).stat().st_mode & 0o777 == 0o755


def test_5_unhealthy_before_the_deadline_is_waited_for() -> None:
    """Default checks of an image say so while entrypoint.sh still waits for a database."""
    policy = Health("image", deadline=600.0, min_healthy_time=2.0)
    word = health.judge([sample(95.0, 0, ("DOWN", "L4CON"), health="unhealthy")], policy, "L4OK", None).word
    assert word == "waiting"
    recovered = [sample(200.0, health="healthy", word=("UP", "L4OK"))]
    assert health.judge(recovered, policy, "L4OK", 190.0).word == "passed"
    gone = [sample(1.0, state="exited", exit_code=1)]
    assert health.judge(gone, policy, "L4OK", None).word == "failed"


def test_9_the_callbacks_folder_does_not_nest() -> None:
    """COPY of a folder with a slash at its end merges into one that is there, `cp -r` went below it."""
    assert "COPY artifakt/ /.artifakt/\n" in dockerfile.layers(Choice("theirs", "theirs"), Image(""), "/")


@pytest.mark.parametrize("text", [RUN, ENTRYPOINT, persistent.LINK])
def test_10_no_tree_is_walked_for_its_owner(text: str) -> None:
    """Neither at the build nor at a start."""
    assert not re.search(r"ch(own|mod|grp)\s+(-\w*R|--recursive)", text)


def test_10_what_is_in_data_keeps_its_owner(tmp_path: Path) -> None:
    """Whoever it belongs to, in a tree of any size: no file of it is even changed in the time of its attributes."""
    machine = Machine(tmp_path, ["/bin/sh"])
    machine.link("media")
    for number in range(100):
        os.chown(machine.write(f"data/media/{number % 10}/{number}"), 1234, 1234)
    before = {path: path.stat().st_ctime_ns for path in machine.data.rglob("*")}
    assert machine.run("true") == (0, "", "")
    assert {path: path.stat().st_ctime_ns for path in machine.data.rglob("*")} == before
    assert (machine.data / "media/1/1").stat().st_uid == 1234
