# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.turns import gate_of


class FilterModule:
    """Filters of the role."""

    def filters(self) -> dict[str, Any]:
        """By name."""
        return {"gate": gate_of}
