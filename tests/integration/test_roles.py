"""The role's plays, run with ansible-playbook alone: what is refused, what is planned, what is told."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab import images
from tests.lab.stack import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
ROLE = ROOT / "collection" / "roles" / "stackswap"
PLAYS = sorted(
    path.name for path in (ROOT / "playbooks").glob("*.yml") if path.name != "callbacks.yml"
)  # it needs no stack
PLACE = f"roles{os.getpid()}"
PORT = free_port()
NAME = f"stackswap-test-{PLACE}"
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
SHOP = {
    "command": ["sh", "-c", "mkdir -p /www; echo $PAGE >/www/index.html; exec httpd -f -p 8080 -h /www"],
    "env": {"PAGE": "one"},
    "port": 8080,
    "routes": [{"host": "shop.test"}],
    "health": {"path": "/", "deadline": 20, "min_healthy_time": 0},
    "bake": 0.2,
}


class Plays:
    """Runs playbooks against an inventory; `said` is all they print, on one line."""

    def __init__(self, folder: Path, groups: Mapping[str, Any], **variables: Any) -> None:
        self.inventory = folder / "hosts.json"
        self.inventory.write_text(json.dumps({"all": {"children": groups, "vars": variables}}))

    def __call__(self, play: str, *words: str, **environ: str) -> tuple[int, str]:
        """Run one to its end."""
        command = [PLAYBOOK, "-i", self.inventory, *words, f"playbooks/{play}"]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True)
        return done.returncode, " ".join((done.stderr + done.stdout).split())


def asked(service: str, version: str) -> tuple[str, ...]:
    """The extra variables of a deploy."""
    return ("-e", json.dumps({"stackswap_service": service, "stackswap_version": version}))


# -- no server


@pytest.mark.parametrize("play", PLAYS)
def test_a_stack_without_a_group_is_refused(play: str, tmp_path: Path) -> None:
    """Ansible's own answer would be success."""
    code, said = Plays(tmp_path, {"others": {"hosts": {"other1": LOCAL}}})(play, *asked("shop", "1.0.0"))
    assert code != 0
    assert "No server of group stackswap is in this run: nothing was changed." in said


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"stackswap": {"hosts": {}}, "others": {"hosts": {"other1": LOCAL}}}, ()),
        ({"stackswap": {"hosts": {}}}, ()),
        ({"stackswap": {"hosts": {"web1": LOCAL}}, "others": {"hosts": {"other1": LOCAL}}}, ("--limit", "other1")),
    ],
    ids=["empty group", "empty inventory", "limit to a server outside"],
)
def test_a_run_that_meets_no_server_of_the_stack_is_refused(
    groups: dict[str, Any], words: tuple[str, ...], tmp_path: Path
) -> None:
    """And says that nothing was changed."""
    code, said = Plays(tmp_path, groups)("deploy.yml", *words, *asked("shop", "1.0.0"))
    assert code != 0
    assert "nothing was changed" in said


@pytest.mark.parametrize("limit", ["nobody", "localhost"])
def test_a_limit_that_matches_nothing_is_refused(limit: str, tmp_path: Path) -> None:
    """By Ansible itself, before any task."""
    code, said = Plays(tmp_path, {"stackswap": {"hosts": {"web1": LOCAL}}})("deploy.yml", "--limit", limit)
    assert code != 0
    assert "TASK" not in said


# -- a server without an engine


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is not there, with a name that leaves room for the sockets below it."""
    return tmp_path_factory.mktemp("bare") / "home"


def test_a_deploy_to_a_server_without_an_engine_says_what_to_do(home: Path, tmp_path: Path) -> None:
    """The address that was tried, that nothing was changed, and which job installs one."""
    bare = {"home": str(home), "container": NAME, "network": NAME}
    plays = Plays(
        tmp_path,
        {"stackswap": {"hosts": {"web1": LOCAL}}},
        stackswap_environment={"name": PLACE},
        stackswap_proxy=bare,
        stackswap_services={"shop": {**SHOP, "image": images.BUSYBOX}},
    )
    code, said = plays("deploy.yml", *asked("shop", "1.0.0"), DOCKER_HOST=f"unix://{tmp_path}/nobody.sock")
    assert code != 0
    assert "NOT switched" in said and f"{tmp_path}/nobody.sock" in said, said
    assert "Now: this call has changed nothing" in said and "stackswap setup" in said, said
    assert not (home / "services").exists()


@pytest.mark.parametrize("play", ["deploy.yml", "build_and_deploy.yml"])
def test_a_check_of_a_server_without_an_engine_prints_the_plan(play: str, home: Path, tmp_path: Path) -> None:
    """All of it in its order, and changes nothing."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM busybox\n")
    bare = {"home": str(home), "container": NAME, "network": NAME}
    service = {**SHOP, "source": {"path": str(tmp_path / "app")}}
    plays = Plays(
        tmp_path,
        {"stackswap": {"hosts": {"web1": LOCAL}}},
        stackswap_environment={"name": PLACE},
        stackswap_proxy=bare,
        stackswap_services={"shop": service},
    )
    nobody = f"unix://{tmp_path}/nobody.sock"
    code, said = plays(play, "--check", "--diff", *asked("shop", "1.0.0"), DOCKER_HOST=nobody)
    assert code == 0, said
    steps = ("register the service", "start shop 1.0.0", "await shop", "open the door", "keep", "route", "confirm")
    assert re.search(".*".join(steps), said), said
    assert "planned, and nothing done" in said
    assert not home.exists()


