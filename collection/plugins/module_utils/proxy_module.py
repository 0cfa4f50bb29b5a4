# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module proxy: options to settings, effects put together, an answer or a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine.host import HostEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Settings
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.setup import Setup
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Locks


def run_proxy(module: AnsibleModule) -> None:
    """Have the proxy be there or not; answer what was done, or why not."""
    try:
        settings = settings_of(module.params)
        setup = Setup(settings, HostEngine(module.params["docker_host"]), Locks(settings.home).proxy)
        done = _done(setup, module.params["state"], module.check_mode)
        warnings = setup.warnings() if module.params["state"] == "present" else []
    except (StackswapError, OSError) as error:
        cause, log = getattr(error, "cause", "system"), getattr(error, "evidence", ())
        module.fail_json(msg=str(error), cause=cause, log=list(log))
    else:
        for text in warnings:
            module.warn(text)
        module.exit_json(changed=bool(done), actions=done, container=settings.container)


def _done(setup: Setup, state: str, check_mode: bool) -> list[str]:
    if state == "absent":
        return setup.absent(check_mode)
    return setup.due().words if check_mode else setup.present()


def settings_of(params: Mapping[str, Any]) -> Settings:
    """The settings that the options say; what is not given is as Settings has it."""
    given = {name: value for name, value in params.items() if value not in (None, "", [], {})}
    for name in ("listen", "trusted"):
        if name in given:
            given[name] = tuple(given[name])
    given["labels"] = tuple(sorted(given.get("labels", {}).items()))
    return Settings(**{name: given[name] for name in Settings.__dataclass_fields__ if name in given})
