# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers of a process without traffic: no slot, no fixed address, no door; awaited by how long they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import manifest, payload
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import ReplicaSpec
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import Moved
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import Verdict, steady
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge.health import Sample
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import KILLED, Process, Step, served_with
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import starts
from ansible_collections.stackswap.bluegreen.plugins.module_utils.schedule import Entry
from ansible_collections.stackswap.bluegreen.plugins.module_utils.verbs.containers import GRACE
from ansible_collections.stackswap.bluegreen.plugins.module_utils.verbs.containers import discard as discard_all
from ansible_collections.stackswap.bluegreen.plugins.module_utils.verbs.serving import MEMORY
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import Work

NO_TEST = ("NONE",)  # the image's own check is web's


def start(work: Work, step: Step) -> None:
    """Every container is there before the first one runs."""
    for container in _all(work, step):
        work.fx.at("within start")
        work.fx.engine.start(container)


def _all(work: Work, step: Step) -> list[str]:
    """Every container, those that are not there made: of the release that was asked for alone."""
    found = {r.number: r for r in work.group(step)}
    of = next((r.of for r in found.values()), 0) or _process(work, step).replicas
    return [found[n].id if n in found else _create(work, step, n) for n in range(1, of + 1)]


def schedule(work: Work, step: Step) -> None:
    """Cron runs these processes, each in containers that are made like one that waits here and never runs."""
    entries = []
    for name in step.value.split():
        mine = step._replace(process=name)
        if not work.group(mine):
            _create(work, mine, 1)
        entries += [Entry(one.schedule, name, step.release, one.name) for one in work.group(mine)]
        work.fx.at("within schedule")
    work.fx.cron.put(work.service.key, entries)
    if not work.fx.cron.daemon():
        work.warnings.append(
            f"no cron runs on this server, and {step.value} will not: install one, as the package cron"
        )


def unschedule(work: Work, step: Step) -> None:
    """Cron runs nothing of the service."""
    work.fx.cron.drop(work.service.key)


def _create(work: Work, step: Step, number: int) -> str:
    release, service, process = work.wanted(), work.service, _process(work, step)
    if release.name != step.release:
        raise Moved(f"a container of {step.process} is gone, and its release was not asked for", step=step)
    records, made = work.fx.records, release.container
    records.keep_manifest(service.key, release.name, {**manifest.manifest(release), "migrations": work.migrations})
    secrets = records.keep_secrets(service.key, release.name, dict(made.secret_files))
    labels = {
        payload.SERVICE: service.key,
        payload.ENVIRONMENT: service.environment,
        payload.RELEASE: release.name,
        payload.VERSION: release.version,
        payload.DIGEST: release.digest,
        payload.PROCESS: process.name,
        payload.NUMBER: str(number),
        payload.OF: str(process.replicas),
    }
    if process.schedule:
        labels[payload.SCHEDULE] = process.schedule
    name = f"{service.environment}-{service.name}-{release.name}-{process.name}-{number}"
    container = replace(
        made,
        command=process.command,
        stop_signal=process.stop_signal or made.stop_signal,
        stop_timeout=_grace(process, made.stop_timeout),
    )
    spec = ReplicaSpec(name, container, tuple(sorted(labels.items())), work.fx.network, "")
    return work.fx.engine.create(replace(spec, secrets=secrets, test=_test(process)))


def _test(process: Process) -> tuple[str, ...]:
    kind = process.health.kind
    return ("CMD", *process.test) if kind == "command" else () if kind == "image" else NO_TEST


def await_(work: Work, step: Step) -> None:
    """It runs without an end or a restart, and is well where it has a check, for as long as its process says."""
    health = _process(work, step).health
    first: list[float] = []

    def sample(at: float) -> Sample:
        taken = Sample(at, work.group(step), (), ())
        if not first and not steady.trouble_of(taken, health):
            first.append(at)
        return taken

    def verdict(samples: list[Sample]) -> Verdict:
        return steady.judge(samples, health, first[0] if first else None)

    why = work.wait(step, sample, verdict, health.deadline + health.min_healthy_time)
    if why:
        raise work.failed(step, "candidate_unhealthy", why)
    _mark(work, step, starts(work.group(step)))


def stop(work: Work, step: Step) -> None:
    """The mark first, so that one that is ending is not taken for one that works; what it had begun it may finish."""
    group, ending = work.group(step), work.record().get("ending", {})
    work.remember(ending={**ending, step.process: step.release})
    work.fx.at("within stop")
    proven = step.release in work.record().get("awaited", {}).get(step.process, {})
    grace = _patience(work, step) if proven else GRACE
    for replica in group:
        work.fx.engine.stop(replica.id, grace)
    work.remember(ending={name: one for name, one in ending.items() if name != step.process})
    late = "{} of {} did not end within {} s of its stop signal and was killed (exit code 137)"
    killed = [r for r in work.group(step) if r.exit_code == KILLED and not r.oom_killed] if proven else []
    work.warnings += [late.format(step.process, f"{work.service.name} {r.version}", grace) for r in killed]


def discard(work: Work, step: Step) -> None:
    """They are gone, with the word that they worked."""
    discard_all(work, step)
    _mark(work, step, None)


def confirm(work: Work, step: Step) -> None:
    """Where web is not: it is what serves. value: the release to go back to, until this one is settled."""
    record = work.record()
    served = served_with(tuple(record.get("served", ())), step.release)
    rejected = [name for name in record.get("rejected", ()) if name != step.release]
    work.remember(served=list(served[-MEMORY:]), rejected=rejected, behind=step.value)


def fence(work: Work, step: Step) -> None:
    """Where web is not: nobody goes back by himself any more."""
    work.remember(behind="")


def _mark(work: Work, step: Step, mark: list[list[str]] | None) -> None:
    known = work.record().get("awaited", {})
    mine = {name: one for name, one in known.get(step.process, {}).items() if name != step.release}
    work.remember(awaited={**known, step.process: {**mine, **({step.release: mark} if mark else {})}})


def _process(work: Work, step: Step) -> Process:
    """The process as its own release has it."""
    mine = work.release is not None and work.release.name == step.release
    known = work.wanted().processes if mine else manifest.processes_of(_manifest(work, step))
    return next((one for one in known if one.name == step.process), Process(step.process))


def _manifest(work: Work, step: Step) -> Mapping[str, Any]:
    return work.fx.records.manifest(work.service.key, step.release) or {}


def _patience(work: Work, step: Step) -> int:
    """Seconds to end in, as its own release was made with."""
    made = _manifest(work, step).get("container", {})
    return _grace(_process(work, step), int(made.get("stop_timeout", 10)))


def _grace(process: Process, usual: int) -> int:
    return usual if process.stop_timeout is None else process.stop_timeout
