"""What a build leaves behind: labels that tell what it is made of, a cache that is used, and a push by login."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import baked, building, folder, git, logins
from ansible_collections.stackswap.bluegreen.plugins.module_utils.building import Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.buildx import Buildx
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.images import Images
from ansible_collections.stackswap.bluegreen.plugins.module_utils.project import Tools, Wanted
from ansible_collections.stackswap.bluegreen.plugins.module_utils.rawjson import BuildFailed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.request import Request
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import Source, SourceFailed
from tests.lab import images
from tests.lab.pushes import Registry

pytestmark = pytest.mark.engine
ROOT = Path(__file__).resolve().parents[2]
SECRET = "hunter2-never-kept"
DOCKERFILE = """FROM busybox
WORKDIR /code
COPY needs .
RUN cp needs installed
COPY . .
RUN date +%s%N >made
ARG ARTIFAKT_ENVIRONMENT_NAME
RUN echo "$ARTIFAKT_ENVIRONMENT_NAME" >environment
CMD ["sleep", "60"]
"""


class Shop:
    """An application with a Dockerfile, and its builds."""

    def __init__(self, path: Path) -> None:
        self.path, self.login = path, {}
        self.tag = f"stackswap-test/rebuilt-{os.getpid()}-{uuid.uuid4().hex[:6]}:1"
        self.write("Dockerfile", DOCKERFILE)
        self.write("needs", str(uuid.uuid4()))
        self.write("code", "one")

    def write(self, name: str, text: str) -> None:
        """Write a file of the application."""
        (self.path / name).parent.mkdir(exist_ok=True, parents=True)
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o755)

    def build(self, **other: Any) -> Result:
        """Build it as the module does."""
        asked = {"platforms", "cache_to", "no_cache", "push"} & set(other)
        fields = {name: other.pop(name) for name in asked}
        labels = {"stackswap.test": "1", "stackswap.test.project": self.tag}
        request = Request("", "", (), contexts={"busybox": f"docker-image://{images.busybox()}"}, labels=labels)
        wanted = Wanted("shop", "1", self.tag, Source(path=str(self.path)), replace(request, **fields))
        wanted = replace(wanted, environment="production", builder="maker", **other)
        buildx = Buildx(login=partial(logins.logged_in, self.login))
        return building.build(wanted, Tools(buildx, Images(), folder, git, token=uuid.uuid4().hex[:12]))

    def read(self, name: str) -> str:
        """Read a file of the image."""
        return images.docker("run", "--rm", "--network=none", "--label=stackswap.test=1", self.tag, "cat", name)

    def remove(self) -> None:
        """Remove all that was built of it."""
        wanted = f"--filter=label=stackswap.test.project={self.tag}"
        found = images.docker("image", "ls", "--quiet", "--no-trunc", wanted).split()
        if found:
            images.docker("image", "rm", "--force", *set(found))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A new application."""
    made = Shop(tmp_path / "shop")
    yield made
    made.remove()


def test_the_labels_tell_what_it_is_made_of(shop: Shop) -> None:
    """And the build sees its own id; no value of a secret is anywhere."""
    shop.write(".artifakt/build.sh", '#!/bin/sh\necho "$ARTIFAKT_BUILD_ID,$ARTIFAKT_ENVIRONMENT_CRITICALITY" >/seen\n')
    shop.write(".artifakt/verify.sh", "#!/bin/sh\n")
    result = shop.build(env={"COLOR": "blue"}, secrets={"TOKEN": SECRET})
    told = dict(result.after.labels)
    assert told["stackswap.tree"] == git.content(str(shop.path))
    assert (told["stackswap.builder"], told["stackswap.scripts"]) == ("maker", "build verify")
    assert "stackswap.callbacks" not in told
    assert baked.changed(told["stackswap.baked"], {"COLOR": "blue"}) == ()
    assert baked.changed(told["stackswap.baked"], {"COLOR": "red", "NEW": "1"}) == ("COLOR", "NEW")
    assert json.loads(told["stackswap.baked"])[baked.SECRETS] == ["TOKEN"]
    assert shop.read("/seen") == f"{told['stackswap.build']},critical"
    assert shop.read("/code/environment") == "production"
    assert SECRET not in json.dumps(told)
    assert hashlib.sha256(SECRET.encode()).hexdigest()[:12] not in json.dumps(told)


def test_what_the_service_says_itself_stands_above_the_platform(shop: Shop) -> None:
    """In the environment of build.sh."""
    shop.write(".artifakt/build.sh", '#!/bin/sh\necho "$ARTIFAKT_ENVIRONMENT_NAME" >/seen\n')
    shop.build(env={"ARTIFAKT_ENVIRONMENT_NAME": "mine"}, secrets={"ARTIFAKT_BUILD_ID": "hidden"})
    assert shop.read("/seen") == "mine"


