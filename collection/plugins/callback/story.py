# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story of a swap while it happens: a line for each rung and server, beside what Ansible prints."""

from __future__ import annotations

DOCUMENTATION = r"""
name: story
type: aggregate
short_description: Tells a swap in one line for each rung and server
version_added: 0.1.0
description:
  - For those who run the playbooks with C(ansible-playbook) alone. Whenever a call on a server comes to its end, its
    story is told in one line - what was done there, in how many seconds, and what serves there now; or what failed.
  - It is added to the output of whatever other callback there is, and reads nothing but the results of the modules.
  - It is off unless it is enabled, with C(ANSIBLE_CALLBACKS_ENABLED=stackswap.bluegreen.story) in the environment or
    C(callbacks_enabled = stackswap.bluegreen.story) below C([defaults]) in C(ansible.cfg).
author:
  - stackswap contributors (@stackswap)
"""

from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.stackswap.bluegreen.plugins.module_utils.words import told


class CallbackModule(CallbackBase):
    """Hears every result; those with a HostReport are told."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "stackswap.bluegreen.story"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        self._tell(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._tell(result)

    def _tell(self, result: Any) -> None:
        heard = result.result if hasattr(result, "result") else result._result  # the name before ansible-core 2.19
        report = heard.get("stackswap")
        host = result.host if hasattr(result, "host") else result._host
        line = told(host.get_name(), report) if isinstance(report, dict) and report.get("rung") else ""
        if line:
            self._display.display(line)
