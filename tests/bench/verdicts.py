"""How soon a bad release is known for what it is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.bench import figure
from tests.bench.figure import Figure, say
from tests.bench.site import SETTINGS, SILENCE, SUBNET, VERSIONS, quick, swap
from tests.lab import images
from tests.lab.stack import Stack

NAMES = ("verdict_exit", "verdict_silent")
TIMES = 7
KNOBS = {"verdict_exit": ("EXIT_AT_ONCE", "3"), "verdict_silent": ("SILENT", "1")}
FROM = {"verdict_exit": "within start", "verdict_silent": "before await"}


@dataclass
class Watch:
    """When a job came to its points, and when it first told of something else than its waiting."""

    points: dict[str, float] = field(default_factory=dict)
    verdict: float = 0.0

    def at(self, point: str) -> None:
        """Note the first time at a point."""
        self.points.setdefault(point, time.monotonic())

    def tell(self, phase: str, msg: str = "", n: int = 0, of: int = 0) -> None:
        """Note the first word after the wait: the way back begins, so the verdict is there."""
        if "before await" in self.points and phase != "await" and not self.verdict:
            self.verdict = time.monotonic()


def measure(names: Sequence[str]) -> Iterator[Figure]:
    """Beside a release that serves, have bad ones made ready, in turns."""
    took: dict[str, list[float]] = {name: [] for name in names}
    with Stack.made(SUBNET) as stack:
        swap(stack, quick(stack), 0)
        for number in range(1, TIMES + 1):
            for name in names:
                took[name].append(verdict(stack, name, number))
    for name, values in took.items():
        beyond = {"deadline": SILENCE} if name == "verdict_silent" else {}
        yield figure.of(name, "s", values, goal=1, more={"settings": SETTINGS | beyond, "from": FROM[name]})


def verdict(stack: Stack, name: str, number: int) -> float:
    """Seconds from the start of a bad candidate, or from its deadline, until the way back begins."""
    watch, service = Watch(), quick(stack, SILENCE)
    env = (KNOBS[name], ("TURN", str(number)))
    release = stack.release(service, f"bad{number}", images.app(VERSIONS[0]), env=env)
    done = stack.run(service, release, "ready", at=watch.at, tell=watch.tell)
    if not done.error:
        raise RuntimeError(f"{name}: the bad release was made ready")
    say(f"{name}: {done.error}")
    ended = watch.verdict or time.monotonic()
    return ended - watch.points[FROM[name]] - (SILENCE if name == "verdict_silent" else 0.0)
