# Copyright: (c) stackswap contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an application's code comes from: what was asked and found, what is told and labelled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput, StackswapError

OCI = "org.opencontainers.image"
LIMIT = "5g"
OF_GIT = ("ref", "key", "key_file", "token", "submodules")
SECRET = ("key", "token")
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
SHORT_COMMIT = re.compile(r"[0-9a-f]{7,39}")
LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
SCRIPTS = ("build", "entrypoint", "release", "verify", "after")


class SourceFailed(StackswapError):
    """The code could not be fetched or read; nothing was built. facts: hint, what to do."""

    cause = "source_failed"


@dataclass(frozen=True)
class Source:
    """A folder on the builder, or a ref of a git repository; folder is the part that is built.

    key: a private SSH key as text; key_file: a file on the builder that holds one; token: for HTTPS.
    """

    path: str | None = None
    git: str | None = None
    ref: str | None = None
    folder: str = ""
    key: str | None = field(default=None, repr=False)
    key_file: str | None = None
    token: str | None = field(default=None, repr=False)
    submodules: bool = True
    limit: str | None = None

    @property
    def told(self) -> dict[str, Any]:
        """It as options, without its secrets and without what was left open."""
        empty = Source()
        given = {name: value for name, value in self.__dict__.items() if name not in SECRET}
        return {name: value for name, value in given.items() if value != getattr(empty, name)}


@dataclass(frozen=True)
class Code:
    """Code that lies on the builder. commit is '' outside git; changed counts files that differ.

    tree is an id of the content of the part that is built, the same wherever the same files lie.
    """

    path: str
    commit: str = ""
    origin: str = ""
    ref: str = ""
    changed: int = 0
    tree: str = ""

    @property
    def revision(self) -> str:
        """The commit, and whether that is all of it."""
        return f"{self.commit}-dirty" if self.commit and self.changed else self.commit


def parse(given: Mapping[str, Any]) -> Source:
    """A source as it was asked for, or a refusal."""
    wanted = {name: value for name, value in given.items() if value not in (None, "")}
    source = Source(**wanted)
    if bool(source.path) == bool(source.git):
        raise BadInput("source: name a path on the builder, or a git repository, one of the two")
    for name in OF_GIT:
        if source.path and name in wanted and (name != "submodules" or not source.submodules):
            raise BadInput(f"source.{name} goes with source.git; a path is built as it lies there")
    for name, value in (("git", source.git), ("ref", source.ref), ("key_file", source.key_file)):
        if value and value.startswith("-"):
            raise BadInput(f"source.{name}: {value!r} cannot begin with a dash")
    if source.folder.startswith("/") or ".." in source.folder.split("/"):
        raise BadInput(f"source.folder: {source.folder!r} is not a folder below the source")
    if source.git:
        _refuse_credentials(source, source.git)
    return source


def _refuse_credentials(source: Source, address: str) -> None:
    """Refuse what would tell a secret, and a kind of secret that this address has no use for."""
    way = re.match(r"(https?)://", address)
    if way and re.match(r"https?://[^/]*@", address):
        raise BadInput(
            "source.git: a name or password in the address ends up in logs: "
            "use source.token, or an SSH key, or the credential store of the builder's git"
        )
    if source.key and source.key_file:
        raise BadInput("source: give the SSH key as key, its text, or as key_file, a file on the builder, not both")
    if way and (source.key or source.key_file):
        raise BadInput("source.key is for SSH, and source.git is an HTTP address: give a token instead")
    if source.token and not way:
        raise BadInput("source.token is for HTTPS, and source.git is not an HTTPS address: give a key instead")
    if source.token and way and way[1] == "http" and not LOOPBACK.fullmatch(urlsplit(address).hostname or ""):
        raise BadInput("source.token would go over the network in clear text: write source.git with https://")


def asks(ref: str) -> tuple[str, ...]:
    """What to ask a repository for, to learn which commit a ref is."""
    if not ref:
        return ("HEAD",)
    return (ref, f"{ref}^{{}}") if ref.startswith("refs/") else tuple(_places(ref))


def _places(ref: str) -> list[str]:
    return [f"refs/tags/{ref}", f"refs/tags/{ref}^{{}}", f"refs/heads/{ref}"]


def resolved(ref: str, listed: Iterable[str]) -> str:
    """The one commit that a ref is, from the repository's answer; a tag by the commit it stands for."""
    pairs = [line.split("\t", 1) for line in listed if "\t" in line]
    known = {name: commit for commit, name in pairs}
    if COMMIT.fullmatch(ref):
        return ref
    found = [known.get(f"{name}^{{}}", known[name]) for name in asks(ref) if name in known and name[-1] != "}"]
    if len(set(found)) > 1:
        raise BadInput(
            f"source.ref: {ref} is a branch and a tag, and they differ: write refs/heads/{ref} or refs/tags/{ref}"
        )
    if found:
        return found[0]
    raise _missing(ref)


