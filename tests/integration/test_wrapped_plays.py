"""The real plays through the wrapper, on this machine's engine: exit codes, outcomes, the fold beside the report."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from stackswap.events import opened
from stackswap.fold import Fold
from stackswap.report import document
from stackswap.store import Folder, Store
from tests.lab import images
from tests.lab.building import docker
from tests.lab.stack import free_port

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
STACKSWAP = Path(sys.executable).parent / "stackswap"
SCHEMA = json.loads((ROOT / "collection" / "report.schema.json").read_text())
PLACE = f"wrapped{os.getpid()}"
NAME = f"stackswap-test-{PLACE}"
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
GONE = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_common_args": "-o ConnectTimeout=2"}
SERVE = 'sleep $WAIT; [ -z "$EXIT" ] || { echo no such key; exit $EXIT; }; exec httpd -f -p 8080 -h /'
SHOP = {
    "command": ["sh", "-c", SERVE],
    "env": {"WAIT": "0", "EXIT": "", "PAGE": "one"},
    "port": 8080,
    "routes": [{"host": "shop.test"}],
    "health": {"path": "/etc/passwd", "deadline": 40, "min_healthy_time": 0},
    "bake": 0.2,
}


class Site:
    """A stack of this machine, with the jobs that were run on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "app").mkdir()
        (folder / "app" / "Dockerfile").write_text("FROM busybox\nRUN mkdir -p /etc && echo >/etc/passwd\n")
        made = {**SHOP, "source": {"path": str(folder / "app")}, "routes": [{"host": "made.test"}]}
        proxy = {
            "listen": [f"127.0.0.1:{self.port}"],
            "home": str(folder / "home"),
            "container": NAME,
            "network": NAME,
            "subnet": f"198.19.{os.getpid() % 256}.0/24",
            "labels": {"stackswap.test": "1"},
        }
        variables = {
            "stackswap_environment": {"name": PLACE},
            "stackswap_engine_source": "none",
            "stackswap_proxy": proxy,
            "stackswap_services": {
                "shop": {**made, "build": {"base_images": {"busybox": images.busybox()}}, "container": {"labels": {}}},
            },
        }
        for name, servers in {"one": {"web1": LOCAL}, "two": {"web1": LOCAL, "web2": GONE}}.items():
            inventory = {"all": {"children": {"stackswap": {"hosts": servers}}, "vars": variables}}
            (folder / f"{name}.json").write_text(json.dumps(inventory))

    def start(self, *words: str, inventory: str = "one", env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """A job that begins."""
        more = ["-e", json.dumps({"stackswap_overrides": {"shop": {"env": env}}})] if env else []
        line = [STACKSWAP, *words, "-i", self.folder / f"{inventory}.json", "--job-dir", self.folder / "jobs"]
        command = [*line, "--output", "json", *more]
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words: str, **options: Any) -> tuple[int, dict[str, Any]]:
        """A job to its end: its exit code, and what it came to."""
        return ended(self.start(*words, **options))

    def job(self, told: dict[str, Any]) -> Folder:
        """The folder of a job."""
        return Store(self.folder / "jobs").find(told["job"])


