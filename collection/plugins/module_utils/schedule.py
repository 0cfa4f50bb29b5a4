# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cron is told of a service: the text of its file, and what such a text says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from ansible_collections.stackswap.bluegreen.plugins.module_utils.kinds import Wrong, shown, text

HEAD = """# What {service} does by the clock: written by its deploys, removed with it. Changes made here are lost.
SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
"""
FIELD = r"(\*|[0-9]+(-[0-9]+)?)(/[0-9]+)?(,(\*|[0-9]+(-[0-9]+)?)(/[0-9]+)?)*"
MOST = (59, 23, 31, 12, 7)
NAMES = "@hourly @daily @weekly @monthly @yearly".split()
LIKE = "must be five fields as cron has them, as 15 3 * * *, or one of"


class Entry(NamedTuple):
    """A line: when, which process, of which release, and the container that a run is made like."""

    schedule: str
    process: str
    release: str
    container: str


def times(value: object) -> str:
    """When a process runs, as cron reads it."""
    found = " ".join(text(value).split())
    fields = found.split(" ")
    numbers = [[int(n) for n in re.findall(r"[0-9]+", field.replace("/", " /").partition("/")[0])] for field in fields]
    well = len(fields) == 5 and all(re.fullmatch(FIELD, field) for field in fields)
    if found not in NAMES and not (well and all(n <= most for ns, most in zip(numbers, MOST) for n in ns)):
        raise Wrong(f"{LIKE} {' '.join(NAMES)}, not {shown(found)}")
    return found


def file_of(service: str) -> str:
    """The name of a service's file: cron reads none that has a dot in it."""
    return "stackswap_" + service.replace(".", "_")


def written(service: str, entries: Sequence[Entry], before: Sequence[str]) -> str:
    """The file. before: the words that a line's own come after, the first of which is a program."""
    lines = [
        f"{one.schedule} root {shlex.join([*before, service, one.process, one.container, one.release])}"
        for one in entries
    ]
    return HEAD.format(service=service) + "".join(f"{line}\n" for line in lines)


def read(content: str) -> tuple[tuple[str, str], ...]:
    """The processes that a file has run, each with its release."""
    lines = [line.split() for line in content.splitlines() if " root " in line and not line.startswith("#")]
    return tuple(sorted((words[-3], words[-1]) for words in lines if len(words) > 4))
