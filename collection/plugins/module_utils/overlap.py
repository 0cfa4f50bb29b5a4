# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a service whose releases may not run side by side: what they then are, and which make no sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.kinds import Wrong

# What needs the old release beside the new one, and why.
BESIDE = {
    "canary": "shares the traffic between two releases that run",
    "canary_by": "shares the traffic between two releases that run",
    "bake": "watches the new release with the old one as its backup",
    "drill": "goes back for a moment to an old release that runs",
    "settle": "leaves the old release running beside the new one",
    "probe": "asks for an answer within 2 seconds, and requests wait for longer",
}
DRAIN = 10.0  # seconds, where requests wait meanwhile


def swapped(given: Mapping[str, Any]) -> dict[str, Any]:
    """overlap, hold and drain_timeout as the service has them, if it gives any; others that cannot be are refused."""
    told = {name: given[name] for name in ("overlap", "hold", "drain_timeout") if name in given}
    if told.get("overlap", True):
        if "hold" in told:
            raise Wrong("goes with overlap: false alone: else no request has to wait", ("hold",))
        return told
    for name, why in BESIDE.items():
        if name in given:
            raise Wrong(f"does not go with overlap: false: it {why}", (name,))
    hold = float(told.get("hold", 30))
    drain = told.setdefault("drain_timeout", min(DRAIN, hold / 3))
    if drain >= hold:
        raise Wrong(
            f"must be less than hold ({hold:g}): requests wait while the old release finishes", ("drain_timeout",)
        )
    return told
