"""A deploy beside the same swap as people write it: a play of small community.docker tasks, over the same SSH.

The collection is taken out of the package `ansible` of the package index.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench import figure
from tests.bench.figure import Figure, say
from tests.bench.site import BIN, KEPT, PIPELINED, SETTINGS, VERSIONS, Ran, Site, site, timed
from tests.contract import proxies
from tests.lab import images
from tests.lab.stack import free_port

NAMES = ("vs_task_role",)
ROUNDS = 5
PLAY = Path(__file__).parent / "plain" / "swap.yml"
WANTED = ("ansible_collections/community/docker/", "ansible_collections/community/library_inventory_filtering_v1/")
PARTS = ("plugins", "meta", "MANIFEST.json", "galaxy.yml")


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """In turns, after one of each that is not counted; each swaps to a version that its users do not have."""
    ours, theirs = list[Ran](), list[Ran]()
    with site("ssh") as made, role(made) as swap:
        for number in range(ROUNDS + 1):
            version = VERSIONS[number % len(VERSIONS)]
            pair = made.playbook("deploy", "ssh", "-e", f"stackswap_version={version}"), swap(version)
            say(f"round {number}: {pair[0].seconds:.2f} s, the tasks {pair[1].seconds:.2f} s")
            if number:
                ours.append(pair[0])
                theirs.append(pair[1])
    seconds = [one.seconds for one in ours]
    told = {"tasks": PLAY.read_text().count("\n    - name: "), "settings": SETTINGS | {"connection": "ssh"}}
    told |= {"cpu_s": figure.rounded(median(one.cpu for one in ours))}
    told |= {"tasks_cpu_s": figure.rounded(median(one.cpu for one in theirs))}
    anchor: dict[str, Any] = {"baseline": "a play of community.docker tasks, in the same run"}
    anchor["baseline_value"] = median(one.seconds for one in theirs)
    ratios = [mine.seconds / other.seconds for mine, other in zip(ours, theirs, strict=True)]
    yield figure.of("vs_task_role", "s", seconds, more=told | {"goal_ratio": 0.5, "ratios": rounded(ratios)}, **anchor)


def rounded(values: Sequence[float]) -> list[float]:
    """Each of them."""
    return [figure.rounded(value) for value in values]


@contextmanager
def role(made: Site) -> Iterator[Any]:
    """The play, ready to swap to a version; its containers, network and files end with the block."""
    name = f"{made.stack.name}-plain"
    with tempfile.TemporaryDirectory(prefix="stackswap-plain-") as folder:
        collections = fetched(Path(folder))
        (Path(folder) / "swap").mkdir()
        told = {"plain": name, "folder": f"{folder}/swap", "web": free_port(), "proxy_image": proxies.image("")}

        def swap(version: str) -> Ran:
            given = {**told, "image": images.app(version), "version": version, "turn": version}
            return run(made, collections, given)

        try:
            yield swap
        finally:
            names = [f"{name}-{one}" for one in ("blue", "green", "proxy")]
            images.discard(names, "rm", "--force", "--volumes")
            images.discard([name], "network", "rm")


def run(made: Site, collections: Path, given: Mapping[str, Any]) -> Ran:
    """One swap, over a connection that is new."""
    environ = {one: os.environ[one] for one in KEPT if one in os.environ} | PIPELINED
    environ |= {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    environ |= {"ANSIBLE_SSH_CONTROL_PATH_DIR": tempfile.mkdtemp(dir=made.folder)}
    command = [str(BIN / "ansible-playbook"), str(PLAY), "-i", str(made.folder / "ssh"), "-e", json.dumps(dict(given))]
    return timed(command, environ)


def fetched(folder: Path) -> Path:
    """The collection's plugins, out of the package that has it."""
    say("fetching the package ansible, for community.docker")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), "ansible"]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("ansible-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(WANTED)]
        parts = [name for name in names if name.split("/")[3] in PARTS]
        archive.extractall(folder, parts)
    wheel.unlink()
    return folder
