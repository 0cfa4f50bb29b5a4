"""The module release as Ansible runs it: what it answers, what it refuses, and what it never tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.lab import images
from tests.lab.building import docker
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
SCHEMA = json.loads((ROOT / "collection" / "report.schema.json").read_text())
NOWHERE = "unix:///run/there-is-none.sock"
MARKER = "MARKER-5f1d7c-of-a-secret"
FIRST = [
    "register the service at the proxy",
    "start shop 1.0 in blue",
    "await shop 1.0 in blue",
    "open the door",
    "keep shop 1.0: restart policy always",
    "route to shop 1.0 in blue: blue",
    "confirm shop 1.0 at the public door",
]


@dataclass
class Ran:
    """One task: what the module answered, and all that Ansible printed."""

    answer: dict[str, Any]
    printed: str

    @property
    def report(self) -> dict[str, Any]:
        """The HostReport, as the schema has it."""
        told = self.answer["stackswap"]
        jsonschema.Draft202012Validator({"$ref": "#/$defs/host", "$defs": SCHEMA["$defs"]}).validate(told)
        return dict(told)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server with its proxy, and the images of two versions."""
    assert images.app("1.0") != images.app("1.1")
    with Stack.made() as made:
        yield made


def asked(name: str = "shop", version: Any = "1.0", **options: Any) -> dict[str, Any]:
    """The module's options for a service that is quickly swapped; env, secrets and such go to the service."""
    own = {n: options.pop(n) for n in ("proxy", "docker_host", "state", "rollback", "environment") if n in options}
    service = {
        "image": "stackswap-test/app",
        "routes": [{"host": f"{name}.test"}],
        "health": {"path": "/health", "deadline": 20, "min_healthy_time": 0.2},
        "bake": 0.2,
        "shared": False,
        **options,
    }
    return {"name": name, "environment": {"name": "modules"}, "service": service, "version": version, **own}


def of(stack: Stack) -> dict[str, Any]:
    """The option proxy for a stack."""
    told = stack.settings
    names = ("home", "container", "image", "network", "subnet")
    return {**{name: getattr(told, name) for name in names}, "listen": list(told.listen)}


def play(folder: Path, *options: dict[str, Any], words: Sequence[str] = ()) -> list[Ran]:
    """Run the module on this machine, once for each of these options, as the tasks of one play."""
    result = folder / "result.json"
    tasks: list[dict[str, Any]] = []
    for number, given in enumerate(options):
        own = {name: text for name, text in given.items() if name != "check"}
        task = {"stackswap.bluegreen.release": own, "register": f"told{number}", "ignore_errors": True}
        tasks.append({**task, "check_mode": given.get("check", False)})
    told = ", ".join(f"told{number}" for number in range(len(options)))
    copy = {"content": f"{{{{ [{told}] | to_json }}}}", "dest": str(result), "mode": "0600"}
    tasks.append({"ansible.builtin.copy": copy, "check_mode": False, "diff": False, "no_log": True})
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    whole = [{"hosts": "localhost", "gather_facts": False, "vars": here, "tasks": tasks}]
    (folder / "play.yml").write_text(json.dumps(whole))
    environ = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections")}
    environ |= {"ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_NOCOLOR": "1"}
    command = [str(PLAYBOOK), "-i", "localhost,", *words, "play.yml"]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300)
    assert result.exists(), done.stdout + done.stderr
    return [Ran(answer, done.stdout + done.stderr) for answer in json.loads(result.read_text())]


# -- check mode


