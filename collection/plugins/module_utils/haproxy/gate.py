# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate before all services: requests of one that is held wait there, and then go where all others go.

It stands before the slot is chosen, so whoever waited is answered by what is live once the hold ends. Each hold has its
end in the map, a time of day: whatever becomes of who began it, nobody waits for longer.
"""

from __future__ import annotations

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Layout

DIFFERS = -1.0  # the end of a hold that file and runtime do not agree on
TURN = 50  # milliseconds between two looks of one who waits

SCRIPT = """\
-- Written by stackswap. Requests of a held service wait as long as its entry is there, and its time is not over.
local held = Map.new("{held}", Map._str)

core.register_action("hold", {{ "http-req" }}, function(txn)
    while true do
        local ends = tonumber(held:lookup(txn:get_var("txn.svc")) or "")
        if not ends or core.now().sec >= ends then
            return
        end
        core.msleep({turn})
    end
end)
"""
LINES = """\
    # Requests of a service that is held wait here; not those of a preview, which has a slot of its own.
    .if feature(LUA)
    http-request set-var(txn.held) var(txn.svc),map({held}) unless {{ var(txn.preview) -m found }} || {{ var(txn.closed) -m found }}
    http-request lua.hold if {{ var(txn.held) -m found }}
    .endif
"""  # noqa: E501
LOAD = """\
    .if feature(LUA)
    .if version_atleast(3.1-dev0)
    tune.lua.bool-sample-conversion normal
    .endif
    lua-load {gate}
    .endif
"""


def ends(runtime: str, file: str) -> float:
    """The time of day when a hold is over, told of both entries: 0 where there is none."""
    if runtime != file:
        return DIFFERS
    return float(file) if file.isdigit() else 0.0


def script(paths: Layout) -> str:
    """What HAProxy runs for a request that is held."""
    return SCRIPT.format(held=paths.held, turn=TURN)


def parts(paths: Layout) -> dict[str, str]:
    """The lines of the base: the script is loaded, and run for requests of services that are held."""
    return {"load": LOAD.format(gate=paths.gate), "hold": LINES.format(held=paths.held)}
