# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each step makes of an observed server: check mode and diffs look ahead with it, and the tests' fakes live in it.

stages() gives every state in between, in order: a crash may leave any of them behind.
"""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils import crew
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    ALWAYS,
    BEGUN,
    DONE,
    SLOTS,
    Observed,
    Placement,
    Step,
    other,
    served_with,
)


def apply(seen: Observed, step: Step) -> Observed:
    """The server after the step has succeeded."""
    return stages(seen, step)[-1]


def stages(seen: Observed, step: Step) -> tuple[Observed, ...]:
    """The server after each part of the step; the last is its success."""
    return (crew.VERBS if step.process else _VERBS)[step.verb](seen, step)


def restarted(seen: Observed) -> Observed:
    """The server after its proxy has been restarted: maps are read from their files."""
    return seen._replace(runtime=seen.file)


def rebooted(seen: Observed) -> Observed:
    """The server after a reboot: what is kept comes back healthy, had it been stopped, too; all else is stopped."""
    back = tuple(
        p._replace(approved=False, baked=False, shared=0, drill="", healthy=True, running="all")
        if p.policy == ALWAYS and p.present == "all"
        else p._replace(approved=False, baked=False, shared=0, drill="", healthy=False, running="none")
        for p in seen.placements
    )
    return crew.rebooted(restarted(seen._replace(placements=back)))


def _register(seen: Observed, step: Step) -> tuple[Observed, ...]:
    known = seen._replace(registered=True, fits=frozenset(SLOTS), file=seen.file or "none")
    return (known, known._replace(runtime=seen.runtime or "none"))


def _configure(seen: Observed, step: Step) -> tuple[Observed, ...]:
    return (seen._replace(fits=seen.fits | {step.slot}),)


def _open(seen: Observed, step: Step) -> tuple[Observed, ...]:
    return (seen._replace(door=True),)


def _start(seen: Observed, step: Step) -> tuple[Observed, ...]:
    old = seen.at(step.release, step.slot)
    made = Placement(step.release, step.slot, running="none", fresh=old is None or old.fresh)
    if old is not None:
        made = made._replace(policy=old.policy)
    ran = made._replace(fresh=False, running="all")
    parts = (made._replace(present="some"),) if old is None or old.present != "all" else ()
    return tuple(seen.put(p) for p in (*parts, made, ran._replace(running="some"), ran))


def _await(seen: Observed, step: Step) -> tuple[Observed, ...]:
    passed = seen.put(_placed(seen, step)._replace(healthy=True, approved=True, shared=0, drill=""))
    return (passed._replace(rejected=passed.rejected - {step.release}),)


def _watch(seen: Observed, step: Step) -> tuple[Observed, ...]:
    placed = _placed(seen, step)
    return (seen.put(placed._replace(shared=int(step.value)) if step.value else placed._replace(baked=True)),)


def _share(seen: Observed, step: Step) -> tuple[Observed, ...]:
    shown = f"{step.slot}:{step.value}" if step.value else ""
    return (seen._replace(canary=f"{step.slot}:?"), seen._replace(canary=shown))


def _drill(seen: Observed, step: Step) -> tuple[Observed, ...]:
    """There and back; nowhere if there is nobody to go back to."""
    forward, placed, backup = seen.runtime, _placed(seen, step), seen.occupant(other(step.slot))
    done = seen.put(placed._replace(drill=DONE))
    if not (backup and backup.up):
        return (done,)
    begun = seen.put(placed._replace(drill=BEGUN))
    there = begun._replace(runtime=step.value, file=step.value)
    return (begun, there._replace(runtime=forward), there, there._replace(file=forward), begun, done)


def _hold(seen: Observed, step: Step) -> tuple[Observed, ...]:
    return (seen._replace(held="?"), seen._replace(held=step.value))


def _make(seen: Observed, step: Step) -> tuple[Observed, ...]:
    made = Placement(step.release, step.slot, present="some", running="none", fresh=True)
    return tuple(seen.put(made._replace(present=some)) for some in ("some", "all"))


def _keep(seen: Observed, step: Step) -> tuple[Observed, ...]:
    return (seen.put(_placed(seen, step)._replace(policy=step.value)),)


def _route(seen: Observed, step: Step) -> tuple[Observed, ...]:
    written = seen._replace(file=step.value)
    return (written, written._replace(runtime=step.value))


def _confirm(seen: Observed, step: Step) -> tuple[Observed, ...]:
    return (seen._replace(served=served_with(seen.served, step.release)),)


def _reject(seen: Observed, step: Step) -> tuple[Observed, ...]:
    for placed in seen.placements:
        if placed.release == step.release:
            seen = seen.put(placed._replace(approved=False, baked=False, shared=0, drill=""))
    return (seen._replace(rejected=seen.rejected | {step.release}),)


def _drain(seen: Observed, step: Step) -> tuple[Observed, ...]:
    return (seen,)


def _stop(seen: Observed, step: Step) -> tuple[Observed, ...]:
    marked = _placed(seen, step)._replace(stopping=True)
    half = marked._replace(running="some", healthy=False)
    done = half._replace(running="none", approved=False, baked=False, shared=0, drill="")
    halves = (marked, half) if marked.running != "none" else (marked,)
    return tuple(seen.put(p) for p in (*halves, done, done._replace(stopping=False)))


def _discard(seen: Observed, step: Step) -> tuple[Observed, ...]:
    placed = _placed(seen, step)
    dead = placed._replace(running="none", healthy=False, approved=False, baked=False, shared=0, drill="")
    half = (placed._replace(running="some", healthy=False),) if placed.running != "none" else ()
    parts = (*half, dead, dead._replace(present="some"))
    return (*(seen.put(p) for p in parts), seen.without(step.release, step.slot))


def _leave(seen: Observed, step: Step) -> tuple[Observed, ...]:
    closed = seen._replace(door=False, held="")
    unfiled = closed._replace(file="")
    gone = unfiled._replace(runtime="")
    unchecked = tuple(p._replace(healthy=False) for p in seen.placements)
    return (closed, unfiled, gone, gone._replace(registered=False, placements=unchecked))


def _forget(seen: Observed, step: Step) -> tuple[Observed, ...]:
    return (seen._replace(served=(), rejected=frozenset()),)


def _placed(seen: Observed, step: Step) -> Placement:
    placed = seen.at(step.release, step.slot)
    if placed is None:
        raise ValueError(f"{step.verb} of {step.release} in {step.slot}, which holds no such release")
    return placed


_VERBS = {
    "register": _register,
    "configure": _configure,
    "open": _open,
    "start": _start,
    "await": _await,
    "watch": _watch,
    "keep": _keep,
    "share": _share,
    "hold": _hold,
    "make": _make,
    "route": _route,
    "fence": _route,
    "drill": _drill,
    "confirm": _confirm,
    "reject": _reject,
    "drain": _drain,
    "stop": _stop,
    "discard": _discard,
    "leave": _leave,
    "forget": _forget,
}
VERBS = tuple(_VERBS)