def test_setup_refuses_an_engine_that_its_user_may_not_use(tmp_path: Path) -> None:
    """What a user who is nobody sees of a socket that is root's, and what the role's own task says to that."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as engine:
        os.chmod(folder, 0o755)
        engine.bind(f"{folder}/docker.sock")
        engine.listen()
        os.chmod(f"{folder}/docker.sock", 0o600)
        look = (ROLE / "files" / "server.py").read_text().replace("/var/run/docker.sock", f"{folder}/docker.sock")
        options: dict[str, Any] = {"input": look, "capture_output": True, "text": True, "cwd": "/"}
        seen = subprocess.run(["/usr/bin/python3", "-"], **options, user=65534, group=65534, extra_groups=[])
    engine_seen = json.loads(seen.stdout)["engine"]
    assert not engine_seen["answers"] and "Permission denied" in engine_seen["why"], seen
    task = {"ansible.builtin.include_tasks": str(ROLE / "tasks" / "setup_refuse.yml")}
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [task]}
    play["vars"] = {"stackswap_server": json.loads(seen.stdout)}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run([PLAYBOOK, tmp_path / "play.yml"], capture_output=True, text=True)
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert "has a Docker engine that this user may not use" in said and "of group docker" in said, said


# -- this machine as a server


@contextmanager
def this_machine(folder: Path, **services: Mapping[str, Any]) -> Iterator[Plays]:
    """A stack of this machine with these services, set up; all is removed."""
    proxy = {
        "listen": [f"127.0.0.1:{PORT}"],
        "health_path": "/balancer",
        "home": str(folder / "home"),
        "container": NAME,
        "network": NAME,
        "subnet": f"198.19.{os.getpid() % 256}.0/24",
        "labels": {"stackswap.test": "1"},
    }
    plays = Plays(
        folder,
        {"stackswap": {"hosts": {"web1": LOCAL}}},
        stackswap_environment={"name": PLACE},
        stackswap_engine_source="none",
        stackswap_proxy=proxy,
        stackswap_services=services,
    )
    try:
        code, said = plays("setup.yml")
        assert code == 0, said
        yield plays
    finally:
        mine = docker("ps", "-aq", f"--filter=network={NAME}").split()
        docker("rm", "--force", "--volumes", *mine, NAME)
        docker("network", "rm", NAME)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plays]:
    """A stack of this machine with the first version deployed."""
    folder = tmp_path_factory.mktemp("roles")
    (folder / "broken").mkdir()
    (folder / "broken" / "Dockerfile").write_text("FROM busybox\nRUN echo no such luck; exit 3\n")
    bases = {"build": {"base_images": {"busybox": images.busybox()}}}
    broken = {**SHOP, **bases, "source": {"path": str(folder / "broken")}}
    with this_machine(folder, shop={**SHOP, "image": images.BUSYBOX}, broken=broken) as plays:
        code, said = plays("deploy.yml", *asked("shop", "1.0.0"))
        assert code == 0, said
        yield plays


def docker(*words: str) -> str:
    """Ask the engine, and take no for an answer."""
    return subprocess.run(["docker", *words], capture_output=True, text=True).stdout


@pytest.mark.engine
def test_status_says_what_serves_where_in_words(here: Plays) -> None:
    """One line a service, among what Ansible prints, and nothing is changed."""
    for words in ((), ("-e", "stackswap_service=shop"), ("-e", "stackswap_service=")):
        code, said = here("status.yml", *words)
        assert code == 0, said
        assert re.search(r"web1 shop 1.0.0 [0-9a-f]{12} blue healthy 20", said), said
        assert "SICK" not in said and "DRIFT" not in said
        assert "changed=0" in said


@pytest.mark.engine
def test_status_names_a_container_that_nobody_knows_and_fails_only_where_it_shall(here: Plays) -> None:
    """Something of ours that was left by hand."""
    ghost = f"--label=stackswap.service={PLACE}.ghost"
    name = f"{NAME}-ghost"
    docker("create", f"--name={name}", ghost, f"--network={NAME}", "--label=stackswap.test=1", images.busybox(), "true")
    try:
        told = f"DRIFT: nobody knows the container {name} on web1"
        for words, well in (((), True), (("-e", "stackswap_exit_status=yes"), False)):
            code, said = here("status.yml", *words)
            assert (code == 0) is well and told in said, said
    finally:
        docker("rm", "--force", name)


@pytest.mark.engine
def test_status_tells_of_jobs_before_and_of_the_ways_back(here: Plays) -> None:
    """Who, from what, to what; and that after one deploy there is nothing to go back to."""
    code, said = here("status.yml", "-e", "stackswap_history=5", "-e", "stackswap_kept=yes")
    assert code == 0, said
    assert re.search(r"20\S+ deploy nothing -> 1\.0\.0 new \S+ s lost 0 job \S+", said), said
    assert "there is nothing to go back to" in said


@pytest.mark.engine
def test_prune_leaves_what_serves_and_one_unknown_service_is_refused(here: Plays) -> None:
    """In check mode and for real; a service that was never here has nothing."""
    for words in (("--check",), (), ("-e", "stackswap_service=shop")):
        code, said = here("prune.yml", *words)
        assert code == 0, said
        assert "shop on web1: nothing to prune" in said and "changed=0" in said
    code, said = here("prune.yml", "-e", "stackswap_service=shpo")
    assert code != 0
    assert "did you mean shop?" in said and "Nothing was changed" in said


@pytest.mark.engine
def test_the_same_again_changes_nothing_and_says_so(here: Plays) -> None:
    """Same image, same settings."""
    code, said = here("deploy.yml", *asked("shop", "1.0.0"))
    assert (code, "changed=0" in said) == (0, True), said
    assert "nothing had to be changed" in said


@pytest.mark.engine
def test_a_deploy_does_what_was_approved_or_nothing(here: Plays) -> None:
    """A check prints steps and a hash, each time the same; with it another plan is refused, and this one done."""
    new, other = (("-e", json.dumps({"stackswap_env": {"APPROVED": text}})) for text in ("yes", "no"))
    said = [here("deploy.yml", *asked("shop", "1.0.0"), *new, "--check")[1] for dummy in range(2)]
    hashes = [found[1] for text in said if (found := re.search(r"--expect ([0-9a-f]{12}-[0-9a-f]{4})", text))]
    assert len(hashes) == 2 and len(set(hashes)) == 1, said
    assert re.search("web1: .*start shop 1.0.0 in green.*route to shop 1.0.0 in green", said[0]), said[0]
    bound = ("-e", f"stackswap_expect={hashes[0]}")
    code, told = here("deploy.yml", *asked("shop", "1.0.0"), *other, *bound)
    assert code != 0 and "its plan is other than the one that was approved: 1.0.0 is live in blue" in told, told
    assert "NOT switched" in told and "changed=0" in told
    code, told = here("deploy.yml", *asked("shop", "1.0.0"), *new, *bound)
    assert (code, "shop 1.0.0 serves on web1" in told) == (0, True), told
    code, told = here("deploy.yml", *asked("shop", "1.0.0"), *new, *bound)
    assert code != 0 and "1.0.0 is live in green" in told, told


@pytest.mark.engine
def test_a_build_that_fails_is_a_job_that_fails(here: Plays) -> None:
    """A rescue would else end it well; the reason is told, and what serves goes on."""
    code, said = here("build_and_deploy.yml", *asked("broken", "1.0.0"))
    assert code != 0, said
    assert "NOT switched" in said and "no such luck" in said
    assert "web1 shop 1.0.0" in here("status.yml")[1]


@pytest.mark.engine
def test_logs_and_a_command_inside(here: Plays) -> None:
    """What the container says, with its server; what the command says, and its exit code as a failure."""
    say("for word in one two three; do echo said $word >/proc/1/fd/1; done")
    code, said = here("logs.yml", *asked("shop", ""), "-e", "stackswap_tail=2")
    assert (code, "web1 | said two web1 | said three" in said, "said one" in said) == (0, True, False), said
    code, said = here("logs.yml", *asked("shop", ""), "-e", "stackswap_process=web")
    assert (code, "web1 | said three" in said) == (0, True), said
    for play, words in (("logs.yml", ()), ("exec.yml", ("-e", '{"stackswap_command": ["true"]}'))):
        code, said = here(play, *asked("shop", ""), *words, "-e", "stackswap_process=wbe")
        assert code != 0 and "stackswap_process is wbe, which shop does not have: did you mean web?" in said, said
    for script, codes, words in (("cat /www/index.html", (0,), "one"), ("exit 3", (1, 2), "exit code 3")):
        command = ("-e", json.dumps({"stackswap_command": ["sh", "-c", script]}))
        code, said = here("exec.yml", *asked("shop", ""), *command)
        assert code in codes and words in said, said


def say(script: str) -> None:
    """Run something in the live container."""
    (box,) = docker("ps", "-q", f"--filter=label=stackswap.service={PLACE}.shop").split()
    docker("exec", box, "sh", "-c", script)


@pytest.mark.engine
def test_logs_are_followed_by_the_command_until_it_is_stopped(here: Plays, tmp_path: Path) -> None:
    """Line after line as they are said, and nothing else; Ctrl-C ends it. exec gives the command's exit code."""
    stackswap, jobs = str(PLAYBOOK.with_name("stackswap")), tmp_path / "jobs"
    words = ["shop", "-i", str(here.inventory), f"--job-dir={jobs}"]
    told = tmp_path / "told"
    with told.open("w") as out:
        follows = subprocess.Popen([stackswap, "logs", *words, "--follow", "--tail=0"], cwd=ROOT, stdout=out)
        for number in range(120):
            say(f"echo turn {number} >/proc/1/fd/1")
            time.sleep(0.5)
            if told.read_text().count("\n") > 2:
                break
        follows.send_signal(signal.SIGINT)
        assert follows.wait(timeout=60) == 0, "who stops listening has heard what was to be heard"
    lines = told.read_text().splitlines()
    first = int(lines[0].removeprefix("web1 | turn "))
    assert lines == [f"web1 | turn {number}" for number in range(first, first + len(lines))] and len(lines) > 2
    command = [stackswap, "exec", *words, "--", "sh", "-c", "echo out; exit 42"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stdout) == (42, b"out\n"), done.stderr
    assert not [path for path in jobs.rglob("*") if path.is_file() and b"turn 1" in path.read_bytes()]


