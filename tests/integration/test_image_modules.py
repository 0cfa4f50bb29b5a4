"""The modules image_build and image as Ansible runs them: on the control node, and over SSH."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.archive import Written, rewrite
from ansible_collections.stackswap.bluegreen.plugins.module_utils.incoming import ROOTS, Incoming
from tests.lab import images, ssh
from tests.lab.building import build, context
from tests.lab.registry import Registry

pytestmark = pytest.mark.engine
ROOT = Path(__file__).resolve().parents[2]
SECRET = "hunter2-never-kept"
ENVIRONMENT = f"test{os.getpid()}"
TAG = f"stackswap/{ENVIRONMENT}-shop:1.10"
SERVER = {"server": {"ansible_connection": "local"}}
CODE = 300_000  # bytes of the layer that is new
FAKE = """#!/bin/sh
# The docker command of a builder that has one image, kept in a file. What it is asked is kept too.
echo "$1 $2" >>{folder}/calls
case "$1 $2 $3" in
"image inspect {id}") cat {folder}/inspect ;;
"image save {id}") cat {folder}/archive ;;
*) echo "no such image" >&2; exit 1 ;;
esac
"""


def play(module: str, args: dict[str, Any], hosts: dict[str, Any], *flags: str) -> dict[str, Any]:
    """Run one module on the host `server`, or else on the control node, and answer its result."""
    target = "server" if "server" in hosts else "localhost"
    code, said = run(module, args, hosts, target, *flags)
    assert "{" in said, said
    return {**json.JSONDecoder().raw_decode(said[said.index("{") :])[0], "rc": code}


def run(module: str, args: dict[str, Any], hosts: dict[str, Any], target: str, *flags: str) -> tuple[int, str]:
    """Run one module on these hosts, and answer the exit code and all that was printed."""
    python = {"ansible_python_interpreter": sys.executable}
    groups = {"stackswap_builder": {"hosts": {name: {} for name in hosts if name == "maker"}}}
    known = {"vars": python, "hosts": hosts or {"localhost": {"ansible_connection": "local"}}, "children": groups}
    inventory = {"all": known}
    path = args.pop("_folder") / "inventory.json"
    path.write_text(json.dumps(inventory))
    env = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections"),
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.oneline",
        "ANSIBLE_NOCOLOR": "1",
    }
    command = [str(Path(sys.executable).with_name("ansible")), "-i", str(path), target, *flags]
    command += ["-m", f"stackswap.bluegreen.{module}", "-a", json.dumps(args)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, done.stdout or done.stderr


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """An application with a build callback, and the options to build it."""
    code = tmp_path / "code"
    (code / ".artifakt").mkdir(parents=True)
    (code / "Dockerfile").write_text('FROM busybox\nWORKDIR /code\nCMD ["sleep", "9"]\n')
    (code / ".artifakt/build.sh").write_text('#!/bin/sh\necho "${TOKEN:?}"; date >built\n')
    yield {
        "_folder": tmp_path,
        "name": "shop",
        "environment": ENVIRONMENT,
        "version": "1.10",
        "source": {"path": str(code)},
        "secrets": {"TOKEN": SECRET, "PIN": "1"},
        "base_images": {"busybox": images.busybox()},
        "labels": {"stackswap.test": "1"},
    }
    subprocess.run(["docker", "image", "rm", "--force", TAG], capture_output=True)


def test_image_build_changes_once(shop: dict[str, Any]) -> None:
    """Check mode builds nothing; a second build changes nothing; short secrets do not mask ids."""
    asked = play("image_build", {**shop}, {}, "--check")
    assert (asked["changed"], images.exists(TAG)) == (True, False)
    first = play("image_build", {**shop}, {}, "-vvv")
    assert first["changed"] is True
    assert first["image"]["id"] == images.docker("image", "inspect", "--format={{.Id}}", TAG)
    assert first["image"]["digest"] == first["image"]["config"] == first["image"]["id"]
    shown = first.get("invocation")  # from ansible-core 2.21 on it is not registered
    assert shown is None or {*shown["module_args"]["secrets"].values()} == {"VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"}
    again = play("image_build", {**shop}, {})
    assert (again["changed"], again["image"]["id"]) == (False, first["image"]["id"])
    assert again["steps"]["ran"] == 0


BAD = {
    "version that is no tag": ({"version": "1 0"}, "cannot be an image's name"),
    "env that is not text": (
        {"env": {"WORKERS": 4}},
        "env.WORKERS is not text: write it in quotes",
    ),
    "no folder": ({"source": {"path": "/nosuch"}}, "there is no folder /nosuch on the builder"),
    "no Dockerfile": ({"dockerfile": "nosuch"}, "there is no nosuch in the source"),
    "no docker": ({"docker_cli": "/nosuch"}, "there is no docker command on the builder"),
    "no engine": ({"docker_host": "unix:///nosuch"}, "nosuch"),
    "failing": ({"secrets": {}}, "exit code 2 at .artifakt/build.sh"),
}


@pytest.mark.parametrize(("other", "said"), BAD.values(), ids=BAD)
def test_image_build_says_what_is_wrong(shop: dict[str, Any], other: dict[str, Any], said: str) -> None:
    """In its message, with a cause."""
    told = play("image_build", {**shop, **other}, {})
    assert told["rc"] == 2
    assert said in told["msg"]
    assert told["cause"]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A builder's docker command with one image that this engine does not have, but for the base."""
    tag = f"stackswap-test/ship-{os.getpid()}:1"
    code = {"Dockerfile": b"FROM busybox:1\nCOPY code /code\n", "code": os.urandom(CODE)}
    images.build(tag, images.context(code), {"busybox:1": images.busybox()})
    identity = images.docker("image", "inspect", "--format={{.Id}}", tag)
    (tmp_path / "inspect").write_text(images.docker("image", "inspect", tag))
    (tmp_path / "archive").write_bytes(
        subprocess.run(["docker", "save", identity], capture_output=True, check=True).stdout
    )
    images.docker("image", "rm", tag)
    assert not images.exists(identity)
    command = tmp_path / "docker"
    command.write_text(FAKE.format(id=identity, folder=tmp_path))
    command.chmod(0o755)
    yield {"name": tag, "id": identity, "docker_cli": str(command)}
    subprocess.run(["docker", "image", "rm", "--force", identity], capture_output=True)


