# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call is given in its service's turn of a job of the role, read from the variables of the play.

As options of the task, each of them would be a template, and ansible-core 2.19 compiles every template anew, for every
task on every server: half of what such a task cost the control node. Here only what a user wrote as one is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils import backing, turns

WANTED, GATES = "stackswap_wanted", "stackswap_gates"  # what preflight and fleet_gate have answered in this run
PREFIX = "stackswap_"
EMPTY: dict[str, Any] = {"room": {}, "preview": ""}  # what few modules have, and what it is where it is not given


class Turn:
    """A service's turn on one server. variables: those of the task there; preflight has looked at all that is used."""

    def __init__(self, service: str, templar: Any, variables: Mapping[str, Any]) -> None:
        self._service, self._templar, self._variables = service, templar, variables
        wanted = variables[WANTED]
        self.run, self.asked = str(wanted["run"]), wanted["services"][service]
        self.gate = turns.gate_of(variables.get(GATES) or {}, wanted, service)
        self.server = str(variables["inventory_hostname"])
        self.environment = self._read("environment")

    def given(self, names: Sequence[str]) -> dict[str, Any]:
        """The other options that are in the user's own variables; of those that few modules have, these. BadInput."""
        attached = (self._read("attached") or {}, self._read("backing") or {})
        return {
            "service": self._of_service("services"),
            "overrides": self._of_service("overrides") or {},
            "env": self._read("env") or {},
            "attached": backing.joined(*attached, self.environment, self._variables["groups"]["stackswap"]),
            "proxy": self._read("proxy") or {},
            **{name: self._read(name) or empty for name, empty in EMPTY.items() if name in names},
        }

    def _read(self, name: str) -> Any:
        return self._templar.template(self._variables.get(PREFIX + name))

    def _of_service(self, name: str) -> Any:
        """What a variable has for the service: what it has for others is not looked at."""
        told = self._variables.get(PREFIX + name)
        known = told if isinstance(told, Mapping) else self._templar.template(told)
        return self._templar.template((known or {}).get(self._service))
