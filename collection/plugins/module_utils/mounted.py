# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine has mounted, as the kernel tells it: no folder is touched, for a mount that hangs would hang us."""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils.mounts import Mount, parse

TABLE = "/proc/self/mountinfo"


def mounted(table: str = TABLE) -> dict[str, Mount]:
    """The mounts by their points."""
    with open(table, encoding="utf-8", errors="surrogateescape") as file:
        return parse(file.read())