@pytest.mark.engine
def test_a_server_drains_and_serves_on(here: Plays) -> None:
    """To the balancer it says so, status tells of it, users notice nothing; then it is taken in again."""
    for play, status, line, word in (
        ("drain.yml", 503, "the balancer is told to leave web1 out, and after", "DRAINED: web1 is left out"),
        ("undrain.yml", 200, "the balancer is told to take web1 in again", ""),
    ):
        code, said = here(play, "-e", "stackswap_drain_server=web1")
        assert (code, line in said) == (0, True), said
        assert answered("/balancer", "any.test") == status and answered("/", "shop.test") == 200
        told = here("status.yml")[1]
        assert word in told and ("DRAINED" in told) is bool(word), told
    code, said = here("drain.yml", "-e", "stackswap_drain_server=web9")
    assert code != 0 and "stackswap_drain_server web9 is no server of group stackswap" in said, said


STARTS = "echo start >>/data/starts; exec nc -ll -p 6379 -e cat /data/starts"


@pytest.mark.engine
def test_a_backing_service_is_reached_by_its_name_and_left_alone_by_deploys(here: Plays, tmp_path: Path) -> None:
    """It takes connections, is replaced after it has stopped, comes back where that fails, and keeps its data."""
    redis = {"image": images.BUSYBOX, "command": ["sh", "-c", STARTS], "volumes": [f"{tmp_path}:/data"]}
    redis.update(secrets={"PASS": "quite-a-secret"}, password="quite-a-secret", container={"stop_timeout": 1})
    redis.update(secret_files={"pass": "quite-a-secret"}, health={"command": ["test", "-s", "/run/secrets/pass"]})

    def run(play: str = "backing.yml", *words: str, **changed: Any) -> str:
        given = {"stackswap_backing": {"redis": {**redis, **changed}}}
        code, said = here(play, "-e", json.dumps(given), *words)
        assert "quite-a-secret" not in said
        return f"{code} {said}"

    def sealed() -> list[Path]:
        return [*(here.inventory.parent / "home" / "secrets").glob(f"{PLACE}.backing_redis/*")]

    ask = f"nc {PLACE}-redis 6379 </dev/null"
    ours = ("ps", "-q", f"--filter=label=stackswap.backing={PLACE}.redis")
    try:
        assert f"redis runs on web1 at {PLACE}-redis:6379" in run()
        assert "redis runs, nothing had to be changed on web1" in run()
        seen = run("status.yml")
        assert re.search(rf"web1 redis {images.BUSYBOX} running healthy 20", seen) and "DRIFT" not in seen, seen
        assert "DRIFT: redis on web1 is not made as the inventory asks" in run("status.yml", secrets={"PASS": "new"})
        assert "DRIFT: the inventory does not know the backing service redis on web1" in here("status.yml")[1]
        assert "BACKING" not in run("status.yml", "-e", "stackswap_service=shop")
        attached = {"stackswap_services": {"shop": {**SHOP, "image": images.BUSYBOX, "attach": ["redis"]}}}
        done, before = run("deploy.yml", "-e", json.dumps(attached), *asked("shop", "1.0.0")), docker(*ours)
        assert done.startswith("0 ") and docker(*ours) == before, done
        (live,) = docker("ps", "-q", f"--filter=network={NAME}", "--filter=label=stackswap.service").split()
        told = docker("exec", live, "sh", "-c", f"echo $ARTIFAKT_REDIS_HOST $ARTIFAKT_REDIS_PORT; {ask}")
        assert told.split() == [f"{PLACE}-redis", "6379", "start"]
        unchecked = {"env": {"A": "1"}, "health": {"min_healthy_time": 0.5}}
        assert "redis runs on web1" in run(**unchecked) and docker(*ours) not in ("", before)
        assert docker("exec", docker(*ours).strip(), "cat", "/run/secrets/pass") == "quite-a-secret"
        assert len(sealed()) == 1
        bad = run(command=["sh", "-c", "echo no such luck; exit 3"])
        assert not bad.startswith("0 ") and "no such luck. Now: what ran before runs again" in bad, bad
        assert docker("exec", live, "sh", "-c", ask).split() == ["start"] * 3
        assert "nothing is removed that is not named" in run("backing.yml", "-e", "stackswap_backing_state=absent")
        assert docker(*ours)
    finally:
        left = run("backing.yml", "-e", "stackswap_backing_state=absent", "-e", "stackswap_backing_name=redis")
    assert "redis has left, its volumes stay" in left and not docker(*ours) and not sealed()
    assert (tmp_path / "starts").read_text() == "start\n" * 3


