"""The buildx command: its arguments, its progress as recorded from 0.13, and why a build failed."""

from __future__ import annotations

import base64
import json
import re
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import provenance
from ansible_collections.stackswap.bluegreen.plugins.module_utils.buildx import Buildx
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.logins import logged_in
from ansible_collections.stackswap.bluegreen.plugins.module_utils.rawjson import (
    BuildFailed,
    Progress,
    explain,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.request import (
    LARGEST_VARIABLE,
    Request,
    arguments,
    bounded,
    refuse_unable,
    variables,
)

SECRET = "hunter2-and-more"
REQUEST = Request(
    folder="/code",
    dockerfile="/code/Dockerfile",
    tags=("a:1", "b:1"),
    args={"B": "2", "A": "1 x"},
    contexts={"python:3.12-slim": "docker-image://local"},
    labels={"l": "v"},
    secrets={"TOKEN": SECRET, "PATH": "other " + SECRET},
    target="run",
    platforms=("linux/amd64", "linux/arm64"),
    ssh=True,
    pull=True,
    cache_from=("type=registry,ref=c",),
    cache_to=("type=inline",),
    push=True,
    no_cache=True,
)


def test_the_arguments_are_these() -> None:
    """All of them, in order."""
    assert arguments(REQUEST, "/m", "/i") == [
        *("--progress=rawjson", "--provenance=false", "--sbom=false"),
        *(
            "--metadata-file=/m",
            "--iidfile=/i",
            "--file=/code/Dockerfile",
            "--tag=a:1",
            "--tag=b:1",
        ),
        *("--build-arg=A=1 x", "--build-arg=B=2"),
        *("--build-context=python:3.12-slim=docker-image://local", "--label=l=v"),
        "--secret=id=PATH,env=STACKSWAP_BUILD_SECRET_0",
        "--secret=id=TOKEN,env=STACKSWAP_BUILD_SECRET_1",
        *("--cache-from=type=registry,ref=c", "--cache-to=type=inline"),
        *("--target=run", "--platform=linux/amd64,linux/arm64", "--ssh=default", "--pull", "--no-cache"),
        *("--load", "/code"),
    ]


def test_no_argument_holds_the_value_of_a_secret() -> None:
    """They travel in the environment, under names that cannot change what docker does."""
    assert SECRET not in " ".join(arguments(REQUEST, "/m", "/i"))
    assert SECRET not in repr(REQUEST)
    carried = variables(REQUEST)
    assert set(carried.values()) == set(REQUEST.secrets.values())
    assert all(name.startswith("STACKSWAP_BUILD_SECRET_") for name in carried)


def vertex(number: int, name: str, **fields: object) -> str:
    """A vertex as rawjson prints it."""
    document = {"vertexes": [{"digest": f"sha256:{number}", "name": name, **fields}]}
    return json.dumps(document, indent=2) + "\n"


def log(number: int, text: str) -> str:
    """Output of a vertex as rawjson prints it."""
    data = base64.b64encode(text.encode()).decode()
    return json.dumps({"logs": [{"vertex": f"sha256:{number}", "stream": 1, "data": data}]}, indent=2) + "\n"


RUN = '[2/3] RUN ["/bin/sh", "/.stackswap/build/run", "/app"]'
EXITED = 'process "/bin/sh /.stackswap/build/run" did not complete successfully: exit code: 3'
FAILING = "".join(
    [
        vertex(0, "[internal] load build definition from Dockerfile", started="t", completed="t"),
        vertex(1, "[1/3] FROM docker.io/library/app"),
        vertex(1, "[1/3] FROM docker.io/library/app", started="t", completed="t", cached=True),
        vertex(2, RUN),
        vertex(2, RUN, started="t"),
        log(2, "line one\nuses " + SECRET[:5]),
        log(2, SECRET[5:] + " now\nhalf a li"),
        log(2, "ne\nlast words"),
        vertex(2, RUN, started="t", completed="t", error=EXITED),
        "\nDockerfile:3\n--------------------\n   3 | >>> RUN x {\n--------------------\n",
        f"ERROR: failed to solve: {EXITED}\n\n",
    ]
)
NAMES = {"/.stackswap/build/run": ".artifakt/build.sh"}


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_a_stream_cut_anywhere_tells_the_same(size: int) -> None:
    """Objects over several lines, logs cut within a line and within a secret, a plain tail."""
    progress = Progress((SECRET,), NAMES)
    pieces = [FAILING[at : at + size] for at in range(0, len(FAILING), size)]
    told = [line for piece in pieces for line in progress.feed(piece)]
    progress.close()
    assert told == [
        "[1/3] FROM docker.io/library/app (cached)",
        "[2/3] .artifakt/build.sh",
        *("    line one", "    uses ******** now", "    half a line"),
    ]
    failed = explain(progress, 1)
    assert failed.what == "the image was not built: exit code 3 at .artifakt/build.sh"
    assert failed.evidence == ("line one", "uses ******** now", "half a line", "last words")
    assert (failed.cause, failed.facts["exit_code"]) == ("run_failed", 3)
    assert progress.count() == {"cached": 1, "ran": 1}


BASE = "failed to resolve source metadata for docker.io/acme/nosuch:1: pull access denied, repository does not exist"
ENDS = {
    "base_image": f"e.df:1\n----\nERROR: failed to solve: acme/nosuch:1: {BASE}\n",
    "dockerfile": "ERROR: failed to solve: dockerfile parse error on line 2: unknown: RUNN\n",
    "missing_file": "ERROR: failed to solve: failed to compute cache key: failed to calculate "
    'checksum of ref a::b: "/nofile": not found\n',
    "missing_secret": "ERROR: failed to solve: secret zz: not found\n",
    "no_engine": "ERROR: Cannot connect to the Docker daemon at unix:///x.\n",
    "no_permission": "ERROR: permission denied while trying to connect to the socket\n",
    "no_space": "ERROR: failed to solve: failed to copy files: write /x: no space left on device\n",
    "build_failed": "ERROR: something new\n",
}


@pytest.mark.parametrize(("cause", "tail"), ENDS.items(), ids=ENDS)
def test_failures_are_told_apart(cause: str, tail: str) -> None:
    """Each with docker's own last words and, where there is one, what to do."""
    progress = Progress()
    progress.feed(tail)
    progress.close()
    failed = explain(progress, 1)
    assert failed.cause == cause
    assert tail.rsplit("ERROR: ", 1)[1].replace("failed to solve: ", "").strip() in failed.what
    assert bool(failed.facts["hint"]) is (cause != "build_failed")


def test_a_step_that_found_the_disk_full_says_so() -> None:
    """Its exit code alone would send people to the wrong place."""
    progress = Progress()
    progress.feed(vertex(1, "[2/2] RUN make", started="t"))
    progress.feed(log(1, "cc: write: No space left on device\n"))
    progress.feed(vertex(1, "[2/2] RUN make", error=EXITED))
    progress.close()
    failed = explain(progress, 1)
    assert failed.cause == "no_space"
    assert "exit code 3 at RUN make: no space left on the builder" in failed.what


def fake(folder: Path, script: str) -> Buildx:
    """A docker command that does this."""
    path = folder / "docker"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Buildx(str(path))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("echo github.com/docker/buildx v0.12.1 abc", "0.12: 0.13 or newer"),
        ("exit 1", "has no buildx"),
    ],
)
def test_an_old_or_missing_buildx_is_refused(said: str, why: str, tmp_path: Path) -> None:
    """With what to install."""
    with pytest.raises(BuildFailed, match=why) as refused:
        fake(tmp_path, said).version()
    assert refused.value.cause == "no_buildx"


