"""What building with stackswap costs beside a bare `docker buildx build` of the same Dockerfile."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from ansible_collections.stackswap.bluegreen.plugins.module_utils import building, folder, git
from ansible_collections.stackswap.bluegreen.plugins.module_utils.buildx import Buildx
from ansible_collections.stackswap.bluegreen.plugins.module_utils.images import Images
from ansible_collections.stackswap.bluegreen.plugins.module_utils.project import Tools, Wanted
from ansible_collections.stackswap.bluegreen.plugins.module_utils.request import Request
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import Source
from tests.bench.figure import Figure, say
from tests.lab import images

NAMES = ("rebuild_code_only", "rebuild_nothing", "rebuild_callbacks")
BY_HAND = "Dockerfile.by-hand"
CALLBACK = "#!/bin/sh\nset -e\ncat /bundle | wc -c >/counted\n"
GOALS = {"rebuild_code_only": 1.15}
ROUNDS = 15
FILES = 500
DOCKERFILE = """FROM busybox
WORKDIR /code
COPY needs .
RUN sleep 1; cp needs installed
COPY . .
RUN find . -type f | xargs cat >/bundle
"""
MARK = f"stackswap.test.bench={os.getpid()}"
TAGS = {"ours": f"stackswap-test/bench-ours-{os.getpid()}", "bare": f"stackswap-test/bench-bare-{os.getpid()}"}


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """The same code built in turns by both, after a change of one file, and after none; with a build.sh, too.

    By hand that is one more line of the Dockerfile. Ours is called in this process: Ansible's own time is not in it.
    """
    images.busybox()
    with tempfile.TemporaryDirectory(prefix="stackswap-bench-") as place:
        code = application(Path(place))
        try:
            for name in names:
                if name == "rebuild_callbacks":
                    called(code)
                yield figure(name, code, nothing if name == "rebuild_nothing" else touch)
        finally:
            remove()


def application(code: Path) -> Path:
    """A few hundred files in git, and a Dockerfile that installs what they need before it copies them."""
    (code / "Dockerfile").write_text(DOCKERFILE)
    (code / "needs").write_text(f"{time.time_ns()}")
    for number in range(FILES):
        path = code / f"part{number % 20}" / f"file{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{number}\n" * 200)
    return code


def called(code: Path) -> None:
    """Add a build.sh, and the Dockerfile of those who run it by hand."""
    (code / ".artifakt").mkdir()
    (code / ".artifakt/build.sh").write_text(CALLBACK)
    (code / ".artifakt/build.sh").chmod(0o755)
    (code / BY_HAND).write_text(f"{DOCKERFILE}RUN .artifakt/build.sh\n")


def touch(code: Path) -> None:
    """Change one file."""
    (code / "part0/file0").write_text(f"{time.time_ns()}\n")


def nothing(code: Path) -> None:
    """Change nothing."""


def figure(name: str, code: Path, change: Callable[[Path], None]) -> Figure:
    """Medians of both sides, after one build each that counts for nothing."""
    for build in (ours, bare):
        build(code)
    pairs = []
    for turn in range(ROUNDS):
        took = {build: seconds(build, code, change) for build in ((ours, bare) if turn % 2 else (bare, ours))}
        pairs.append((took[ours], took[bare]))
    say(f"{name}: " + " ".join(f"{mine:.2f}/{theirs:.2f}" for mine, theirs in pairs))
    mine, theirs = (median(side) for side in zip(*pairs, strict=True))
    told = {"settings": {"files": FILES, "callbacks": (code / BY_HAND).exists()}}
    if name in GOALS:
        told["goal_ratio"] = GOALS[name]
    return Figure(name, mine, "s", ROUNDS, baseline="docker buildx build", baseline_value=theirs, more=told)


def seconds(build: Callable[[Path], None], code: Path, change: Callable[[Path], None]) -> float:
    """How long one build took, from a change to the image."""
    change(code)
    began = time.monotonic()
    build(code)
    return time.monotonic() - began


def ours(code: Path) -> None:
    """Build it as the module does."""
    bases = {"busybox": f"docker-image://{images.BUSYBOX}"}
    request = Request("", "", (), contexts=bases, labels=dict(mark.split("=") for mark in (images.LABEL, MARK)))
    wanted = Wanted("bench", "1", f"{TAGS['ours']}:1", Source(path=str(code)), request, environment="bench")
    building.build(wanted, Tools(Buildx(), Images(), folder, git))


def bare(code: Path) -> None:
    """Build it as one would by hand."""
    flags = [f"--tag={TAGS['bare']}:1", f"--label={images.LABEL}", f"--label={MARK}", "--load", "--quiet"]
    flags += ["--provenance=false", f"--build-context=busybox=docker-image://{images.BUSYBOX}"]
    flags += [f"--file={code / BY_HAND}"] * (code / BY_HAND).exists()
    images.docker("buildx", "build", *flags, str(code))


def remove() -> None:
    """Remove what was built, also what lost its name to a later build."""
    found = images.docker("image", "ls", "--quiet", "--no-trunc", f"--filter=label={MARK}").split()
    if found:
        images.docker("image", "rm", "--force", *set(found))
