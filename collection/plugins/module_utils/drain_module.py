# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module drain: the balancer in front leaves the server out, and nobody comes any more; or it is taken in again."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.balancer import Balancer
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import PASSED
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge.idle import Sample, judge
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Locks
from ansible_collections.stackswap.bluegreen.plugins.module_utils.module import settings_of
from ansible_collections.stackswap.bluegreen.plugins.module_utils.records import Records

TURN = 0.25  # seconds


def run_drain(module: AnsibleModule) -> None:
    """Do what is asked; answer whether the server is idle."""
    params = module.params
    try:
        settings = settings_of(params["proxy"])
        balancer = Balancer(settings, Locks(settings.home).proxy)
        wanted = params["state"] == "drained"
        if module.check_mode:
            module.exit_json(changed=balancer.drained() is not wanted, drained=balancer.drained())
        changed = balancer.drain() if wanted else balancer.undrain()
        told = _awaited(balancer, Records(settings.home), params) if wanted else {"idle": None}
    except (StackswapError, OSError) as error:
        module.fail_json(msg=f"{error}", cause=getattr(error, "cause", "system"), changed=False)
        return
    module.exit_json(changed=changed, drained=wanted, msg=said(params["server"], told), **told)


def _awaited(balancer: Balancer, records: Records, params: Any) -> dict[str, Any]:
    lots = records.addresses().values()
    addresses = tuple(address for lot in lots for slot in lot.values() for address in slot)
    look = partial(balancer.traffic, addresses)
    return awaited(look, float(params["wait"]), float(params["quiet"]), time.monotonic, time.sleep)


def awaited(
    look: Callable[[], tuple[int, Any]],
    seconds: float,
    quiet: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> dict[str, Any]:
    """Until nobody has come for a while, or the time is over."""
    began, samples = clock(), []
    while True:
        samples.append(Sample(clock() - began, *look()))
        verdict, at = judge(samples, quiet), samples[-1].at
        if verdict.word == PASSED or at >= seconds:
            idle = verdict.word == PASSED
            return {"idle": idle, "seconds": round(at, 1), "sessions": samples[-1].sessions, "why": verdict.why}
        sleep(TURN)


def said(server: Any, told: dict[str, Any]) -> str:
    """A line for people."""
    name = server or "this server"
    if told["idle"] is None:
        return f"the balancer is told to take {name} in again"
    if told["idle"]:
        return f"the balancer is told to leave {name} out, and after {told['seconds']:g} s nobody comes any more"
    return f"the balancer is told to leave {name} out; after {told['seconds']:g} s {told['why']}"
