# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands the module image_build what is secret of a service, and its environment, as the control node reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.stackswap.bluegreen.plugins.module_utils import service as services
from ansible_collections.stackswap.bluegreen.plugins.module_utils.definition import Definition
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError, untouched
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import SECRET, Source
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.followed import followed
from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.piped import piped


class ActionModule(ActionBase):
    """Without a service all is the module's."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        given, laid = args.pop("service", None), args.pop("overrides", None)
        if given:
            try:
                args.update(_of_service(args, given, laid))
            except StackswapError as error:
                return {"failed": True, "msg": untouched(error.what), "cause": error.cause}
        piped(self._connection, task_vars)
        return followed(self, args, task_vars)


def _of_service(args: Mapping[str, Any], given: Any, laid: Any) -> dict[str, Any]:
    """Its options with what is secret in them; what the task says of the environment wins."""
    name, environment = args.get("name"), {"name": args.get("environment")}
    definition = services.equipped(
        services.parse(name, {name: given}, environment, {name: laid or {}}), args.get("env") or {}
    )
    made = definition.container
    return {"source": _source(args, definition), "env": dict(made.env), "secrets": dict(made.secrets)}


def _source(args: Mapping[str, Any], definition: Definition) -> dict[str, Any]:
    source = definition.source or Source()
    hidden = {name: getattr(source, name) for name in SECRET if getattr(source, name)}
    return {**(args.get("source") or {}), **hidden}
