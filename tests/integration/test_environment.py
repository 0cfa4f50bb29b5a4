"""What an application is told, as its containers have it: variables and secrets of every kind, then and now."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.choose import secrets_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Replica
from tests.integration.test_build import everything_in
from tests.integration.test_modules import PLAYBOOK, ROOT, Watch, asked, of, play
from tests.lab import images
from tests.lab.building import docker
from tests.lab.built import Code
from tests.lab.calls import Place, candidate
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]

BUILT = """#!/bin/sh
set -e
test "$A" = environment
test "$(printf %s "$KEY" | sha256sum | cut -c1-64)" = {}
"""
STACKSWAP = Path(sys.executable).parent / "stackswap"
AWKWARD = {
    "plain": "s3cret",
    "lines": "one\ntwo\r\n\n",
    "quotes": "'single' \"double\" $HOME ${X} $(id) `id` \\ %s {{ x }}",
    "large": "0123456789abcdef" * 4096,
    "letters": "\u00e4\u2192\U0001f511",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server with its proxy, and the images of two versions."""
    assert images.app("1.0") != images.app("1.1")
    with Stack.made() as made:
        yield made


def read(replica: Replica, *words: str) -> bytes:
    """What a command in a container prints, byte for byte, run by the user of the container."""
    return subprocess.run(["docker", "exec", replica.id, *words], check=True, capture_output=True).stdout


def variables(replica: Replica) -> dict[str, str]:
    """The environment of a process in the container."""
    lines = read(replica, "cat", "/proc/self/environ").decode().rstrip("\0").split("\0")
    return dict(line.split("=", 1) for line in lines)


def folders(stack: Stack, place: Place) -> list[Path]:
    """The folders of secret files on the server, one a release."""
    return sorted((Path(stack.settings.home) / "secrets" / place.wanted().service.key).glob("*"))


# -- secrets


def test_secrets_reach_a_process_that_is_not_root_byte_for_byte(stack: Stack) -> None:
    """As variables and as read-only files, also after a restart; nobody else on the server may pass their folder."""
    named = {f"S_{name.upper()}": text for name, text in AWKWARD.items()}
    box = {"user": "1234:1234", "read_only": True, "tmpfs": ["/tmp"]}
    place = Place(stack, "exact", secrets=named, secret_files=AWKWARD, container=box)
    assert place.call("1.0").result.error is None
    (live,) = place.live()
    assert read(live, "id", "-u").strip() == b"1234"
    for _ in range(2):
        assert variables(live).items() >= named.items()
        for name, text in AWKWARD.items():
            assert read(live, "cat", f"/run/secrets/{name}") == text.encode(), name
        docker("restart", "-t", "1", live.id)
    written = subprocess.run(["docker", "exec", "-u", "0", live.id, "touch", "/run/secrets/more"], capture_output=True)
    assert written.returncode != 0 and b"Read-only" in written.stderr
    (folder,) = folders(stack, place)
    assert [path.stat().st_mode & 0o777 for path in folder.parents[:2]] == [0o700, 0o700]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}


def test_the_files_of_a_release_go_with_it(stack: Stack) -> None:
    """Those of the live one and of the one kept for a rollback stay; what a crash has left goes, too."""
    place = Place(stack, "leaves", secret_files={"key": "1"})

    def crash(point: str) -> None:
        if point == "within start":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.call("1.0", at=crash)
    for text in "123":
        done = place.call("1.0", {"secret_files": {"key": text}})
        assert done.result.error is None
    standing = {r.release for r in place.look().replicas}
    assert [folder.name for folder in folders(stack, place)] == sorted(standing) and len(standing) == 2
    (live,) = place.live()
    assert read(live, "cat", "/run/secrets/key") == b"3"


def both(text: str) -> dict[str, Any]:
    """A secret of each kind."""
    return {"secrets": {"KEY": text}, "secret_files": {"key": text}} if text else {}


def has(place: Place) -> set[str]:
    """What the live container has in either."""
    (live,) = place.live()
    return {variables(live)["KEY"], read(live, "cat", "/run/secrets/key").decode()}


def test_a_rollback_runs_with_the_secrets_of_then_while_its_containers_stand(stack: Stack) -> None:
    """Whatever was rotated since, or is given no more."""
    place = Place(stack, "kept")
    for version, text in (("1.0", "then"), ("1.1", "now")):
        assert place.call(version, both(text)).result.error is None
    assert has(place) == {"now"}
    done = place.call(rollback=True)
    assert done.result.error is None and done.report["serving"]["version"] == "1.0"
    assert done.release and secrets_of(place.effects(), place.wanted(**both("now")), done.release) == "then"
    assert has(place) == {"then"}


