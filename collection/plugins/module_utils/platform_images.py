# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform's own base images, whose registry is gone: which official ones stand for them.

Those of languages are by name what they were built upon. Those of frameworks held the framework's code and settings,
so what stands for them is the service's to say, in base_images.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

REGISTRY = "registry.artifakt.io"
LANGUAGES = ("php", "node", "python", "ruby", "golang")
FROM = re.compile(
    rf"^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*({re.escape(REGISTRY)}/((?:{'|'.join(LANGUAGES)}):[\w.-]+))\s",
    re.IGNORECASE | re.MULTILINE,
)


def stand_ins(dockerfile: str, known: Mapping[str, str]) -> dict[str, str]:
    """What stands for names after FROM that are nowhere any more, but for those that are known to stand for others."""
    return {name: image for name, image in FROM.findall(f"{dockerfile}\n") if name not in known}


def notes(found: Mapping[str, str]) -> tuple[str, ...]:
    """What people are told of it."""
    told = "{} is gone, and {} stands for it: say in base_images what else is to, if the code needs more than that"
    return tuple(told.format(name, image) for name, image in found.items())
