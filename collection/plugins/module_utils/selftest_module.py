# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module selftest: swaps a sample service on this very server, breaks it, and tells which promises were kept."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils import fleet, job, selftest
from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.choose import choose
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine import DockerEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import ImageMissing
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Settings
from ansible_collections.stackswap.bluegreen.plugins.module_utils.host_report import host_report
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order
from ansible_collections.stackswap.bluegreen.plugins.module_utils.leaving import leave
from ansible_collections.stackswap.bluegreen.plugins.module_utils.line import Line, served
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.module import door_of, effects_of, settings_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.plan import live_release
from ansible_collections.stackswap.bluegreen.plugins.module_utils.selftest import Chapter, Seen
from ansible_collections.stackswap.bluegreen.plugins.module_utils.visitors import Tally, Visitors

NEVER: Mapping[str, Any] = {"rollback": False, "state": "settled", "local_env": {}, "force": False, "release": None}
BEFORE_WATCH = "before watch"


def run_selftest(module: AnsibleModule) -> None:
    """Go through all chapters; fail if a promise was not kept. What was made is taken away either way."""
    served(module.params["_line"], partial(_tested, module))


def _tested(module: AnsibleModule, line: Line) -> None:
    params, place = module.params, str((module.params["environment"] or {}).get("name", ""))
    if module.check_mode:
        module.exit_json(changed=False, msg="would deploy a sample service, break it, and take it away", invocation={})
    try:
        course = Course(params, place, line)
        checks = course.run(float(params["rate"]))
    except StackswapError as error:
        report = fleet.refused(selftest.NAME, place, "observed", str(params["job"] or ""), error.cause, error.what)
        module.fail_json(msg=error.what, stackswap=report, invocation={})
    told = selftest.line(checks)
    broken = any(not one["held"] for one in checks)
    report = {**fleet.blank(selftest.NAME, place, "observed", str(params["job"] or "")), "checks": checks}
    if broken:
        report["failed"] = fleet.refused(selftest.NAME, place, "observed", "", "selftest_failed", told)["failed"]
    answer = module.fail_json if broken else module.exit_json
    answer(msg=told, changed=True, checks=checks, stackswap={**report, "changed": True}, invocation={})


class Course:
    """The sample service on this server, and what its visitors get."""

    def __init__(self, params: Mapping[str, Any], environment: str, line: Line) -> None:
        self._fx, self._settings = effects_of(params, "", False, line), settings_of(params["proxy"])
        self._environment, self._line = {"name": environment}, line
        self._image = str(params["image"] or "") or _proxy_image(self._settings, params["docker_host"])
        self._file = f"{self._settings.home}/selftest.cfg"
        self._service = Service(environment, selftest.NAME)

    def run(self, rate: float) -> list[dict[str, Any]]:
        """All chapters, in order."""
        self._remove()
        files.write(self._file, selftest.CONFIGURATION)
        os.chmod(self._file, 0o644)  # whoever the image's user is
        address, port = door_of(self._settings)
        visitors = Visitors(address, port, selftest.HOST, rate, port == 443, self._settings.proxy_protocol)
        acts = (self._first, self._swaps, self._again, self._exits, self._sick, self._bake, self._kills, self._back)
        try:
            checks = [self._told(selftest.CHAPTERS[0], acts[0], None)]
            with visitors:
                checks += [self._told(*each, visitors) for each in zip(selftest.CHAPTERS[1:], acts[1:])]
        finally:
            self._remove()
        return [*checks, selftest.told(selftest.CHAPTERS[-1], Seen("", left=self._left()))]

    def _told(self, chapter: Chapter, act: Callable[[], dict[str, Any]], visitors: Visitors | None) -> dict[str, Any]:
        self._line.tell("selftest", chapter.promise)
        began, before = time.monotonic(), visitors.tally() if visitors else Tally()
        report, error = {}, ""
        try:
            report = act()
        except StackswapError as failed:
            error = failed.what
        after = visitors.tally() if visitors else Tally()
        seen = Seen(
            version=self._serves(),
            outcome=fleet.outcome(report) if report else "",
            cause=str((report.get("failed") or {}).get("cause", "")),
            changed=bool(report.get("changed")),
            requests=after.requests - before.requests,
            lost=after.lost - before.lost,
            seconds=time.monotonic() - began,
            error=error,
        )
        return selftest.told(chapter, seen)

    # -- the chapters

    def _first(self) -> dict[str, Any]:
        return self._deploy("1.0")

    def _swaps(self) -> dict[str, Any]:
        return [self._deploy(version) for version in selftest.SWAPS][-1]

    def _again(self) -> dict[str, Any]:
        return self._deploy(selftest.SWAPS[-1])

    def _exits(self) -> dict[str, Any]:
        return self._deploy("2.0", command=["-v"])

    def _sick(self) -> dict[str, Any]:
        return self._deploy("2.1", selftest="sick")

    def _bake(self) -> dict[str, Any]:
        def end(point: str) -> None:
            if point == BEFORE_WATCH:
                for replica in self._fx.engine.replicas(self._service.key):
                    if replica.version == "2.2":
                        self._fx.engine.kill(replica.id)

        return self._deploy("2.2", at=end)

    def _kills(self) -> dict[str, Any]:
        for point, version in zip(selftest.POINTS, selftest.KILLED):
            _killed_at(point, partial(self._deploy, version))
            done = self._deploy(version)
        return done

    def _back(self) -> dict[str, Any]:
        return self._deploy(None, rollback=True)

    # -- what they share

    def _deploy(
        self, version: str | None, rollback: bool = False, at: Callable[[str], None] = lambda point: None, **more: Any
    ) -> dict[str, Any]:
        """One whole climb, as the module release makes it; its report."""
        sample = selftest.service(self._image, self._file, version or "", **more)
        wanted = services.parse(selftest.NAME, {selftest.NAME: sample}, self._environment)
        fx, params = replace(self._fx, at=at), {**NEVER, "version": version, "image": self._image, "rollback": rollback}
        release, order = choose(fx, wanted, params), Order("settled", back=rollback)
        return host_report(wanted.service, release, order, job.run(fx, wanted.service, release, order), {})

    def _serves(self) -> str:
        """The version that users get."""
        found = look(self._fx, self._service)
        name = live_release(found.seen)
        return next((r.version for r in found.replicas if r.release == name), "")

    def _remove(self) -> None:
        """Nothing of the sample is left."""
        error = leave(self._fx, self._service, Order("absent")).error
        if error is not None:
            raise error
        files.drop(self._file)

    def _left(self) -> tuple[str, ...]:
        found = look(self._fx, self._service)
        return tuple(r.name for r in found.replicas) + tuple(f"{r.host}{r.path}" for r in found.view.routes)


def _proxy_image(settings: Settings, docker_host: Any) -> str:
    """What the proxy runs: it is on every server, whatever registry there is."""
    found = DockerEngine(docker_host).container(settings.container)
    if not found:
        raise ImageMissing(f"there is no container {settings.container} here: run setup first")
    return str(found["image"])


def _killed_at(point: str, act: Callable[..., Any]) -> None:
    """Have it done by a process that is killed at the point."""
    child = os.fork()
    if child == 0:
        try:
            act(at=partial(_end, point))
        finally:
            os._exit(1)
    os.waitpid(child, 0)


def _end(point: str, reached: str) -> None:
    if reached == point:
        os.kill(os.getpid(), signal.SIGKILL)
