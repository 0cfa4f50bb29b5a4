"""What the caller asks for: the command line taken apart, or a call of the library written as one.

Pure. All of ansible-playbook's options pass through in their order; only which of them take a value
is known here, so that SERVICE and VERSION can be told from values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stackswap.errors import Usage

JOBS = {  # kind: how many words may follow
    "setup": 0, "build": 2, "deploy": 2, "build-and-deploy": 2, "rollback": 2, "remove": 1, "restart": 1, "status": 1,
    "maintenance": 2, "prune": 1, "selftest": 0, "logs": 1, "exec": 1_000, "drain": 1, "undrain": 1,
    "backing": 1,
}  # fmt: skip
NAMED = ("remove", "logs", "exec")  # they never guess which service is meant
OF_SERVER = ("drain", "undrain")
THROUGH = ("logs", "exec")  # what a service says is all that they show
PLANNED = ("deploy", "build-and-deploy", "rollback", "restart")
STORE = {"jobs": 0, "show": 1, "cancel": 1}
CHECKS = {"callbacks": 2}
START = {"init": 1}
OUTPUTS = ("plain", "live", "json")
OWN_VALUES = ("--output", "--deadline", "--wait-claim", "--job-dir", "--expect", "--tail", "--process")
OWN_FLAGS = ("--quiet", "--list", "--history", "--exit-status", "--follow", "--previous")
JOBS_TOLD = 10  # of --history without a number

VALUES = frozenset(
    "--private-key --key-file --user --connection --timeout --ssh-common-args --sftp-extra-args "
    "--scp-extra-args --ssh-extra-args --connection-password-file --conn-pass-file --become-method "
    "--become-user --become-password-file --become-pass-file --tags --skip-tags --inventory "
    "--inventory-file --limit --extra-vars --vault-id --vault-password-file --vault-pass-file "
    "--forks --module-path --start-at-task".split()
)
FLAGS = frozenset(
    "--help --version --verbose --ask-pass --force-handlers --become --ask-become-pass --check "
    "--diff --list-hosts --flush-cache --ask-vault-password --ask-vault-pass --syntax-check "
    "--list-tasks --list-tags --step".split()
)
SHORT_VALUES = {
    "e": "--extra-vars", "i": "--inventory", "l": "--limit", "f": "--forks", "t": "--tags",
    "u": "--user", "c": "--connection", "T": "--timeout", "M": "--module-path",
}  # fmt: skip
SHORT_FLAGS = {
    "h": "--help", "v": "--verbose", "k": "--ask-pass", "K": "--ask-become-pass", "b": "--become",
    "C": "--check", "D": "--diff", "J": "--ask-vault-password",
}  # fmt: skip
REFUSED = {
    "--start-at-task": "a job begun in the middle skips the claim and the gates",
    "--step": "a job that waits for a person between two tasks holds servers halfway",
}
LISTINGS = ("--list-hosts", "--list-tasks", "--list-tags", "--syntax-check", "--version")


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What is asked for. options are ansible-playbook's own, names what these are called in full."""

    kind: str
    words: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    output: str = ""
    deadline: float | None = None
    wait_claim: float | None = None
    job_dir: str = ""
    quiet: bool = False
    kept: bool = False
    history: int | None = None
    exit_status: bool = False
    expect: str = ""
    tail: float | None = None
    follow: bool = False
    previous: bool = False
    process: str = ""
    help: bool = False

    @property
    def service(self) -> str:
        """The service asked for, or ''."""
        return self.words[0] if self.words and self.kind not in (*OF_SERVER, "backing") else ""

    @property
    def server(self) -> str:
        """The server asked for, or ''."""
        return self.words[0] if self.words and self.kind in OF_SERVER else ""

    @property
    def backing(self) -> str:
        """The backing service asked for, or ''."""
        return self.words[0] if self.words and self.kind == "backing" else ""

    @property
    def version(self) -> str:
        """The version asked for, or ''."""
        return self.words[1] if len(self.words) > 1 and self.kind not in ("exec", "maintenance") else ""

    @property
    def command(self) -> list[str]:
        """What exec is to run."""
        return list(self.words[1:]) if self.kind == "exec" else []

    @property
    def talks(self) -> bool:
        """Whether Ansible's own text is wanted."""
        return "--verbose" in self.names or any(name in self.names for name in LISTINGS)

    def extra_vars(self, job: str) -> dict[str, Any]:
        """What goes into the play, beside the caller's own."""
        given = {
            "stackswap_job": job,
            "stackswap_job_kind": self.kind,
            "stackswap_service": self.service,
            "stackswap_drain_server": self.server,
            "stackswap_backing_name": self.backing,
            "stackswap_version": self.version,
            "stackswap_maintenance": "".join(self.words[1:]) if self.kind == "maintenance" else "",
            "stackswap_wait_claim": self.wait_claim,
            "stackswap_kept": self.kept or None,
            "stackswap_expect": self.expect,
            "stackswap_tail": self.tail,
            "stackswap_follow": self.follow or None,
            "stackswap_previous": self.previous or None,
            "stackswap_process": self.process,
            "stackswap_command": self.command or None,
            "stackswap_exit_status": self.exit_status or None,
            "stackswap_history": self.history,
        }
        return {name: value for name, value in given.items() if value not in ("", None)}