def answered(path: str, host: str) -> int:
    """The status of a request at the public door."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    connection.request("GET", path, headers={"Host": host})
    return connection.getresponse().status


@pytest.mark.engine
def test_a_restart_and_the_same_version_after_it(here: Plays) -> None:
    """Other containers, and to a deploy the same release."""
    assert here("deploy.yml", *asked("shop", "1.0.0"))[0] == 0, "the tests before may have left it with other settings"
    before = docker("ps", "-q", f"--filter=label=stackswap.service={PLACE}.shop")
    code, said = here("restart.yml", *asked("shop", ""))
    assert (code, "shop 1.0.0 was restarted on web1." in said) == (0, True), said
    assert docker("ps", "-q", f"--filter=label=stackswap.service={PLACE}.shop") not in ("", before)
    code, said = here("deploy.yml", *asked("shop", "1.0.0"))
    assert (code, "nothing had to be changed" in said) == (0, True), said


@pytest.mark.engine
def test_a_service_that_the_inventory_does_not_know_leaves(here: Plays) -> None:
    """First a check, which does nothing; then for real; a second time nothing is there. Without its name it is none."""
    unknown = (*asked("shop", ""), "-e", json.dumps({"stackswap_services": {}}))
    ours = ("ps", "-aq", f"--filter=label=stackswap.service={PLACE}.shop")
    for words, told, there in (
        (("--check",), "planned, and nothing done", True),
        ((), "shop has left web1.", False),
        ((), "shop is on none of web1.", False),
    ):
        code, said = here("remove.yml", *unknown, *words)
        assert (code, told in said) == (0, True), said
        assert bool(docker(*ours)) is there
    code, said = here("remove.yml")
    assert code != 0 and "stackswap_service" in said