@pytest.mark.parametrize("callbacks", [False, True])
def test_nothing_changed_gives_the_same_image(shop: Shop, callbacks: bool) -> None:
    """And a change of the code alone runs its own layers alone."""
    if callbacks:
        shop.write(".artifakt/build.sh", "#!/bin/sh\ndate +%s%N >/seen\n")
    given: dict[str, Any] = {"env": {"A": "1"}, "secrets": {"S": SECRET}}
    first = shop.build(**given)
    again = shop.build(**given)
    assert (again.before.id, again.after.id, again.made.ran) == (first.after.id, first.after.id, 0)
    ids = [dict(first.after.labels)["stackswap.build"], shop.read("/code/made")]
    if not callbacks:
        shop.write("code", "two")
        changed = shop.build(**given)
        assert changed.after.id != first.after.id
        # The folder, the list of needs and its installation are from the cache.
        assert (changed.made.cached, changed.made.ran) == (3, 3)
        assert [dict(changed.after.labels)["stackswap.build"], shop.read("/code/made")] != ids
    fresh = shop.build(**given, no_cache=True)
    assert fresh.made.ran > 0
    assert shop.read("/code/made") != ids[1]


def test_an_image_over_the_limit_leaves_the_name_where_it_was(shop: Shop) -> None:
    """Both figures are told, and nothing of it is kept."""
    with pytest.raises(BuildFailed, match=r"MB, and build\.image_limit is 1m: there is no ") as failed:
        shop.build(image_limit="1m")
    assert (failed.value.cause, images.exists(shop.tag)) == ("image_too_large", False)
    before = shop.build().after.id
    shop.write("large", "x" * 20_000_000)
    with pytest.raises(BuildFailed, match=r"MB, and build\.image_limit is 10m: .* is what it was"):
        shop.build(image_limit="10m")
    assert Images().look(shop.tag).image.id == before


def graph_store() -> bool:
    """Whether this engine lacks the containerd image store."""
    return "snapshotter" not in images.docker("info", "--format={{json .DriverStatus}}")


REFUSED = {
    "a strange machine": ({"platforms": ("linux/nosuch",)}, "for linux/nosuch it is not the machine"),
    "several without a registry": ({"platforms": ("linux/amd64", "linux/386")}, "exists in a registry alone"),
    "a cache it cannot write": ({"cache_to": ("type=local,dest=/tmp/nosuch",)}, "cannot write its cache to type=local"),
}


@pytest.mark.parametrize(("given", "said"), REFUSED.values(), ids=REFUSED)
def test_what_the_builder_cannot_do_is_refused_before_the_build(shop: Shop, given: dict[str, Any], said: str) -> None:
    """In words. An engine with the containerd store can write a cache, so there it is written."""
    if "cache_to" in given and not graph_store():
        given, said = {"platforms": ("linux/nosuch",)}, "for linux/nosuch"
    if "linux/amd64" in given.get("platforms", ()) and os.uname().machine != "x86_64":
        said = "it is not the machine"
    with pytest.raises(BadInput, match=said):
        shop.build(**given)
    assert not images.exists(shop.tag)


def test_an_image_is_built_for_the_platform_that_was_asked_for(shop: Shop) -> None:
    """One that the builder can run and is not by itself."""
    shop.write("Dockerfile", 'FROM scratch\nCOPY code /\nCMD ["/code"]\n')
    told = images.docker("buildx", "inspect", "default").partition("Platforms:")[2].splitlines()[0]
    other = told.split(",")[-1].strip()
    assert shop.build(platforms=(other,)).after.platform == other


def test_a_cache_in_the_image_is_written_by_every_builder(shop: Shop) -> None:
    """type=inline needs no image store."""
    assert shop.build(cache_to=("type=inline",)).made.ran


# -- a registry for those who are logged in


@pytest.fixture
def registry(shop: Shop) -> Iterator[Registry]:
    """A registry, and a shop whose image lies in it."""
    with Registry(f"ops:{SECRET}") as made:
        shop.tag = f"{made.address}/acme/shop:1"
        yield made


