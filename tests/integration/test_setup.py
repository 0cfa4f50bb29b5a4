"""Setup for real: on this machine with the engine it has, and on a bare Debian server over SSH."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.lab import engine, images
from tests.lab.client import Load
from tests.lab.host import Host, hosts
from tests.lab.stack import HOST

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
PROXY = "docker inspect --format '{{.State.Running}} {{.Id}}' stackswap-proxy"
PIN = "/etc/apt/preferences.d/stackswap-trixie.pref"
TOO_OLD = """
import http.server, json, os, socketserver
class Old(http.server.BaseHTTPRequestHandler):
    def address_string(self): return "old"
    def do_GET(self):
        said = json.dumps({"Version": "19.03.15", "ApiVersion": "1.40"}).encode()
        self.send_response(200); self.end_headers(); self.wfile.write(said)
if os.fork() == 0:
    os.setsid()
    for number in range(3): os.dup2(os.open(os.devnull, os.O_RDWR), number)
    socketserver.UnixStreamServer("/var/run/docker.sock", Old).serve_forever()
"""

Play = Callable[..., "Ran"]


class Ran:
    """One run of the playbook: exit code, how many tasks changed something, and all it said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        recap = re.findall(r"changed=(\d+)", done.stdout)
        self.code, self.changed = done.returncode, sum(map(int, recap))
        self.said = " ".join((done.stderr + done.stdout).split())


def play(folder: Path, servers: Mapping[str, Any], **variables: Any) -> Play:
    """Return a way to run setup against these servers."""
    stack = {"hosts": servers, "vars": {"stackswap_environment": {"name": "test"}, **variables}}
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps({"all": {"children": {"stackswap": stack}}}))

    def run(*words: str, book: str = "setup") -> Ran:
        command = [PLAYBOOK, "-i", inventory, *words, f"playbooks/{book}.yml"]
        return Ran(subprocess.run(command, cwd=ROOT, capture_output=True, text=True))

    return run


# -- this machine