def test_no_docker_command_is_refused() -> None:
    """The same cause."""
    with pytest.raises(BuildFailed, match="no docker command") as refused:
        Buildx("/nosuch/docker").version()
    assert refused.value.cause == "no_buildx"


def test_newer_versions_are_read(tmp_path: Path) -> None:
    """Packagers write them in their own ways."""
    assert fake(tmp_path, "echo github.com/docker/buildx 0.13.1+ds1 x").version() == (0, 13)
    assert fake(tmp_path, "echo github.com/docker/buildx v1.2.0 x").version() == (1, 2)


def test_a_build_that_is_asked_to_stop_is_ended(tmp_path: Path) -> None:
    """The command is ended and waited for."""
    docker = fake(tmp_path, f'exec sh -c "echo $$ >{tmp_path}/pid; exec sleep 60"')
    with pytest.raises(BuildFailed, match="asked to"):
        docker.build(REQUEST, stop=(tmp_path / "pid").exists)
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_a_build_that_does_not_end_in_time_is_ended(tmp_path: Path) -> None:
    """The step that was running and its last words are told, the command is ended and waited for."""
    stream = tmp_path / "stream"
    stream.write_text("".join([vertex(2, RUN, started="t"), log(2, f"waits for {SECRET}\n")]))
    docker = fake(tmp_path, f"echo $$ >{tmp_path}/pid; cat {stream} >&2; exec sleep 60")
    late = replace(REQUEST, names=NAMES, hide=(SECRET,), until=time.monotonic() + 1, within=7.0)
    with pytest.raises(BuildFailed) as failed:
        docker.build(late)
    assert failed.value.what == "the image was not built: it was ended after 7 s, at .artifakt/build.sh"
    assert (failed.value.cause, failed.value.evidence) == ("build_timeout", ("waits for ********",))
    assert "build.timeout" in failed.value.facts["hint"]
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_a_secret_too_large_for_a_variable_goes_through_memory(tmp_path: Path) -> None:
    """Docker can read it for the time of the build; nothing of it is in its arguments or its environment."""
    large = "x" * (LARGEST_VARIABLE + 1)
    script = f'for word; do case $word in *id=BIG,src=*) cat "${{word##*src=}}" >{tmp_path}/big;; esac; done; exit 1'
    docker = fake(tmp_path, f'env >>{tmp_path}/env; echo "$@" >>{tmp_path}/words; {script}')
    with pytest.raises(BuildFailed):
        docker.build(replace(REQUEST, secrets={"BIG": large, "TOKEN": SECRET}))
    assert (tmp_path / "big").read_text() == large
    told = (tmp_path / "env").read_text() + (tmp_path / "words").read_text()
    assert large not in told and SECRET in told
    place = re.search(r"id=BIG,src=(/proc/\S+)", told)
    assert place and not Path(place[1]).exists()