def test_an_image_is_pushed_by_a_login_that_is_nowhere_to_be_read(
    shop: Shop, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in an argument, not on a disk; the builder's own settings stay as they are."""
    spy = tmp_path / "docker"
    look = f'{{ ps -eo args; cat "$DOCKER_CONFIG"/*; }} >>{tmp_path}/seen'
    spy.write_text(f'#!/bin/sh\n[ "$1" = push ] && {look}\nexec docker "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    own = {"auths": {"other.example.com": {"auth": base64.b64encode(b"me:own-secret").decode()}}}
    (tmp_path / "own/config.json").write_text(json.dumps(own))
    result = shop.build()
    buildx = Buildx(
        str(spy), None, partial(logins.logged_in, {registry.address: {"username": "ops", "password": SECRET}})
    )
    digest = buildx.push(shop.tag)
    assert f"/v2/acme/shop/manifests/{digest}" in registry.kept
    seen = (tmp_path / "seen").read_text()
    assert registry.address in seen
    for secret in (SECRET, base64.b64encode(f"ops:{SECRET}".encode()).decode(), "own-secret"):
        assert secret not in seen
    assert json.loads((tmp_path / "own/config.json").read_text()) == own
    assert result.made.digest == "" or result.made.digest.startswith("sha256:")


def test_a_build_pushes_what_it_made(shop: Shop, registry: Registry) -> None:
    """By its digest; a login that is refused says so, with what to do."""
    with pytest.raises(BuildFailed, match="built and not pushed") as failed:
        shop.build(push=True)
    assert failed.value.cause == "push_denied"
    shop.login = {registry.address: {"username": "ops", "password": SECRET}}
    result = shop.build(push=True)
    manifest = json.loads(registry.kept[f"/v2/acme/shop/manifests/{result.made.digest}"])
    assert manifest["config"]["digest"] == result.made.config


def test_a_full_disk_of_the_builder_is_said(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the code of a repository is fetched to."""
    small = tmp_path / "small"
    small.mkdir()
    shop.write("large", os.urandom(2_000_000).hex())
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", str(shop.path), *words], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)], check=True)
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(small))
        source = Source(git=f"file://{shop.path}")
        with folder.temporary() as place, pytest.raises(SourceFailed, match="disk is full") as failed:
            git.clone(source, git.resolve(source), place)
        assert failed.value.cause == "no_space"
    finally:
        subprocess.run(["umount", str(small)], check=True)


# -- as the role builds it ------------------------------------------------------------------------

BUILD_SH = """#!/bin/sh
for name in A B C D ARTIFAKT_ENVIRONMENT_NAME ARTIFAKT_ENVIRONMENT_CRITICALITY; do
    eval "echo \\"$name=\\$$name\\""
done >/seen
echo "$TOKEN" | sha256sum >/secret
"""


def test_a_job_lays_environments_over_each_other_and_tells_no_secret(shop: Shop, tmp_path: Path) -> None:
    """The service's, its environment's, the job's; overrides over the secrets; base images of the stack below."""
    shop.write(".artifakt/build.sh", BUILD_SH)
    environment = f"test{os.getpid()}"
    shop.tag = f"stackswap/{environment}-shop:1.2"
    given = {
        "stackswap_service": "shop",
        "stackswap_version": "1.2",
        "stackswap_environment": {
            "name": environment,
            "criticality": "high",
            "env": {"B": "environment", "C": "environment"},
        },
        "stackswap_services": {
            "shop": {
                "source": {"path": str(shop.path), "limit": "1m"},
                "port": 80,
                "env": {"A": "service", "B": "service", "C": "service", "D": "service"},
                "secrets": {"TOKEN": "replaced", "GONE": "x"},
                "build": {"image_limit": "1g"},
            }
        },
        "stackswap_overrides": {"shop": {"env": {"D": "override"}, "secrets": {"TOKEN": SECRET, "GONE": None}}},
        "stackswap_env": {"C": "job"},
        "stackswap_base_images": {"busybox": images.busybox()},
        "stackswap_no_cache": "false",
        "ansible_python_interpreter": sys.executable,
    }
    try:
        said = played("build.yml", given, tmp_path)
        assert shop.read("/seen").splitlines() == [
            *("A=service", "B=environment", "C=job", "D=override"),
            *(f"ARTIFAKT_ENVIRONMENT_NAME={environment}", "ARTIFAKT_ENVIRONMENT_CRITICALITY=high"),
        ]
        assert shop.read("/secret").split()[0] == hashlib.sha256(f"{SECRET}\n".encode()).hexdigest()
        assert SECRET not in said
        assert "replaced" not in said
        assert "buildx build" in (tmp_path / "seen").read_text()
        assert SECRET not in (tmp_path / "seen").read_text()
        assert (tmp_path / "found").read_text() == ""
    finally:
        subprocess.run(["docker", "image", "rm", "--force", shop.tag], capture_output=True)


def played(play: str, given: dict[str, Any], place: Path) -> str:
    """Run a playbook on this machine, which is the stack and the builder, as loudly as can be.

    Its docker command looks around first: for arguments of processes, and for files that hold the secret.
    """
    hosts = {"web1": {"ansible_connection": "local"}}
    inventory = {"all": {"vars": given, "children": {"stackswap": {"hosts": hosts}}}}
    (place / "inventory.json").write_text(json.dumps(inventory))
    (place / "mark").write_text(SECRET)
    spy = place / "bin/docker"
    spy.parent.mkdir()
    look = f"ps -eo args >>{place}/seen; grep -rlsF -f {place}/mark {place}/home /tmp/stackswap-* >>{place}/found"
    spy.write_text(f'#!/bin/sh\necho "$@" >>{place}/seen; {look}\nexec {shutil.which("docker")} "$@"\n')
    spy.chmod(0o755)
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections"), "ANSIBLE_NOCOLOR": "1"}
    env |= {"PATH": f"{spy.parent}:{os.environ['PATH']}", "HOME": str(place / "home")}
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-vvv", "-i", str(place / "inventory.json")]
    done = subprocess.run(
        [*command, str(ROOT / "playbooks" / play)], capture_output=True, text=True, env=env, timeout=300, cwd=place
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    return done.stdout + done.stderr
