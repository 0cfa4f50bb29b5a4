# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callbacks that run in a container of their own: when, where, for how long, and what they are told.

release.sh runs once, before any server starts the release; verify.sh on each server against what is ready; after.sh
in the end. Which of them an image has, its label says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import payload
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Ran, ReplicaSpec
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Image, Release, Service

SCRIPTS = "stackswap.scripts"  # the label of an image: the moments that it has a script for, with blanks between
FOLDER = "/.artifakt"
CONTEXT = "/run/stackswap/context.json"
FORMAT = 1
ABORT, WARN = "abort", "warn"
LIVE, FAILED, BACK = "live", "failed", "back"
PREVIEW_HEADER = "X-Stackswap-Preview"
LINES, WIDTH = 20, 400  # of what a callback has said, the last lines are told, each up to so many characters
REMEMBERED = 50
# A log that is bounded, and that can be read whatever the driver of the service's own containers is.
LOG = {"log_driver": "json-file", "log_options": (("max-file", "2"), ("max-size", "1m"))}


@dataclass(frozen=True)
class Moment:
    """When a callback runs. timeout in seconds."""

    name: str
    on_error: str
    timeout: float


MOMENTS = {
    moment.name: moment
    for moment in (
        Moment("release", ABORT, 600.0),
        Moment("verify", ABORT, 60.0),
        Moment("after", WARN, 60.0),
    )
}


@dataclass(frozen=True)
class Callback:
    """A callback that is due, as the service wants it run. user: '' is the service's own, else the image's."""

    moment: str
    timeout: float
    on_error: str
    user: str = ""
    idempotent: bool = False

    @property
    def script(self) -> str:
        """Its path in the image."""
        return f"{FOLDER}/{self.moment}.sh"


@dataclass(frozen=True)
class Calling:
    """What callbacks are called with in this job on this server. options: the service's own, by moment."""

    options: Mapping[str, Any] = field(default_factory=dict)
    job: str = ""
    server: str = ""
    main: bool = False


@dataclass(frozen=True)
class Told:
    """What one run of a callback is told beside the release: all of it may be empty."""

    previous: str = ""
    outcome: str = ""
    url: str = ""
    preview: str = ""


def scripts_of(image: Image | None) -> tuple[str, ...]:
    """The moments that an image has a script for."""
    return tuple(dict(image.labels).get(SCRIPTS, "").split()) if image else ()


def due(moment: str, image: Image | None, options: Mapping[str, Any]) -> Callback | None:
    """The callback of this moment, if the image has it and the service does not switch it off."""
    usual, asked = MOMENTS[moment], options.get(moment) or {}
    if moment not in scripts_of(image) or asked.get("run") == "none":
        return None
    return Callback(
        moment=moment,
        timeout=float(asked.get("timeout", usual.timeout)),
        on_error=WARN if moment == "after" else asked.get("on_error", usual.on_error),
        user=asked.get("user", ""),
        idempotent=bool(asked.get("idempotent", False)),
    )


# -- the container ----------------------------------------------------------------------------------------------------


def labels(service: Service, moment: str) -> dict[str, str]:
    """What the containers of a service's callback are known by. They are none of its replicas."""
    return {payload.CALLBACK: service.key, payload.MOMENT: moment}


def container(
    callback: Callback, calling: Calling, service: Service, release: Release, told: Told, network: str
) -> ReplicaSpec:
    """The container that a callback runs in: the release's own, but for what it runs and what it is told."""
    made = replace(
        release.container,
        entrypoint=(callback.script,),
        command=None,
        user=callback.user or release.container.user,
        env=tuple({**dict(release.container.env), **environment(callback, calling, release, told)}.items()),
        **LOG,  # type: ignore[arg-type]
    )
    marks = {
        **labels(service, callback.moment),
        payload.ENVIRONMENT: service.environment,
        payload.RELEASE: release.name,
        payload.VERSION: release.version,
    }
    name = f"{service.environment}-{service.name}-callback-{callback.moment}"
    return ReplicaSpec(name, made, tuple(sorted(marks.items())), network, "")


