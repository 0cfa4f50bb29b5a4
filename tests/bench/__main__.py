"""`python -m tests.bench [NAME ...]`: a line of JSON for each figure, all else on the standard error."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence

from tests.bench import (
    builds,
    control,
    distance,
    fleets,
    flips,
    plain,
    plays,
    ships,
    swaps,
    thousand,
    verdicts,
    way,
    wrapper,
)
from tests.bench.figure import Figure, say

Measure = Callable[[Sequence[str]], Iterator[Figure]]
GROUPS: dict[tuple[str, ...], Measure] = {
    swaps.NAMES: swaps.measure,
    thousand.NAMES: thousand.measure,
    way.NAMES: way.measure,
    flips.NAMES: flips.measure,
    verdicts.NAMES: verdicts.measure,
    plays.NAMES: plays.measure,
    control.NAMES: control.measure,
    distance.NAMES: distance.measure,
    plain.NAMES: plain.measure,
    fleets.NAMES: fleets.measure,
    builds.NAMES: builds.measure,
    wrapper.NAMES: wrapper.measure,
    ships.NAMES: ships.measure,
}
NAMES = [name for names in GROUPS for name in names]


def main(words: Sequence[str]) -> int:
    """Measure the figures that are named, else all; whatever they are, only what could not run is a failure."""
    unknown = [word for word in words if word not in NAMES]
    if unknown:
        say(f"not known: {' '.join(unknown)}; known are {' '.join(NAMES)}")
        return 2
    asked = {measure: [name for name in names if not words or name in words] for names, measure in GROUPS.items()}
    return max(told(measure, names) for measure, names in asked.items())


def told(measure: Measure, names: Sequence[str]) -> int:
    """Print the figures of one group as they come; 1 if it could not run."""
    try:
        for figure in measure(names) if names else ():
            print(figure.line(), flush=True)
    except Exception:  # the other groups still run
        traceback.print_exc()
        say(f"could not run: {' '.join(names)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
