# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a service's backends that its door asks for: whom it lets in, and how they are to come."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import raw
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Door

HTTPS, OURS = "{ var(txn.https) -m bool }", ("var(txn.tell) -m bool", "var(txn.preview) -m found")
HERE = "https://%[req.hdr(host),host_only]%[pathq]"
ASK_AGAIN = 308  # as the same method, with the same body
A_LINE = 20  # networks: HAProxy takes 64 words
NEEDS = "set-var(txn.src)"  # what the base must have for the lists to mean anything


def door_lines(door: Door) -> list[str]:
    """All of them. The server's own requests, by its key or a preview's word, are let in and not sent elsewhere."""
    lines = [f"    acl stackswap-ours {one}" for one in OURS]
    lines += [*listed("denied", door.deny), *listed("allowed", door.allow)]
    if door.deny:
        lines.append("    http-request deny deny_status 403 if stackswap-denied !stackswap-ours")
    if door.allow:
        lines.append("    http-request deny deny_status 403 if !stackswap-allowed !stackswap-ours")
    if door.redirect:
        others = f"{{ req.hdr(host) -m found }} !{HTTPS} !stackswap-ours"
        lines.append(f"    http-request redirect location {HERE} code {ASK_AGAIN} if {others}")
    if door.hsts:
        age = f'strict-transport-security "max-age={door.hsts}"'
        lines.append(f"    http-after-response set-header {age} if {HTTPS}")
    ours = lines if len(lines) > 2 else []
    return [*ours, *(f"    {line.strip()}" for line in checked(door.raw) if line.strip())]


def listed(name: str, networks: tuple[str, ...]) -> Iterator[str]:
    """A list of networks, by the client's address behind trusted proxies."""
    for begin in range(0, len(networks), A_LINE):
        yield f"    acl stackswap-{name} var(txn.src) -m ip {' '.join(networks[begin : begin + A_LINE])}"


def checked(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The service's own lines, or why one of them may not be."""
    found = raw.first_fault(lines)
    if found:
        raise BadInput(f"line {found[0] + 1} of raw, {lines[found[0]].strip()!r}, {found[1]}")
    return lines
