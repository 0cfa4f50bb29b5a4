# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bars the way back: a later release that did to the data what the release before it cannot live with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput

BARRING = {
    "contract": "has taken away what versions before it use (migrations: contract)",
    "irreversible": "has changed the data for good (migrations: irreversible)",
}


class Barred(BadInput):
    """A release between says that it cannot be gone back behind."""

    cause = "barrier"


def barring(target: str, live: str, served: Sequence[str], manifests: Mapping[str, Mapping[str, Any]]) -> str:
    """What stands in the way back to a release, as words; '' when nothing does.

    served: names of releases, the one that served last in the end. A release that is live is no way back.
    """
    if target == live:
        return ""
    place = max((n for n, name in enumerate(served) if name == target), default=-1)
    later = [*served[place + 1 :], live]
    found = [manifests[name] for name in dict.fromkeys(later) if name in manifests and name != target]
    barred = [data for data in reversed(found) if data.get("migrations") in BARRING]
    return f"{barred[0]['version']} {BARRING[barred[0]['migrations']]}" if barred else ""
