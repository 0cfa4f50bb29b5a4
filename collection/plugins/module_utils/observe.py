# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what engine, proxy, prober and record say to the one picture that the planner decides on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils.addresses import rebuilt
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Backend, Effects, View
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.sections import expected_check
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge.health import Sample, trouble_of, well
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    ALWAYS,
    HELD,
    NO,
    SLOTS,
    Observed,
    Placement,
    Release,
    Replica,
    Service,
    Worker,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.traffic import routed

PATIENCE, TURN = 2.0, 0.1  # seconds: a check that has just begun is looked at again (R3)


class Look(NamedTuple):
    """One look at a service on its server: the picture, and what it was made from. crew: what is not web's."""

    seen: Observed
    replicas: tuple[Replica, ...] = ()
    view: View = View()
    record: Mapping[str, Any] = {}
    crew: tuple[Replica, ...] = ()

    @property
    def containers(self) -> tuple[Replica, ...]:
        """Web's and all others."""
        return (*self.replicas, *self.crew)

    def of(self, release: str, slot: str) -> tuple[Replica, ...]:
        """The containers of a release in a slot."""
        return tuple(r for r in self.replicas if (r.release, r.slot) == (release, slot))


def look(fx: Effects, service: Service, release: Release | None = None) -> Look:
    """The service as it is now; where a routed slot's check is not proven yet, as it is up to two seconds later."""
    until = fx.clock() + PATIENCE
    while True:
        found, proven = _once(fx, service, release)
        if proven or fx.clock() >= until:
            return found
        fx.sleep(TURN)


def _once(fx: Effects, service: Service, release: Release | None) -> tuple[Look, bool]:
    found, view = fx.engine.replicas(service.key), fx.proxy.view(service.key)
    replicas, crew = (tuple(r for r in found if bool(r.process) is other) for other in (False, True))
    record = fx.records.read(service.key)
    seen = Observed(
        registered=bool(view.backends),
        runtime=view.runtime,
        file=view.file,
        served=tuple(record.get("served", ())),
        rejected=frozenset(record.get("rejected", ())),
        fits=_fits(fx, service, release, view),
        door=set(view.routes) == set(service.routes) and view.door == service.door,
        canary=view.canary,
        workers=workers_of(crew, record),
        behind=str(record.get("behind") or ""),
        scheduled=fx.cron.scheduled(service.key),
        held=HELD if view.held > fx.now() else "?" if view.held else "",
    )
    proven = True
    for pair in sorted({(r.slot, r.release) for r in replicas}):
        group = tuple(r for r in replicas if (r.slot, r.release) == pair)
        sample = sample_of(fx, view, group, pair[0])
        placed = _placement(seen, group, sample, view.backends.get(pair[0]), record)
        proven = proven and (placed.healthy or not _unproven(seen, placed, sample, view))
        seen = seen.put(placed)
    return Look(seen, replicas, view, record, crew), proven


def workers_of(crew: tuple[Replica, ...], record: Mapping[str, Any]) -> tuple[Worker, ...]:
    """What is there of the processes without traffic."""
    pairs = sorted({(r.process, r.release) for r in crew})
    return tuple(_worker(tuple(r for r in crew if (r.process, r.release) == pair), record) for pair in pairs)


def _worker(group: tuple[Replica, ...], record: Mapping[str, Any]) -> Worker:
    first, count = group[0], sum(r.running for r in group)
    mark = record.get("awaited", {}).get(first.process, {}).get(first.release, [])
    ids = sorted(r.id for r in group)
    return Worker(
        first.process,
        first.release,
        present="all" if len(group) >= first.of else "some",
        running=_some(count, first.of),
        awaited=count > 0 and mark == starts(group),
        proven=bool(mark) and sorted(one[0] for one in mark) == ids,
        fresh=all(not r.started for r in group),
        stopping=record.get("ending", {}).get(first.process) == first.release,
        policy=ALWAYS if all(r.policy == ALWAYS for r in group) else NO,
        clocked=bool(first.schedule),
    )


def sample_of(fx: Effects, view: View, group: tuple[Replica, ...], slot: str, within: float = PATIENCE) -> Sample:
    """What one look at the containers of a slot tells, with an own probe of each that runs, for so many seconds."""
    backend = view.backends.get(slot)
    running = [r for r in group if r.running and r.address]
    ask = fx.probe.replica
    answers = tuple(ask(r.address, backend.port, backend.health, within) for r in running) if backend else ()
    return Sample(0.0, group, tuple(s for s in view.servers if s.slot == slot), answers, view.pid)


def _placement(
    seen: Observed, group: tuple[Replica, ...], sample: Sample, backend: Backend | None, record: Mapping[str, Any]
) -> Placement:
    first, running = group[0], [r for r in group if r.running]
    trouble = trouble_of(sample, backend.health, expected_check(backend.health)) if backend else "no backend"
    approval = record.get("approved", {}).get(first.slot, {})
    approved = bool(running) and approval.get("release") == first.release and approval.get("starts") == starts(group)
    mark = record.get("stopping") or {}
    stopping = (mark.get("release"), mark.get("slot")) == (first.release, first.slot)
    return Placement(
        first.release,
        first.slot,
        present="all" if len(group) >= first.of else "some",
        running=_some(len(running), first.of),
        healthy=not trouble,
        approved=approved,
        baked=approved and bool(approval.get("baked")),
        fresh=all(not r.started for r in group),
        stopping=stopping and not routed(seen, first.slot),
        policy=ALWAYS if all(r.policy == ALWAYS for r in group) else NO,
        shared=int(approval.get("shared", 0)) if approved else 0,
        drill=str(approval.get("drill", "")) if approved else "",
    )


def starts(group: tuple[Replica, ...]) -> list[list[str]]:
    """Which containers, in which start: an approval is worth nothing for any other."""
    return sorted([r.id, r.started] for r in group)


def _some(count: int, of: int) -> str:
    return "none" if not count else "all" if count >= of else "some"


def _unproven(seen: Observed, placed: Placement, sample: Sample, view: View) -> bool:
    """Whether a routed slot that does not look healthy may only just have been checked for the first time."""
    if placed.running == "none" or not routed(seen, placed.slot):
        return False
    backend = view.backends.get(placed.slot)
    answers = backend is not None and all(well(answer, backend.health) for answer in sample.answers)
    return answers or any(s.status.startswith("UP ") for s in sample.servers)


def backend_of(fx: Effects, service: Service, release: Release, slot: str) -> Backend | None:
    """The sections that the release wants in a slot; None while the service has no addresses.

    Where it is lost which it was allotted, they are read off its containers and the proxy (R13).
    """
    allotted = fx.records.addresses().get(service.key) or rebuilt({}, fx.tenants(), fx.subnet).get(service.key)
    if not allotted:
        return None
    addresses = tuple(allotted[slot][: release.replicas])
    return Backend(addresses, release.port, release.health, service.bake.observe)


def _fits(fx: Effects, service: Service, release: Release | None, view: View) -> frozenset[str]:
    if release is None:
        return frozenset(SLOTS)
    known = [slot for slot in SLOTS if slot in view.backends]
    return frozenset(slot for slot in known if view.backends[slot] == backend_of(fx, service, release, slot))
