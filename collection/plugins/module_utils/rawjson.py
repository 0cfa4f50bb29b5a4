# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `docker buildx build` tells, as values: its progress objects, and why a build failed.

The progress is a run of JSON objects over several lines each, then a tail in plain text.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError

KEPT = 40  # lines of a step's output that are kept for people
LONGEST = 2000  # characters of such a line
NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
STEP = re.compile(r"^\[[^\]]*\] ")  # where BuildKit counts its steps
EXIT = re.compile(r"did not complete successfully: exit code: (\d+)")
CAUSES = (
    ("no_engine", r"Cannot connect to the Docker daemon|is the docker daemon running"),
    ("no_permission", r"permission denied while trying to connect"),
    (
        "dockerfile",
        r"[Dd]ockerfile parse error|Dockerfile cannot be empty|failed to read dockerfile",
    ),
    ("dockerfile", r"target stage .* could not be found|failed to parse|unknown instruction"),
    ("base_image", r"failed to resolve source metadata|pull access denied|failed to authorize"),
    (
        "missing_file",
        r"failed to calculate checksum of ref|failed to compute cache key|lstat \S+: no such file",
    ),
    ("missing_secret", r"secret \S+: not found"),
    ("push", r"failed to push|push access denied|denied: requested access"),
)
HINTS = {
    "no_space": "the builder's disk is full: free space there (docker system df), then build again",
    "no_engine": "no container engine answers on the builder",
    "no_permission": "this user may not use the builder's engine: add it to the group docker",
    "base_image": "check the name after FROM and that the builder reaches its registry, "
    "or say in base_images what stands for it here",
    "missing_file": "check the path, the build's folder and .dockerignore",
    "missing_secret": "name it under secrets of the service",
    "dockerfile": "correct the Dockerfile",
    "run_failed": "the lines above it in the log say why",
    "push": "log the builder in to the registry (docker login), and check the image's name",
}


class BuildFailed(StackswapError):
    """The image was not built; nothing else was changed. facts: step, exit_code, hint."""

    cause = "build_failed"


@dataclass
class Vertex:
    """A step of a build with the last lines of its output."""

    name: str = ""
    started: bool = False
    cached: bool = False
    completed: bool = False
    error: str = ""
    lines: list[str] = field(default_factory=list)
    rest: str = ""

    @property
    def a_step(self) -> bool:
        """Whether it is a step of the Dockerfile."""
        return bool(re.match(r"\[(?!internal|auth|context)", self.name))


class Progress:
    """The progress of one build: fed with what came, it answers lines for people."""

    def __init__(self, hide: tuple[str, ...] = (), names: Mapping[str, str] | None = None) -> None:
        self.vertexes: dict[str, Vertex] = {}
        self.tail = ""
        self._buffer = ""
        self._hide = sorted({line for value in hide for line in value.splitlines() if len(line) > 2}, key=len)[::-1]
        self._names = dict(names or {})

    def feed(self, text: str) -> list[str]:
        """Take a piece of the stream, cut anywhere, and answer what it tells."""
        self._buffer += text
        return [line for document in self._documents() for line in self._take(document)]

    def close(self) -> None:
        """No more comes: what is left is the tail in plain text."""
        self.tail = self.hidden(self._buffer.strip())

    def hidden(self, text: str) -> str:
        """The text with the secrets in it masked."""
        for value in self._hide:
            text = text.replace(value, "********")
        return text

    def line(self, text: str) -> str:
        """A line of output as people see it: masked, and then cut where it is too long."""
        shown = self.hidden(text)
        return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]} ... ({len(shown)} characters)"

    def count(self) -> dict[str, int]:
        """How many steps of the Dockerfile were taken from the cache, and how many ran."""
        steps = [v for v in self.vertexes.values() if v.a_step and v.completed]
        return {"cached": sum(v.cached for v in steps), "ran": sum(not v.cached for v in steps)}

    def _documents(self) -> Iterator[dict[str, Any]]:
        decoder = json.JSONDecoder()
        while True:
            start = self._buffer.find("{\n")
            if start < 0:
                return
            try:
                document, end = decoder.raw_decode(self._buffer, start)
            except ValueError:
                return
            self._buffer = self._buffer[end:]
            if isinstance(document, dict):
                yield document

    def _take(self, document: Mapping[str, Any]) -> Iterator[str]:
        for one in document.get("vertexes") or ():
            yield from self._vertex(one)
        for one in document.get("logs") or ():
            yield from self._log(one)

    def _vertex(self, told: Mapping[str, Any]) -> Iterator[str]:
        vertex = self.vertexes.setdefault(told["digest"], Vertex())
        vertex.name = self._named(told.get("name") or vertex.name)
        first = not vertex.started and bool(told.get("started"))
        vertex.started = vertex.started or first
        vertex.cached = vertex.cached or bool(told.get("cached"))
        vertex.completed = vertex.completed or bool(told.get("completed"))
        vertex.error = self.hidden(told.get("error") or vertex.error)
        if first and vertex.a_step:
            yield f"{vertex.name}{' (cached)' if vertex.cached else ''}"

    def _named(self, name: str) -> str:
        for mark, shown in self._names.items():
            if mark in name:
                return name.split("] ", 1)[0] + "] " + shown if "] " in name else shown
        return self.hidden(name)

    def _log(self, told: Mapping[str, Any]) -> Iterator[str]:
        vertex = self.vertexes.setdefault(told["vertex"], Vertex())
        data = base64.b64decode(told.get("data") or "").decode("utf-8", "replace")
        *whole, vertex.rest = (vertex.rest + data).split("\n")
        lines = [self.line(line.rstrip().rsplit("\r", 1)[-1]) for line in whole]
        vertex.lines = (vertex.lines + lines)[-KEPT:]
        yield from (f"    {line}" for line in lines if line)


