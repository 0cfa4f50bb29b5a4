"""Blue-green container deploys to every server of a stack, driven from Python or a command line.

    report = stackswap.deploy("shop", "1.4.2", inventory="inventories/production")
    report.raise_for_status()

Options are ansible-playbook's, with underscores: `limit="web1"`, `check=True`, `forks=10`,
`extra_vars={...}`; and ours: `deadline`, `wait_claim`, `job_dir`, `output` (default: nothing is
drawn). What is not known about a job is said: see Report.
"""

from __future__ import annotations

from typing import Any

from stackswap.errors import (
    Canceled,
    Claimed,
    DeadlinePassed,
    Failed,
    JobError,
    Misconfigured,
    NotRun,
    StackswapError,
    Unreachable,
    Usage,
)
from stackswap.report import Report

__all__ = [
    "Canceled",
    "Claimed",
    "DeadlinePassed",
    "Failed",
    "JobError",
    "Misconfigured",
    "NotRun",
    "Report",
    "StackswapError",
    "Unreachable",
    "Usage",
    "build",
    "build_and_deploy",
    "deploy",
    "maintenance",
    "prune",
    "remove",
    "restart",
    "rollback",
    "setup",
    "status",
]


def setup(**options: Any) -> Report:
    """Make servers and builder ready."""
    return _run("setup", (), options)


def build(service: str | None = None, version: str | None = None, **options: Any) -> Report:
    """Build the image of a service."""
    return _run("build", (service, version), options)


def deploy(service: str | None = None, version: str | None = None, **options: Any) -> Report:
    """Swap a release in on every server. Without a version: the live image, settings of now."""
    return _run("deploy", (service, version), options)


def build_and_deploy(service: str | None = None, version: str | None = None, **options: Any) -> Report:
    """Build, then deploy."""
    return _run("build-and-deploy", (service, version), options)


def rollback(service: str | None = None, version: str | None = None, **options: Any) -> Report:
    """Back to the release that was kept, or to that version."""
    return _run("rollback", (service, version), options)


def maintenance(service: str, state: str, **options: Any) -> Report:
    """Show a page in the place of a service with ``start``; ``end`` lets users in again."""
    return _run("maintenance", (service, state), options)


def restart(service: str | None = None, **options: Any) -> Report:
    """New containers of the release that is live take over."""
    return _run("restart", (service,), options)


def remove(service: str, **options: Any) -> Report:
    """All of a service leaves the servers; it may be one that the inventory does not know any more."""
    return _run("remove", (service,), options)


def prune(service: str | None = None, **options: Any) -> Report:
    """Take away the releases that nobody would go back to: of one service, else of all."""
    return _run("prune", (service,), options)


def status(service: str | None = None, **options: Any) -> Report:
    """What serves where."""
    return _run("status", (service,), options)


def _run(kind: str, words: tuple[str | None, ...], options: dict[str, Any]) -> Report:
    """Run a job; the imports are late because ansible-runner takes its time."""
    import os  # noqa: PLC0415
    import sys  # noqa: PLC0415

    from stackswap import job  # noqa: PLC0415
    from stackswap.show import Nothing, screen  # noqa: PLC0415
    from stackswap.spec import call, parse  # noqa: PLC0415

    playbook = options.pop("_playbook", "")
    spec = parse(call(kind, words, options), os.environ.get("ANSIBLE_SKIP_TAGS", ""))
    if not spec.output:
        return job.run(spec, Nothing(), playbook=playbook)
    drawn = screen(spec.output, sys.stdout, sys.stderr, os.environ, spec.quiet)
    return job.run(spec, drawn, playbook=playbook)