def test_a_check_of_a_bare_server_is_the_whole_plan_in_order(tmp_path: Path, tmp_path_factory) -> None:
    """With no engine, or with one and no proxy: every step is told, and not even a folder is made."""
    images.app("1.0")
    home = tmp_path_factory.mktemp("bare") / "home"
    proxy = {"home": str(home), "container": "stackswap-test-none", "network": "stackswap-test-none"}
    here = {**asked(proxy=proxy, secrets={"KEY": MARKER}), "check": True}
    for ran in play(tmp_path, here, {**here, "docker_host": NOWHERE}, words=("--diff",)):
        assert not ran.answer.get("failed"), ran.answer
        assert ran.answer["plan"] == ran.report["plan"] == FIRST
        assert ran.answer["changed"] and ran.report["check"]
        assert all(line in ran.printed for line in FIRST)
        assert MARKER not in ran.printed
    assert not home.exists(), list(home.rglob("*"))


def test_a_check_beside_a_live_release_tells_the_swap_and_does_nothing(stack: Stack, tmp_path: Path) -> None:
    """The plan of the real thing is what the real thing does."""
    old, new = asked("ahead", proxy=of(stack)), asked("ahead", "1.1", proxy=of(stack))
    before, planned, done = play(tmp_path, old, {**new, "check": True}, new)
    assert before.answer["changed"] and planned.answer["changed"] and done.answer["changed"]
    assert planned.report["serving"] == done.report["before"] == before.report["serving"]
    assert not planned.report["steps"]
    verbs = [line.split(" ")[0].rstrip(":") for line in planned.report["plan"]]
    assert verbs == [step["verb"] for step in done.report["steps"]]


# -- for real


def test_a_deploy_is_told_and_the_second_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    """The report is as the schema has it; the same again says that nothing had to be changed."""
    first, again = play(tmp_path, asked(proxy=of(stack)), asked(proxy=of(stack)))
    assert not first.answer.get("failed"), first.answer["msg"]
    assert first.answer["changed"] and first.report["serving"]["version"] == "1.0"
    assert first.report["before"] is None and first.report["asked"]["version"] == "1.0"
    assert first.answer["steps"][-1] == "confirmed shop 1.0 at the public door"
    loss = first.report["loss"]  # the proxy was reloaded for it, and lost count of nothing
    assert (loss["verdict"], loss["lost"], loss["requests"]) == ("too_little", 0, 0)
    assert not again.answer["changed"] and "nothing had to be changed" in again.answer["msg"]
    assert again.report["serving"] == first.report["serving"]


def test_a_failure_has_the_report_and_its_four_sentences(stack: Stack, tmp_path: Path) -> None:
    """What failed, what serves, what was kept, what to type; and the last words of the container."""
    bad = asked("fails", "1.1", proxy=of(stack), env={"EXIT_AT_ONCE": "4"})
    first, ran = play(tmp_path, asked("fails", proxy=of(stack)), bad)
    assert not first.answer.get("failed"), first.answer
    failed, said = ran.report["failed"], ran.answer["msg"]
    assert ran.answer["failed"] and failed["cause"] == "candidate_exited"
    assert "fails 1.1 exited 4" in failed["what"] and "users get fails 1.0, as before" in failed["serves"]
    assert failed["kept"].startswith("stopped, with its log: ") and "stackswap deploy fails 1.1" in failed["next"]
    for sentence in (failed["what"], failed["serves"], failed["kept"], failed["next"], "KeyError: 'DATABASE_URL'"):
        assert sentence in said
    assert ran.report["serving"]["version"] == "1.0"


# -- refused


REFUSED = {
    "unknown key": (asked("bad", healthcheck="/"), "healthcheck", "health"),
    "version as a number": (asked("bad", 1.10), "stackswap_version", "1.10"),
    "env that is no text": (asked("bad", env={"WORKERS": 4}), "env.WORKERS", "text"),
    "empty version of nothing": (asked("bad", ""), "no version was named", "nothing is live"),
    "empty name": (asked(""), "stackswap_service", "missing"),
    "empty environment": (asked("bad", environment={"name": ""}), "stackswap_environment", "name"),
    "unknown proxy setting": (asked("bad", proxy={"lisen": [80]}), "lisen", "listen"),
}


