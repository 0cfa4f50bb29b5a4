"""The strict client: constant load over bare sockets, in a process of its own, retrying nothing.

    with Load("127.0.0.1", 8080, host="shop.test", rate=200, websocket=True) as load:
        ...
    assert load.report().lost == 0

or `python -m tests.lab.client --url http://127.0.0.1:8080 --host shop.test --seconds 10`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.lab.report import Report
from tests.lab.run import Plan, Run
from tests.lab.sessions import stream, websocket
from tests.lab.workers import get, new, post, slow

ROOT = Path(__file__).parents[2]
REQUESTS = {"get": get, "new": new, "post": post}
LASTING = {"slow": slow, "stream": stream, "websocket": websocket}
FEW, LONGEST = 2, 30


class Load:
    """A load in a process of its own, from the first answer to the end of the block."""

    def __init__(self, address: str, port: int, **fields: Any) -> None:
        """Take the fields of a Plan; `slow`, `stream` and `websocket` also as True for a few."""
        few = {name: FEW for name in LASTING if fields.get(name) is True}
        self.plan = Plan(address, port, **(fields | few))
        self.ended: Report | None = None

    def __enter__(self) -> Load:
        command = [
            sys.executable,
            "-m",
            "tests.lab.client",
            "--plan",
            json.dumps(asdict(self.plan)),
        ]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)
        if self.process.stdout.readline() != "heard\n":
            self.process.kill()
            raise RuntimeError("the client did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> Report:
        """Begin nothing more, let what is in flight finish, and return the report."""
        if self.ended is None:
            try:
                said, _ = self.process.communicate(timeout=self.plan.timeout + LONGEST)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
            self.ended = Report.from_json(said)
        return self.ended

    def report(self) -> Report:
        """Return the report, ending the load if need be."""
        return self.stop()

    def under_way(self) -> None:
        """Raise if the load has ended by itself: what is done from now on would be done without it."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the load is over, after its {self.plan.count} requests or {self.plan.seconds} s")

    def wait(self) -> Report:
        """Let the load run to the end of its own time or count, and return the report."""
        self.ended = Report.from_json(self.process.stdout.readline())
        self.process.communicate(timeout=LONGEST)
        return self.ended


def peak(address: str, port: int, host: str, seconds: float = 3, **fields: Any) -> float:
    """Measure how many requests a second come back when each worker sends as fast as it can."""
    with Load(address, port, host=host, seconds=seconds, rate=0, **fields) as load:
        return load.wait().rate


async def drive(run: Run) -> Report:
    """Run all workers of a plan to the end and return the report."""
    plan = run.plan
    quick = [REQUESTS[kind] for kind, count in plan.mix.items() for _ in range(count)]
    lasting = [work for kind, work in LASTING.items() for _ in range(getattr(plan, kind))]
    step = run.interval / max(1, len(quick))
    works = [work(run, number * step) for number, work in enumerate([*quick, *lasting])]
    await asyncio.gather(*works)
    run.heard.set()
    return run.tally.report(plan.answers)


async def obey(plan: Plan) -> Report:
    """Drive a plan, say when the first answer came, and stop when the standard input ends."""
    run, loop = Run(plan), asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), lambda: stop_on_end(run, loop))
    driven = asyncio.create_task(drive(run))
    await run.heard.wait()
    print("heard", flush=True)
    return await driven


def stop_on_end(run: Run, loop: asyncio.AbstractEventLoop) -> None:
    """Stop the run when the standard input has ended."""
    if not sys.stdin.buffer.raw.read(4096):
        run.stopping = True
        loop.remove_reader(sys.stdin.fileno())


async def show(plan: Plan) -> Report:
    """Drive a plan until it ends or an interrupt comes."""
    run = Run(plan)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, setattr, run, "stopping", True)
    return await drive(run)


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A client that never retries.")
    parser.add_argument("--plan", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--url", type=urlsplit, default=urlsplit("http://127.0.0.1:8080/"))
    parser.add_argument("--host", help="the Host header, else that of the URL")
    for name, standard in (("seconds", 10), ("rate", 200), ("timeout", 10), ("session", 5)):
        parser.add_argument(f"--{name}", type=float, default=standard)
    for name in LASTING:
        parser.add_argument(f"--{name}", type=int, nargs="?", const=FEW, default=0)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser.parse_args()


def asked(args: argparse.Namespace) -> Plan:
    """Make a plan of the command line."""
    url, same = args.url, ("seconds", "rate", "timeout", "session", *LASTING)
    plain = {name: getattr(args, name) for name in same}
    host = args.host or url.netloc
    return Plan(url.hostname, url.port or 80, host=host, path=url.path or "/", **plain)


def main() -> int:
    """Run the load of the command line, print the report and fail if anything was lost."""
    args = options()
    if args.plan:
        print(asyncio.run(obey(Plan(**args.plan))).to_json(), flush=True)
        return 0
    report = asyncio.run(show(asked(args)))
    print(report.to_json() if args.json else report)
    return 1 if report.lost or not report.requests else 0


if __name__ == "__main__":
    sys.exit(main())