@pytest.fixture
def here(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """This machine as a server, its proxy under names of the test's own."""
    engine.ready()
    names = dict.fromkeys(("container", "network"), f"stackswap-test-{os.getpid()}")
    proxy = {"listen": ["127.0.0.1:18471"], "home": str(tmp_path_factory.mktemp("home")), **names}
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    labels = {"stackswap.test": "1"}
    settings = {**proxy, "subnet": "198.18.127.0/24", "labels": labels}
    yield play(tmp_path, {"localhost": local}, stackswap_proxy=settings)
    subprocess.run(["docker", "rm", "-f", names["container"]], capture_output=True)
    subprocess.run(["docker", "network", "rm", names["network"]], capture_output=True)


def haproxy() -> str:
    """Return the image of HAProxy that setup would make of this machine's package."""
    script = ROOT / "collection/roles/stackswap/files/haproxy_image.sh"
    made = subprocess.run(["sh", script], check=True, capture_output=True, text=True)
    return made.stdout.split()[-1]


def engine_started() -> str:
    """Return what tells this run of the engine from another."""
    info = ["docker", "info", "--format={{.ID}}"]
    own = ["pgrep", "-x", "--ns", str(os.getpid()), "dockerd"]  # containers have engines of their own
    pids = subprocess.run(own, capture_output=True, text=True).stdout
    return pids + subprocess.run(info, capture_output=True, text=True).stdout


def test_an_engine_that_answers_is_used_and_not_restarted(here: Play) -> None:
    """Nor are packages of another release added; the second run changes nothing."""
    before, pinned = engine_started(), Path(PIN).exists()
    first, second = here(), here()
    assert (first.code, second.code, second.changed) == (0, 0, 0), first.said + second.said
    assert engine_started() == before
    assert Path(PIN).exists() == pinned


def test_a_check_changes_nothing_where_all_is_there(here: Play) -> None:
    """A check after a real run says so, too."""
    first, again = here(), here("--check")
    assert first.code == 0, first.said
    assert (again.code, again.changed) == (0, 0), again.said


def test_an_unknown_setting_of_the_proxy_is_refused(here: Play) -> None:
    """Else a misspelt one would count for nothing."""
    refused = here("-e", json.dumps({"stackswap_proxy": {"lisen": [80]}}))
    assert refused.code == 2
    assert "lisen" in refused.said and "listen" in refused.said


def test_a_run_without_servers_is_refused(here: Play) -> None:
    """Ansible's own answer would be success."""
    refused = here("--limit", "all:!stackswap")
    assert refused.code != 0


# -- a bare server


@pytest.fixture(scope="module")
def server() -> Iterator[Host]:
    """A Debian with sshd and no more, on a network of its own."""
    engine.ready()
    with hosts(1) as (one,):
        yield one


@pytest.fixture
def over_ssh(server: Host, tmp_path: Path) -> Play:
    """The bare server, reached as a user who may become root."""
    return play(tmp_path, {server.name: {**server.hostvars, "ansible_user": "ops"}})


TRIXIE = ("-e", "stackswap_engine_source=trixie")


def test_1_a_check_of_a_bare_server_touches_nothing(server: Host, over_ssh: Play) -> None:
    """It says how far it can see and ends well."""
    checked = over_ssh("--check", *TRIXIE)
    assert checked.code == 0, checked.said
    assert "A real run would install it" in checked.said
    assert "absent" in server.run("which python3 docker dockerd || echo absent")


def test_2_without_an_engine_none_means_none(server: Host, over_ssh: Play) -> None:
    """The refusal says what is missing and what to do."""
    refused = over_ssh("-e", "stackswap_engine_source=none")
    assert refused.code == 2
    assert f"No Docker engine answers on {server.name}" in refused.said
    assert "absent" in server.run("which dockerd || echo absent")


def test_3_an_engine_that_is_too_old_is_refused(server: Host, over_ssh: Play) -> None:
    """And left as it is."""
    server.run(f"python3 - <<'END'\n{TOO_OLD}\nEND")
    refused = over_ssh(*TRIXIE)
    server.run("pkill -f '^python3 -'; rm /var/run/docker.sock", check=False)
    assert refused.code == 2
    assert "runs Docker engine 19.03.15 (API 1.40)" in refused.said
    assert "absent" in server.run("which dockerd || echo absent")


def test_4_a_bare_server_gets_all_it_needs(server: Host, over_ssh: Play) -> None:
    """Engine, buildx, library, directory and proxy; Debian's own libraries stay; then no change."""
    libc = server.run("dpkg-query -W libc6")
    first = over_ssh(*TRIXIE)
    assert first.code == 0, first.said
    assert server.run("docker version --format '{{.Server.APIVersion}}'") >= "1.41"
    assert server.run("docker buildx version")
    assert server.run("python3 -c 'import docker'; stat -c %a /mnt/shared") == "1777"
    assert server.run("dpkg-query -W libc6") == libc
    pid, running = server.run("pidof dockerd"), server.run(PROXY)
    assert running.startswith("true")
    second = over_ssh(*TRIXIE)
    assert (second.code, second.changed) == (0, 0), second.said
    assert (server.run("pidof dockerd"), server.run(PROXY)) == (pid, running)


def test_5_the_engine_runs_in_a_session_of_its_own(server: Host) -> None:
    """It outlived the connection that started it, and has a log and a file with its number."""
    pid = server.run("cat /run/docker.pid")
    assert server.run(f"ps -o sid= -o ppid= -p {pid}").split() == [pid, "1"]
    assert server.run("test -s /var/log/stackswap-engine.log && echo log") == "log"


def test_6_after_a_boot_without_an_init_system_setup_starts_it_again(server: Host, over_ssh: Play) -> None:
    """The proxy comes with it, by its restart policy."""
    server.reboot()
    again = over_ssh()
    assert again.code == 0, again.said
    assert again.changed >= 1
    assert server.run(PROXY).startswith("true")


def test_7_a_shared_directory_keeps_its_mode(server: Host, over_ssh: Play) -> None:
    """It belongs to whoever made it."""
    server.run("chmod 2770 /mnt/shared")
    assert over_ssh().changed == 0
    assert server.run("stat -c %a /mnt/shared") == "2770"


# -- a server with the engine of its own release


def ship(image: str, server: Host) -> None:
    """Load an image of this machine's engine into the server's."""
    saved = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
    way = ["ssh", "-i", str(server.key), *server.args, f"root@{server.address}", "docker load -q"]
    subprocess.run(way, stdin=saved.stdout, check=True, capture_output=True)


SHOP = {
    "image": "stackswap-test/app",
    "port": 8080,
    "routes": [{"host": HOST}],
    "health": {"path": "/health", "min_healthy_time": 0.2},
    "bake": 0.5,
}


def test_the_engine_of_the_server_s_own_release_is_enough_and_loses_nothing(tmp_path: Path) -> None:
    """Debian 12's is three years older than trixie's and has no buildx. Nothing of another release is added."""
    with hosts(1) as (server,):
        settings = {"stackswap_engine_source": "distribution", "stackswap_services": {"shop": SHOP}}
        run = play(tmp_path, {server.name: server.hostvars}, **settings)
        first, second = run(), run()
        assert first.code == 0, first.said
        assert (second.code, second.changed) == (0, 0), second.said
        assert "trixie" not in server.run("apt-cache policy docker.io")
        assert "absent" in server.run(f"test -e {PIN} || echo absent")
        for version in ("1.0", "1.1"):
            ship(images.app(version), server)
        deployed = run("-e", "stackswap_service=shop stackswap_version=1.0", book="deploy")
        assert deployed.code == 0, deployed.said
        with Load(server.address, 80, host=HOST, rate=50, seconds=600, websocket=True) as load:
            swapped = run("-e", "stackswap_service=shop stackswap_version=1.1", book="deploy")
            back = run("-e", "stackswap_service=shop", book="rollback")
        assert (swapped.code, back.code) == (0, 0), swapped.said + back.said
        report = load.report()
        assert report.lost == 0 and set(report.versions) == {"1.0", "1.1"}, report


# -- a builder with an engine of its own


def test_a_builder_gets_buildx_beside_an_older_engine_that_goes_on(tmp_path: Path) -> None:
    """Of the newer release it gets that one package; without leave it gets none and is told."""
    image = haproxy()
    with hosts(1) as (server,):
        server.run("apt-get -qq update && apt-get -qqy --no-install-recommends install docker.io")
        server.run("setsid dockerd >/dev/null 2>&1 </dev/null & sleep 5; docker version")
        ship(image, server)
        pid, packages = server.run("pidof dockerd"), "dpkg-query -W docker.io containerd libc6"
        before = server.run(packages)
        build = play(tmp_path, {server.name: server.hostvars}, stackswap_proxy={"image": image})
        inventory = json.loads((tmp_path / "hosts.json").read_text())
        inventory["all"]["children"]["stackswap_builder"] = {"hosts": {server.name: None}}
        (tmp_path / "hosts.json").write_text(json.dumps(inventory))
        refused, done, again = build(), build(*TRIXIE), build(*TRIXIE)
        assert refused.code == 2
        assert "its docker command knows no buildx" in refused.said
        assert (done.code, again.code, again.changed) == (0, 0, 0), done.said + again.said
        assert server.run("docker buildx version")
        assert (server.run("pidof dockerd"), server.run(packages)) == (pid, before)
