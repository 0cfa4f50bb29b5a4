# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands the module run_callback its service as the module release is handed it."""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.action import release
from ansible_collections.stackswap.bluegreen.plugins.module_utils import calls


class ActionModule(release.ActionModule):
    """The same service, the same refusals."""

    follow_from = staticmethod(calls.callback_options)
    variables = ()
