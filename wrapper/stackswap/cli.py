"""The command line: words to a job, errors to exit codes. No logic of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from importlib import metadata

from stackswap import start
from stackswap.errors import StackswapError, Usage
from stackswap.report import Report
from stackswap.show import Screen, screen
from stackswap.show.through import Through
from stackswap.spec import CHECKS, JOBS, START, THROUGH, Spec, parse
from stackswap.store import Folder, Store, root_of

HELP = """\
stackswap JOB [SERVICE] [VERSION] -i INVENTORY [any option of ansible-playbook]

jobs      setup                               make servers and builder ready
          build SERVICE [VERSION]             build the image
          deploy SERVICE [VERSION]            swap it in on every server, with no interruption
          build-and-deploy SERVICE [VERSION]  both
          rollback SERVICE [VERSION]          back to the release that was kept
          rollback SERVICE --list             what can be gone back to, and what is in the way
          maintenance SERVICE start|end       a page in its place, or users let in again
          restart SERVICE                     new containers of what is live take over
          remove SERVICE                      all of a service leaves the servers
          logs SERVICE                        what its containers say, of every server
          exec SERVICE -- COMMAND             in the live container of the main server, whose exit code is ours
          drain SERVER, undrain SERVER        a balancer in front leaves it out; takes it in again
          backing [NAME]                      the databases and caches that the stack runs itself
          status [SERVICE] [--history [N]]    what serves where, and what the last jobs came to
          prune [SERVICE]                     take away what nobody would go back to
          selftest                            prove on the servers themselves what is promised
looking   jobs                                the jobs of this machine, the newest first
          show [JOB]                          a job again, by its id or the first part of it
          cancel [JOB]                        ask a job to stop
starting  init [FOLDER]                       an ops repository to start from
checking  callbacks lint PATH                 what is wrong with an application's callbacks

SERVICE may be several, as shop,api, or all: one switches only where all are ready

options   --output plain|live|json   live on a terminal, else plain
          --quiet                    failures and the last line alone
          --follow --tail N --previous   of logs: go on; the last N lines; of the release before
          --process NAME             of logs and exec: of this process, as a worker, and not of web
          --expect HASH              do what the check with this hash has planned, or nothing
          --exit-status              of status: 1 where something is sick or servers differ
          --deadline SECONDS         stop the job then
          --wait-claim SECONDS       wait that long for another job on the same service
          --job-dir FOLDER           where jobs are kept
All other options are ansible-playbook's own: -e, --check, --diff, --limit, -v, -K ...

exit      0 successful, 1 failed, 2 usage or configuration, 3 nothing but unreachable servers,
          4 could not run or lost, 5 claimed by another job, 6 deadline, 130 canceled
"""


def main(argv: Sequence[str] | None = None, *, playbook: str = "") -> int:
    """Run the command; answers its exit code. playbook: another than the job's own."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words, playbook)
    except StackswapError as error:
        print(f"stackswap: {error}", file=sys.stderr)
        return error.exit
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 4


def _run(words: list[str], playbook: str) -> int:
    if words == ["--version"]:
        print(f"stackswap {metadata.version('stackswap')}")
        return 0
    spec = parse(words, os.environ.get("ANSIBLE_SKIP_TAGS", ""))
    if spec.help:
        asked = "--help" in spec.names
        print(HELP, end="", file=sys.stdout if asked else sys.stderr)
        return 0 if asked else Usage.exit
    if spec.kind in JOBS:
        return _job(spec, playbook)
    if spec.kind in CHECKS:
        return _callbacks(spec)
    if spec.kind in START:
        return start.run(spec, sys.stdout)
    store = Store(root_of(spec.job_dir, os.environ))
    return {"jobs": _jobs, "show": _show, "cancel": _cancel}[spec.kind](store, spec)


def _job(spec: Spec, playbook: str) -> int:
    from stackswap import job  # noqa: PLC0415 - ansible-runner takes its time; looking at jobs does not need it

    through = spec.kind in THROUGH and spec.output != "json"
    drawn = Through(sys.stdout, sys.stderr) if through else _screen(spec)
    return job.run(spec, drawn, playbook=playbook).exit


def _screen(spec: Spec) -> Screen:
    return screen(spec.output, sys.stdout, sys.stderr, os.environ, spec.quiet)


def _callbacks(spec: Spec) -> int:
    from stackswap import lint  # noqa: PLC0415 - as above

    return lint.run(spec, sys.stdout)


def _jobs(store: Store, spec: Spec) -> int:
    for folder in store.jobs():
        told = _summary(folder)
        if spec.output == "json":
            print(json.dumps(told))
        else:
            what = " ".join(filter(None, [told["kind"], told["service"], told["version"]]))
            print(f"{told['id']}  {told['status']:<10}  {told['outcome']:<9}  {what}")
    return 0


def _summary(folder: Folder) -> dict[str, str]:
    asked, report = folder.asked(), folder.report()
    status = report.status if report else folder.status()
    names = ("kind", "service", "version", "started")
    told = {name: str(asked.get(name, "")) for name in names}
    return {"id": folder.id, **told, "status": status, "outcome": report.outcome if report else ""}


def _show(store: Store, spec: Spec) -> int:
    folder = store.find(spec.service)
    drawn = screen(spec.output or "plain", sys.stdout, sys.stderr, os.environ, spec.quiet)
    for envelope in folder.events():
        drawn.event(envelope)
    report = folder.report()
    if report:
        drawn.finish(report)
    elif spec.output != "json":
        print(f"{folder.id} is {folder.status()}")
    return 0


def _cancel(store: Store, spec: Spec) -> int:
    folder = store.find(spec.service)
    over = folder.report()
    if over:
        raise Usage(f"{folder.id} is over: {over.status}{_when(over)}")
    folder.cancel("command")
    print(f"{folder.id} is asked to stop; see stackswap show {folder.id}")
    return 0


def _when(report: Report) -> str:
    if not report.finished:
        return ""
    return f", {datetime.fromisoformat(report.finished).astimezone():%Y-%m-%d %H:%M:%S}"
