# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's own lines of HAProxy's configuration: which may be, and why another may not.

They stand in the service's own backends. What reaches beyond them is refused here: files of the server, the maps that
lead to other services, what lasts beyond a request, and what checks and swaps lean on. The rest HAProxy checks itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

WORDS = (
    "acl",
    "balance",
    "compression",
    "filter",
    "hash-type",
    "http-after-response",
    "http-request",
    "http-response",
    "http-reuse",
    "option",
    "retry-on",
    "stick-table",
    "timeout",
)
SECOND = {  # where a word is for more than a service may say, these of it are
    "filter": ("compression",),
    "option": ("http-buffer-request", "http-keep-alive", "http-no-delay", "http-server-close", "httpclose"),
    "timeout": ("queue", "server", "server-fin", "tunnel"),
}
BEYOND = {  # what is found in a line: why it is refused
    r"(?i)stackswap": "names what is stackswap's own",
    r"(?:^|[^\w])(?:add|del|set)-(?:map|acl)\b": "changes a map or a list, which other services share",
    r"(?:^|[\s,(])map(?:_\w+)?\(": "reads a file of the server",
    r"(?:^|\s)(?:-f|-M|file|lf-file|errorfile|errorfiles)(?:\s|$)": "reads a file of the server",
    r"\blua\.|\buse-service\b": "runs a program",
    r"(?:set|unset)-var(?:-fmt)?\((?!re[qs]\.)": "sets a variable that is not req. or res.",
    r"\$\{|\$[A-Za-z]|\benv\(": "reads the environment of the proxy",
    r"[\x00-\x08\x0a-\x1f\x7f]": "has a character that ends a line, or none can see",
}


def fault(line: str) -> str:
    """Why a line may not stand in a service's backends; '' where it may."""
    words = line.split()
    if not words or words[0].startswith("#"):
        return ""
    if words[0] not in WORDS:
        return f"begins with {words[0]}: a service may say {', '.join(WORDS)}"
    known = SECOND.get(words[0])
    if known and (len(words) < 2 or words[1] not in known):
        return f"is not among what a service may say: {words[0]} {', '.join(known)}"
    return next((why for pattern, why in BEYOND.items() if re.search(pattern, line)), "")


def first_fault(lines: Iterable[str]) -> tuple[int, str] | None:
    """The first line that may not be, by its place from 0, and why; None where all may."""
    return next(((place, why) for place, why in enumerate(map(fault, lines)) if why), None)
