"""What cron is told: when a process runs, and a file that cron and we read alike."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import processes, schedule, service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.asked import asked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.crontab import rota
from ansible_collections.stackswap.bluegreen.plugins.module_utils.crontab.table import Crontab
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.kinds import Wrong
from ansible_collections.stackswap.bluegreen.plugins.module_utils.status import table

NIGHTLY = {"schedule": "15 3 * * *", "command": ["report", "--all"]}
ENTRY = schedule.Entry("15 3 * * *", "nightly", "a1-b2", "test-shop-a1-b2-nightly-1")


@pytest.mark.parametrize("told", ["15 3 * * *", "*/5 * * * 1-5", "0,30 8-18/2 1 */3 7", "@daily", "  15  3 * * * "])
def test_what_cron_reads_is_taken(told: str) -> None:
    """With one space between two fields."""
    assert schedule.times(told) == " ".join(told.split())


@pytest.mark.parametrize("told", ["15 3 * *", "60 3 * * *", "15 24 * * *", "x * * * *", "@reboot", "* * * * * root"])
def test_what_cron_would_not_read_is_refused(told: str) -> None:
    """A line that cron does not understand would be left out, and nobody told."""
    with pytest.raises(Wrong, match="five fields"):
        schedule.times(told)


def test_a_process_with_a_schedule_is_the_main_servers_and_nothing_else() -> None:
    """Other options of a process make no sense there."""
    environment = {"name": "test"}

    def known(**more: Any) -> dict[str, Any]:
        return {"shop": {"image": "shop", "processes": {"nightly": {**NIGHTLY, **more}}}}

    made = service.parse("shop", known(), environment)
    assert (made.processes[0].schedule, made.groups) == ("15 3 * * *", (("web", ""),))
    given = {"stackswap_service": "shop", "stackswap_services": known(), "stackswap_environment": environment}
    told = asked("deploy", {**given, "stackswap_version": "1", "stackswap_main": "two"}, ["one", "two"], "/", {})
    assert told["places"] == {"one": ["web"], "two": ["web", "nightly"]}
    with pytest.raises(BadInput, match=r"processes\.nightly\.replicas is not known"):
        service.parse("shop", known(replicas=2), environment)
    assert processes.has_web({"processes": {"nightly": NIGHTLY}})


def test_the_file_says_what_is_read_from_it(tmp_path: Path) -> None:
    """Everybody may read it, a name with a dot would not be, and it goes with the service."""
    cron = Crontab(str(tmp_path), "unix:///run/docker.sock", str(tmp_path / "cron.d"))
    assert cron.scheduled("test.shop") == ()
    cron.put("test.shop", [ENTRY])
    path = tmp_path / "cron.d" / "stackswap_test_shop"
    assert cron.scheduled("test.shop") == (("nightly", "a1-b2"),)
    assert (path.stat().st_mode & 0o777, os.listdir(path.parent)) == (0o644, [path.name])
    (line,) = [line for line in path.read_text().splitlines() if line.startswith("15")]
    assert line.startswith("15 3 * * * root /") and line.endswith("test.shop nightly test-shop-a1-b2-nightly-1 a1-b2")
    cron.drop("test.shop")
    assert (cron.scheduled("test.shop"), os.listdir(path.parent)) == ((), [])


def test_an_engine_that_has_no_socket_here_is_refused(tmp_path: Path) -> None:
    """Before there is a file."""
    with pytest.raises(BadInput, match="by its socket alone"):
        Crontab(str(tmp_path), "tcp://192.0.2.1:2375", str(tmp_path)).put("test.shop", [ENTRY])


def test_the_last_runs_are_remembered_and_the_newest_come_first(tmp_path: Path) -> None:
    """As many as fit."""
    cron = Crontab(str(tmp_path), "unix:///run/docker.sock", str(tmp_path))
    folder = tmp_path / "cron" / "test.shop"
    folder.mkdir(parents=True)
    for number in range(30):
        rota.note(str(folder / "nightly.runs"), {"at": f"2026-01-01T00:{number:02}", "exit_code": 0})
    found = [one["at"][-2:] for one in cron.runs("test.shop")]
    assert found == [f"{number:02}" for number in range(29, 9, -1)]


def test_a_run_is_made_like_the_releases_own_under_other_labels() -> None:
    """Its secrets come with its environment; a name that the engine made up does not."""
    config = {"Env": ["A=1"], "Hostname": "0123", "Labels": {"stackswap.service": "x", "mine": "1", rota.VERSION: "2"}}
    found = {"Id": "01234567", "Config": config, "HostConfig": {"Init": True}}
    made = rota.like({**found, "NetworkSettings": {"Networks": {"stackswap": {"IPAddress": ""}}}}, {"a": "b"})
    assert made == {
        "Env": ["A=1"],
        "Labels": {"mine": "1", rota.VERSION: "2", "a": "b"},
        "HostConfig": {"Init": True},
        "NetworkingConfig": {"EndpointsConfig": {"stackswap": {}}},
    }
    assert json.dumps(made)


def test_status_tells_how_the_last_run_ended() -> None:
    """Or that there was none, or why it did not run."""
    now = {"release": "a1", "version": "1.0", "digest": "", "slot": "blue", "healthy": True, "since": ""}
    plain = {"service": "shop", "environment": "test", "serving": now, "previous": None}
    ran = {"at": "2026-01-01T03:15:00+00:00", "seconds": 2.5, "version": "1.0", "exit_code": 3, "error": ""}
    late = {**ran, "error": "still"}
    cases = (([], "has not run yet"), ([ran], "last 2026-01-01 03:15: exit code 3 in 2.5 s"), ([late], "FAILED: still"))
    for runs, words in cases:
        one = {"process": "nightly", "release": "a1", "version": "1.0", "schedule": "@daily", "runs": runs}
        assert words in table({"one": {"services": [{**plain, "schedules": [one]}]}})[1]