ABLE = {
    "nothing special": ({}, True),
    "its own machine": ({"platforms": ("linux/amd64",)}, True),
    "a variant of it": ({"platforms": ("linux/arm",)}, True),
    "another machine": ({"platforms": ("linux/arm64",)}, False),
    "two, to a registry": ({"platforms": ("linux/amd64", "linux/386"), "push": True}, True),
    "two, to no registry": ({"platforms": ("linux/amd64", "linux/386")}, False),
    "a cache in a registry": ({"cache_to": ("type=registry,ref=r/c",)}, True),
}
PLATFORMS = ("linux/amd64", "linux/386", "linux/arm/v7")


@pytest.mark.parametrize(("given", "able"), ABLE.values(), ids=ABLE)
def test_what_a_builder_can_do(given: dict[str, Any], able: bool) -> None:
    """With the containerd image store."""
    request = replace(Request("", "", ()), **given)
    if able:
        refuse_unable(request, PLATFORMS, containerd=True)
    else:
        with pytest.raises(BadInput, match=r"build\.platforms"):
            refuse_unable(request, PLATFORMS, containerd=True)


@pytest.mark.parametrize("place", ["type=registry,ref=r/c", "r.example.com/c", "type=local,dest=/c"])
def test_without_the_containerd_store_only_the_image_carries_a_cache(place: str) -> None:
    """And no image is for two platforms."""
    with pytest.raises(BadInput, match=r"build\.cache_to: .* no containerd image store"):
        refuse_unable(Request("", "", (), cache_to=("type=inline", place)), (), containerd=False)
    refuse_unable(Request("", "", (), cache_to=("type=inline",)), (), containerd=False)
    both = Request("", "", (), platforms=("linux/amd64", "linux/386"), push=True)
    with pytest.raises(BadInput, match="no containerd image store"):
        refuse_unable(both, PLATFORMS, containerd=False)


def test_a_cache_is_bounded_by_the_word_that_this_buildx_knows() -> None:
    """It has changed."""
    assert bounded(5, "--keep-storage bytes") == ("--force", "--keep-storage=5")
    assert bounded(5, "--max-used-space bytes  --reserved-space bytes") == ("--force", "--max-used-space=5")


