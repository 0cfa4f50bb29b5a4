# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The git command on a builder: one commit of a repository, or what is known of a folder there.

A private key goes from memory into an agent of its own, over its standard input; a token into the
environment of git, where a helper that lives there too reads it. Neither is ever on a disk or in
the arguments of a process.
"""

# pylint: disable=ansible-bad-function
# No module is at hand here, and its run_command could neither read nor feed what runs.

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.stackswap.bluegreen.plugins.module_utils import source as sources
from ansible_collections.stackswap.bluegreen.plugins.module_utils.payload import size
from ansible_collections.stackswap.bluegreen.plugins.module_utils.source import Code, Source, SourceFailed, shown

__all__ = ["SourceFailed", "clone", "content", "known", "resolve"]

ANSWER = 60  # seconds in which a git host has to say what it has
FETCH = 3600  # seconds in which it has to hand it over
AGENT = 5  # seconds for an agent to start
LOOK = 0.5  # seconds between looks at what has come
# A checkout may be another user's; its own configuration must start no programs.
TRUST = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
# A host that stops sending ends the fetch; the empty helper keeps a token out of the store of another.
PATIENCE = ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=60")
QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_ASKPASS": "", "LC_ALL": "C"}
# Git of its own folder and of no other: these may be set where a job runs in a hook of git.
ELSEWHERE = ("DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "COMMON_DIR", "NAMESPACE", "PREFIX", "TRACE")
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15 -o ServerAliveCountMax=3"
TOKEN = "STACKSWAP_GIT_TOKEN"
HELPER = f"""!f() {{ test "$1" = get && echo username=x-access-token && echo "password=${TOKEN}"; }}; f"""
# Nothing of the builder's own git: no filters, no line ends, no list of files to ignore.
PLAIN = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


def resolve(source: Source) -> str:
    """The commit that the source's ref is at this moment: all that follows is of this commit."""
    address, ref = source.git or "", source.ref or ""
    if sources.COMMIT.fullmatch(ref):
        return ref
    with _access(source) as env:
        said = _git("/", *PATIENCE, "ls-remote", "--", address, *sources.asks(ref), env=env, within=ANSWER)
    return sources.resolved(ref, said.splitlines())


def clone(source: Source, commit: str, folder: str) -> Code:
    """Fetch one commit into an empty folder, its submodules too, without any history in it."""
    address, limit = source.git or "", source.limit or sources.LIMIT
    grown = partial(_refuse_grown, os.path.join(folder, ".git"), limit)
    with _access(source) as env:
        _git(folder, "init", "--quiet")
        _git(folder, "remote", "add", "origin", address)
        _fetch(folder, commit, env, grown)
        _git(folder, "checkout", "--quiet", commit, env=env, within=FETCH)
        if source.submodules and os.path.exists(os.path.join(folder, ".gitmodules")):
            words = ("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
            _git(folder, *PATIENCE, *words, env=env, within=FETCH, grown=grown)
    tree = _git(folder, "rev-parse", f"{commit}:{source.folder}").strip() if _has(folder, source.folder) else ""
    _forget(folder)
    sources.refuse_size(_weight(folder), size(limit), limit)
    return Code(folder, commit, shown(address), source.ref or "", tree=tree)


def _refuse_grown(folder: str, limit: str) -> None:
    """What has come so far is packed, so the code weighs no less than this."""
    sources.refuse_size(_weight(folder), size(limit), limit, "more than ")


def _fetch(folder: str, commit: str, env: Mapping[str, str], grown: Callable[[], None]) -> None:
    """This one commit; of a host that hands out none but the newest, all that it has, with the commit among it."""
    words = (*PATIENCE, "fetch", "--quiet")
    try:
        _git(folder, *words, "--depth=1", "origin", commit, env=env, within=FETCH, grown=grown)
    except SourceFailed as failed:
        if failed.cause != "ref_missing":
            raise
        _git(folder, *words, "origin", env=env, within=FETCH, grown=grown)
        try:
            _git(folder, "cat-file", "-e", commit)
        except SourceFailed:
            raise failed from None


def known(path: str, folder: str = "", limit: str | None = None) -> Code:
    """What git knows of a folder: only its content if it is none of git's, or git is not here."""
    part = os.path.join(path, folder)
    if limit:
        sources.refuse_size(_weight(part), size(limit), limit)
    tree = content(part) if os.path.isdir(part) else ""
    try:
        commit = _git(path, "rev-parse", "--verify", "HEAD").strip()
        changed = _git(path, "status", "--porcelain", "--", ".").splitlines()
    except SourceFailed:
        return Code(path, tree=tree)
    return Code(path, commit, _origin(path), "", len(changed), tree)


# -- who may read the repository ------------------------------------------------------------------


@contextmanager
def _access(source: Source) -> Iterator[dict[str, str]]:
    """The environment in which git reaches the repository and its submodules."""
    ssh = os.environ.get("GIT_SSH_COMMAND") or SSH
    if source.token:
        yield {"GIT_SSH_COMMAND": ssh, **_helper(source.git or "", source.token)}
    elif source.key_file:
        if not os.path.isfile(source.key_file):
            raise SourceFailed(f"source.key_file: there is no file {source.key_file} on the builder")
        yield {"GIT_SSH_COMMAND": f"{ssh} -o IdentitiesOnly=yes -i {_quoted(source.key_file)}", "SSH_AUTH_SOCK": ""}
    elif source.key:
        with _agent(source.key) as socket:
            # Its one key and no other: not those that the builder has, nor those of its configuration.
            only = "-o IdentitiesOnly=no -o IdentityFile=none -o IdentityAgent=SSH_AUTH_SOCK"
            yield {"GIT_SSH_COMMAND": f"{ssh} {only}", "SSH_AUTH_SOCK": socket}
    else:
        yield {"GIT_SSH_COMMAND": ssh}


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "'\\''") + "'"


