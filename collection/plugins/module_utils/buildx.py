# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The buildx command, and the only caller of it: build, tell how it goes, say why it failed.

Values of secrets go through the environment of the process, or what is too large for that through
its memory, never through its arguments or a disk.
Always the engine's own builder (it has its context's name), so that an image made a moment ago
can be built upon and no registry is needed.
"""

# pylint: disable=ansible-bad-function
# No module is at hand here, and its run_command could neither read nor feed what runs.

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.rawjson import (
    BuildFailed,
    Progress,
    explain,
    stopped,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.request import (
    LARGEST_VARIABLE,
    Made,
    Request,
    arguments,
    bounded,
    listed,
    outer_caches,
    refuse_unable,
    too_large,
    variables,
)

OLDEST = (0, 13)  # the first with --progress rawjson
CONTAINERD = "io.containerd.snapshotter"  # an engine with the containerd image store says so of its storage
Tell = Callable[[str], None]
Asked = Callable[[], bool]
Login = Callable[[Mapping[str, str]], AbstractContextManager[Mapping[str, str]]]


class Buildx:
    """The builder's docker command with its buildx plugin."""

    def __init__(self, docker: str = "docker", host: str | None = None, login: Login = nullcontext) -> None:
        """login: makes of an environment one in which docker is logged in to registries."""
        self._docker, self._login = docker, login
        self._env = dict(os.environ, **({"DOCKER_HOST": host} if host else {}))

    def version(self) -> tuple[int, int]:
        """The version of buildx, or why there is none that will do."""
        try:
            said = self._says("buildx", "version").stdout
        except OSError as error:
            raise _unfit(f"there is no docker command on the builder ({error.strerror})") from error
        found = re.search(r"\bv?(\d+)\.(\d+)\.\d+", said)
        if not found:
            raise _unfit("the builder's docker command has no buildx")
        version = (int(found.group(1)), int(found.group(2)))
        if version < OLDEST:
            raise _unfit("the builder's buildx is {}.{}: 0.13 or newer is needed".format(*version))
        return version

    def build(self, request: Request, tell: Tell = lambda line: None, stop: Asked = lambda: False) -> Made:
        """Build the image, or raise BuildFailed with the failing step and its last lines."""
        with tempfile.TemporaryDirectory(prefix="stackswap-") as folder:
            metadata, iidfile = os.path.join(folder, "metadata"), os.path.join(folder, "id")
            words = [self._docker, "buildx", "build", f"--builder={self._builder()}"]
            progress = Progress(request.hide, request.names)
            with self._login({**self._env, **variables(request)}) as env, _in_memory(request) as files:
                words += arguments(request, metadata, iidfile, files)
                try:
                    code = self._run(words, env, progress, tell, lambda: stop() or time.monotonic() > request.until)
                except Stopped:
                    raise stopped(progress, 0.0 if stop() else request.within) from None
            if code and not progress.vertexes:
                self.version()  # an old one knows no such progress: asked only here, for it takes its time
            if code:
                raise explain(progress, code)
            return _made(metadata, iidfile, progress)

    def able(self, request: Request) -> None:
        """Refuse what this builder cannot do; asked only where not every builder can."""
        if not request.platforms and not outer_caches(request):
            return
        told = self._says("buildx", "inspect", self._builder()).stdout
        storage = self._says("info", "--format={{json .DriverStatus}}").stdout
        refuse_unable(request, listed(told, "Platforms"), CONTAINERD in storage)

    def push(self, tag: str) -> str:
        """Push the image and answer its digest in the registry."""
        with self._login(self._env) as env:
            done = self._says("push", tag, env=env)
        found = re.findall(r"digest: (sha256:[0-9a-f]{64})", done.stdout)
        if done.returncode or not found:
            raise _not_pushed(tag, done.stderr or done.stdout)
        return str(found[-1])

    def prune(self, keep: int) -> tuple[bool, str]:
        """Remove what was not used for longest from this builder's cache, until it is no larger than this.

        Whether that went well, and the command's last words.
        """
        known = self._says("buildx", "prune", "--help").stdout
        done = self._says("buildx", "prune", f"--builder={self._builder()}", *bounded(keep, known))
        said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
        return done.returncode == 0, said[-1] if said else ""

    def _builder(self) -> str:
        """The builder of the engine itself, which has its context's name: as docker finds out, without asking it."""
        if self._env.get("DOCKER_HOST"):
            return "default"
        return self._env.get("DOCKER_CONTEXT") or current_context(self._env) or "default"

    def _says(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        line = [self._docker, *words]
        return subprocess.run(line, capture_output=True, text=True, env=env or self._env, check=False)

    def _run(self, words: list[str], env: Mapping[str, str], progress: Progress, tell: Tell, stop: Asked) -> int:
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=subprocess.PIPE, env=env)
        try:
            for piece in _pieces(process, stop):
                for line in progress.feed(piece):
                    tell(line)
            progress.close()
            return process.wait()
        finally:
            _end(process)


