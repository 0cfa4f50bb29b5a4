"""What the wrapper adds to a bare ansible-playbook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from tests.bench.figure import Figure, say
from tests.bench.site import BIN, NAME, SETTINGS, VERSIONS, Site, site

NAMES = ("wrapper_cpu",)
ROUNDS = 7


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """The same deploy again, in turns by the wrapper and bare: only what drives the play differs."""
    with site("local") as made:
        bare(made)
        pairs = [(wrapped(made), bare(made)) for _round in range(ROUNDS)]
    say(" ".join(f"{ours:.2f}/{theirs:.2f}" for ours, theirs in pairs))
    ours, theirs = (median(side) for side in zip(*pairs, strict=True))
    told = {"settings": SETTINGS | {"connection": "local", "job": "the same deploy again", "servers": 1}}
    anchor = {"baseline": "ansible-playbook", "baseline_value": theirs}
    yield Figure("wrapper_cpu", ours, "cpu s", ROUNDS, more=told, **anchor)


def bare(made: Site) -> float:
    """The processor's seconds of ansible-playbook."""
    return made.playbook("deploy", "local", "-e", f"stackswap_version={VERSIONS[0]}", same=True).cpu


def wrapped(made: Site) -> float:
    """The processor's seconds of the wrapper, with the play that it drives."""
    return made.run([str(BIN / "stackswap"), "deploy", NAME, VERSIONS[0]], "local", same=True).cpu
