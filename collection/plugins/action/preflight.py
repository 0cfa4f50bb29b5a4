# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a job is asked to do, once, before any server is touched."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.stackswap.bluegreen.plugins.module_utils import turns
from ansible_collections.stackswap.bluegreen.plugins.module_utils.agreement import refuse_twice
from ansible_collections.stackswap.bluegreen.plugins.module_utils.asked import STARTS, asked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, StackswapError, untouched

GROUP = "stackswap"
SEVERAL = ("build", *STARTS)  # the kinds that may be for several services
OWN = {  # what the role itself sets; a play before this one in the same run may have
    f"stackswap_{name}"
    for name in (
        "asked back behind buildx buildx_missing built called candidates claimed each engine_missing engine_wanted "
        "fetched file gate gates heard here kind left live looked made maintained others outcome planned "
        "proxy_image pruned pulled python ready reported running server settled shared spared status tested told turn "
        "wanted wave waved"
    ).split()
}


class ActionModule(ActionBase):
    """Runs once for all servers, on the control node."""

    BYPASS_HOST_LOOP = True
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        names = [name for name in task_vars if name.startswith("stackswap_") and name not in OWN]
        given = {name: self._templar.template(task_vars[name]) for name in names}
        servers, known = list(task_vars["groups"].get(GROUP, ())), self._task.args.get("known") or {}
        try:
            refuse_twice(_places(servers, task_vars["hostvars"]))
            if self._task.args["kind"] not in SEVERAL:
                return {"changed": False, **self._told(given, servers, task_vars)}
            asks = [self._told(one, servers, task_vars) for one in self._each(given, task_vars)]
        except StackswapError as error:
            return {**known, "failed": True, "msg": untouched(error.what), "cause": error.cause}
        if known:
            asks = [{**known["services"], asks[0]["service"]: asks[0]}[name] for name in known["order"]]
        run = known.get("run") or uuid.uuid4().hex
        return {"changed": False, **turns.opened(run, asks, servers, bool(self._task.check_mode))}

    def _each(self, given: dict[str, Any], task_vars: Any) -> list[dict[str, Any]]:
        """The variables for each service; of one that servers join, with what they join."""
        joins, known = self._task.args.get("joining") or {}, self._task.args.get("known") or {}
        if known:
            more = {"stackswap_version": joins["version"], "stackswap_job": known["id"]}
            return [{**given, **more, "stackswap_service": self._task.args["service"]}]
        named = turns.names(given.get("stackswap_service"), given.get("stackswap_services"))
        job = {"stackswap_job": given.get("stackswap_job") or _id(task_vars)}
        return [{**given, **job, "stackswap_service": name} for name in named]

    def _told(self, given: dict[str, Any], servers: Sequence[str], task_vars: Any) -> dict[str, Any]:
        """What is asked of one service, and of which servers of this run."""
        where = task_vars.get("inventory_dir") or os.getcwd()
        told = asked(self._task.args["kind"], given, servers, where, task_vars["groups"])
        _refuse_missing(told)
        _refuse_nobody(told, task_vars["ansible_play_hosts_all"])
        _refuse_no_page(told)
        builder = next(iter(task_vars["groups"].get("stackswap_builder", ())), "localhost")
        told = {**told, **_who(given, task_vars), "kind": _kind(given, told), "replicas": _replicas(servers, task_vars)}
        mine = [server for server in servers if server in told.get("places", servers)]
        told = {**told, **_played(told["main"], mine, task_vars), "builder": builder}
        return {**told, **_of_peers(told, self._task.args.get("joining"))}


def _of_peers(told: dict[str, Any], joins: Any) -> dict[str, Any]:
    """The image that the others serve, from one of them where no registry has it."""
    if not joins:
        return {}
    return {"image": {**told["image"], "from": "peer", "digest": joins["digest"]}, "joining": joins}


def _played(main: str, servers: Sequence[str], task_vars: Any) -> dict[str, Any]:
    """Which servers of this run have the service, which is claimed first, which of the others a limit leaves out."""
    there = [server for server in servers if server in task_vars["ansible_play_hosts_all"]]
    left_out = [server for server in servers if server not in there]
    return {"first": main if main in there else next(iter(there), ""), "left_out": left_out, "servers": there}


def _places(servers: Sequence[str], hostvars: Any) -> dict[str, tuple[str, int]]:
    """Where each server is reached; none of those that are reached without a network."""
    told = {server: hostvars[server] for server in servers}
    over = {name: one for name, one in told.items() if one.get("ansible_connection", "ssh") in ("ssh", "smart")}
    return {
        name: (str(one.get("ansible_host") or name), int(one.get("ansible_port") or 22)) for name, one in over.items()
    }


def _replicas(servers: Sequence[str], task_vars: Any) -> str:
    """The addresses of all servers of the stack, also of those that a limit leaves out."""
    return ",".join(str(task_vars["hostvars"][server].get("ansible_host") or server) for server in servers)


def _refuse_nobody(told: dict[str, Any], played: Sequence[str]) -> None:
    """A run that leaves out every server that has the service would end well, and have done nothing."""
    if told.get("places") and not {*told["places"]} & {*played}:
        places = " ".join(told["places"])
        raise BadInput(f"{told['service']} is on {places}, and this run has none of these: take one in")


def _refuse_missing(told: dict[str, Any]) -> None:
    """Task files that are not there would be missed only when something has changed."""
    for name in ("before", "after"):
        for path in told[name]:
            if not os.path.isfile(path):
                raise BadInput(f"stackswap_{name} names {path}, and there is no such file")


def _refuse_no_page(told: dict[str, Any]) -> None:
    """Before the page is to be shown, not when users wait for it."""
    page = (told.get("maintenance") or {}).get("page")
    if page and not os.path.isfile(page):
        raise BadInput(f"stackswap_services.{told['service']}.maintenance.page is {page}, and there is no such file")


def _kind(given: dict[str, Any], told: dict[str, Any]) -> str:
    return str(given.get("stackswap_job_kind") or told["kind"])


def _who(given: dict[str, Any], task_vars: Any) -> dict[str, str]:
    """The job's id and who runs it: as told, as AWX tells it, else made up."""
    by = task_vars.get("awx_user_name") or task_vars.get("tower_user_name") or os.environ.get("USER") or ""
    return {"id": str(given.get("stackswap_job") or _id(task_vars)), "by": str(by)}


def _id(task_vars: Any) -> str:
    awx = task_vars.get("awx_job_id") or task_vars.get("tower_job_id")
    return f"awx-{awx}" if awx else f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:6]}"
