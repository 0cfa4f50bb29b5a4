# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one callback in a container of its own, and tells what came of it. What it means is the caller's to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils import callbacks
from ansible_collections.stackswap.bluegreen.plugins.module_utils import plan as planner
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callbacks import Callback, Calling, Told
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects, unasked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import EngineUnreachable
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Release, Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look


class Run(NamedTuple):
    """What came of it. told: for the report. over: it came to an end of its own, or never began."""

    told: dict[str, Any]
    over: bool

    @property
    def error(self) -> str:
        """Why it is a failure; '' for a success."""
        return str(self.told["error"])


def run(
    fx: Effects,
    service: Service,
    release: Release,
    callback: Callback,
    calling: Calling,
    told: Told,
    asked: Callable[[], str] = unasked,
) -> Run:
    """Run it to its end, or to the end of its time; a container that a killed call has left goes first."""
    began = fx.clock()
    try:
        fx.engine.clear(callbacks.labels(service, callback.moment))
        spec = callbacks.container(callback, calling, service, release, told, fx.network)
        spec = replace(spec, secrets=_secrets(fx, service, release))
        files = {callbacks.CONTEXT: callbacks.context(callback, calling, service, release, told)}
        ran = fx.engine.run_once(spec, callback.timeout, asked, files)
    except StackswapError as error:
        over = not isinstance(error, EngineUnreachable)
        return Run(callbacks.refused(callback, error.what, fx.clock() - began), over)
    return Run(callbacks.entry(callback, ran, fx.clock() - began), not ran.ended)


def _secrets(fx: Effects, service: Service, release: Release) -> str:
    """The folder of the release's secret files, as its own containers have it."""
    if not all(release.container.sealed.values()):
        raise StackswapError(f"the secrets that {release.version} had are not known any more")
    return fx.records.keep_secrets(service.key, release.name, dict(release.container.secret_files))


def version_before(fx: Effects, service: Service, found: Look, release: Release) -> str:
    """The version that serves beside the release, or that would serve again after it."""
    live = planner.live_release(found.seen)
    name = live if live != release.name else planner.previous(found.seen)
    told = {replica.release: replica.version for replica in found.replicas}
    kept = fx.records.manifest(service.key, name) if name and name not in told else None
    return str(told.get(name) or (kept or {}).get("version", ""))
