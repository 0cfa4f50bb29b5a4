"""The playbooks as AWX runs them, on this machine's engine, from a clone of what is here now."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import awx, images
from tests.lab.awx import Awx, Job
from tests.lab.stack import free_port

pytestmark = [pytest.mark.engine, pytest.mark.slow]

PLACE = f"awx{os.getpid()}"
NAME = f"stackswap-test-{PLACE}"
IMAGE = f"stackswap/{PLACE}-shop"
PORT = free_port()
DOCKERFILE = 'FROM busybox\nCOPY index.html /www/\nCMD ["httpd", "-f", "-p", "8080", "-h", "/www"]\n'
# What people leave open in a survey comes as an empty text.
OPEN = dict.fromkeys(("now", "waves", "max_fail", "wait_claim", "claim_seconds", "job_kind"), "")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose only commit is the working tree."""
    return awx.committed(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def tower(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Awx]:
    """AWX with one server, which is this machine; all that the jobs make is removed."""
    folder = tmp_path_factory.mktemp("awx")
    (folder / "app").mkdir()
    (folder / "app" / "Dockerfile").write_text(DOCKERFILE)
    local = {"ansible_connection": "local", "ansible_python_interpreter": str(awx.tools() / "python")}
    inventory = {
        "all": {"children": ["stackswap"], "vars": settings(folder)},
        "stackswap": {"hosts": ["server1"]},
        "_meta": {"hostvars": {"server1": local}},
    }
    yield Awx(folder, project, inventory)
    engine("rm", "--force", "--volumes", *engine("ps", "-aq", f"--filter=network={NAME}").split(), NAME)
    engine("network", "rm", NAME)
    engine("image", "rm", *engine("image", "ls", "--format={{.Repository}}:{{.Tag}}", IMAGE).split())


def settings(folder: Path) -> dict[str, Any]:
    """The inventory's variables: names, network and port of the test's own."""
    shop = {
        "source": {"path": str(folder / "app")},
        "build": {"base_images": {"busybox": images.busybox()}},
        "port": 8080,
        "routes": [{"host": "shop.test"}],
        "health": {"path": "/", "deadline": 20, "min_healthy_time": 0},
        "bake": 0.2,
    }
    proxy = {
        "listen": [f"127.0.0.1:{PORT}"],
        "home": str(folder / "home"),
        "container": NAME,
        "network": NAME,
        "subnet": f"198.19.{os.getpid() % 256}.0/24",
        "labels": {"stackswap.test": "1"},
    }
    return {
        "stackswap_environment": {"name": PLACE},
        "stackswap_proxy": proxy,
        "stackswap_services": {"shop": shop},
        "stackswap_engine_source": "none",
    }


def engine(*words: str) -> str:
    """Ask the engine, and take no for an answer."""
    return subprocess.run(["docker", *words], capture_output=True, text=True).stdout


def answer() -> str:
    """What a visitor reads."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    connection.request("GET", "/", headers={"Host": "shop.test"})
    return connection.getresponse().read().decode().strip()


def release(tower: Awx, version: str, user: str = "ada") -> Job:
    """Build and deploy a page that tells its version; quoted, for else Ansible reads the answer 1.0 as a number."""
    (tower.folder / "app" / "index.html").write_text(f"{version}\n")
    survey = {"stackswap_service": "shop", "stackswap_version": f'"{version}"', "stackswap_rollback_to": ""}
    open_ = {f"stackswap_{name}": text for name, text in OPEN.items()}
    return tower.launch("playbooks/build_and_deploy.yml", {**survey, **open_}, user)


def kept(tower: Awx, name: str) -> str:
    """A file of what the server remembers of the service; empty if there is none."""
    file = tower.folder / "home" / "services" / PLACE / "shop" / name
    return file.read_text() if file.exists() else ""


def containers() -> list[str]:
    """Every container of the stack, and whether it runs."""
    return sorted(engine("ps", "-a", "--format={{.ID}} {{.State}}", f"--filter=network={NAME}").splitlines())


def test_1_a_job_template_may_name_each_of_our_playbooks(project: Path) -> None:
    """They are found by what is in them, not by where they are."""
    ours = {f"playbooks/{path.name}" for path in (awx.ROOT / "collection" / "playbooks").glob("*.yml")}
    assert ours <= set(awx.playbooks(project))
    assert {one for one in awx.playbooks(project) if one.startswith("playbooks/")} == ours


def test_2_setup_finds_the_collection_in_the_clone(tower: Awx) -> None:
    """With no configuration, no Galaxy and no collection installed; the engine that answers is used."""
    done = tower.launch("playbooks/setup.yml", {})
    assert done.code == 0, done.said
    assert engine("inspect", "--format={{.State.Running}}", NAME).strip() == "true"


def test_3_a_survey_with_open_questions_builds_and_deploys(tower: Awx) -> None:
    """The report is among the artifacts, for the next job of a workflow; the job is known by AWX's number."""
    done = release(tower, "1.0")
    assert done.code == 0, done.said
    assert answer() == "1.0"
    assert (done.report["outcome"], done.report["job"]["id"], done.report["job"]["by"]) == ("new", "awx-42", "ada")
    assert done.report["services"]["shop"]["servers"]["server1"]["serving"]["version"] == "1.0"


def test_4_who_asked_is_in_the_claim_and_in_the_history(tower: Awx) -> None:
    """By the names that AWX gives: the job's number and the user."""
    claims: list[Any] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            claims.append(json.loads(kept(tower, "record.json") or "{}").get("claim"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        done = release(tower, "1.1", user="grace")
    finally:
        ended.set()
        watcher.join()
    assert (done.code, answer()) == (0, "1.1"), done.said
    assert {(claim["job"], claim["holder"]) for claim in claims if claim} == {("awx-43", "grace")}
    last = json.loads(kept(tower, "history.ndjson").splitlines()[-1])
    assert (last["job"], last["by"]) == ("awx-43", "grace")
    assert not json.loads(kept(tower, "record.json"))["claim"]


@pytest.mark.parametrize(
    ("survey", "why"),
    [
        ({"stackswap_service": "", "stackswap_version": "1.2.0"}, "stackswap_service"),
        ({"stackswap_service": "shpo", "stackswap_version": "1.2.0"}, "shop"),
        ({"stackswap_service": "shop", "stackswap_version": 1.2}, "quote it"),
        ({"stackswap_service": "shop", "stackswap_version": "{{ 1 }}"}, "stackswap_version"),
        ({"stackswap_service": "shop", "stackswap_version": "1.2.0", "stackswap_wait_claim": "soon"}, "wait_claim"),
    ],
    ids=["no service", "unknown service", "version that is a number", "version that is a template", "no number"],
)
def test_5_a_bad_survey_is_refused_before_anything_changes(tower: Awx, survey: dict[str, Any], why: str) -> None:
    """And says so."""
    before = (containers(), kept(tower, "record.json"), kept(tower, "history.ndjson"))
    refused = tower.launch("playbooks/build_and_deploy.yml", survey)
    assert refused.code != 0
    assert "Nothing was changed" in refused.said and why in refused.said, refused.said
    assert (containers(), kept(tower, "record.json"), kept(tower, "history.ndjson")) == before


def test_6_a_rollback_without_a_version_goes_to_the_one_before(tower: Awx) -> None:
    """The open question is no version named ''."""
    done = tower.launch("playbooks/rollback.yml", {"stackswap_service": "shop", "stackswap_rollback_to": ""})
    assert (done.code, answer()) == (0, "1.0"), done.said
    assert done.report["services"]["shop"]["servers"]["server1"]["serving"]["version"] == "1.0"


def test_7_a_rollback_to_a_version_that_is_named_goes_to_no_other(tower: Awx) -> None:
    """One that is not kept is refused."""
    done = tower.launch("playbooks/rollback.yml", {"stackswap_service": "shop", "stackswap_rollback_to": "1.7.0"})
    assert done.code != 0 and "1.7.0" in done.said
    assert answer() == "1.0"


def test_8_status_tells_what_serves_and_changes_nothing(tower: Awx) -> None:
    """For one service, and for all where the survey names none."""
    before = (containers(), kept(tower, "record.json"))
    one, every = (tower.launch("playbooks/status.yml", {"stackswap_service": name}) for name in ("shop", ""))
    assert (one.code, every.code) == (0, 0), one.said + every.said
    assert (containers(), kept(tower, "record.json")) == before
    assert one.report["services"]["shop"]["servers"]["server1"]["serving"]["version"] == "1.0"
