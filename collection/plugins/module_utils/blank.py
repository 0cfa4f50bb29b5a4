# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not there: an engine or proxy that check mode plans for, a proxy that a server without web needs not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Tally
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import View
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Door, Image, Replica


class NoEngine:
    """An engine without containers. It has every image, so that a plan can be made for one."""

    def image(self, reference: str) -> Image | None:
        """An image by that name."""
        return Image(reference)

    def replicas(self, service: str, release: str = "") -> tuple[Replica, ...]:
        """None."""
        return ()

    def holders(self, network: str, addresses: Iterable[str]) -> dict[str, str]:
        """Nobody."""
        return {}

    def tenants(self, network: str) -> dict[str, str]:
        """Nobody."""
        return {}

    def __getattr__(self, verb: str) -> Any:
        raise NotImplementedError(f"check mode has asked an engine that is not there to {verb}")


class NoProxy:
    """A proxy that knows no service."""

    def view(self, service: str) -> View:
        """Nothing."""
        return View()

    def tenants(self) -> dict[str, str]:
        """Nobody's addresses."""
        return {}

    def examine(self, service: str, door: Door) -> None:
        """There is no door."""

    def close_preview(self, service: str) -> bool:
        """There is none."""
        return False

    def tallies(self, service: str) -> tuple[Tally, ...]:
        """None."""
        return ()

    def __getattr__(self, verb: str) -> Any:
        raise NotImplementedError(f"a proxy that is not there was asked to {verb}")
