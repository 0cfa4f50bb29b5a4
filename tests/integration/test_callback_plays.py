"""Callbacks and task files in the plays of two servers, run with ansible-playbook alone: where, when and how often."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_callbacks import IMAGE, image
from tests.integration.test_modules import of
from tests.integration.test_roles import LOCAL, Plays, asked
from tests.lab.stack import Stack

pytestmark = pytest.mark.slow

STATISTICS = {"ANSIBLE_SHOW_CUSTOM_STATS": "1"}
TASKS = """\
- name: Leave a trace
  ansible.builtin.lineinfile:
    path: "{{ trace }}"
    line: "%s {{ inventory_hostname }}{{ ' ' + stackswap_outcome if stackswap_outcome is defined else '' }}"
    create: true
    mode: "0600"
"""
TOLD = 'echo "$STACKSWAP_SERVER $STACKSWAP_OUTCOME $STACKSWAP_VERSION $STACKSWAP_PREVIOUS_VERSION"'


class Site:
    """Two servers on one engine, each an environment with a proxy of its own."""

    def __init__(self, folder: Path, stacks: Sequence[Stack]) -> None:
        self.trace = folder / "trace"
        for name in ("before", "after"):
            (folder / f"{name}.yml").write_text(TASKS % name)
        self.service: dict[str, Any] = {
            "image": IMAGE,
            "port": 8080,
            "routes": [{"host": "shop.test"}],
            "health": {"path": "/health", "deadline": 20, "min_healthy_time": 0},
            "bake": 0.2,
            "shared": False,
        }
        hosts = {f"web{number}": {**LOCAL, **server(stack)} for number, stack in enumerate(stacks, 1)}
        self.plays = Plays(
            folder,
            {"stackswap": {"hosts": hosts}},
            stackswap_engine_source="none",
            trace=str(self.trace),
            stackswap_services={"shop": self.service},
        )

    def run(self, play: str, version: str, *words: str, does: dict[str, str] | None = None, **more: Any) -> Any:
        """A job in which the scripts do this; its exit code and all that was printed."""
        env = {f"{moment.upper()}_DOES": text for moment, text in (does or {}).items()}
        extra = {"stackswap_overrides": {"shop": {"env": env, **more.pop("service", {})}}, **more}
        return self.plays(play, *asked("shop", version), "-e", json.dumps(extra), *words, **STATISTICS)

    def traces(self) -> list[str]:
        """What the task files have left, and it is forgotten."""
        found = self.trace.read_text().splitlines() if self.trace.exists() else []
        self.trace.unlink(missing_ok=True)
        return sorted(found)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With their proxies running; all is removed."""
    for version in ("1.0", "1.1"):
        image(version)
    with Stack.made() as one, Stack.made() as two:
        yield Site(tmp_path_factory.mktemp("calls"), (one, two))


def server(stack: Stack) -> dict[str, Any]:
    """The variables of one."""
    return {"stackswap_proxy": of(stack), "stackswap_environment": {"name": stack.name}}


def test_task_files_that_are_not_there_are_refused_before_anything(tmp_path: Path) -> None:
    """With the path that was looked at."""
    Site(tmp_path, [])
    extra = {"stackswap_services": {"shop": {"image": IMAGE}}, "stackswap_before": ["before.yml", "none.yml"]}
    plays = Plays(tmp_path, {"stackswap": {"hosts": {"web1": LOCAL}}}, stackswap_environment={"name": "none"})
    code, said = plays("deploy.yml", *asked("shop", "1.0"), "-e", json.dumps(extra))
    assert code != 0
    assert f"stackswap_before names {tmp_path}/none.yml, and there is no such file. Nothing was changed." in said


