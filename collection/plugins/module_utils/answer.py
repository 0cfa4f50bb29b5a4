# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the modules about images answer: what they may show of their options, and their ways out."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError

HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


class Answer:
    """One call of a module: its clock, what it may show of its options, and its two ways out."""

    def __init__(self, module: AnsibleModule, hidden: Mapping[str, tuple[str, ...]]) -> None:
        """Secrets are masked by key: by value, a short one would also mask parts of image ids."""
        self._module, self._began = module, time.monotonic()
        module.no_log_values.clear()
        self._shown = {
            **module.params,
            **{n: _masked(module.params.get(n), keys) for n, keys in hidden.items()},
        }

    def give(self, **facts: Any) -> None:
        """The call came to its end."""
        self._module.exit_json(**self._common(), **facts)

    def fail(self, error: StackswapError) -> None:
        """It did not; the error says so in words."""
        hint = error.facts.get("hint")
        message = f"{error.what}. Next: {hint}" if hint else error.what
        facts = {name: error.facts[name] for name in ("step", "exit_code", "short") if name in error.facts}
        self._module.fail_json(msg=message, cause=error.cause, log=list(error.evidence), **facts, **self._common())

    def crash(self, error: Exception) -> None:
        """The builder's or server's system refused something: no space, no permission."""
        cause = "no_space" if getattr(error, "errno", None) == 28 else "system"
        self._module.fail_json(msg=str(error), cause=cause, log=traceback.format_exc().splitlines(), **self._common())

    def _common(self) -> dict[str, Any]:
        return {
            "seconds": round(time.monotonic() - self._began, 2),
            "invocation": {"module_args": self._shown},
        }


def _masked(value: Any, keys: tuple[str, ...]) -> Any:
    """A dictionary with the values of these keys masked; all of them where none is named."""
    if not isinstance(value, Mapping):
        return value
    return {name: HIDDEN if not keys or name in keys else shown for name, shown in value.items()}