def current_context(env: Mapping[str, str]) -> str:
    """The context that docker uses unless told otherwise, '' for its default."""
    home = env.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    try:
        with open(os.path.join(home, "config.json"), encoding="utf-8") as file:
            found: Any = json.load(file)
    except (OSError, ValueError):
        return ""
    return str(found.get("currentContext") or "") if isinstance(found, dict) else ""


def _not_pushed(tag: str, said: str) -> BuildFailed:
    words = said.strip()
    denied = re.search(r"unauthorized|denied|no basic auth|authentication required|401|403", words)
    log_in = "give stackswap_registries a login that may push there"
    failed = BuildFailed(
        f"the image was built and not pushed to {tag}: {(words or 'docker push said nothing').splitlines()[-1]}",
        tuple(words.splitlines()[-15:]),
        hint=log_in if denied else "check the image's name, and the way from the builder to the registry",
    )
    failed.cause = "push_denied" if denied else "push"
    return failed


class Stopped(Exception):
    """The build was ended before its end."""


@contextmanager
def _in_memory(request: Request) -> Iterator[dict[str, str]]:
    """Files that are on no disk, of the secrets that no variable can carry; where docker finds each, by its name."""
    with ExitStack() as opened:
        yield {name: _file(value, opened) for name, value in request.secrets.items() if too_large(value)}


def _file(value: str, opened: ExitStack) -> str:
    if not hasattr(os, "memfd_create"):
        raise BadInput(f"a secret larger than {LARGEST_VARIABLE} bytes needs a builder that runs Linux")
    place = os.memfd_create("stackswap")
    opened.callback(os.close, place)
    os.write(place, value.encode())
    return f"/proc/{os.getpid()}/fd/{place}"


def _pieces(process: subprocess.Popen[bytes], stop: Asked) -> Iterator[str]:
    """What the process says, as it comes; asked to stop, it is ended."""
    stream, left = process.stderr.fileno() if process.stderr else -1, b""
    while True:
        if stop():
            raise Stopped
        if not select.select([stream], [], [], 0.5)[0]:
            continue
        piece = os.read(stream, 65536)
        if not piece:
            yield left.decode("utf-8", "replace")
            return
        *whole, left = (left + piece).split(b"\n")
        yield b"".join(line + b"\n" for line in whole).decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stderr:
        process.stderr.close()


def _made(metadata: str, iidfile: str, progress: Progress) -> Made:
    with open(metadata, encoding="utf-8") as file:
        told = json.load(file)
    with open(iidfile, encoding="utf-8") as file:
        identity = file.read().strip()
    config = told.get("containerimage.config.digest") or identity
    return Made(identity, config, told.get("containerimage.digest") or "", **progress.count())


def _unfit(what: str) -> BuildFailed:
    failed = BuildFailed(
        f"the image was not built: {what}",
        hint="install docker-buildx 0.13 or newer on the builder",
    )
    failed.cause = "no_buildx"
    return failed
