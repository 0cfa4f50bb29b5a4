"""Whole runs of ansible-playbook: deploys, the same again, and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from tests.bench import figure
from tests.bench.figure import RECORDED, Figure, say
from tests.bench.site import SETTINGS, VERSIONS, Ran, Site, site

NAMES = ("deploy_local", "deploy_ssh", "noop", "rollback")
ROUNDS = 7
# Medians of seven, no build, one server over SSH, images there or in a registry on the same machine.
KAMAL_DEPLOY, KAMAL_ROLLBACK = 3.95, 2.58
ANCHORS: dict[str, dict[str, Any]] = {
    "deploy_ssh": {"baseline": f"kamal 2.12 deploy, {RECORDED}", "baseline_value": KAMAL_DEPLOY, "goal": 1.98},
    "rollback": {"baseline": f"kamal 2.12 rollback, {RECORDED}", "baseline_value": KAMAL_ROLLBACK, "goal": 1.55},
}
OVER = {"deploy_local": "local", "deploy_ssh": "ssh", "noop": "ssh", "rollback": "ssh"}


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """Run each kind once in every round, after one round that is not counted."""
    ran: dict[str, list[Ran]] = {name: [] for name in names}
    with site(*{OVER[name] for name in names}) as made:
        for number in range(ROUNDS + 1):
            for name, took in round_of(made, names, number):
                say(f"round {number} {name}: {took.seconds:.2f} s, processor {took.cpu:.2f} s")
                ran[name] += [took] if number else []
    for name, runs in ran.items():
        cpu = {"control_cpu_s": figure.rounded(median(one.cpu for one in runs))}
        told = {**cpu, "settings": SETTINGS | {"connection": OVER[name], "pipelining": True, "image": "there"}}
        yield figure.of(name, "s", [one.seconds for one in runs], more=told, **ANCHORS.get(name, {}))


def round_of(made: Site, names: Sequence[str], number: int) -> Iterator[tuple[str, Ran]]:
    """One of each: what a kind stands on is done before it, uncounted where it was not asked for."""
    for name in ("deploy_local", "deploy_ssh"):
        if name in names:
            number += 1
            yield name, deploy(made, OVER[name], number)
    if not {"deploy_local", "deploy_ssh"} & set(names):
        deploy(made, "ssh", number)
    if "noop" in names:
        yield "noop", deploy(made, "ssh", number, same=True)
    if "rollback" in names:
        if made.turn < 2:
            deploy(made, "ssh", number + 1)
        yield "rollback", made.playbook("rollback", "ssh", same=True)


def deploy(made: Site, connection: str, number: int, same: bool = False) -> Ran:
    """Deploy a version, as a release that was never there or as the one that is live."""
    return made.playbook("deploy", connection, "-e", f"stackswap_version={VERSIONS[number % len(VERSIONS)]}", same=same)