def test_a_rollback_without_its_containers_runs_with_the_secrets_of_now(stack: Stack) -> None:
    """Nothing else has those of then. What is given no more is refused by name."""
    place = Place(stack, "gone")
    for version, text in (("1.0", "then"), ("1.1", "now")):
        assert place.call(version, both(text)).result.error is None
    docker("rm", candidate(place, "1.0").id)
    with pytest.raises(BadInput, match=r"release 1\.0 had secrets that are not given now: the file key, KEY"):
        place.call(rollback=True)
    done = place.call(None, both("now"), rollback=True)
    assert done.result.error is None and done.report["serving"]["version"] == "1.0"
    assert done.release and secrets_of(place.effects(), place.wanted(**both("now")), done.release) == "now"
    assert has(place) == {"now"}


def test_what_was_baked_into_the_image_is_told_when_it_has_changed(stack: Stack, tmp_path: Path) -> None:
    """build.sh does not run again, whether the deploy is planned or done; nor when a secret that it saw is rotated."""
    env, key = {"LOG_LEVEL": "info", "WORKERS": "4"}, {"secrets": {"KEY": "then"}}
    code = Code(tmp_path / "code", {"app": images.app("1.0")})
    code.write({"Dockerfile": "FROM app\n", ".artifakt/build.sh": '#!/bin/sh\nset -e\necho "$LOG_LEVEL" >/level\n'})
    try:
        built = code.build("1.0", env=env, secrets=key["secrets"]).after
        known = {"proxy": of(stack), "image": code.repository, **key}
        wanted = asked("baked", "1.0", env={**env, "LOG_LEVEL": "debug"}, **known)
        rotated = asked("baked", "1.0", env=env, **{**known, "secrets": {"KEY": "now"}})
        other = asked("baked", "1.0", env={"WORKERS": "5"}, **{**known, "secrets": {"KEY": "now"}})
        jobs = ({**wanted, "check": True}, wanted, rotated, other)
        planned, done, again, same = play(tmp_path, *jobs, words=("--diff",))
        note = "LOG_LEVEL was other when build.sh ran: it stays as built until the next build-and-deploy"
        for ran in (planned, done):
            assert ran.report["notes"] == [note] and note in ran.answer["msg"]
        assert note in planned.printed
        assert [text.partition(":")[0] for text in again.report["notes"]] == [
            "a secret has changed, and build.sh saw KEY"
        ]
        assert [text.split(" ")[0] for text in same.report["notes"]] == ["LOG_LEVEL", "WORKERS"]
        (live,) = [r for r in stack.effects().engine.replicas("modules.baked") if r.running]
        told = variables(live)
        assert (told["ARTIFAKT_BUILD_ID"], told["WORKERS"]) == (dict(built.labels)["stackswap.build"], "5")
        assert read(live, "cat", "/level") == b"info\n"
    finally:
        docker("rm", "--force", *docker("ps", "-aq", f"--filter=ancestor={code.tag}").split())
        code.remove()


# -- a whole job


@dataclass
class Stackswap:
    """The command, with an inventory of one server and a folder for its jobs; looks about while it runs."""

    folder: Path
    marker: str

    def __call__(self, *words: str) -> str:
        """Run a job to its end; answer all that it printed."""
        return self._run(str(STACKSWAP), *words, "--job-dir", str(self.folder / "jobs"))

    def bare(self, play: str, **variables: str) -> str:
        """The same without the command, by Ansible's own defaults."""
        return self._run(str(PLAYBOOK), str(ROOT / "playbooks" / play), "-e", json.dumps(variables))

    def _run(self, *words: str) -> str:
        environ = {**os.environ, "XDG_STATE_HOME": str(self.folder / "state"), "ANSIBLE_NOCOLOR": "1"}
        words = (*words, "-i", "hosts.json", "--limit", "web1", "-vvv")
        with Watch(self.marker, Path.home() / ".ansible") as watch:
            done = subprocess.run(words, cwd=self.folder, env=environ, capture_output=True, text=True)
        assert watch.looks and not watch.found
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


def holders(top: Path, text: str, since: float) -> list[Path]:
    """The files below a folder, written since, that hold the text."""
    found = []
    for path in (Path(folder, name) for folder, _, names in os.walk(top) for name in names):
        with suppress(OSError):  # others' files come and go
            fresh = path.is_file() and not path.is_symlink() and path.stat().st_ctime >= since
            found += [path] if fresh and text.encode() in path.read_bytes() else []
    return found


def digest(text: str) -> str:
    """What build.sh makes of a value that it was given."""
    return hashlib.sha256(text.encode()).hexdigest()


