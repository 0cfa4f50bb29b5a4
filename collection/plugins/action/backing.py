# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the module backing read its options, secrets among them, from a pipe."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.piped import piped


class ActionModule(ActionBase):
    """One call."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        piped(self._connection, task_vars)
        return dict(self._execute_module(task_vars=task_vars))