@pytest.mark.engine
def test_release_and_after_run_once_on_the_main_server_and_task_files_on_all(site: Site) -> None:
    """In their order: before anything, before ready, against what is ready, and in the end."""
    files = {"stackswap_before": "before.yml", "stackswap_after": ["after.yml"]}
    code, said = site.run("deploy.yml", "1.0", does={"after": TOLD}, **files)
    assert code == 0, said
    assert site.traces() == ["after web1 live", "after web2 live", "before web1", "before web2"]
    servers = report(said)["services"]["shop"]["servers"]
    moments = {name: [ran["moment"] for ran in server["callbacks"]] for name, server in servers.items()}
    assert moments == {"web1": ["release", "verify", "after"], "web2": ["verify"]}
    assert servers["web1"]["callbacks"][-1]["lines"] == ["web1 live 1.0"]


@pytest.mark.engine
def test_a_release_script_that_fails_lets_nobody_begin(site: Site) -> None:
    """Whatever the budget; after.sh and the task files are told, and a failing task file changes nothing."""
    (Path(site.trace).parent / "broken.yml").write_text("- name: Break\n  ansible.builtin.fail: {msg: broken}\n")
    does = {"release": "echo no such table; exit 3", "after": TOLD}
    more = {"stackswap_after": ["after.yml", "broken.yml"], "stackswap_max_fail": 1}
    code, said = site.run("deploy.yml", "1.1", does=does, **more)
    assert code != 0
    assert "NOT switched: web1: shop 1.1 was not begun with: release.sh exited 3" in said, said
    assert "no such table" in said and "Users get 1.0 everywhere" in said
    assert site.traces() == ["after web1 failed", "after web2 failed"]
    told = report(said)["services"]["shop"]["servers"]["web1"]
    assert told["callbacks"][-1]["lines"] == ["web1 failed 1.1 1.0"] and told["outcome"] == "unchanged"


@pytest.mark.engine
def test_a_run_that_leaves_the_main_server_out_is_refused(site: Site) -> None:
    """For the image has a release.sh."""
    code, said = site.run("deploy.yml", "1.1", "--limit", "web2")
    assert code != 0
    assert "release.sh, which runs on the main server, web1, and this run leaves that out" in said
    assert "Users get 1.0 everywhere" in said


@pytest.mark.engine
def test_a_task_file_that_fails_before_stops_the_job_on_all_servers(site: Site) -> None:
    """Where it failed and where it did not."""
    text = "- name: Break\n  ansible.builtin.fail: {msg: no room}\n  when: inventory_hostname == 'web2'\n"
    (Path(site.trace).parent / "early.yml").write_text(text)
    code, said = site.run("deploy.yml", "1.1", stackswap_before="early.yml", stackswap_max_fail=1)
    assert code != 0
    assert "NOT switched" in said and "no room" in said and "Users get 1.0 everywhere" in said


@pytest.mark.engine
def test_a_rollback_respects_the_barrier_unless_it_is_forced(site: Site) -> None:
    """And after.sh is told of it, while what has served has nothing to prove."""
    back = ("rollback.yml", "--limit", "web1", "-e", "stackswap_service=shop")
    code, said = site.run("deploy.yml", "1.1", "--limit", "web1", service={"migrations": "contract"})
    assert code == 0, said
    code, said = site.plays(*back)
    assert code != 0
    assert "1.1 has taken away what versions before it use (migrations: contract)" in said
    assert "stackswap_force=true" in said
    code, said = site.plays(*back, "-e", "stackswap_force=true", **STATISTICS)
    assert code == 0, said
    assert "gone back past a barrier: 1.1" in said
    told = report(said)["services"]["shop"]["servers"]["web1"]
    assert (told["serving"]["version"], [ran["moment"] for ran in told["callbacks"]]) == ("1.0", ["after"])


def report(said: str) -> Any:
    """The job's report, out of the statistics of its plays."""
    found, _ = json.JSONDecoder().raw_decode(said.partition("CUSTOM STATS: ")[2].partition("RUN: ")[2])
    return found["stackswap_report"]
