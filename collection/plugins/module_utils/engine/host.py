# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the proxy's own containers need of an engine: run as told, found by a label, renamed, and sent a signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine import DockerEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import EngineFailed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.payload import host_container_of


class HostEngine(DockerEngine):
    """A server's engine, for the proxy's setup."""

    def labelled(self, label: str, value: str = "", network: str = "") -> tuple[dict[str, Any], ...]:
        """The containers with this label, with this value or any, in this network or all, as ``container`` tells them.

        They are told in every state.
        """
        wanted = {"label": f"{label}={value}" if value else label, **({"network": network} if network else {})}
        with self._asking(f"list the containers with label {label}"):
            listed = self._client.containers(all=True, filters=wanted)
        look = self._client.inspect_container
        documents = [self._inspected(look, one["Id"], "look at container") for one in listed]
        return tuple(host_container_of(document) for document in documents if document)

    def rename(self, container: str, name: str) -> None:
        """Give it another name."""
        with self._asking(f"rename container {container} to {name}"):
            self._client.rename(container, name)

    def signal(self, container: str, name: str) -> None:
        """Send its first process a signal; one that has ended is left as it is."""
        with self._asking(f"send {name} to container {container}", passing="is not running"):
            self._client.kill(container, name)

    def run_service(self, payload: Mapping[str, Any]) -> str:
        """Make and start a container from the engine's own document; its name is under ``name``."""
        document = dict(payload)
        container = self._created(document.pop("name"), document)
        try:
            self.start(container)
        except EngineFailed:
            self._discard(container)
            raise
        return container