def test_only_this_builders_cache_is_bounded(tmp_path: Path) -> None:
    """No image, no container, and the last line is answered."""
    docker = fake(tmp_path, f'echo "$@" >>{tmp_path}/asked; echo; echo "Total: 1MB"')
    assert docker.prune(1024) == (True, "Total: 1MB")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["buildx prune --help", "buildx prune --builder=default --force --keep-storage=1024"]


def test_a_cache_that_cannot_be_bounded_is_not_said_to_be(tmp_path: Path) -> None:
    """The command's own words are told in its place."""
    docker = fake(tmp_path, 'echo "ERROR: disk" >&2; exit 1')
    assert docker.prune(1024) == (False, "ERROR: disk")
    assert provenance._pruned(*docker.prune(1024), "1k") == (
        "the build cache could not be brought down to 1k: ERROR: disk",
    )


def test_the_builder_is_that_of_the_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docker itself finds out: an address, then the environment, then its settings."""
    docker = fake(tmp_path, f'echo "$3" >>{tmp_path}/asked')
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text('{"currentContext": "far"}')
    command = str(tmp_path / "docker")
    Buildx(command).prune(1)
    monkeypatch.setenv("DOCKER_CONTEXT", "near")
    Buildx(command).prune(1)
    Buildx(command, "unix:///x").prune(1)
    del docker
    told = [line for line in (tmp_path / "asked").read_text().splitlines() if line.startswith("--builder")]
    assert told == ["--builder=far", "--builder=near", "--builder=default"]


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("denied: requested access to the resource is denied", "push_denied"),
        ("no basic auth credentials", "push_denied"),
        ("dial tcp 192.0.2.1:443: i/o timeout", "push"),
    ],
)
def test_a_push_that_fails_says_why(said: str, cause: str, tmp_path: Path) -> None:
    """With the registry's words and what to do."""
    with pytest.raises(BuildFailed, match=said) as failed:
        fake(tmp_path, f'echo "{said}" >&2; exit 1').push("r/x:1")
    assert (failed.value.cause, bool(failed.value.facts["hint"])) == (cause, True)


def test_logins_are_asked_for_by_docker_and_lie_in_no_file(tmp_path: Path) -> None:
    """Quotes and line ends in a password change nothing; what was logged in before stays so; nothing is left."""
    auth = base64.b64encode(b"me:own-secret").decode()
    own = {"auths": {"own.example.com": {"auth": auth}}, "credHelpers": {"cloud.example.com": "cloud"}, "psFormat": "x"}
    (tmp_path / "config.json").write_text(json.dumps(own))
    (tmp_path / "contexts").mkdir()
    password = 'it\'s "$HOME" `x` \\n'
    registries = {
        "r.example.com:5000": {"username": "ops", "password": password},
        "docker.io": {"username": "a", "password": "b"},
    }
    with logged_in(registries, {"DOCKER_CONFIG": str(tmp_path), "PATH": "/usr/bin:/bin"}) as env:
        place = Path(env["DOCKER_CONFIG"])
        texts = "".join(path.read_text() for path in place.iterdir() if path.is_file())
        assert password not in texts
        assert "own-secret" not in texts
        assert auth not in texts
        assert ((place / "contexts").resolve(), place.stat().st_mode & 0o777) == (tmp_path / "contexts", 0o700)
        settings = json.loads((place / "config.json").read_text())
        assert settings["psFormat"] == "x"
        assert settings["credHelpers"]["cloud.example.com"] == "cloud"

        def asked(host: str) -> Any:
            command = ["docker-credential-stackswap", "get"]
            return subprocess.run(command, input=host, env=env, capture_output=True, text=True, check=False)

        found = {
            host: json.loads(asked(host).stdout)["Secret"] for host in settings["credHelpers"] if "cloud" not in host
        }
        hub = "https://index.docker.io/v1/"
        assert found == {"own.example.com": "own-secret", "r.example.com:5000": password, hub: "b"}
        assert asked("strange.example.com").returncode == 1
    assert not place.exists()


def test_without_logins_docker_keeps_its_own_settings() -> None:
    """Nothing is made."""
    with logged_in({}, {"DOCKER_CONFIG": "/own"}) as env:
        assert env == {"DOCKER_CONFIG": "/own"}