def layers(folder: Path) -> list[str]:
    """The layers of the builder's image."""
    return list(json.loads((folder / "inspect").read_text())[0]["RootFS"]["Layers"])


def without_base(folder: Path) -> tuple[bytes, Written]:
    """What has to travel of the builder's image to this engine."""
    target = io.BytesIO()
    told = rewrite(io.BytesIO((folder / "archive").read_bytes()), target, layers(folder)[:-1])
    return target.getvalue(), told


def leftovers() -> set[Path]:
    """Temporary archives on either side, where Ansible and the module keep such things."""
    kept = Path.home() / ".ansible/tmp"
    return {*kept.rglob("*.tar"), *kept.rglob("part"), *Path(ROOTS).glob("*.tar")}


WAYS = {  # whether the server is reached over SSH, and the builder; None is no builder in the inventory
    "the control node builds, for itself": (False, None),
    "the control node builds": (True, None),
    "another host builds": (True, True),
    "another host builds, for the control node": (False, True),
}


@pytest.mark.parametrize(("far", "maker"), WAYS.values(), ids=WAYS)
def test_an_image_is_shipped_from_the_builder(
    kept: dict[str, str], tmp_path: Path, far: bool, maker: bool | None
) -> None:
    """The inventory says who builds. Asked first; what is not there is carried, verified by its id, named; once."""
    with ssh.server() as remote:
        reached = {True: dict(remote.hostvars), False: {"ansible_connection": "local"}}
        hosts = {"server": reached[far], **({} if maker is None else {"maker": reached[maker]})}
        args = {"_folder": tmp_path, "from": "builder", **kept}
        foretold = play("image", {**args}, hosts, "--check")
        assert (foretold["changed"], foretold["how"]) == (True, "missing")
        first = play("image", {**args}, hosts)
        builder = "localhost" if maker is None else "maker"
        assert (first["changed"], first["how"], first["builder"]) == (True, "delta", builder)
        assert CODE < first["bytes"] == without_base(tmp_path)[1].size < 1.2 * CODE
        assert first["image"]["id"] == kept["id"]
        assert images.docker("image", "inspect", "--format={{.Id}}", kept["name"]) == kept["id"]
        again = play("image", {**args}, hosts)
        assert (again["changed"], again["how"]) == (False, "present")
    assert not leftovers()


