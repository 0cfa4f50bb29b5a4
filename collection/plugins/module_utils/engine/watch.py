# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else an engine can tell of the containers of services: for those who look on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine import DockerEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Replica
from ansible_collections.stackswap.bluegreen.plugins.module_utils.payload import (
    CALLBACK,
    MOMENT,
    SERVICE,
    replica_of,
)


class WatchingEngine(DockerEngine):
    """A server's engine, with what status, logs and exec ask of it."""

    def said(self, container: str, tail: int, since: int = 0) -> list[tuple[str, str]]:
        """Lines of its log with the times at which they came: the last ones, or all since a second."""
        how: dict[str, Any] = {"since": since} if since else {"tail": tail}
        read = b""
        with self._asking(f"read the log of container {container}", passing="does not support reading"):
            read = self._client.logs(container, stdout=True, stderr=True, timestamps=True, **how)
        lines = (line.partition(" ") for line in read.decode("utf-8", "replace").splitlines())
        return [(at, text) for at, blank, text in lines if blank or at]

    def runs(self, service: str, process: str) -> tuple[Replica, ...]:
        """The containers in which cron has run a process of a service: the last one stays until the next run."""
        wanted = {"label": [f"{CALLBACK}={service}", f"{MOMENT}={process}"]}
        with self._asking(f"list the runs of {process} of {service}"):
            listed = self._client.containers(all=True, filters=wanted)
        documents = [self._inspected(self._client.inspect_container, one["Id"], "look at container") for one in listed]
        return tuple(replica_of(document) for document in documents if document)

    def run_in(self, container: str, argv: Sequence[str], heard: Callable[[bytes], None]) -> int:
        """Run a command in the container; heard gets what it says on both streams, as it comes. Its exit code."""
        with self._asking(f"run {argv[0]} in container {container}"), self._patience():
            run = self._client.exec_create(container, list(argv))["Id"]
            for part in self._client.exec_start(run, stream=True):
                heard(part)
            return int(self._client.exec_inspect(run)["ExitCode"] or 0)

    def owners(self, network: str) -> dict[str, str]:
        """All containers in a network that have a service's label, by name, in all states: the service's key."""
        with self._asking(f"list the containers of services in network {network}"):
            listed = self._client.containers(all=True, filters={"label": SERVICE, "network": network})
        return {one["Names"][0].lstrip("/"): one["Labels"][SERVICE] for one in listed if one.get("Names")}

    def subnet(self, network: str) -> str:
        """The addresses of a network; '' where there is none."""
        found = (self._network(network) or {}).get("IPAM") or {}
        return " ".join(str(one.get("Subnet", "")) for one in found.get("Config") or ())