@dataclass(frozen=True)
class Word:
    """A word of the command line: an option by its full name, or '' for a plain word."""

    name: str
    value: str
    raw: tuple[str, ...]


def parse(argv: Sequence[str], skip_tags: str = "") -> Spec:
    """The command line, taken apart. skip_tags: what the environment asks to skip."""
    found = tuple(_read(argv))
    plain = [word.value for word in found if not word.name]
    own = {word.name: word.value for word in found if word.name in (*OWN_VALUES, *OWN_FLAGS)}
    theirs = [word for word in found if word.name and word.name not in own]
    names = tuple(word.name for word in theirs)
    if "--help" in names or not plain:
        return Spec(kind=plain[0] if plain else "", names=names, help=True)
    _refuse(theirs, skip_tags)
    _refuse_elsewhere(plain[0], own)
    return Spec(
        kind="status" if "--list" in own else plain[0],
        words=_words("status" if "--list" in own else plain[0], plain[1:]),
        options=tuple(raw for word in theirs for raw in word.raw),
        names=names,
        output=_output(own.get("--output", "")),
        deadline=_seconds("--deadline", own.get("--deadline")),
        wait_claim=_seconds("--wait-claim", own.get("--wait-claim")),
        job_dir=own.get("--job-dir", ""),
        quiet="--quiet" in own,
        kept="--list" in own,
        exit_status="--exit-status" in own,
        expect=own.get("--expect", ""),
        tail=_seconds("--tail", own.get("--tail"), "lines"),
        follow="--follow" in own,
        previous="--previous" in own,
        process=own.get("--process", ""),
        history=_count("--history", own.get("--history")),
    )


def call(kind: str, words: Sequence[str | None], options: Mapping[str, Any]) -> list[str]:
    """The command line that a call of the library stands for."""
    given = [word for word in words if word is not None]
    if any(not isinstance(word, str) for word in given):
        raise Usage('service and version are text: "1.10", not 1.10')
    return [kind, *(part for item in options.items() for part in _option(*item)), "--", *given]