def test_a_server_that_builds_has_the_image(kept: dict[str, str], tmp_path: Path) -> None:
    """Nothing is carried for it; and what it has not built is said."""
    hosts = {"server": {"ansible_connection": "local"}}
    args = {"_folder": tmp_path, "from": "builder", "builder": "server", "name": images.busybox()}
    assert play("image", {**args}, hosts)["how"] == "present"
    missing = play("image", {**args, **kept}, hosts)
    assert (missing["cause"], "build it first" in missing["msg"]) == ("image_missing", True)


def test_several_servers_share_one_saved_archive(kept: dict[str, str], tmp_path: Path) -> None:
    """The builder is asked what has the name once, and saves once."""
    hosts = {f"server{number}": {"ansible_connection": "local"} for number in range(3)}
    args = {"_folder": tmp_path, "from": "builder", "builder": "localhost", **kept}
    hosts["localhost"] = {"ansible_connection": "local"}
    code, said = run("image", args, hosts, "server*")
    assert code == 0, said
    assert (tmp_path / "calls").read_text().split("\n").count("image save") == 1
    assert images.exists(kept["name"])
    assert not leftovers()


def test_what_was_cut_off_goes_on_where_it_was(kept: dict[str, str], tmp_path: Path) -> None:
    """The part that is on the server does not travel again, whichever job had sent it."""
    args = {"_folder": tmp_path, "from": "builder", "builder": "localhost", **kept}
    data, told = without_base(tmp_path)
    part = Incoming({"digest": told.digest, "size": told.size})
    Path(part.path).write_bytes(data[:200_000])
    done = play("image", {**args}, SERVER)
    assert (done["rc"], done["how"], done["bytes"]) == (0, "delta", told.size - 200_000)
    assert not leftovers()


def test_what_came_damaged_is_refused(kept: dict[str, str], tmp_path: Path) -> None:
    """Nothing is loaded, nothing is named, and the next try begins anew."""
    args = {"_folder": tmp_path, "from": "builder", "builder": "localhost", **kept}
    part = Incoming({"digest": without_base(tmp_path)[1].digest, "size": without_base(tmp_path)[1].size})
    Path(part.path).write_bytes(b"x" * 200_000)
    damaged = play("image", {**args}, SERVER)
    assert (damaged["rc"], damaged["cause"]) == (2, "archive_damaged")
    assert not images.exists(kept["id"])
    assert play("image", {**args}, SERVER)["how"] == "delta"
    assert not leftovers()


def test_what_is_not_on_the_builder_is_said(kept: dict[str, str], tmp_path: Path) -> None:
    """And a damaged archive is no image; nothing temporary stays in either case."""
    hosts = {"server": {"ansible_connection": "local"}}
    args = {"_folder": tmp_path, "from": "builder", **kept}
    missing = play("image", {**args, "id": "sha256:" + "0" * 64}, hosts)
    assert "is not on the builder" in missing["msg"]
    (tmp_path / "archive").write_bytes((tmp_path / "archive").read_bytes()[:300_000])
    damaged = play("image", {**args}, hosts)
    assert (damaged["rc"], damaged["cause"]) == (2, "archive_damaged")
    assert not images.exists(kept["id"])
    assert not leftovers()


def test_an_archive_of_another_image_is_not_loaded(kept: dict[str, str], tmp_path: Path) -> None:
    """And one that leaves out a layer that is not there is told apart."""
    args = {"_folder": tmp_path, "name": kept["name"], "from": "archive", "archive": str(tmp_path / "archive")}
    other = play("image", {**args, "id": "sha256:" + "0" * 64}, {})
    assert (other["rc"], other["cause"]) == (2, "image_differs")
    (tmp_path / "lacks").write_bytes(lacking(tmp_path))
    lacks = play("image", {**args, "archive": str(tmp_path / "lacks")}, {})
    assert (lacks["rc"], lacks["cause"]) == (2, "layers_missing")
    assert not images.exists(kept["id"])


