"""A long call is heard while it works, and stopped for real: by cancel, deadline, signal, or nobody's being there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_modules import of
from tests.integration.test_roles import LOCAL, PLAYBOOK, ROOT
from tests.lab import images
from tests.lab.calls import Place
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]

STACKSWAP = Path(sys.executable).with_name("stackswap")
QUICK = {"path": "/health", "deadline": 30, "min_healthy_time": 0}
LONG = 600
WITHIN = 30  # seconds from being asked to the end of the job; the interrupt would come after 15 and leave the module


@dataclass
class Job:
    """A job of the command, and what it has told so far."""

    process: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    def until(self, seen: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The first event of which that is true."""
        assert self.process.stdout
        for text in self.process.stdout:
            self.events.append(json.loads(text))
            if seen(self.events[-1]):
                return self.events[-1]
        raise AssertionError(f"not seen: {self.events[-3:]}")

    def at(self, phase: str, part: str = "") -> dict[str, Any]:
        """The first line of the module from this phase."""
        return self.until(
            lambda one: one["type"] == "progress" and one["data"]["phase"] == phase and part in one["data"]["msg"]
        )

    def ended(self) -> tuple[int, dict[str, Any]]:
        """Its exit code and its report."""
        report = self.until(lambda one: one["type"] == "job.finished")["data"]
        return self.process.wait(30), report


class Site:
    """One server of which version 1.0 is live."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.folder, self.place = folder, Place(stack, "shop", health=QUICK, bake=0.1)
        variables = {
            "stackswap_services": {"shop": self.place.options},
            "stackswap_environment": {"name": stack.name},
            "stackswap_proxy": of(stack),
            "stackswap_engine_source": "none",
        }
        self.inventory = folder / "hosts.json"
        inside = {"all": {"children": {"stackswap": {"hosts": {"web1": LOCAL}}}, "vars": variables}}
        self.inventory.write_text(json.dumps(inside))

    def words(self, version: str, **service: Any) -> list[str]:
        """Options of a deploy in which the service is otherwise."""
        extra = {"stackswap_overrides": {"shop": service}}
        return [version, "-i", str(self.inventory), "-e", json.dumps(extra)]

    def deploy(self, version: str, *more: str, **service: Any) -> Job:
        """A deploy that is under way."""
        line = [str(STACKSWAP), "deploy", "shop", *self.words(version, **service), "--output", "json", *more]
        line += ["--job-dir", str(self.folder / "jobs")]
        return Job(subprocess.Popen(line, cwd=self.folder, stdout=subprocess.PIPE, text=True))

    def cancel(self) -> None:
        """Ask the newest job to stop."""
        line = [str(STACKSWAP), "cancel", "--job-dir", str(self.folder / "jobs")]
        subprocess.run(line, check=True, capture_output=True)

    def serves(self) -> str:
        """The version that users get."""
        return self.place.live()[0].version

    def idle(self) -> list[str]:
        """The versions whose containers stand stopped."""
        return [one.version for one in self.place.look().replicas if not one.running]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With its proxy and 1.0 running."""
    for version in ("1.0", "1.1"):
        images.app(version)
    with Stack.made() as stack:
        made = Site(stack, tmp_path_factory.mktemp("cancel"))
        assert made.deploy("1.0").ended()[0] == 0
        yield made


def test_a_cancel_before_the_switch_goes_back_and_nothing_has_changed_for_users(site: Site) -> None:
    """The module itself stops; the interrupt that would leave it working is not needed."""
    with site.place.untouched():
        job = site.deploy("1.1", health={**QUICK, "min_healthy_time": LONG, "deadline": LONG})
        assert job.at("await", "healthy for less than")["host"] == "web1"
        began = time.monotonic()
        site.cancel()
        code, report = job.ended()
    assert (code, report["status"], report["outcome"]) == (130, "canceled", "unchanged")
    assert time.monotonic() - began < WITHIN
    assert report["report"]["services"]["shop"]["servers"]["web1"]["failed"]["cause"] == "canceled"
    assert "May still be at work" not in report["line"]
    assert (site.serves(), site.idle()) == ("1.0", ["1.1"])


def test_a_cancel_in_the_bake_takes_users_back(site: Site) -> None:
    """The new release is live already; the old one gets the traffic again."""
    with site.place.load(50) as load:
        job = site.deploy("1.1", bake=LONG)
        job.at("watch", "watched for")
        assert site.serves() == "1.1"
        job.process.send_signal(signal.SIGINT)
        code, report = job.ended()
    assert (code, report["status"], report["outcome"]) == (130, "canceled", "back")
    assert site.serves() == "1.0"
    assert load.report().lost == 0, str(load.report())
    assert report["report"]["loss"]["lost"] == 0 and report["report"]["loss"]["verdict"] == "none"
    assert "lost 0" in report["line"]


def test_a_deadline_stops_the_job_as_a_cancel_does(site: Site) -> None:
    """With an exit code of its own."""
    job = site.deploy("1.1", "--deadline", "8", health={**QUICK, "min_healthy_time": LONG, "deadline": LONG})
    code, report = job.ended()
    assert (code, report["status"], report["outcome"]) == (6, "timeout", "unchanged")
    assert site.serves() == "1.0"


def test_a_call_that_nobody_listens_to_any_more_goes_back_before_the_switch(site: Site) -> None:
    """The whole control side is killed; after its lease the module knows that it is alone."""
    words = site.words("1.1", health={**QUICK, "min_healthy_time": LONG, "deadline": LONG})
    names = json.dumps({"stackswap_service": "shop", "stackswap_version": words.pop(0)})
    line = [str(PLAYBOOK), "playbooks/deploy.yml", *words, "-e", names]
    play = subprocess.Popen(line, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert play.stdout
    assert any("web1: " in text and "healthy for less than" in text for text in play.stdout), "lines for people"
    os.killpg(play.pid, signal.SIGKILL)
    for worker in group_of(play.pid, str(site.inventory)):
        os.kill(worker, signal.SIGKILL)
    play.wait()
    wait_for(lambda: site.idle() == ["1.1"], 60)
    assert site.serves() == "1.0"


def group_of(session: int, inventory: str) -> list[int]:
    """The processes that the play of this inventory started in other sessions, and that poll for it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "playbooks/deploy.yml" in command and inventory in command and int(path.parent.name) != session:
            found.append(int(path.parent.name))
    return found


def wait_for(true: Callable[[], object], seconds: float) -> None:
    """Wait until it is true."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.2)