def _option(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if value is None or value is False:
        return []
    if value is True:
        return [flag]
    if isinstance(value, Mapping):
        return [f"{flag}={json.dumps(value)}"]
    if isinstance(value, list | tuple):
        return [part for one in value for part in _option(name, one)]
    return [f"{flag}={value}"]


def _read(argv: Sequence[str]) -> Iterator[Word]:
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            yield from (Word("", one, ()) for one in rest)
            return
        if word.startswith("--"):
            yield _long(word, rest)
        elif word.startswith("-") and len(word) > 1:
            yield from _short(word, rest)
        else:
            yield Word("", word, ())


def _long(word: str, rest: list[str]) -> Word:
    given, equals, value = word.partition("=")
    name = given if given in (*OWN_VALUES, *OWN_FLAGS) else _full(given)
    if name == "--history" and not equals and rest and rest[0].isdigit():
        return Word(name, rest.pop(0), ())
    if equals or name not in (*OWN_VALUES, *VALUES):
        return Word(name, value, (word,))
    value = _next(given, rest)
    return Word(name, value, (word, value))


def _full(given: str) -> str:
    """The option that Ansible takes an abbreviation for."""
    known = VALUES | FLAGS
    fitting = sorted(name for name in known if name.startswith(given)) if len(given) > 2 else []
    return given if given in known or not fitting else fitting[0]


def _short(word: str, rest: list[str]) -> Iterator[Word]:
    """-vvK, -iinventory, -e x=1: the first letter that takes a value takes the rest."""
    raw: tuple[str, ...] = (word,)
    for at, letter in enumerate(word[1:], start=2):
        if letter in SHORT_VALUES:
            value = word[at:] or _next("-" + letter, rest)
            yield Word(SHORT_VALUES[letter], value, raw if word[at:] else (*raw, value))
            return
        yield Word(SHORT_FLAGS.get(letter, "-" + letter), "", raw)
        raw = ()


def _next(name: str, rest: list[str]) -> str:
    if not rest:
        raise Usage(f"{name} wants a value")
    return rest.pop(0)


def _words(kind: str, words: list[str]) -> tuple[str, ...]:
    known = {**JOBS, **STORE, **CHECKS, **START}
    most = known.get(kind)
    if most is None:
        raise Usage(f"no job is called {kind!r}: {', '.join(known)}")
    if len(words) > most:
        raise Usage(f"{kind} takes no more than {most} words, not also: {' '.join(words[most:])}")
    if kind == "maintenance" and words[1:] not in (["start"], ["end"]):
        raise Usage("maintenance takes SERVICE and one of start and end")
    if kind in OF_SERVER and not words:
        raise Usage(f"{kind} wants the SERVER by its name")
    if kind in NAMED and not words:
        raise Usage(f"{kind} wants the SERVICE by its name")
    if kind == "exec" and len(words) < 2:
        raise Usage("exec wants a command: stackswap exec SERVICE -- COMMAND")
    if not all(words[:1] if kind == "exec" else words):
        raise Usage("an empty SERVICE or VERSION says nothing: leave it out, or give one")
    return tuple(words)


def _refuse(words: Sequence[Word], skip_tags: str) -> None:
    for word in words:
        if word.name in REFUSED:
            raise Usage(f"{word.name} is refused: {REFUSED[word.name]}")
    skipped = [word.value for word in words if word.name == "--skip-tags"]
    if "always" in ",".join([*skipped, skip_tags]).replace(" ", "").split(","):
        raise Usage("--skip-tags always is refused: it would skip the whole job and call it well")


def _refuse_elsewhere(kind: str, own: Mapping[str, str]) -> None:
    """An option that means nothing to this job would otherwise be dropped without a word."""
    if "--list" in own and kind not in ("rollback", "status"):
        raise Usage(f"--list tells what can be gone back to: stackswap rollback SERVICE --list, not {kind}")
    for name in ("--tail", "--follow", "--previous"):
        if name in own and kind != "logs":
            raise Usage(f"{name} is an option of logs, not of {kind}")
    if "--process" in own and kind not in THROUGH:
        raise Usage(f"--process is an option of {' and '.join(THROUGH)}, not of {kind}")
    if own.get("--process") == "":
        raise Usage("--process wants the name of a process, as worker")
    if "--expect" in own and kind not in PLANNED:
        raise Usage(f"--expect binds a job to its plan: {', '.join(PLANNED)} have one, not {kind}")
    if "--exit-status" in own and kind != "status":
        raise Usage(f"--exit-status fails for what a status finds: stackswap status --exit-status, not {kind}")
    if "--history" in own and kind != "status" and "--list" not in own:
        raise Usage(f"--history tells of jobs before: stackswap status SERVICE --history, not {kind}")


def _count(name: str, text: str | None) -> int | None:
    """A whole number; without one, the ten that are asked for by the option alone."""
    if text is None:
        return None
    if text and not text.isdigit():
        raise Usage(f"{name} is a number of jobs, not {text!r}")
    return int(text or JOBS_TOLD)


def _output(name: str) -> str:
    if name and name not in OUTPUTS:
        raise Usage(f"--output is one of {', '.join(OUTPUTS)}, not {name!r}")
    return name


def _seconds(name: str, text: str | None, noun: str = "seconds") -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise Usage(f"{name} is a number of {noun}, not {text!r}")
    return int(seconds) if seconds.is_integer() else seconds