def lacking(folder: Path) -> bytes:
    """An archive without a layer that no engine has."""
    packed = io.BytesIO()
    with tarfile.open(folder / "archive") as old, tarfile.open(fileobj=packed, mode="w") as new:
        manifest = json.load(old.extractfile("manifest.json"))
        config = json.load(old.extractfile(manifest[0]["Config"]))
        config["rootfs"]["diff_ids"][-1] = f"sha256:{os.urandom(32).hex()}"
        for name, document in (("manifest.json", manifest), (manifest[0]["Config"], config)):
            text = json.dumps(document).encode()
            member = tarfile.TarInfo(name)
            member.size = len(text)
            new.addfile(member, io.BytesIO(text))
    return packed.getvalue()


# -- a registry


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry that holds the small image, and lets in one user."""
    with Registry() as made:
        made.login = ("ops", SECRET)
        yield made
        listed = images.docker(
            "image", "ls", "--digests", "--format={{.Repository}}:{{.Tag}} {{.Digest}}", f"{made.address}/shop"
        )
        for name, digest in (line.split() for line in listed.splitlines()):
            subprocess.run(["docker", "image", "rm", name], capture_output=True)
            subprocess.run(["docker", "image", "rm", f"{name.rpartition(':')[0]}@{digest}"], capture_output=True)


LOGIN = {"username": "ops", "password": SECRET}


def test_an_image_is_pulled_by_its_digest(registry: Registry, tmp_path: Path) -> None:
    """With a login that is shown nowhere; once it is there the registry is not asked."""
    digest = registry.hold("shop", images.busybox())
    name = f"{registry.address}/shop@{digest}"
    args = {"_folder": tmp_path, "name": name, "registry": "{{ login }}"}
    here = {"server": {"ansible_connection": "local", "login": LOGIN}}
    with watched(SECRET) as shown:
        first = play("image", {**args}, here, "-vvv")
    assert not shown
    assert (first["changed"], first["how"], first["image"]["digest"]) == (True, "pulled", name)
    registry.refuse(500, "UNKNOWN")
    assert play("image", {**args}, here)["how"] == "present"
    other = {**args, "name": f"{registry.address}/shop:nosuch"}
    assert play("image", other, here)["cause"].startswith("pull")


@contextlib.contextmanager
def watched(secret: str) -> Iterator[list[str]]:
    """The command lines and environments of all processes that show the secret in this time."""
    found: list[str] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.01):
            for path in (*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")):
                with contextlib.suppress(OSError):
                    found.extend([str(path)] if secret.encode() in path.read_bytes() else [])

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def test_what_was_pushed_is_pulled_and_gets_its_name(registry: Registry, tmp_path: Path) -> None:
    """The tag in the registry is not asked, so it may point elsewhere by now."""
    digest = registry.hold("shop", images.busybox())
    tag = f"{registry.address}/shop:1"
    args = {"_folder": tmp_path, "name": tag, "digest": f"{registry.address}/shop@{digest}", "registry": LOGIN}
    first, again = play("image", {**args}, {}), play("image", {**args}, {})
    assert [(one["changed"], one["how"]) for one in (first, again)] == [(True, "pulled"), (False, "present")]
    assert first["image"]["digest"] == args["digest"]
    assert images.exists(tag)
    assert not [path for path in registry.asked if path.endswith("/manifests/1")]


def test_what_a_peer_has_from_a_registry_is_pulled(registry: Registry, tmp_path: Path) -> None:
    """No engine calls an image by a registry's digest, so no peer is asked for its archive."""
    digest = registry.hold("shop", images.busybox())
    peers = {name: {"ansible_connection": "local"} for name in ("server", "other")}
    args = {"name": f"{registry.address}/shop:1", "digest": digest, "from": "peer", "peers": ["other"]}
    first, again = (play("image", {"_folder": tmp_path, **args, "registry": LOGIN}, peers) for dummy in range(2))
    assert [(one["changed"], one["how"]) for one in (first, again)] == [(True, "pulled"), (False, "present")]
    assert first["image"]["digest"] == f"{registry.address}/shop@{digest}"


