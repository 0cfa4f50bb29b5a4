# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module backing: the backing services of a server run as asked, or one leaves it; its data stays."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import backing
from ansible_collections.stackswap.bluegreen.plugins.module_utils.answer import Answer as Told
from ansible_collections.stackswap.bluegreen.plugins.module_utils.backing import Act, Backing, Found
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.host import HostEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import FAILED, PASSED, waiting
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge.backing import CAUSE, judge, trouble_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge.health import Sample
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Locks
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import ALWAYS, NO, Replica
from ansible_collections.stackswap.bluegreen.plugins.module_utils.module import settings_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.probe import Probe
from ansible_collections.stackswap.bluegreen.plugins.module_utils.records import Records
from ansible_collections.stackswap.bluegreen.plugins.module_utils.standing import CHECKED

TURN, LINES = 0.1, 20
RUN = ("started", "exit_code", "oom_killed", "health")


class NotUp(StackswapError):
    """It is not up in time, or has ended."""

    cause = CAUSE


@dataclass
class Place:
    """A server, as the module finds it. ask: whether something at an address and a port takes connections."""

    engine: Any
    records: Any
    locks: Any
    network: str
    ask: Callable[[str, int], str]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def run_backing(module: AnsibleModule) -> None:
    """Do what is asked of those that are on this server, one after the other."""
    params = module.params
    answer = Told(module, {"backing": (), "registries": ()})
    try:
        wanted = backing.parse(params["backing"], params["environment"], params["servers"])
        settings = settings_of(params["proxy"])
        probe = Probe()
        place = Place(
            HostEngine(params["docker_host"]),
            Records(settings.home),
            Locks(settings.home, job=str(params["job"] or "")),
            settings.network,
            lambda address, port: probe.replica(address, port, backing.OPEN).error,
        )
        told = [_one(place, wanted.get(name), name, params, module.check_mode) for name in params["names"]]
    except StackswapError as error:
        answer.fail(error)
        return
    except OSError as error:
        answer.crash(error)
        return
    answer.give(changed=any(changed for changed, dummy in told), msg="; ".join(text for dummy, text in told))


def _one(place: Place, one: Backing | None, name: str, params: Mapping[str, Any], check: bool) -> tuple[bool, str]:
    key = f"{params['environment']['name']}.{name}"
    if params["state"] == "absent":
        return removed(place, key, name, check)
    if one is None:
        raise BadInput(f"no backing service is called {name}")
    return present(place, one, check, (params["registries"] or {}))


# -- it runs ----------------------------------------------------------------------------------------------------------


def present(
    place: Place, one: Backing, check: bool = False, logins: Mapping[str, Mapping[str, str]] | None = None
) -> tuple[bool, str]:
    """Whether anything was changed, and what there is now, in words."""
    reference = one.container.image
    image = place.engine.image(reference)
    if image is None and not check:
        image = place.engine.pull(reference, (logins or {}).get(reference.partition("/")[0]))
    if image is None:
        return True, f"{one.name} would be fetched and started on {one.server}"
    backing.refuse_unkept(one, image)
    health = backing.checked(one, image)
    marked = backing.mark(one, image.id, place.records.seal(one.container.sealed))
    if check:
        acts = backing.plan(found(place, one.key), marked)
        return bool(acts), f"{one.name} on {one.server}: {', '.join(act.verb for act in acts) or 'nothing to do'}"
    with place.locks.service(f"backing-{one.key}"):
        before = found(place, one.key)
        acts, whole = backing.plan(before, marked), replace(one, health=health)
        _done(place, whole, acts, before, partial(_document, place, one, image.id, marked))
        _sweep(place, one.key)
        if not any(act.verb == "await" for act in acts):
            _confirmed(place, whole, next(was.id for was in before if was.mark == marked))
    state = "runs" if acts else "runs, nothing had to be changed"
    return bool(acts), f"{one.name} {state} on {one.server} at {one.host}:{one.port}"


def found(place: Place, key: str) -> tuple[Found, ...]:
    """Its containers on this server."""
    listed = place.engine.labelled(backing.LABEL, key)
    return tuple(Found(one["id"], one["config"], one["state"] in ("running", "paused", "restarting")) for one in listed)


def _document(place: Place, one: Backing, image: str, marked: str) -> dict[str, Any]:
    """What it is made from; its secret files are there then."""
    folder = place.records.keep_secrets(one.records, marked, dict(one.container.secret_files))
    return backing.document(one, image, marked, place.network, folder)


def _sweep(place: Place, key: str) -> None:
    """No secret file stays of a container that is gone."""
    place.records.sweep_secrets(backing.records_of(key), {one.mark for one in found(place, key)})


def _done(
    place: Place, one: Backing, acts: tuple[Act, ...], before: tuple[Found, ...], made: Callable[[], Mapping[str, Any]]
) -> None:
    """All of it; where the new one does not come up, the one before it runs again."""
    new, serves = next((act.id for act in acts if act.verb == "start"), ""), False
    try:
        for act in acts:
            new = _acted(place, one, act, new, made)
            serves = serves or act.verb == "await"
    except StackswapError as error:
        if serves:  # what is left of the one before is taken away by the next job
            raise
        ran = next((was.id for was in before if was.running and was.id != new), "")
        raise _taken_back(place, one, new, ran, error) from error


