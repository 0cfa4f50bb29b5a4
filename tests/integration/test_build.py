"""Images are built for real: whose scripts run, when, as whom, and what stays in the image."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
import os
import subprocess
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import building, folder, git
from ansible_collections.stackswap.bluegreen.plugins.module_utils.building import Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.buildx import Buildx
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.images import Images
from ansible_collections.stackswap.bluegreen.plugins.module_utils.project import Tools, Wanted
from ansible_collections.stackswap.bluegreen.plugins.module_utils.rawjson import BuildFailed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.request import Request
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import Source
from tests.lab import images

pytestmark = pytest.mark.engine
SH = f"#!/bin/sh\n# {uuid.uuid4()}\nset -e\n"  # so that no step is in the cache from another run
SECRET = "hunter2-never-kept"
PLAIN = 'FROM busybox\nWORKDIR /code\nCOPY . .\nUSER 1234\nCMD ["sleep", "60"]\n'
COUNT = itertools.count()


class Project:
    """An application's folder, and its builds."""

    def __init__(self, path: Path) -> None:
        self.path, self.tag = path, f"stackswap-test/built-{os.getpid()}-{next(COUNT)}:1"
        self.told: list[Any] = []
        self.tokens: list[str] = []

    def write(self, name: str, text: str, mode: int = 0o755) -> None:
        """Write a file of the application."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(text.encode())
        path.chmod(mode)

    def build(self, **other: Any) -> Result:
        """Build it as the module does. bases: what more names after FROM stand for."""
        asked = {"args", "target", "labels"} & set(other)
        bases = {"busybox": images.busybox(), **other.pop("bases", {})}
        bases = {name: f"docker-image://{tag}" for name, tag in bases.items()}
        labels = {"stackswap.test": "1", "stackswap.test.project": self.tag, **other.pop("labels", {})}
        fields = {name: other.pop(name) for name in asked - {"labels"}}
        request = Request("", "", (), contexts=bases, labels=labels, **fields)
        source = Source(path=str(self.path), folder=other.pop("folder", ""))
        wanted = Wanted("shop", "1", self.tag, source, request, **other)
        return building.build(wanted, self.tools())

    def tools(self) -> Tools:
        """The real ones. The build is asked to stop as soon as somebody says so."""
        self.told.clear()
        token = uuid.uuid4().hex[:12]
        self.tokens.append(token)
        stop = {"stop": lambda: "    stop me" in self.told}
        return Tools(Buildx(), Images(), folder, git, self.told.append, **stop, token=token)

    def nothing_in_between(self) -> bool:
        """Whether nothing is left of the images that its last layers were built upon; others' builds have their own."""
        left = [images.docker("image", "ls", "-q", f"stackswap-build:{token}") for token in self.tokens]
        return left != [] and not any(left)

    def remove(self) -> None:
        """Remove all that was built of it, also what lost its name to a later build."""
        wanted = f"--filter=label=stackswap.test.project={self.tag}"
        found = images.docker("image", "ls", "--quiet", "--no-trunc", wanted).split()
        if found:
            images.docker("image", "rm", "--force", *set(found))

    def run(self, *words: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run a container of it to its end."""
        line = [
            "docker",
            "run",
            "--rm",
            "--label=stackswap.test=1",
            "--network=none",
            *flags,
            self.tag,
        ]
        return subprocess.run([*line, *words], capture_output=True, text=True, timeout=60)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A new application with a Dockerfile."""
    made = Project(tmp_path / "app")
    made.write("Dockerfile", PLAIN, 0o644)
    yield made
    made.remove()


def everything_in(tag: str) -> bytes:
    """All bytes of an image, also of layers that its engine has packed, and its history."""
    saved = subprocess.run(["docker", "save", tag], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        files = [archive.extractfile(member) for member in archive if member.isfile()]
        saved = b"".join(plain(file.read()) for file in files if file)
    history = ["docker", "history", "--no-trunc", "--format={{json .}}", tag]
    return saved + subprocess.run(history, capture_output=True, check=True).stdout


def plain(content: bytes) -> bytes:
    """A layer as it was before it was packed."""
    if content.startswith(b"\x28\xb5\x2f\xfd"):
        raise ValueError("a layer packed by zstd, which is not looked into")
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


AWKWARD = {
    "LINES": "one\ntwo\r\n\n",
    "QUOTES": "'single' \"double\" $HOME ${X} $(id) `id` \\ %s {{ x }}",
    "LARGE": "0123456789abcdef" * 4096,
    "MARKS": "'" * 65536,
}


def test_secrets_of_any_kind_reach_the_build_as_they_are(project: Project) -> None:
    """In the environment of build.sh, and where the Dockerfile mounts one by its name; in nothing that is kept."""
    digest = " ".join(f'"$(printf %s "${name}" | sha256sum)"' for name in AWKWARD)
    project.write(".artifakt/build.sh", f"{SH}printf '%s\\n' {digest} >/seen\n")
    mounts = "".join(f" --mount=type=secret,id={name}" for name in AWKWARD)
    files = " ".join(f"/run/secrets/{name}" for name in AWKWARD)
    project.write("Dockerfile", PLAIN.replace("USER", f"RUN{mounts} sha256sum {files} >/mounted\nUSER"), 0o644)
    project.build(secrets=AWKWARD)
    wanted = [hashlib.sha256(text.encode()).hexdigest() for text in AWKWARD.values()]
    assert project.run("cat", "/seen").stdout.split()[::2] == wanted
    assert project.run("cat", "/mounted").stdout.split()[::2] == wanted
    kept = everything_in(project.tag)
    assert not [name for name, text in AWKWARD.items() if text.strip().encode() in kept]


def test_without_callbacks_the_image_is_the_users(project: Project) -> None:
    """No shell is needed, no layer is added, and ENTRYPOINT and CMD are theirs."""
    project.write("Dockerfile", 'FROM scratch\nCOPY x /x\nCMD ["/x"]\n')
    project.write("x", "x")
    image = project.build().after
    assert (image.entrypoint, image.command) == ((), ("/x",))
    layers = json.loads(images.docker("image", "inspect", project.tag))[0]["RootFS"]["Layers"]
    assert len(layers) == 1


def test_build_sh_runs_once_as_root_in_the_code_root(project: Project) -> None:
    """With env and secrets before it, and neither in the image."""
    project.write(
        ".artifakt/build.sh",
        f'{SH}id -u; pwd; echo "$COLOR,$TOKEN" | tr a-z A-Z; date +%s%N >>ran\n',
    )
    project.write(".artifakt/nginx/site.conf", "conf", 0o600)
    env, secrets = {"COLOR": "quite-blue"}, {"TOKEN": SECRET, "SHORT": "0"}
    first = project.build(env=env, secrets=secrets)
    assert first.before is None
    assert first.choice.build == "ours"
    said = [line.strip() for line in project.told if line.startswith("    ")]
    assert said == ["0", "/code", f"QUITE-BLUE,{SECRET.upper()}"]
    kept = everything_in(project.tag)
    assert SECRET.encode() not in kept
    assert b"quite-blue" not in kept
    shown = project.run("sh", "-c", "wc -l <ran; id -u; cat /.artifakt/nginx/site.conf; ls /run/secrets /.stackswap")
    assert shown.stdout.split()[:3] == ["1", "1234", "conf"]
    assert shown.stderr.count("No such file") == 2
    assert project.nothing_in_between()


def test_it_runs_again_when_something_of_it_changed(project: Project) -> None:
    """env, a secret, the folder, the image before it; else the image is the same."""
    project.write(".artifakt/build.sh", f"{SH}date +%s%N >ran\n")
    ids = [project.build(env={"A": "1"}, secrets={"S": SECRET}).after.id]
    changes: list[tuple[bool, Callable[[], Any], dict[str, Any]]] = [
        (False, lambda: None, {}),
        (False, lambda: os.utime(project.path / ".artifakt/build.sh"), {}),
        (True, lambda: None, {"env": {"A": "2"}}),
        (True, lambda: None, {"secrets": {"S": SECRET + "2"}}),
        (True, lambda: project.write(".artifakt/more", "x"), {}),
        (True, lambda: project.write(".artifakt/more", "y"), {}),
        (True, lambda: project.write("code", "x"), {}),
    ]
    options: dict[str, Any] = {"env": {"A": "1"}, "secrets": {"S": SECRET}}
    for again, change, other in changes:
        change()
        options |= other
        result = project.build(**options)
        assert (result.before.id != result.after.id) is again, (change, other)
        assert result.before.id == ids[-1]
        ids.append(result.after.id)
    assert len(set(ids)) == 6


def test_a_failing_build_sh_fails_the_build_with_its_words(project: Project) -> None:
    """The image that was there before stays, and a secret that it shouts is masked."""
    project.write(".artifakt/build.sh", f"{SH}true\n")
    before = project.build().after.id
    project.write(".artifakt/build.sh", f'{SH}echo compiling; echo "no $TOKEN here" >&2; exit 9\n')
    with pytest.raises(BuildFailed) as failed:
        project.build(secrets={"TOKEN": SECRET})
    error = failed.value
    assert error.what == "the image was not built: exit code 9 at .artifakt/build.sh"
    assert sorted(error.evidence) == ["compiling", "no ******** here"]
    assert (error.cause, error.facts["exit_code"]) == ("run_failed", 9)
    assert Images().look(project.tag).image.id == before
    assert project.nothing_in_between()


FAULTS: Mapping[str, tuple[str, str, str]] = {
    "a step": (
        "FROM busybox\nRUN echo why; exit 4\n",
        "run_failed",
        "exit code 4 at RUN echo why; exit 4",
    ),
    "a base": ("FROM nosuch.invalid/x:1\n", "base_image", "nosuch.invalid/x:1"),
    "a word": ("FROM busybox\nRUNN x\n", "dockerfile", "line 2: unknown instruction: RUNN"),
    "a file": ("FROM busybox\nCOPY nofile /\n", "missing_file", "/nofile"),
}


@pytest.mark.parametrize(("text", "cause", "said"), FAULTS.values(), ids=FAULTS)
def test_a_failing_dockerfile_says_what_failed(project: Project, text: str, cause: str, said: str) -> None:
    """In the user's own Dockerfile, with callbacks beside it."""
    project.write("Dockerfile", text)
    project.write(".artifakt/build.sh", SH)
    with pytest.raises(BuildFailed) as failed:
        project.build()
    assert failed.value.cause == cause
    assert said in failed.value.what


def test_the_users_own_dockerfile_is_kept(project: Project) -> None:
    """Its .dockerignore, SHELL, ENV, args, target, secrets, HEALTHCHECK and STOPSIGNAL."""
    project.write(".dockerignore", ".artifakt\nsecret-notes\n")
    project.write("secret-notes", "x")
    project.write(
        "Dockerfile",
        'FROM busybox AS run\nARG WHAT\nSHELL ["/bin/sh", "-ec"]\n'
        "WORKDIR /code\nCOPY . .\nENV KEPT=yes\nSTOPSIGNAL SIGUSR1\nHEALTHCHECK CMD true\n"
        "RUN --mount=type=secret,id=TOKEN,required echo $WHAT >what; test -s /run/secrets/TOKEN\n"
        'SHELL ["/bin/nosuch", "-c"]\nCMD ["sleep", "60"]\nFROM run AS other\nCMD ["other"]\n',
    )
    project.write(".artifakt/build.sh", f"{SH}echo $KEPT >>what\n")
    project.write(".artifakt/entrypoint.sh", SH)
    result = project.build(args={"WHAT": "ever"}, target="run", secrets={"TOKEN": SECRET})
    config = json.loads(images.docker("image", "inspect", project.tag))[0]["Config"]
    assert (config["StopSignal"], config["Healthcheck"]["Test"]) == (
        "SIGUSR1",
        ["CMD-SHELL", "true"],
    )
    assert result.after.command == ("sleep", "60")
    assert result.after.working_dir == "/code"
    assert project.run("sh", "-c", "cat what; ls").stdout.split() == [
        "ever",
        "yes",
        "Dockerfile",
        "what",
    ]


@pytest.fixture
def started(project: Project) -> Iterator[Callable[..., str]]:
    """Start a container of the project in the background."""
    made: list[str] = []

    def start(*words: str) -> str:
        flags = ["--detach", "--label=stackswap.test=1", "--network=none"]
        made.append(images.docker("run", *flags, project.tag, *words))
        return made[-1]

    yield start
    subprocess.run(["docker", "rm", "--force", *made], capture_output=True)


def test_the_application_is_process_one(project: Project, started: Callable[..., str]) -> None:
    """With its user, arguments, signals and exit code; entrypoint.sh ran just before."""
    says = 'echo $$ $# "$1" $(id -u) "$LEFT"'
    main = f"{SH}trap 'echo bye; exit 42' TERM\n{says}\nwhile :; do sleep 0.1; done\n"
    project.write("main.sh", main)
    project.write(
        "Dockerfile",
        PLAIN.replace("CMD", 'ENTRYPOINT ["/code/main.sh", "a b"]\nCMD').replace("60", "6  0"),
    )
    project.write(
        ".artifakt/entrypoint.sh",
        f'{SH}echo before $(id -u)\necho "LEFT=be  hind" >>$STACKSWAP_ENV_FILE\n',
    )
    project.build()
    container = started()
    until = time.monotonic() + 20
    while "a b" not in images.docker("logs", container) and time.monotonic() < until:
        time.sleep(0.05)
    assert images.docker("logs", container).splitlines() == ["before 1234", "1 3 a b 1234 be  hind"]
    began = time.monotonic()
    images.docker("stop", "--time=20", container)
    assert time.monotonic() - began < 10
    assert images.docker("wait", container) == "42"
    assert images.docker("logs", container).splitlines()[-1] == "bye"


def test_a_failing_entrypoint_sh_ends_the_container(project: Project) -> None:
    """With its own exit code and a line that says so."""
    project.write(".artifakt/entrypoint.sh", f"{SH}echo migrating; exit 7\n")
    project.build()
    done = project.run("echo", "started")
    assert (done.returncode, done.stdout) == (7, "migrating\n")
    assert ".artifakt/entrypoint.sh failed with exit code 7" in done.stderr


def test_it_works_on_a_read_only_root(project: Project) -> None:
    """The file that it may write lies in memory."""
    project.write(".artifakt/entrypoint.sh", f'{SH}echo "LEFT=behind" >>"$STACKSWAP_ENV_FILE"\n')
    project.build()
    assert project.run("sh", "-c", "echo $LEFT", flags=("--read-only",)).stdout == "behind\n"


def test_scripts_without_exec_bit_or_first_line_run_and_are_told(project: Project) -> None:
    """The platform skipped one kind without a word and broke the build of the other."""
    project.write(".artifakt/build.sh", "echo made >made\n", 0o644)
    project.write(".artifakt/entrypoint.sh", "cat made\n", 0o600)
    project.write("Dockerfile", PLAIN.replace('["sleep", "60"]', "echo started"))
    notes = " ".join(project.build().notes)
    assert project.run().stdout == "made\nstarted\n"
    assert notes.count("is not executable") == notes.count("has no #! line") == 2
    assert "CMD is in shell form" in notes


def test_build_sh_is_not_run_twice(project: Project) -> None:
    """A Dockerfile that runs it keeps doing so; the service may say otherwise."""
    project.write(".artifakt/build.sh", f"{SH}echo ran >>ran\n")
    project.write("Dockerfile", PLAIN.replace("USER", "RUN sh .artifakt/build.sh\nUSER"))
    result = project.build()
    assert result.choice.build == "theirs"
    assert "run by the Dockerfile: not run again" in " ".join(result.notes)
    assert project.run("cat", "ran").stdout == "ran\n"
    project.build(callbacks={"build": "ours"})
    assert project.run("cat", "ran").stdout == "ran\nran\n"


def test_entrypoint_sh_is_not_run_twice(project: Project) -> None:
    """An image whose own entrypoint script runs it keeps doing so; the folder is there for it."""
    project.write("entry", f'{SH}. /.artifakt/entrypoint.sh\nexec "$@"\n')
    project.write(".artifakt/entrypoint.sh", "echo ran\n")
    entry = 'COPY entry /usr/local/bin/docker-entry\nENTRYPOINT ["docker-entry"]\nCMD'
    project.write("Dockerfile", PLAIN.replace("CMD", entry))
    result = project.build()
    assert result.choice.entrypoint == "theirs"
    assert result.after.entrypoint == ("docker-entry",)
    assert project.run("echo", "started").stdout == "ran\nstarted\n"
    project.build(callbacks={"entrypoint": "ours"})
    assert project.run("echo", "started").stdout == "ran\nran\nstarted\n"


def test_an_image_built_from_one_of_ours_is_wrapped_once(project: Project, tmp_path: Path) -> None:
    """Its own callback takes the place of its base's."""
    project.write(".artifakt/entrypoint.sh", f"{SH}echo first\n")
    project.build()
    above = Project(tmp_path / "above")
    above.write("Dockerfile", f"FROM {project.tag}\n")
    above.write(".artifakt/entrypoint.sh", f"{SH}echo second\n")
    try:
        assert above.build().after.entrypoint == ("/.stackswap/entrypoint",)
        assert above.run("echo", "started").stdout == "second\nstarted\n"
        assert above.run("ls", "-A", "/.artifakt").stdout == "second\nentrypoint.sh\n"
    finally:
        above.remove()


def test_an_image_without_a_shell_is_refused_at_the_build(project: Project) -> None:
    """Not at the first start on a server; a folder with neither script is fine in it."""
    project.write("Dockerfile", 'FROM scratch\nCOPY x /x\nCMD ["/x"]\n')
    project.write("x", "x")
    project.write(".artifakt/entrypoint.sh", SH)
    with pytest.raises(BadInput, match=r"the image has no /bin/sh, which .artifakt/entrypoint\.sh need"):
        project.build()
    assert project.nothing_in_between()
    (project.path / ".artifakt/entrypoint.sh").rename(project.path / ".artifakt/site.conf")
    assert project.build().after.command == ("/x",)


def test_a_shell_that_is_a_link_is_found(project: Project) -> None:
    """Debian's /bin is a link to usr/bin, and its sh a link to dash."""
    moved = "RUN mkdir -p /usr && mv /bin /usr/bin && /usr/bin/busybox ln -s usr/bin /bin\n"
    project.write("Dockerfile", PLAIN.replace("USER", f"{moved}USER"))
    project.write(".artifakt/entrypoint.sh", f"{SH}echo before\n")
    project.build()
    assert project.run("echo", "started").stdout == "before\nstarted\n"


def test_nothing_of_a_build_stays_on_the_builder(project: Project) -> None:
    """No container, no image in between, no temporary folder."""
    project.write(".artifakt/build.sh", SH)
    before = set(Path("/tmp").glob("stackswap-*"))
    project.build()
    assert not images.docker("ps", "--all", "--quiet", "--filter=label=stackswap.peek=1")
    assert project.nothing_in_between()
    assert not {p for p in set(Path("/tmp").glob("stackswap-*")) - before if (p / "artifakt").exists()}


STRANGE = {
    "children": "sleep 300 & sleep 300 >/dev/null 2>&1 &",
    "not text": "printf '\\377\\0\\033[2J\\n'",
    "10 MB": "yes 0123456789 | head -c 10000000; yes 0123456789 | head -c 1000000 >&2",
    "10 MB in one line": "head -c 10000000 /dev/zero | tr '\\0' x",
    "no end of line": "printf almost",
}


def test_a_strange_build_sh_is_built(project: Project) -> None:
    """Nobody waits for its children."""
    began = time.monotonic()
    project.write(".artifakt/build.sh", "\n".join([SH, *STRANGE.values(), "touch made"]))
    project.build()
    assert time.monotonic() - began < 200
    assert project.run("ls", "made").returncode == 0


@pytest.mark.parametrize("strange", ["10 MB", "10 MB in one line", "no end of line"])
def test_a_strange_build_sh_fails_as_any_other(project: Project, strange: str) -> None:
    """With its exit code, and with no more of its words than people read."""
    project.write(".artifakt/build.sh", f"{SH}{STRANGE[strange]}\nexit 3\n")
    with pytest.raises(BuildFailed) as failed:
        project.build()
    assert failed.value.what == "the image was not built: exit code 3 at .artifakt/build.sh"
    assert 0 < len("".join(failed.value.evidence)) < 100_000


def test_a_build_sh_that_hangs_ends_when_the_build_is_asked_to_stop(project: Project) -> None:
    """The image that was there stays, and nothing is left of the one in between."""
    project.write(".artifakt/build.sh", SH)
    before = project.build().after.id
    project.write(".artifakt/build.sh", f"{SH}echo stop me\nsleep 3000\n")
    began = time.monotonic()
    with pytest.raises(BuildFailed, match="asked to"):
        project.build()
    assert time.monotonic() - began < 120
    assert Images().look(project.tag).image.id == before
    assert project.nothing_in_between()


def test_persistent_folders_alone_wrap_the_start(project: Project) -> None:
    """Without a callbacks folder; any user starts it, and what the image had is in /data."""
    project.write("media/logo", "x")
    data = "RUN mkdir /data && chown 1234 /data\nUSER"
    project.write("Dockerfile", PLAIN.replace("USER", data))
    result = project.build(persistent=("media", "var/cache"))
    assert (result.choice.ours, result.after.user) == ((), "1234")
    assert project.run("sh", "-c", "cat media/logo; touch var/cache/x; ls /data").stdout.split() == ["xmedia", "var"]
    refused = project.run("true", flags=("--tmpfs=/data:mode=0755",))
    assert refused.returncode == 73
    assert "/data/media cannot be made" in refused.stderr
    again = project.build(persistent=("media", "var/cache"))
    assert again.before.id == again.after.id