def environment(callback: Callback, calling: Calling, release: Release, told: Told) -> dict[str, str]:
    """The variables that a callback has beside the release's own."""
    return {
        "STACKSWAP_MOMENT": callback.moment,
        "STACKSWAP_JOB": calling.job,
        "STACKSWAP_VERSION": release.version,
        "STACKSWAP_PREVIOUS_VERSION": told.previous,
        "STACKSWAP_SERVER": calling.server,
        "STACKSWAP_OUTCOME": told.outcome,
        "STACKSWAP_URL": told.url,
        "STACKSWAP_CONTEXT": CONTEXT,
    }


def context(callback: Callback, calling: Calling, service: Service, release: Release, told: Told) -> bytes:
    """The same, typed, as the file that STACKSWAP_CONTEXT names; nothing is null but where there is none."""
    document = {
        "v": FORMAT,
        "moment": callback.moment,
        "job": calling.job,
        "service": service.name,
        "environment": service.environment,
        "version": release.version,
        "previous": told.previous or None,
        "release": release.name,
        "server": calling.server,
        "main": calling.main,
        "outcome": told.outcome or None,
        "url": told.url or None,
        "preview": {"header": PREVIEW_HEADER, "value": told.preview} if told.preview else None,
    }
    return (json.dumps(document, indent=1) + "\n").encode()


# -- what came of it --------------------------------------------------------------------------------------------------


def entry(callback: Callback, ran: Ran, seconds: float) -> dict[str, Any]:
    """What is told of a run. exit_code is null where it did not end by itself."""
    return {
        "moment": callback.moment,
        "exit_code": None if ran.ended else ran.code,
        "seconds": round(seconds, 3),
        "lines": last_lines(ran.output),
        "error": error_of(callback, ran, seconds),
    }


def refused(callback: Callback, why: str, seconds: float) -> dict[str, Any]:
    """What is told of one that could not be run."""
    told = f"{callback.moment}.sh could not be run: {why}"
    return {"moment": callback.moment, "exit_code": None, "seconds": round(seconds, 3), "lines": [], "error": told}


def error_of(callback: Callback, ran: Ran, seconds: float) -> str:
    """Why the run is a failure; '' for a success."""
    name = f"{callback.moment}.sh"
    if ran.ended == "timeout":
        return f"{name} was killed: it had not ended after {callback.timeout:g} s"
    if ran.ended:
        return f"{name} was killed after {seconds:.1f} s: the job was stopped"
    if ran.code == 0:
        return ""
    hint = {126: ": is it executable?", 127: ": what its first line names, or it itself, is not in the image"}
    return f"{name} exited {ran.code} after {seconds:.1f} s{hint.get(ran.code, '')}"


def last_lines(text: str) -> list[str]:
    """The last lines that it said, fit to be shown: the end of each, without control characters."""
    lines = ["".join(c if c.isprintable() else " " for c in line[-WIDTH:]).rstrip() for line in text.splitlines()]
    return [line for line in lines if line][-LINES:]


# -- what is remembered (R16) -----------------------------------------------------------------------------------------

BEGUN, DONE = "begun", "done"


def state_of(record: Mapping[str, Any], release: Release, moment: str) -> str:
    """How far a callback of this release has come: '', begun or done. Its secrets and replicas do not matter."""
    return str(record.get("hooks_done", {}).get(release.id, {}).get(moment, ""))


def marked(record: Mapping[str, Any], release: Release, moment: str, state: str, now: float) -> dict[str, Any]:
    """``hooks_done`` of the record with this state; '' takes it back. The newest of them are kept."""
    known = {name: mark for name, mark in record.get("hooks_done", {}).items() if name != release.id}
    if state:
        known[release.id] = {moment: state, "at": now}
    newest = sorted(known, key=lambda name: float(known[name].get("at", 0)))[-REMEMBERED:]
    return {name: known[name] for name in newest}
