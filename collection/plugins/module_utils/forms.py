# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forms of text that options are written in: names, routes, mounts, sizes; each a reader."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import raw
from ansible_collections.stackswap.bluegreen.plugins.module_utils.kinds import (
    Wrong,
    items,
    matching,
    secret,
    shown,
    text,
)

OURS = "stackswap."
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
SHORT_NAME = r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?"
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
REPOSITORY = r"([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*"
MOUNT_WORDS = {
    *("ro", "rw", "z", "Z", "nocopy", "consistent", "cached", "delegated"),
    *("private", "rprivate", "shared", "rshared", "slave", "rslave"),
}

plan_hash = matching(r"[0-9a-f]{12}(-[0-9a-f]{4})+", "the hash of a plan, as a check prints it")
short_name = matching(SHORT_NAME, "up to 40 small letters, digits and dashes, with no dash at either end")
tag = matching(TAG, "letters, digits, dots, dashes and underscores, 128 at the most")
image = matching(
    rf"{REPOSITORY}(:{TAG})?(@sha256:[0-9a-f]{{64}})?",
    "an image's name, as registry.example.com/acme/shop",
)
size = matching(r"(?i)[0-9]+(\.[0-9]+)?([bkmgt]|[kmgt]i?b)?", "a size, as 512m or 1.5g")
platform = matching(r"linux/[a-z0-9]+(/v[0-9]+)?", "a platform, as linux/amd64 or linux/arm64")
ulimit = matching(r"[a-z]+[=:]-?[0-9]+(:-?[0-9]+)?", "a limit, as nofile:1024:2048")
signal = matching(r"[A-Z][A-Z0-9+-]{1,14}|[0-9]{1,2}", "a signal, as SIGTERM")
hostname = matching(rf"(?i){LABEL}(\.{LABEL})*", "a host name")
address = matching(
    r"[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]+|host-gateway",
    "an address, or host-gateway",
)
listen_address = matching(r"[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]+", "an address of the server")
variable = matching(r"[^\s=\0]+", "the name of an environment variable")
url_path = matching(r"/[^\s?#\0]*", "a path that begins with /, with no space, ? or #")
probe_path = matching(r"/[^\s#\0]*", "a path that begins with /, with no space or #")
absolute_path = matching(r"/[^\n\r\0]*", "an absolute path")
object_name = matching(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "letters, digits and _ . -")
inside_path = matching(r"/[^\n\r\0]*", "an absolute path in the container, beginning with /")


LONGEST_HOME = 70  # bytes: of a socket's path HAProxy takes 97, and home stands before /proxy/run/NUMBER/master.sock


def home(value: Any) -> str:
    """The folder of all that is kept on a server."""
    found = str(absolute_path(value))
    length = len(found.encode())
    if length > LONGEST_HOME:
        raise Wrong(f"must be at most {LONGEST_HOME} bytes long, for the sockets below it, not {length}")
    return found


def version(value: Any) -> str:
    """A version. Quotes around it fall off: in a survey of AWX, they alone keep 1.10 from being read as a number."""
    quoted = re.fullmatch(r"""(["'])(.*)\1""", value) if isinstance(value, str) else None
    return str(tag(quoted[2] if quoted else value))


def some(value: Any) -> str:
    """Text on one line."""
    found = text(value)
    if re.search(r"[\r\n]", found):
        raise Wrong(f"must be one line of text, not {shown(found)}")
    return found


def listen(value: Any) -> str:
    """A port, or an address and a port. A port may be a number: it has one spelling only."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return some(str(int(value)) if whole else value)


def relative_path(value: Any) -> str:
    """A path below the source's folder."""
    found = some(value)
    if found.startswith("/") or ".." in found.split("/"):
        raise Wrong(f"must be a path below the source's folder, not {shown(found)}")
    return found


def preview(value: Any) -> str:
    """The word of a preview, which is never told."""
    found = secret(value)
    if not re.fullmatch(r"[A-Za-z0-9_-]{16,128}", found):
        raise Wrong("must be 16 to 128 letters, digits and _ -")
    return found


def network(value: Any) -> str:
    """An address, or a network such as 203.0.113.0/24, as it is written in full."""
    found = text(value)
    try:
        return str(ip_network(found, strict=False))
    except ValueError:
        raise Wrong(f"must be an address or a network, as 203.0.113.7 or 203.0.113.0/24, not {shown(found)}") from None


def raw_lines(value: Any) -> tuple[str, ...]:
    """Lines of HAProxy's configuration, as a list or as text of several lines."""
    lines = items(text)(value.splitlines() if isinstance(value, str) else value)
    found = raw.first_fault(lines)
    if found:
        raise Wrong(f"{found[1]}: {shown(lines[found[0]])}", (found[0],))
    return lines


def route_host(value: Any) -> str:
    """A host name as requests carry it, in small letters."""
    found = text(value)
    labels = found.lower().rstrip(".").split(".")
    if "*" in found:
        raise Wrong(f"must be a whole host name, not {shown(found)}: name each host")
    if not all(re.fullmatch(LABEL, one) for one in labels) or len(found) > 253:
        raise Wrong(f"must be a host name, as shop.example.com, not {shown(found)}: no scheme, no port, no path")
    return ".".join(labels)


def capability(value: Any) -> str:
    """A capability of Linux, or ALL."""
    found = text(value).upper()
    if not re.fullmatch(r"[A-Z][A-Z_]+", found):
        raise Wrong(f"must be a capability, as NET_BIND_SERVICE, not {shown(value)}")
    return found


def label(value: Any) -> str:
    """The name of a label that is not one of ours."""
    found = some(value)
    if found.startswith(OURS):
        raise Wrong(f"is one of stackswap's own labels: none of yours begins with {OURS}")
    return found


def mount(value: Any) -> str:
    """``/on/the/server:/in/the/container[:ro]``, or a named volume in front."""
    found = some(value)
    origin, target, words = [*found.split(":", 2), "", ""][:3]
    if not re.fullmatch(r"/.*|[A-Za-z0-9][A-Za-z0-9_.-]+", origin) or not target.startswith("/"):
        raise Wrong(f"must be SERVER_PATH:CONTAINER_PATH or with :ro behind, not {shown(found)}")
    for path in (origin, target):
        if set(path.split("/")) & {".", ".."} or not path.strip("/"):
            raise Wrong(f"must mount a whole path other than /, with no . or .. in it, not {path}")
    strange = [word for word in words.split(",") if word not in MOUNT_WORDS] if words else []
    if strange:
        raise Wrong(f"has the mount option {shown(strange[0])}, which is none: ro or rw, say")
    return found


def tmpfs(value: Any) -> str:
    """``/in/the/container[:options]``."""
    found = some(value)
    if not re.fullmatch(r"/[^:]+(:.*)?", found):
        raise Wrong(f"must be a path in the container, as /run or /run:size=16m, not {shown(found)}")
    return found


def target_of(mounted: str) -> str:
    """Where a mount or a tmpfs ends up in the container."""
    parts = mounted.split(":")
    inside = parts[0] if len(parts) == 1 or not parts[1].startswith("/") else parts[1]
    return inside.rstrip("/")


def twice(values: Iterable[Any]) -> Any:
    """The first value that was there already; None if each is there once."""
    seen: set[Any] = set()
    for one in values:
        if one in seen:
            return one
        seen.add(one)
    return None
