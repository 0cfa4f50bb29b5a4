# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands the module release its service as the control node reads it, follows the call, and passes a stop on.

Overrides are laid over, what is empty is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.stackswap.bluegreen.plugins.module_utils import calls, fleet
from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError, untouched
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import clean
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.first import First
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.followed import followed, opened
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.piped import piped
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.turn import Turn

CLIMBING = ("claimed", "ready", "live")  # what a job asks for before it asks for more
CLAIMED = CLIMBING[0]
UNCLAIMED = {"changed": False, "unclaimed": True}  # the first server has not been claimed, or not yet


class ActionModule(ActionBase):
    """Only the service's options are touched; all else is the module's."""

    follow_from = staticmethod(calls.options)
    variables: Sequence[str] = ("room", "preview")  # what of the user's variables this module knows beside the common

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        service = args.pop("turn", None)
        turn = Turn(str(service), self._templar, task_vars) if service else None
        if turn:
            args = {**self.follow_from(turn.asked, turn.gate, turn.server), "environment": turn.environment, **args}
        name, state = args.get("name"), args.get("state", "settled")
        try:
            args = {**turn.given(self.variables), **args} if turn else args
            known, laid = {name: args.get("service")}, {name: args.pop("overrides", None) or {}}
            definition = services.parse(name, known, args.get("environment"), laid)
            services.equipped(definition, args.get("env"), args.get("attached") or {})
            services.parse_proxy(args.get("proxy"))
            args["service"] = services.given(name, known, laid)
            args["attached"] = _only(definition.attach, args.get("attached"))
        except StackswapError as error:
            place = (args.get("environment") or {}).get("name", "")
            told = fleet.refused(str(name), str(place), state, str(args.get("job") or ""), error.cause, error.what)
            return {"failed": True, "msg": untouched(error.what), "stackswap": told}
        piped(self._connection, task_vars)
        if turn and state == CLAIMED and not self._task.check_mode:
            return self._claimed(turn, args, task_vars)
        return followed(self, args, task_vars, more=state in CLIMBING and bool(args.get("job")))

    def _claimed(self, turn: Turn, args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """One server is claimed before all others, the same for every job: of two jobs at once, one has it and them.

        The others' connections and fork servers are opened meanwhile, for which nothing is claimed.
        """
        first = First(turn.run, str(args["name"]))
        if turn.server == turn.asked["first"]:
            return first.lead(lambda: followed(self, args, task_vars, more=True))
        if not first.over():
            opened(self, args, task_vars)
        return followed(self, args, task_vars, more=True) if first.done() else dict(UNCLAIMED)


def _only(names: Sequence[str], attached: Any) -> dict[str, Any]:
    """The service's own attached services: the passwords of others are not for this server."""
    return {name: clean(attached[name]) for name in names}