def inventory(stack: Stack, folder: Path, marked: dict[str, str], **more: Any) -> None:
    """One server that is here and one that is not, a service to deploy and one to build; more: of the first."""
    (folder / "app" / ".artifakt").mkdir(parents=True, exist_ok=True)
    (folder / "app" / "Dockerfile").write_text("FROM busybox\n")
    (folder / "app" / ".artifakt" / "build.sh").write_text(BUILT.format(digest(marked["variable"])))
    service = {**asked("shop")["service"], "secrets": {"KEY": marked["variable"]}, "attach": ["mysql"]}
    made = {"source": {"path": "app"}, "build": {"base_images": {"busybox": images.busybox()}}}
    variables = {
        "stackswap_services": {
            "shop": {**service, "secret_files": {"key": marked["file"]}, **more},
            "made": {**made, "secrets": {"KEY": marked["variable"]}, "secret_files": {"key": marked["file"]}},
            "other": {"source": {"git": "https://git.test/a", "token": marked["token"]}},
        },
        "stackswap_environment": {"name": stack.name, "criticality": "low", "env": dict.fromkeys("AB", "environment")},
        "stackswap_proxy": of(stack),
        "stackswap_attached": {
            "mysql": {"host": "db.test", "user": "shop", "password": marked["attached"]},
            "redis": {"host": "cache.test", "password": marked["stranger"]},
        },
        "stackswap_registries": {"registry.test": {"username": "ci", "password": marked["registry"]}},
    }
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {"web1": {**local, "ansible_host": "192.0.2.11"}, "web2": {"ansible_host": "192.0.2.12"}}
    whole = {"all": {"children": {"stackswap": {"hosts": hosts}}, "vars": variables}}
    (folder / "hosts.json").write_text(json.dumps(whole))


def test_no_secret_of_a_job_is_anywhere_but_where_it_belongs(stack: Stack, tmp_path: Path) -> None:
    """Of any kind, in a build, a deploy, a rotation and a rollback: only the engine has them, and the files' folder."""
    began, marker, tag = time.time() - 1, f"MARKER-{secrets.token_hex(8)}", f"stackswap/{stack.name}-made:1.0"
    marked = {name: f"{marker}-{name}" for name in ("variable", "file", "attached", "registry", "token", "stranger")}
    own = tmp_path / "own"
    own.mkdir()
    run, place = Stackswap(own, marker), Place(stack, "shop")

    inventory(stack, own, marked, env=dict.fromkeys("ABC", "service"))
    printed = run("build", "made", "1.0")
    kept = everything_in(tag)
    docker("rmi", tag)
    assert marker.encode() not in kept
    printed += run("deploy", "shop", "1.0", "-e", json.dumps({"stackswap_env": {"B": "job"}}))
    assert_told(variables(place.live()[0]), marked)
    inventory(stack, own, marked, secrets={"KEY": marked["variable"] + "-rotated"})
    printed += run("deploy", "shop", "1.1")
    printed += run.bare("rollback.yml", stackswap_service="shop")
    assert "the secrets of then." in printed
    assert marker not in printed

    seen = docker("events", f"--since={began:.0f}", f"--until={time.time():.0f}", "--format={{json .}}")
    assert "container" in seen and marker not in seen
    allowed = {Path(stack.settings.home, "secrets"), own / "hosts.json"}
    for top in (Path(tempfile.gettempdir()), Path.home() / ".ansible", tmp_path, Path(stack.settings.home)):
        found = [path for path in holders(top, marker, began) if not {path, *path.parents} & allowed]
        assert not found, found
    assert len(folders(stack, place)) == 2, "one for each release that stands"
    for one in place.look().replicas:
        document = json.loads(docker("inspect", one.id))[0]
        document["Config"].pop("Env")
        assert marker not in json.dumps(document) + docker("logs", one.id)


def assert_told(env: dict[str, str], marked: dict[str, str]) -> None:
    """What the platform, the service, its environment and the job tell, each where it wins."""
    assert [env[name] for name in "ABC"] == ["environment", "job", "service"]
    assert env["ARTIFAKT_REPLICA_LIST"] == "192.0.2.11,192.0.2.12", "of the groups, not of the limit"
    assert (env["ARTIFAKT_IS_MAIN_INSTANCE"], env["ARTIFAKT_DOMAIN"]) == ("1", "shop.test")
    assert (env["ARTIFAKT_ENVIRONMENT_CRITICALITY"], len(env["ARTIFAKT_BUILD_ID"])) == ("low", 12)
    assert (env["ARTIFAKT_MYSQL_HOST"], env["ARTIFAKT_MYSQL_PORT"]) == ("db.test", "3306")
    assert (env["ARTIFAKT_MYSQL_PASSWORD"], env["KEY"]) == (marked["attached"], marked["variable"])
    assert not [name for name in env if "REDIS" in name]