def _helper(address: str, token: str) -> dict[str, str]:
    """Configuration by environment: this host's helper is ours, and no other learns the token."""
    parts = urlsplit(address)
    host = f"{parts.scheme}://{parts.netloc}"
    pairs = ((f"credential.{host}.helper", ""), (f"credential.{host}.helper", HELPER))
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    told = {"GIT_CONFIG_COUNT": str(first + len(pairs)), TOKEN: token}
    for number, (name, value) in enumerate(pairs, first):
        told.update({f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value})
    return told


@contextmanager
def _agent(key: str) -> Iterator[str]:
    """An SSH agent that holds this one key and ends with the block; answers its socket."""
    with tempfile.TemporaryDirectory(prefix="stackswap-") as folder:
        socket = os.path.join(folder, "agent")
        try:
            agent = subprocess.Popen(
                ["ssh-agent", "-D", "-a", socket, "-t", str(2 * FETCH)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise SourceFailed(f"there is no ssh-agent on the builder ({error.strerror})") from error
        try:
            until = time.monotonic() + AGENT
            while not os.path.exists(socket) and agent.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            _add(key, socket)
            yield socket
        finally:
            agent.kill()
            agent.wait()


def _add(key: str, socket: str) -> None:
    """Hand the key to the agent. One with a passphrase is refused: nobody is there to type it."""
    text = "\n".join(line.rstrip() for line in key.strip().splitlines()) + "\n"
    env = {**os.environ, "SSH_AUTH_SOCK": socket, "SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force"}
    done = subprocess.run(
        ["ssh-add", "-q", "-"], input=text, capture_output=True, text=True, env=env, check=False, start_new_session=True
    )
    if done.returncode:
        failed = SourceFailed(
            "source.key is not a private SSH key that can be used without a passphrase",
            hint="give the whole text of the key file, from its first line with BEGIN to its last with END",
        )
        failed.cause = "key_refused"
        raise failed


# -- what lies in a folder ------------------------------------------------------------------------


def _has(folder: str, part: str) -> bool:
    return os.path.isdir(os.path.join(folder, part))


def _forget(folder: str) -> None:
    """Take away what git keeps: it differs from fetch to fetch, which would spoil a COPY of all."""
    for top, folders, files in os.walk(folder):
        if ".git" in folders:
            shutil.rmtree(os.path.join(top, ".git"))
            folders.remove(".git")
        if ".git" in files:
            os.unlink(os.path.join(top, ".git"))


def _weight(folder: str) -> int:
    """The bytes of all files, without what git keeps."""
    total = 0
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        for name in files:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(top, name)).st_size
    return total


def content(folder: str) -> str:
    """The id that git gives the files here, changed ones too and outside git; but for what it is told to ignore.

    Nothing is written, neither to the user's repository nor, as `git add` would, file by file elsewhere.
    """
    root: dict[str, Any] = {}
    for name in _listed(folder):
        *folders, last = name.split("/")
        node = root
        for one in folders:
            node = node.setdefault(one, {})
        node[last] = os.path.join(folder, name)
    return _tree(root).hex()


def _listed(folder: str) -> Iterator[str]:
    """The names of all files but those that git is told to ignore; repositories below are folders like others."""
    with tempfile.TemporaryDirectory(prefix="stackswap-") as place:
        try:
            _git(place, "init", "--quiet", "--bare", "--template=", place, env=PLAIN)
            env = {**PLAIN, "GIT_DIR": place, "GIT_WORK_TREE": folder}
            names = _git(folder, "ls-files", "-z", "--others", "--exclude-standard", env=env).split("\0")
        except SourceFailed:
            names = list(_walked(folder))
    for name in filter(None, names):
        below = _listed(os.path.join(folder, name)) if name.endswith("/") else ("",)
        yield from (f"{name}{one}" for one in below)


def _walked(folder: str) -> Iterator[str]:
    for top, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(top, name))]
        folders[:] = [name for name in folders if name != ".git"]
        yield from (os.path.relpath(os.path.join(top, name), folder) for name in (*files, *links))


