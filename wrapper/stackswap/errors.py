"""What can go wrong, as exceptions; each knows the exit code of the command line.

StackswapError            4   the wrapper could not do its work
├── Usage                 2   asked wrongly, or a configuration that Ansible refuses to read
└── JobError                  a job ended, and not well; `report` tells all that is known
    ├── Failed            1
    ├── Unreachable       3   nothing but servers that did not answer
    ├── NotRun            4   it could not run, or was lost
    │   └── Misconfigured 2   a Usage too: Ansible refused it before any play began
    ├── Claimed           5   another job has the service: safe to try again
    ├── DeadlinePassed    6
    └── Canceled        130
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackswap.report import Report


class StackswapError(Exception):
    """The wrapper could not do its work."""

    exit = 4


class Usage(StackswapError):
    """Asked wrongly."""

    exit = 2


class JobError(StackswapError):
    """A job ended, and not well."""

    exit = 1

    def __init__(self, report: Report) -> None:
        super().__init__(report.line)
        self.report = report


class Failed(JobError):
    """A server, a build or a check failed."""


class Unreachable(JobError):
    """Nothing but servers that did not answer."""

    exit = 3


class NotRun(JobError):
    """It could not run, or was lost on the way."""

    exit = 4


class Misconfigured(NotRun, Usage):
    """Ansible refused playbook, inventory or options before any play began."""

    exit = 2


class Claimed(JobError):
    """Another job has the service."""

    exit = 5


class DeadlinePassed(JobError):
    """It was stopped at its deadline."""

    exit = 6


class Canceled(JobError):
    """Somebody asked it to stop."""

    exit = 130


KINDS: tuple[type[JobError], ...] = (
    Failed, Unreachable, NotRun, Misconfigured, Claimed, DeadlinePassed, Canceled,
)  # fmt: skip


def error_of(code: int) -> type[JobError]:
    """The exception for an exit code that is not 0."""
    return next((kind for kind in KINDS if kind.exit == code), NotRun)