def _acted(place: Place, one: Backing, act: Act, new: str, made: Callable[[], Mapping[str, Any]]) -> str:
    """One act; the container that is to serve."""
    if act.verb == "make":
        return str(place.engine.run_service(made()))
    if act.verb == "start":
        place.engine.keep(act.id, ALWAYS)
        place.engine.start(act.id)
    elif act.verb == "await":
        _await(place, one, new)
    elif act.verb == "stop":
        _stop(place, act.id, one.container.stop_timeout)
    else:
        place.engine.remove(act.id)
    return new


def _stop(place: Place, container: str, seconds: int) -> None:
    """Not to come back by itself, and ended with time to write."""
    place.engine.keep(container, NO)
    place.engine.stop(container, seconds)


def _await(place: Place, one: Backing, container: str) -> None:
    """Until it has been up for long enough."""
    why = _not_up(place, one, container)
    if why:
        raise NotUp(f"{one.name} {why}", _lines(place, container))


def _not_up(place: Place, one: Backing, container: str) -> str:
    """Why it has not been up for long enough in its time; '' when it has."""
    begun, since, samples = place.clock(), None, []
    verdict = waiting("")
    while verdict.word not in (PASSED, FAILED):
        samples.append(_sample(place, one, container, place.clock() - begun))
        trouble = trouble_of(samples[-1], one.health, one.port)
        since = None if trouble else samples[-1].at if since is None else since
        verdict = judge(samples, one.health, one.port, since)
        place.sleep(TURN)
    return verdict.why if verdict.word == FAILED else ""


def _confirmed(place: Place, one: Backing, container: str) -> None:
    """One that nothing was done to serves: at this moment, or else in its time."""
    now = _sample(place, one, container, 0.0)
    if all(replica.running for replica in now.replicas) and not trouble_of(now, one.health, one.port):
        return
    try:
        _await(place, one, container)
    except NotUp as error:
        raise _told(one, error, "it is left as it is") from error


def _sample(place: Place, one: Backing, container: str, at: float) -> Sample:
    """One look at the container that is to serve."""
    listed = place.engine.labelled(backing.LABEL, one.key)
    now = [each for each in listed if each["id"] == container]
    replicas = tuple(_replica(each) for each in now)
    answers = tuple(Answer(error=place.ask(r.address, one.port)) for r in replicas if r.running and one.port)
    return Sample(at, replicas, (), answers)


def _replica(told: Mapping[str, Any]) -> Replica:
    run = {name: told[name] for name in ("id", "name", "state", "restarts", "address", *RUN)}
    return Replica(release="", version="", slot="", number=1, **run)


def _lines(place: Place, container: str) -> tuple[str, ...]:
    return tuple(place.engine.logs(container, LINES).splitlines())


def _taken_back(place: Place, one: Backing, new: str, ran: str, error: StackswapError) -> StackswapError:
    """The new one goes, the old one runs again; the error says so."""
    if new:
        _stop(place, new, one.container.stop_timeout)
        place.engine.remove(new)
    _sweep(place, one.key)
    ill = _again(place, one, ran) if ran else ""
    again = f"what ran before is started again and does not come up ({ill})" if ill else "what ran before runs again"
    now = again if ran else "nothing of it runs"
    return _told(one, error, f"{now}, its volumes are as it left them")


def _again(place: Place, one: Backing, ran: str) -> str:
    """Start what ran before; why it does not come up, '' where it does: it may not read what the new one has written.

    Its own check tells, if it has one: at which port it was, nobody knows any more.
    """
    blind = replace(one, port=0)
    try:
        place.engine.keep(ran, ALWAYS)
        place.engine.start(ran)
        checked = any(r.health in CHECKED for r in _sample(place, blind, ran, 0.0).replicas)
        why = _not_up(place, replace(blind, health=replace(one.health, kind="image" if checked else "none")), ran)
    except StackswapError as error:
        return error.what
    return ": ".join([why, *_lines(place, ran)[-1:]]) if why else ""


def _told(one: Backing, error: StackswapError, now: str) -> NotUp:
    """The error with its last lines, what there is now and what to do."""
    last = f". Its last lines: {' / '.join(error.evidence[-3:])}" if error.evidence else ""
    told = NotUp(f"{error.what}{last}. Now: {now}", error.evidence)
    told.facts["hint"] = f"mend it, then: stackswap backing {one.name}"
    return told


# -- it leaves --------------------------------------------------------------------------------------------------------


def removed(place: Place, key: str, name: str, check: bool = False) -> tuple[bool, str]:
    """Its containers go; volumes and folders are nobody's to remove but the user's."""
    if check:
        there = found(place, key)
        return bool(there), f"{name} would leave" if there else f"{name} is not here"
    with place.locks.service(f"backing-{key}"):
        there = found(place, key)
        for act in backing.leave(there):
            if act.verb == "stop":
                _stop(place, act.id, backing.STOP_TIMEOUT)
            else:
                place.engine.remove(act.id)
        _sweep(place, key)
    return bool(there), f"{name} has left, its volumes stay" if there else f"{name} is not here"