def test_bad_input_is_refused_with_the_key_and_a_hint(stack: Stack, tmp_path: Path) -> None:
    """Before anything changes: no container, no record, not even an entry at the proxy."""
    before = os.listdir(stack.settings.home), stack.effects().proxy.view("modules.bad")
    given = [{"proxy": of(stack), **options} for options, _key, _hint in REFUSED.values()]
    for case, ran in zip(REFUSED, play(tmp_path, *given), strict=True):
        _options, key, hint = REFUSED[case]
        assert ran.answer["failed"] and not ran.answer.get("changed"), case
        assert key in ran.answer["msg"] and hint in ran.answer["msg"], (case, ran.answer["msg"])
        told = ("this call has changed nothing", "bad is not served on this server")
        assert ran.report["failed"]["serves"] in told and ran.report["serving"] is None, case
    after = stack.effects().proxy.view("modules.bad")
    assert before[1].runtime == after.runtime == "" and not after.backends
    assert not (Path(stack.settings.home) / "services" / "modules" / "bad").exists()


# -- secrets


class Watch:
    """Looks for a text in the command lines of all processes, and in the files of a folder, while a block runs."""

    def __init__(self, text: str, folder: Path | None = None) -> None:
        self.text, self.found, self.looks, self._over = text.encode(), [], 0, threading.Event()
        self.folder = folder

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            files = [Path(at, name) for at, _, names in os.walk(self.folder) for name in names] if self.folder else []
            for path in (*Path("/proc").glob("[0-9]*/cmdline"), *files):
                try:
                    told = path.read_bytes()
                except OSError:
                    continue
                if self.text in told:
                    self.found.append((path, told))
            self.looks += 1
            time.sleep(0.02)


def test_a_secret_is_told_to_nobody_but_the_container(stack: Stack, tmp_path: Path) -> None:
    """Not with -vvv, not in any command line, label, record or manifest: only the engine knows it."""
    secrets = {"DATABASE_URL": MARKER, "SHORT": "a"}
    with Watch(MARKER) as watch:
        good = asked("secret", proxy=of(stack), secrets=secrets)
        bad = asked("secret", "1.1", proxy=of(stack), secrets=secrets, env={"EXIT_AT_ONCE": "1"})
        ran, failed = play(tmp_path, good, bad, words=("-vvv", "--diff"))
    assert not ran.answer.get("failed"), ran.answer["msg"]
    assert failed.answer["failed"] and failed.report["failed"]["cause"] == "candidate_exited"
    assert watch.looks > 20 and not watch.found
    for told in (ran, failed):
        assert MARKER not in told.printed and MARKER not in json.dumps(told.answer)
    assert "secret 1.0 serves" in ran.answer["msg"], "a short secret masks no words"
    kept = [path for path in Path(stack.settings.home).rglob("*") if path.is_file()]
    assert any(path.name == "record.json" for path in kept) and any(path.parent.name == "manifests" for path in kept)
    assert not [path for path in kept if MARKER.encode() in path.read_bytes()]
    ids = docker("ps", "-aq", "--filter=label=stackswap.service=modules.secret").split()
    (document,) = [d for d in json.loads(docker("inspect", *ids)) if d["State"]["Running"]]
    assert f"DATABASE_URL={MARKER}" in document["Config"]["Env"]
    document["Config"].pop("Env")
    assert MARKER not in json.dumps(document)


def test_other_secrets_make_another_candidate(stack: Stack, tmp_path: Path) -> None:
    """A rotation is a deploy, though the release is the same on all servers."""
    asked_for = [asked("rotate", proxy=of(stack), secrets={"KEY": text}) for text in ("one", "two")]
    first, second = (ran.report for ran in play(tmp_path, *asked_for))
    assert second["changed"] and second["serving"]["slot"] != first["serving"]["slot"]
    ids = {told["serving"]["release"].split("-")[0] for told in (first, second)}
    assert len(ids) == 1