def ended(running: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    """The exit code of a job and the last line that it wrote, which tells all."""
    out, err = running.communicate(timeout=300)
    last = json.loads(out.splitlines()[-1])
    assert last["type"] == "job.finished", out + err
    assert last["data"]["exit"] == running.returncode, out + err
    return running.returncode, last["data"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """It is set up by its first test; all is removed."""
    made = Site(tmp_path_factory.mktemp("wrapped"))
    try:
        yield made
    finally:
        mine = docker("ps", "-aq", f"--filter=network={NAME}").split()
        for words in (("rm", "--force", "--volumes", *mine, NAME), ("network", "rm", NAME)):
            subprocess.run(["docker", *words], capture_output=True)
        shutil.rmtree(made.folder / "home", ignore_errors=True)


def test_1_setup_comes_to_its_end(site: Site) -> None:
    """Exit code 0, and a report that its schema knows."""
    code, told = site.run("setup")
    assert (code, told["status"]) == (0, "successful"), told
    jsonschema.validate(told["report"], SCHEMA)


def test_2_a_build_is_deployed(site: Site) -> None:
    """What serves is new, and is told by server."""
    code, told = site.run("build-and-deploy", "shop", "1.0")
    assert (code, told["outcome"]) == (0, "new"), told
    assert told["report"]["services"]["shop"]["servers"]["web1"]["serving"]["version"] == "1.0"
    assert told["line"].startswith("shop 1.0 serves on web1")


def test_3_the_same_image_with_other_settings_is_deployed(site: Site) -> None:
    """Without a version: the image that is live."""
    code, told = site.run("deploy", "shop", env={"PAGE": "two"})
    assert (code, told["outcome"]) == (0, "new"), told


def test_4_a_rollback_goes_to_the_one_before(site: Site) -> None:
    """Which is kept, so it is quick."""
    code, told = site.run("rollback", "shop")
    assert (code, told["outcome"]) == (0, "new"), told


def test_5_status_tells_and_changes_nothing(site: Site) -> None:
    """The report of a job that only looked."""
    code, told = site.run("status", "shop")
    assert (code, told["outcome"]) == (0, "unchanged"), told
    assert re.search(r"^web1 +shop +1\.0 ", told["line"], re.MULTILINE), told["line"]
    jsonschema.validate(told["report"], SCHEMA)


def test_6_a_candidate_that_exits_is_a_failure_that_users_do_not_notice(site: Site) -> None:
    """Exit code 1, its cause and last words, and who serves."""
    code, told = site.run("deploy", "shop", env={"EXIT": "3"})
    assert (code, told["status"], told["outcome"]) == (1, "failed", "unchanged"), told
    failed = told["report"]["services"]["shop"]["servers"]["web1"]["failed"]
    assert failed["cause"] == "candidate_exited" and "no such key" in failed["evidence"]
    assert told["line"].startswith("NOT switched")


def test_7_servers_that_do_not_answer_are_told_from_failures(site: Site) -> None:
    """Nothing else went wrong: exit code 3, and nothing was switched on the one that answers."""
    code, told = site.run("deploy", "shop", inventory="two", env={"PAGE": "three"})
    assert (code, told["status"]) == (3, "failed"), told
    servers = told["report"]["services"]["shop"]["servers"]
    assert (servers["web1"]["outcome"], servers["web2"]["outcome"]) == ("unchanged", "unchanged"), "none was asked to"


def test_8_of_two_at_once_the_second_is_refused_or_waits(site: Site) -> None:
    """Exit code 5 with the name of the first; with --wait-claim it is done when that has ended."""
    first = site.start("deploy", "shop", env={"WAIT": "20", "PAGE": "four"})
    began = at_work(site)
    second = site.start("deploy", "shop", env={"PAGE": "five"})
    third = site.start("deploy", "shop", "--wait-claim", "120", env={"PAGE": "six"})
    code, told = ended(second)
    assert (code, told["reason"], told["outcome"]) == (5, "claimed", "unchanged"), told
    assert began.id in told["line"], told["line"]
    assert first.poll() is None
    (first_code, one), (third_code, three) = ended(first), ended(third)
    assert (first_code, one["job"], third_code) == (0, began.id, 0), (one, three)
    assert three["finished"] > one["finished"]


def at_work(site: Site) -> Folder:
    """The last job, once its call is under way on the server: the service's lock is held, and the claim made."""
    until = time.monotonic() + 120
    lock = site.folder / "home" / "locks" / f"service-{PLACE}.shop.lock"
    while time.monotonic() < until:
        last = Store(site.folder / "jobs").find("last")
        if any(e["type"] == "host.started" and "release" in e["data"].get("action", "") for e in last.events()):
            held = json.loads(lock.read_text() or "{}").get("job") == last.id
            starting = subprocess.run(
                ["docker", "ps", "-q", f"--filter=network={NAME}"], capture_output=True, text=True
            ).stdout.split()
            if held and len(starting) > 1:
                return last
        time.sleep(0.1)
    raise AssertionError("the first job did not get to work")


def test_9_a_deadline_ends_a_job(site: Site) -> None:
    """Exit code 6; what may still be at work is named, or nothing is."""
    code, told = site.run("deploy", "shop", "--deadline", "6", env={"WAIT": "25", "PAGE": "seven"})
    assert (code, told["status"], told["reason"]) == (6, "timeout", "deadline"), told
    assert told["outcome"] in ("unchanged", "unknown")


def test_what_the_events_tell_is_what_the_playbooks_report(site: Site) -> None:
    """Of every job that came to its own end: fold and report are one document, but for the words.

    Of a server that was never heard the playbook knows that it was not asked to switch; events do not tell that.
    """
    compared = 0
    for folder in Store(site.folder / "jobs").jobs():
        asked = folder.asked()
        fold = Fold(folder.id, asked["kind"], asked["service"], asked["version"])
        for event in map(opened, folder.events()):
            fold.add(event)
        if fold.report is None or asked["kind"] in ("setup", "status"):
            continue
        theirs = copy.deepcopy(dict(fold.report))
        if any(not one.get("heard", True) for told in theirs["services"].values() for one in told["servers"].values()):
            continue
        compared += 1
        mine = copy.deepcopy(document(fold, theirs["status"]))
        assert (mine["status"], mine["outcome"]) == (theirs["status"], theirs["outcome"])
        assert set(mine["answers"]) == set(theirs["answers"])
        for name, service in theirs["services"].items():
            assert mine["services"][name]["outcome"] == service["outcome"]
            for server, said in service["servers"].items():
                told = mine["services"][name]["servers"][server]
                assert {k: told[k] for k in KNOWN if k in said} == {k: said[k] for k in KNOWN if k in said}, folder.id
    assert compared >= 6


KNOWN = (
    "service",
    "environment",
    "changed",
    "before",
    "serving",
    "previous",
    "steps",
    "failed",
    "outcome",
    "callbacks",
)