def _missing(ref: str) -> SourceFailed:
    failed = SourceFailed(
        f"the repository has no branch or tag {ref}" if ref else "the repository has no commit",
        hint="check source.ref, and that it was pushed" if ref else "push one to it",
    )
    if SHORT_COMMIT.fullmatch(ref):
        failed.facts["hint"] = f"if {ref} is a commit, write all 40 digits of it: a repository finds it by no fewer"
    failed.cause = "ref_missing"
    return failed


# In order: cause, git's or ssh's own words, what failed, what to do.
REFUSALS = (
    ("no_space", r"[Nn]o space left on device|[Qq]uota exceeded", "the builder's disk is full", "free space there"),
    (
        *("host_key_unknown", r"Host key verification failed|HOST IDENTIFICATION HAS CHANGED"),
        "the builder does not trust the host key of the git host",
        "check its fingerprint, then add it on the builder: ssh-keyscan HOST >>~/.ssh/known_hosts",
    ),
    (
        *("key_refused", r"Permission denied \([a-z,-]*publickey|Too many authentication failures"),
        "the git host refused the SSH key",
        "check source.key or source.key_file, and that its public half is a deploy key of the repository",
    ),
    (
        *("token_refused", r"Authentication failed|could not read (Username|Password)|error: 40[13]|Access denied"),
        "the git host refused the token, or wants one",
        "check source.token: that it is not expired and may read the repository",
    ),
    (
        *("git_host_unknown", r"Could not resolve host|Name or service not known|name resolution"),
        "the git host is not known by that name",
        "check source.git, and the name service of the builder",
    ),
    (
        *("git_host_down", r"onnection refused|timed out|No route to host|unreachable|Failed to connect"),
        "the git host does not answer",
        "check source.git, and the way from the builder to that host",
    ),
    ("git_host_down", r"Couldn't connect|onnection reset", "the git host does not answer", "try again in a while"),
    (
        *("certificate", r"SSL certificate problem|certificate verification failed|certificate verify failed"),
        "the builder does not trust the certificate of the git host",
        "add the authority that signed it to the builder's certificates",
    ),
    (
        *("ref_missing", r"not our ref|unadvertised object|couldn't find remote ref|Direct fetching of that commit"),
        "the repository does not have this commit, or does not hand out single commits",
        "check source.ref, or name a branch or a tag",
    ),
    (
        *("repository_missing", r"[Rr]epository .*not found|not appear to be a git repository|does not exist"),
        "there is no such repository, or this key or token may not see it",
        "check source.git and what the key or token may read",
    ),
)


def refusal(doing: str, said: str) -> SourceFailed:
    """Why git could not do it, by its own last words."""
    words = said.strip()
    found = next((one for one in REFUSALS if re.search(one[1], words)), None)
    failed = SourceFailed(f"could not {doing}: {found[2] if found else words[-500:]}", tuple(words.splitlines()[-15:]))
    if found:
        failed.cause = found[0]
        failed.facts["hint"] = found[3]
    return failed


def refuse_size(weight: int, limit: int, written: str, least: str = "") -> None:
    """Refuse code that weighs more than the service allows. least: how it is said that it weighs more still."""
    if weight > limit:
        failed = SourceFailed(
            f"the source weighs {least}{in_words(weight)}, and source.limit is {written}",
            hint="take large files out of the repository, or raise source.limit",
        )
        failed.cause = "source_too_large"
        raise failed


def in_words(weight: int) -> str:
    """Bytes as people write them."""
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if weight >= size:
            return f"{weight / size:.1f} {unit}"
    return f"{weight} bytes"


def notes(code: Code) -> tuple[str, ...]:
    """What people are told of the code."""
    if not code.changed:
        return ()
    files = "1 file differs" if code.changed == 1 else f"{code.changed} files differ"
    return (f"{files} from commit {code.commit[:12]}: uncommitted changes are built",)


def labels(code: Code, service: str, version: str, builder: str = "", build: str = "") -> dict[str, str]:
    """The labels of the image. No time among them: the same code must give the same image."""
    found = {
        f"{OCI}.title": service,
        f"{OCI}.version": version,
        f"{OCI}.revision": code.revision,
        f"{OCI}.source": code.origin,
        "stackswap.built": service,
        "stackswap.tree": code.tree,
        "stackswap.builder": builder,
        "stackswap.build": build,
    }
    return {name: value for name, value in found.items() if value}


def shown(address: str) -> str:
    """A repository's address without a name or password."""
    return re.sub(r"^(https?://)[^/@]*@", r"\1", address)


def at(source: Source, absolute: Callable[[str], str]) -> Source:
    """The same source with its path made absolute."""
    return replace(source, path=absolute(source.path)) if source.path else source
