# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The selftest: what it promises of this server, and whether what was seen keeps each promise. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

NAME, HOST = "selftest", "selftest.stackswap.invalid"
PORT = 8080
# An application of the proxy's own image, for that is on every server: its version, and what is wrong with it, come by
# the environment.
CONFIGURATION = """\
global
    maxconn 200
    hard-stop-after 2s

defaults
    mode http
    option http-buffer-request
    timeout connect 2s
    timeout client 60s
    timeout server 60s

frontend app
    bind :8080
    http-request return status 503 content-type text/plain string "sick" if { env(SELFTEST) -m str sick }
    http-request return status 200 content-type text/plain lf-string "%[env(VERSION)]"
"""


class Seen(NamedTuple):
    """What became of a chapter. requests, lost: while it lasted; outcome: of its last job; seconds: of it all."""

    version: str
    outcome: str = ""
    cause: str = ""
    changed: bool = False
    requests: int = 0
    lost: int = 0
    seconds: float = 0.0
    left: tuple[str, ...] = ()
    error: str = ""


class Chapter(NamedTuple):
    """One promise. serves: the version that users must get after it; lost: how many requests it may cost."""

    name: str
    promise: str
    serves: str
    outcome: str = ""
    cause: str = ""
    changed: bool | None = None
    lost: int = 0
    within: float = 0.0


IN_FLIGHT = 3  # one of each kind of visitor
SWAPS = ("1.1", "1.2", "1.3")
POINTS = ("after start", "before route", "after route", "before watch", "after fence", "within stop")
KILLED = tuple(f"1.4.{number}" for number, dummy in enumerate(POINTS, 1))
CHAPTERS = (
    Chapter("first", "a first release is served", "1.0", "new"),
    Chapter("swaps", "swaps under load lose no request", SWAPS[-1], "new"),
    Chapter("again", "the same once more changes nothing", "1.3", "unchanged", changed=False),
    Chapter("exits", "a release that exits at once is never served", "1.3", "unchanged", "candidate_exited", within=10),
    Chapter("sick", "one that is never healthy has its deadline", "1.3", "unchanged", "candidate_unhealthy", within=15),
    Chapter("bake", "one that dies in the bake takes itself back", "1.3", "back", "bake_failed", lost=IN_FLIGHT),
    Chapter("kills", "a job killed between any two steps is finished by the next", KILLED[-1]),
    Chapter("rollback", "a rollback serves the kept release again", KILLED[-2], "new"),
    Chapter("gone", "nothing of it is left", ""),
)


def service(image: str, configuration: str, version: str, **more: Any) -> dict[str, Any]:
    """The sample as an inventory would have it. configuration: the file on the server."""
    env = {"VERSION": version, "SELFTEST": more.pop("selftest", "well")}
    return {
        "image": image,
        "entrypoint": ["haproxy"],
        "command": ["-db", "-f", "/selftest.cfg"],
        "volumes": [f"{configuration}:/selftest.cfg:ro"],
        "env": env,
        "shared": False,
        "port": PORT,
        "routes": [{"host": HOST}],
        "health": {"path": "/", "deadline": 5, "min_healthy_time": 0.5},
        "bake": 1,
        "drain_timeout": 10,
        "container": {"stop_signal": "SIGUSR1", "stop_timeout": 5},
        **more,
    }


def verdict(chapter: Chapter, seen: Seen) -> str:
    """Why the promise was not kept; '' if it was."""
    return "; ".join(_broken(chapter, seen))


def _broken(chapter: Chapter, seen: Seen) -> Iterator[str]:
    if seen.error:
        yield seen.error
    if seen.version != chapter.serves:
        yield f"users get {seen.version or 'nothing'}, not {chapter.serves or 'nothing'}"
    if chapter.outcome and seen.outcome != chapter.outcome:
        yield f"the outcome is {seen.outcome or 'not known'}, not {chapter.outcome}"
    if chapter.cause != seen.cause:
        yield f"it ended by {seen.cause or 'success'}, not by {chapter.cause or 'success'}"
    if chapter.changed is not None and seen.changed != chapter.changed:
        yield "something was changed"
    if seen.lost > chapter.lost:
        yield f"{seen.lost} of {seen.requests} requests were lost, {chapter.lost} may be"
    if chapter.within and seen.seconds > chapter.within:
        yield f"it took {seen.seconds:.1f} s, {chapter.within:g} s may be"
    if seen.left:
        yield f"left: {', '.join(seen.left)}"


def told(chapter: Chapter, seen: Seen) -> dict[str, Any]:
    """A chapter for the report."""
    why = verdict(chapter, seen)
    figures = {"requests": seen.requests, "lost": seen.lost, "seconds": round(seen.seconds, 2)}
    return {"name": chapter.name, "promise": chapter.promise, "held": not why, "why": why, **figures}


def line(checks: Sequence[Mapping[str, Any]]) -> str:
    """All of it in a line."""
    broken = [one for one in checks if not one["held"]]
    requests, lost = (sum(one[name] for one in checks) for name in ("requests", "lost"))
    if broken:
        each = "; ".join(f"{one['name']}: {one['why']}" for one in broken)
        return f"{len(broken)} of {len(checks)} promises are not kept here: {each}"
    return f"all {len(checks)} promises are kept here, under {requests:,} requests, of which {lost} were lost"
