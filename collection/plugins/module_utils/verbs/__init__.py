# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A short handler for each verb of a plan, by what it touches: door, containers, verdicts, what is served, workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Step
from ansible_collections.stackswap.bluegreen.plugins.module_utils.verbs import (
    containers,
    crew,
    door,
    serving,
    verdicts,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import Work

Handler = Callable[[Work, Step], None]

CREW: Mapping[str, Handler] = {  # of steps about a process without traffic
    "start": crew.start,
    "await": crew.await_,
    "keep": containers.keep,
    "stop": crew.stop,
    "discard": crew.discard,
    "confirm": crew.confirm,
    "fence": crew.fence,
    "reject": serving.reject,
    "schedule": crew.schedule,
    "unschedule": crew.unschedule,
}

VERBS: Mapping[str, Handler] = {
    "register": door.register,
    "configure": door.configure,
    "open": door.open_,
    "make": containers.make,
    "start": containers.start,
    "keep": containers.keep,
    "stop": containers.stop,
    "discard": containers.discard,
    "await": verdicts.await_,
    "watch": verdicts.watch,
    "drain": verdicts.drain_,
    "share": serving.share,
    "hold": serving.hold,
    "route": serving.route,
    "fence": serving.fence,
    "drill": serving.drill,
    "confirm": serving.confirm_,
    "reject": serving.reject,
    "leave": door.leave,
    "forget": door.forget,
}
