# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible import constants

DISCOVERED = "auto"  # how the words begin that have each server asked


def interpreter(otherwise: str) -> str:
    """The Python that ansible.cfg or the environment names for all servers, else this one. No variable is asked."""
    told = str(constants.config.get_config_value("INTERPRETER_PYTHON") or DISCOVERED)
    return otherwise if told.startswith(DISCOVERED) else told


class FilterModule:
    """Filters of the role."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"interpreter": interpreter}