def _tree(node: Mapping[str, Any]) -> bytes:
    """The id of a folder: git sorts a folder's name as if a slash were behind it."""
    entries = []
    for name, below in node.items():
        key = os.fsencode(name)
        if isinstance(below, Mapping):
            entries.append((key + b"/", b"40000 " + key + b"\0" + _tree(below)))
        else:
            entries += [(key, mode + b" " + key + b"\0" + digest) for mode, digest in _blob(below)]
    text = b"".join(entry for dummy, entry in sorted(entries))
    return hashlib.sha1(b"tree %d\0" % len(text) + text, usedforsecurity=False).digest()


def _blob(path: str) -> Iterator[tuple[bytes, bytes]]:
    """The mode and id of a file; nothing of a socket or a pipe, or of what has gone in the meantime."""
    with suppress(FileNotFoundError):
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            target = os.fsencode(os.readlink(path))
            yield b"120000", hashlib.sha1(b"blob %d\0" % len(target) + target, usedforsecurity=False).digest()
        elif stat.S_ISREG(found.st_mode):
            digest = hashlib.sha1(b"blob %d\0" % found.st_size, usedforsecurity=False)
            with open(path, "rb") as file:
                for piece in iter(lambda: file.read(1 << 20), b""):
                    digest.update(piece)
            yield b"100755" if found.st_mode & stat.S_IXUSR else b"100644", digest.digest()


def _origin(path: str) -> str:
    try:
        return shown(_git(path, "remote", "get-url", "origin").strip())
    except SourceFailed:
        return ""


# -- the command ----------------------------------------------------------------------------------


def _git(
    folder: str,
    *words: str,
    env: Mapping[str, str] | None = None,
    within: float = FETCH,
    grown: Callable[[], None] = lambda: None,
) -> str:
    """Run git and answer what it says; what it started ends with it. grown: refuses what has come so far."""
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(tuple(f"GIT_{x}" for x in ELSEWHERE))
    }
    try:
        process = subprocess.Popen(
            ["git", "-C", folder, *TRUST, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**own, **QUIET, **(env or {})},
            start_new_session=True,
        )
    except OSError as error:
        raise SourceFailed(f"there is no git command on the builder ({error.strerror})") from error
    said, errors = _heard(process, within, _doing(words), grown)
    if process.returncode:
        raise sources.refusal(_doing(words), errors.decode("utf-8", "replace"))
    return os.fsdecode(said)


def _heard(
    process: subprocess.Popen[bytes], within: float, doing: str, grown: Callable[[], None]
) -> tuple[bytes, bytes]:
    until = time.monotonic() + within
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=LOOK)
            grown()
            if time.monotonic() > until:
                raise sources.refusal(doing, f"timed out: no answer within {within:g} seconds")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.communicate()


VERBS = {
    "ls-remote": "ask the repository for the commit",
    "fetch": "fetch the commit",
    "checkout": "write the commit's files",
    "submodule": "fetch the submodules",
}


def _doing(words: tuple[str, ...]) -> str:
    verb = next((word for word in words if not word.startswith("-") and "=" not in word), "")
    return VERBS.get(verb, f"read the source with git {verb}")
