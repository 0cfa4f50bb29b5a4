# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers of a release in a slot: made and started, kept, stopped, discarded."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.stackswap.bluegreen.plugins.module_utils import manifest, payload
from ansible_collections.stackswap.bluegreen.plugins.module_utils.addresses import refuse_held
from ansible_collections.stackswap.bluegreen.plugins.module_utils.counting import RETIRE
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import ReplicaSpec
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import Moved
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import KILLED, Replica, Step
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import backend_of, starts
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import Work

GRACE = 1  # seconds for one that was never awaited


def start(work: Work, step: Step) -> None:
    """Every replica runs; those that are not there are made. Of a release that was not asked for all are there."""
    wanted = work.release is not None and work.release.name == step.release
    work.fx.ask_often()
    for container in _all(work, step) if wanted else _kept(work, step):
        work.fx.at("within start")
        work.fx.engine.start(container)


def make(work: Work, step: Step) -> None:
    """Every replica is there, and runs later."""
    _all(work, step)


def _all(work: Work, step: Step) -> list[str]:
    """The replicas, those that are not there made."""
    fx, service, release, found = work.fx, work.service, work.wanted(), {r.number: r for r in work.group(step)}
    if service.key not in fx.records.addresses():
        work.address()
    backend = backend_of(fx, service, release, step.slot)
    if backend is None:
        raise Moved("the service has no addresses", step=step)
    refuse_held(service.key, backend.addresses, fx.holders(backend.addresses))
    kept = {**manifest.manifest(release), "migrations": work.migrations}
    fx.records.keep_manifest(service.key, release.name, kept)
    fx.proxy.label(service.key, step.slot, release.version)
    wanted = enumerate(backend.addresses, 1)
    return [found[n].id if n in found else _create(work, step.slot, n, at) for n, at in wanted]


def _kept(work: Work, step: Step) -> list[str]:
    """The replicas that stand, at addresses that nobody else has taken."""
    found, fx, key = work.group(step), work.fx, work.service.key
    addresses = tuple(r.address for r in found if r.address)
    refuse_held(key, addresses, fx.holders(addresses))
    for replica in found[:1]:
        fx.proxy.label(key, step.slot, replica.version)
    return [replica.id for replica in found]


def _create(work: Work, slot: str, number: int, address: str) -> str:
    release, service = work.wanted(), work.service
    secrets = work.fx.records.keep_secrets(service.key, release.name, dict(release.container.secret_files))
    name = f"{service.environment}-{service.name}-{release.name}-{slot}-{number}"
    labels = {
        payload.SERVICE: service.key,
        payload.ENVIRONMENT: service.environment,
        payload.RELEASE: release.name,
        payload.VERSION: release.version,
        payload.DIGEST: release.digest,
        payload.SLOT: slot,
        payload.NUMBER: str(number),
        payload.OF: str(release.replicas),
    }
    spec = ReplicaSpec(name, release.container, tuple(sorted(labels.items())), work.fx.network, address)
    return work.fx.engine.create(replace(spec, secrets=secrets))


def keep(work: Work, step: Step) -> None:
    """Whether they come back after a reboot."""
    for replica in work.group(step):
        work.fx.engine.keep(replica.id, step.value)


def stop(work: Work, step: Step) -> None:
    """The mark first: one that is being stopped is never routed to, whatever cuts this off (R6)."""
    record, group = work.record(), work.group(step)
    work.remember(stopping={"release": step.release, "slot": step.slot})
    work.fx.at("within stop")
    awaited = record.get("approved", {}).get(step.slot, {}).get("starts") == starts(group)
    patient = awaited or step.release in record.get("served", ())
    for replica in group:
        work.fx.engine.stop(replica.id, _grace(work, replica) if patient else GRACE)
    work.remember(stopping=None, fenced=None)
    work.warnings += _killed(work, step) if patient else []
    work.counting.read(RETIRE)


def _killed(work: Work, step: Step) -> list[str]:
    """Those that did not end by themselves: what they had begun may be half done."""
    killed = [r for r in work.group(step) if r.exit_code == KILLED and not r.oom_killed]
    late = "{} did not end within {} s of its stop signal and was killed (exit code 137)"
    return [late.format(f"{work.service.name} {r.version}", _grace(work, r)) for r in killed]


def discard(work: Work, step: Step) -> None:
    """They are gone, and the secrets that nobody else has."""
    for replica in work.group(step):
        if replica.running:
            work.fx.engine.stop(replica.id, GRACE)
        work.fx.engine.remove(replica.id)
        work.fx.at("within discard")
    standing = {r.release for r in work.fx.engine.replicas(work.service.key)}
    work.fx.records.sweep_secrets(work.service.key, standing)


def _grace(work: Work, replica: Replica) -> int:
    """Seconds to end in, as the release itself was made with."""
    kept = work.fx.records.manifest(work.service.key, replica.release) or {}
    return int(kept.get("container", {}).get("stop_timeout", 10))