def explain(progress: Progress, code: int) -> BuildFailed:
    """Why this build failed, from its failing step and its last words."""
    failing = next(
        (v for v in progress.vertexes.values() if v.error and "context canceled" not in v.error),
        None,
    )
    error = failing.error if failing else ""
    said = [line for line in progress.tail.splitlines() if line.startswith("ERROR:")]
    last = said[-1][len("ERROR: ") :].replace("failed to solve: ", "") if said else progress.tail[-500:]
    lines = tuple(failing.lines + [progress.line(failing.rest)] * bool(failing.rest)) if failing else ()
    words = f"{error}\n{progress.tail}"
    exited = EXIT.search(words)
    cause = _cause(words, lines, bool(exited))
    failed = BuildFailed(
        _sentence(cause, failing.name if failing else "", exited, last or error, code),
        lines or tuple(progress.tail.splitlines()[-15:]),
        step=failing.name if failing else "",
        exit_code=int(exited.group(1)) if exited else None,
        hint=HINTS.get(cause, ""),
    )
    failed.cause = cause
    return failed


def stopped(progress: Progress, within: float) -> BuildFailed:
    """What is told of a build that was ended. within: the time that was over; 0 where somebody asked for its end."""
    running = next((v for v in progress.vertexes.values() if v.a_step and v.started and not v.completed), Vertex())
    step = STEP.sub("", running.name)
    lines = tuple(running.lines + [progress.line(running.rest)] * bool(running.rest))
    if not within:
        return BuildFailed("the image was not built: the build was stopped because it was asked to", lines)
    where = f", at {step}" if step else ""
    hint = "see what that step waits for, or raise build.timeout"
    failed = BuildFailed(
        f"the image was not built: it was ended after {within:g} s{where}", lines, step=running.name, hint=hint
    )
    failed.cause = "build_timeout"
    return failed


def _cause(words: str, lines: tuple[str, ...], exited: bool) -> str:
    if NO_SPACE.search(words if not exited else "\n".join(lines)):
        return "no_space"
    if exited:
        return "run_failed"
    return next((cause for cause, pattern in CAUSES if re.search(pattern, words)), "build_failed")


def _sentence(cause: str, step: str, exited: re.Match[str] | None, error: str, code: int) -> str:
    where = f" at {STEP.sub('', step)}" if step and not step.startswith("[internal]") else ""
    if exited:
        full = ": no space left on the builder" if cause == "no_space" else ""
        return f"the image was not built: exit code {exited.group(1)}{where}{full}"
    return f"the image was not built{where}: {error or f'docker buildx ended with {code}'}"