def test_a_tag_is_resolved_once_for_all_servers(registry: Registry, tmp_path: Path) -> None:
    """The first asks the registry, and all pull what it was told; each server that has it is content."""
    registry.hold("shop", images.busybox())
    hosts = {f"server{number}": {"ansible_connection": "local"} for number in range(3)}
    args = {"_folder": tmp_path, "name": f"{registry.address}/shop:1", "registry": LOGIN}
    code, said = run("image", args, hosts, "all")
    assert code == 0, said
    manifests = [path.rpartition("/")[2] for path in registry.asked if "/manifests/" in path]
    assert manifests[0] == "1"
    pulled = manifests.index(next(name for name in manifests if name != "1"))
    assert "1" not in manifests[pulled:]
    assert manifests.count("1") <= 2  # one question of the engine is a HEAD and a GET


REFUSALS = {
    "login": (401, "UNAUTHORIZED", "pull_denied", "check the login"),
    "no such": (404, "MANIFEST_UNKNOWN", "pull_not_found", "check the name and the version"),
    "too many": (429, "TOOMANYREQUESTS", "pull_limited", "wait, or log in"),
}


@pytest.mark.parametrize(("status", "code", "cause", "advice"), REFUSALS.values(), ids=REFUSALS)
def test_a_registry_that_refuses_is_asked_once(
    registry: Registry, tmp_path: Path, status: int, code: str, cause: str, advice: str
) -> None:
    """Told apart, with what to do; asking again would not help."""
    registry.refuse(status, code)
    args = {"_folder": tmp_path, "name": f"{registry.address}/shop:1", "registry": LOGIN}
    told = play("image", args, {})
    assert (told["rc"], told["cause"]) == (2, cause)
    assert advice in told["msg"]
    assert len([path for path in registry.asked if "/manifests/" in path]) <= 2


def test_a_registry_that_is_not_there(tmp_path: Path) -> None:
    """Is the network's fault."""
    told = play("image", {"_folder": tmp_path, "name": "127.0.0.1:9/shop:1"}, {})
    assert (told["cause"], "check the way" in told["msg"]) == ("pull_no_network", True)


def test_an_image_that_must_be_there(tmp_path: Path) -> None:
    """From nowhere: it is there or the call fails."""
    args = {"_folder": tmp_path, "name": "stackswap-test/nosuch:1", "from": "server"}
    assert play("image", {**args}, {})["cause"] == "image_missing"
    args["name"] = images.busybox()
    told = play("image", {**args}, {})
    assert (told["changed"], told["how"]) == (False, "present")


def test_a_builder_gives_up_what_no_server_keeps(tmp_path: Path) -> None:
    """By the label of a build: the old one goes, what is kept, newer or a stranger's stays; a check says the same."""
    names = f"stackswap/{ENVIRONMENT}-spare"
    tags = [f"{names}:{version}" for version in ("1", "2", "3", "mine")]
    for number, tag in enumerate(tags):
        label = "" if tag.endswith("mine") else "LABEL stackswap.built=spare\n"
        file = f"FROM base\n{label}RUN dd if=/dev/urandom of=/big bs=1k count={60 + number} && date >/when\n"
        build(tag, context({"Dockerfile": f"{file}ENV AT={time.time()}\n".encode()}), {"base": images.busybox()})
        time.sleep(1.1)
    since = images.docker("image", "inspect", "--format={{.Created}}", tags[2])
    asked = {"state": "pruned", "name": tags[0], "built": "spare", "keep": ["2"], "since": since}
    try:
        for flags, left in ((("--check",), tags), ((), tags[1:])):
            told = play("image", {**asked, "_folder": tmp_path}, {}, *flags)
            assert told["changed"] and [one["kind"] for one in told["pruned"]["removed"]] == ["image"]
            assert 60_000 < told["pruned"]["bytes"] < 75_000
            assert [tag for tag in tags if images.exists(tag)] == left
        assert not play("image", {**asked, "_folder": tmp_path}, {})["changed"]
    finally:
        images.discard(tags, "rmi", "--force")
