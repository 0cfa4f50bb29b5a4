# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runtime makes the image of code that has no Dockerfile.

The first in the table whose mark is there: so PHP comes before Python and both before Node, for which package.json
is often there for the assets alone (composer.json with package.json is PHP, manage.py with package.json is Python),
and files that are just served come last. The service may name another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes import (
    node,
    php_apache,
    php_fpm,
    python,
    static,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.runtimes.template import PORT, Template, Tree

TABLE = (php_fpm, php_apache, python, node, static)
RUNTIMES = {one.NAME: one for one in TABLE}
NAMES = ", ".join(sorted(RUNTIMES))
IGNORE = (".git", ".gitignore", ".dockerignore", ".env.local", ".DS_Store")


@dataclass(frozen=True)
class Chosen:
    """A runtime with its template. mark is what was found in the code, '' if the service names the runtime."""

    name: str
    template: Template
    mark: str = ""

    def files(self, own: str = "") -> dict[str, str]:
        """The Dockerfile, and what stays out of its context: the user's own .dockerignore has the last word."""
        ignore = "\n".join([*IGNORE, *self.template.ignore, own])
        return {"Dockerfile": self.template.text, "Dockerfile.dockerignore": ignore}

    @property
    def notes(self) -> tuple[str, ...]:
        """What people are told of it."""
        made = self.template
        why = f"for {self.mark} is there" if self.mark else "as the service says"
        kind = f" ({made.framework.name})" if made.framework else ""
        first = f"there is no Dockerfile: the runtime {self.name}{kind} makes the image, {why}"
        starts = f"{made.starts} serves on port {PORT}"
        if not made.starts:
            starts = "nothing tells how the application is started: add a Procfile with web:, or say command"
        return (first, starts, *made.notes)


def choose(tree: Tree, asked: str | None = None) -> Chosen | None:
    """The runtime that the service names, else the one whose marks are in the code, else none."""
    if asked:
        if asked not in RUNTIMES:
            raise BadInput(f"build.runtime: {asked!r} is none of {NAMES}")
        return Chosen(asked, RUNTIMES[asked].template(tree))
    for one in TABLE:
        mark = tree.first(one.MARKS)
        if mark:
            return Chosen(one.NAME, one.template(tree), mark)
    return None


def of(has: Callable[[str], bool], text: Callable[[str], str], asked: str | None = None) -> Chosen:
    """The runtime for this code, or a refusal that names them all."""
    chosen = choose(Tree(has, text), asked)
    if not chosen:
        raise BadInput(
            "there is no Dockerfile, and nothing in the code tells its runtime: add a Dockerfile, name it with "
            f"dockerfile, or choose a runtime with build.runtime: {NAMES}"
        )
    return chosen
