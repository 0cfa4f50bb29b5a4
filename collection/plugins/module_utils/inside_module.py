# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules logs and exec: what a service's containers say, and a command run in one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import fleet, reading
from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.watch import WatchingEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.host_report import failure, previous, serving
from ansible_collections.stackswap.bluegreen.plugins.module_utils.line import Line, served
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import nearest
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import WEB, Replica, Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.module import effects_of, message, versions_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import look

TURN, TURNS = 0.5, 60  # seconds between two looks at the logs, and how many looks a call takes
MOST = 512 * 1024  # bytes that a call tells


class Engine(Protocol):
    """What is asked of a server's engine."""

    def said(self, container: str, tail: int, since: int = 0) -> list[tuple[str, str]]: ...
    def runs(self, service: str, process: str) -> tuple[Replica, ...]: ...
    def run_in(self, container: str, argv: Sequence[str], heard: Callable[[bytes], None]) -> int: ...


class Watch(NamedTuple):
    """What a call looks with, and whom it tells."""

    fx: Effects
    engine: Engine
    line: Line


def run_logs(module: AnsibleModule) -> None:
    """Tell what the containers have said, and in following what they say; answer how far that was."""
    served(module.params["_line"], partial(_answer, module, read))


def run_exec(module: AnsibleModule) -> None:
    """Run a command in the live container; fail with its exit code where that is not 0."""
    served(module.params["_line"], partial(_answer, module, ran))


def _answer(module: AnsibleModule, act: Any, line: Line) -> None:
    params = module.params
    service = Service(str((params["environment"] or {}).get("name", "")), str(params["name"]))
    try:
        service = services.named(params["name"], params["environment"])
        fx = effects_of(params, "", False, line)
        facts = act(Watch(fx, WatchingEngine(params["docker_host"]), line), service, params)
        report = _report(fx, service)
    except StackswapError as error:
        report = fleet.refused(service.name, service.environment, "observed", "", error.cause, error.what)
        report["failed"].update(failure(service, None, error), serves="this call has changed nothing")
        module.fail_json(msg=message(report["failed"]), changed=False, stackswap=report, invocation={})
        return
    code = int(facts.get("exit_code", 0))
    report["figures"] = {"exit_code": code} if "exit_code" in facts else {}
    told = {"stackswap": report, "invocation": {}, **facts}
    if code:
        module.fail_json(msg=f"the command ended with exit code {code}", changed=True, **told)
    module.exit_json(changed="exit_code" in facts, **told)


def _report(fx: Effects, service: Service) -> dict[str, Any]:
    found = look(fx, service)
    versions = versions_of(fx, service, found)
    now, back = serving(found, versions), previous(found, versions)
    return {
        **fleet.blank(service.name, service.environment, "observed"),
        "before": now,
        "serving": now,
        "previous": back,
    }


# -- logs -------------------------------------------------------------------------------------------------------------


def read(watch: Watch, service: Service, params: Mapping[str, Any]) -> dict[str, Any]:
    """Until all was told, or in following for a while, or as much as a call may tell."""
    fx, line, known, told = watch.fx, watch.line, dict(params["cursor"] or {}), 0
    begun = bool(known)
    for turn in range(TURNS if params["follow"] else 1):
        if turn:
            fx.sleep(TURN)
        later = begun or turn > 0
        for replica in _group(watch, service, params["process"], params["previous"], params["follow"] and later):
            told += _more(watch.engine, replica, known, params["tail"], later, partial(_said, line, replica))
        if told > MOST or line.stop_asked():
            break
    return {"cursor": known, "stopped": bool(line.stop_asked())}


def _more(engine: Engine, replica: Replica, known: dict[str, Any], tail: int, later: bool, tell: Any) -> int:
    """What one container has said since; all of it where it has come while others were followed."""
    read = reading.named(known, replica.id)
    if not (tail or later or read):  # nothing of what was said before: from its last line on
        known[replica.id] = reading.read_to(engine.said(replica.id, 1), ()) or ["", 0]
        return 0
    since = reading.second(read) or int(later or bool(read))
    lines = engine.said(replica.id, tail, since)
    texts = list(reading.fresh(lines, read))
    for text in texts:
        tell(text)
    known[replica.id] = reading.read_to(lines, read) or ["", 0]
    return sum(map(len, texts))


def _said(line: Line, replica: Replica, text: str) -> None:
    line.tell("log", f"{replica.number}: {text}" if replica.of > 1 else text, again=True)


def _group(watch: Watch, service: Service, process: str, before: bool, patient: bool) -> tuple[Replica, ...]:
    """The containers of the live release, or of the one before it: those of a process that is named.

    Else web's, or on a server without web all others. patient: none at this moment is fine.
    """
    web = process in ("", WEB)
    group = _web(watch.fx, service, before, bool(process)) if web else _crew(watch, service, process, before)
    if not group and not patient:
        what = f"{process} of {service.name}" if process else service.name
        where = "kept of a release before" if before else "live"
        raise BadInput(f"no container of {what} is {where} on this server{_meant(watch.fx, service, process)}")
    return group


def _crew(watch: Watch, service: Service, process: str, before: bool) -> tuple[Replica, ...]:
    """Those of another process than web; of one that cron runs, the container of the last run."""
    found = look(watch.fx, service)
    name = planner.previous(found.seen) if before else planner.live_release(found.seen)
    group = tuple(r for r in found.crew if (r.process, r.release) == (process, name))
    if not any(r.schedule for r in group):
        return group
    ran = () if before else watch.engine.runs(service.key, process)
    if not (ran or before):
        raise BadInput(f"{process} of {service.name} has not run yet on this server: cron runs it")
    return ran


def _web(fx: Effects, service: Service, before: bool, alone: bool) -> tuple[Replica, ...]:
    """Those that take requests. alone: where there are none, no others are meant."""
    slot = "" if before else planner.slots(fx.proxy.view(service.key).runtime)[0]
    if slot:
        group = tuple(r for r in fx.engine.replicas(service.key) if r.slot == slot and r.started)
        return tuple(r for r in group if r.running) or group
    found = look(fx, service)
    name = planner.previous(found.seen) if before else found.seen.working
    crew = () if alone else found.crew
    return tuple(r for r in found.replicas or crew if r.release == name and not r.schedule)


def _meant(fx: Effects, service: Service, process: str) -> str:
    """Of a service that the inventory does not know, its processes are those that have containers."""
    known = {r.process or WEB for r in fx.engine.replicas(service.key)}
    return f": {nearest(process, known)}" if process and process not in known else ""


# -- exec -------------------------------------------------------------------------------------------------------------


def ran(watch: Watch, service: Service, params: Mapping[str, Any]) -> dict[str, Any]:
    """The exit code; what the command says is told as it comes."""
    line = watch.line
    argv = [str(word) for word in params["command"]]
    process = params["process"]
    group = [r for r in _group(watch, service, process, False, False) if r.running]
    if not group:
        raise BadInput(f"no container of {f'{process} of ' if process else ''}{service.name} runs on this server")
    pieces = reading.Pieces(lambda text: line.tell("out", text, again=True), MOST)
    code = watch.engine.run_in(group[0].id, argv, pieces.take)
    pieces.end()
    if pieces.left:
        line.tell("out", f"[{pieces.left} bytes more were not shown]")
    return {"exit_code": code}
