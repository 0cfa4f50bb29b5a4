"""The demo: set up, 1.0, then 1.1 and back again while the strict client asks; told as it goes."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.demo import port, state
from tests.lab import images
from tests.lab.client import Load
from tests.lab.report import Report

APP = Path(__file__).with_name("app")
COMMAND = Path(sys.executable).with_name("stackswap")
INVENTORY = "inventories/demo"
SERVICE, HOST, PORT = "guestbook", "localhost", 8080
PROXY = "stackswap-demo-proxy"
EXPECTED = ["1.0", "1.1", "1.0"]
BASE = "python:3.12-slim"
RATE, AROUND = 100, 6  # requests a second; seconds around each change, longer than a stream
MOOD = "ALTER TABLE notes ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm';\n"


class Failed(Exception):
    """The demo cannot go on; the text says why."""


def tell() -> dict[str, Any]:
    """Run the whole story and return its result."""
    refuse_taken_port()
    state.begin()
    prepare()
    first = build_and_deploy("1.0")
    say(f"1.0 serves after {first['seconds']:.1f} s. A note is left, to see that it stays.")
    leave_note()
    versions = [serving()]
    with asking() as load:
        second = build_and_deploy("1.1")
        versions.append(serving())
        time.sleep(AROUND)
        back = job("rollback")
        versions.append(serving())
        time.sleep(AROUND)
        seen = load.report()
    return sum_up(versions, seen, second, back)


def say(text: str) -> None:
    """Tell people what is going on."""
    print(f"\n# {text}", flush=True)


def refuse_taken_port() -> None:
    """Refuse a port that somebody else has, before anything is done."""
    if state.run("docker", "inspect", "--format={{.State.Running}}", PROXY) == (0, "true"):
        return
    holder = port.owner(PORT)
    if holder:
        raise Failed(f"port {PORT} of this machine is taken by {holder}. Nothing was changed.")


def prepare() -> None:
    """Set this machine up as a server, and choose what the application's FROM line stands for."""
    say("This machine becomes a server. An engine that answers is used, else one is installed.")
    try:
        job("setup")
    finally:
        if not state.load()["engine"]:
            state.note(started=state.engine_pid())
    official = state.run("docker", "pull", "--quiet", BASE)[0] == 0
    state.note(base=BASE if official else images.python())
    stand_in = "a stand-in made of Debian's packages, for no registry answers"
    say(f"{BASE} is {'the official image' if official else stand_in}.")


def build_and_deploy(version: str) -> dict[str, Any]:
    """Build a version from a source tree of its own, deploy it, and return the job's report."""
    tree = source(version)
    base = state.load()["base"]
    build = {} if base == BASE else {"build": {"base_images": {BASE: base}}}
    report = job("build-and-deploy", version, {SERVICE: {"source": {"path": str(tree)}, **build}})
    state.note(built=sorted({*state.load().get("built", ()), report["services"][SERVICE]["image"]["id"]}))
    return report


def source(version: str) -> Path:
    """Copy the application's code and make this version of it: number, colour and schema."""
    tree = state.FOLDER / f"guestbook-{version}"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(APP, tree, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "VERSION").write_text(f"{version}\n")
    if version != "1.0":
        css = tree / "assets" / "page.css"
        css.write_text(css.read_text().replace("#2563eb", "#15803d"))
        (tree / "migrations" / "2_mood.sql").write_text(MOOD)
    return tree


def job(kind: str, version: str = "", overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Run one job of the product, tell its steps, and return its report with the seconds it took."""
    service = [] if kind == "setup" else [SERVICE]
    words = [kind, *service, *filter(None, [version]), "-i", INVENTORY]
    say("stackswap " + " ".join(words))
    extra = ["-e", json.dumps({"stackswap_overrides": overrides})] if overrides else []
    begun = time.monotonic()
    result = finished([*words, *extra, "--output", "json", "--job-dir", str(state.FOLDER / "jobs")])
    report = result["report"]
    tell_steps(report)
    if result["exit"]:
        raise Failed(f"stackswap {kind} ended with {result['exit']}: {result['line']}")
    return {**report, "seconds": time.monotonic() - begun}


def finished(words: list[str]) -> dict[str, Any]:
    """Run the command and return what its last line says of the job."""
    done = subprocess.run([COMMAND, *words], cwd=state.ROOT, stdout=subprocess.PIPE, text=True)
    last = json.loads((done.stdout.splitlines() or ["{}"])[-1])
    if last.get("type") != "job.finished":
        raise Failed(f"stackswap {words[0]} ended with {done.returncode} and without a result")
    return last["data"]


def tell_steps(report: Mapping[str, Any]) -> None:
    """Say what was done on each server, and the job's own last line."""
    for service in report["services"].values():
        for step in (step for host in service["servers"].values() for step in host["steps"]):
            seconds = f" ({step['seconds']:.1f} s)" if step.get("seconds", 0) >= 0.1 else ""
            print(f"  {step['did']}{seconds}")
    print(report["line"], flush=True)


def asking() -> Load:
    """Start the client: kept and new connections, POST, 5-second ones, streams, WebSockets."""
    say(f"A client that never retries now sends {RATE} requests a second, and long ones besides.")
    pace = {"path": "/visit", "rate": RATE, "seconds": 3600, "timeout": 15}
    return Warm("127.0.0.1", PORT, host=HOST, **pace, slow=2, stream=2, websocket=2)


class Warm(Load):
    """A load that has sessions of every kind under way when the block begins."""

    def __enter__(self) -> Load:
        super().__enter__()
        time.sleep(AROUND)
        return self


def ask(method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Ask the service through its public door, once, and return the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    headers = {"Host": HOST, "Content-Type": "application/json"}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status >= 300:
        raise Failed(f"{method} {path} was answered with {answer.status} {content[:200]!r}")
    return json.loads(content)


def leave_note() -> None:
    """Write a note through the application."""
    ask("POST", "/api/notes", {"text": "Written while 1.0 served."})


def serving() -> str:
    """Return the version that answers, once the note is seen to be there still."""
    found = ask("GET", "/api/notes")
    if not found["notes"]:
        raise Failed(f"the note is gone from version {found['version']}")
    return str(found["version"])


def sum_up(versions: list[str], seen: Report, second: Mapping[str, Any], back: Mapping[str, Any]) -> dict[str, Any]:
    """Say what the client saw, where the service is and how to remove it; return the result."""
    cut = seen.streams_cut + seen.websockets_cut
    well = versions == EXPECTED and not seen.lost and seen.requests > 0
    say(f"What the client saw: {seen}")
    say(f"Served were {', then '.join(versions)}. Lost: {seen.lost} of {seen.requests}.")
    print(f"It runs on: http://{HOST}:{PORT}/ To remove everything: make clean", flush=True)
    return {
        "ok": well,
        "requests": seen.requests,
        "failed": seen.failed,
        "streams_cut": cut,
        "versions": versions,
        "switch_ms": switch_ms(second, seen),
        "deploy_s": round(second["seconds"], 1),
        "rollback_s": round(back["seconds"], 1),
    }


def switch_ms(report: Mapping[str, Any], seen: Report) -> float:
    """Return the switch's time on the server, else the longest time without an answer."""
    servers = report.get("services", {}).get(SERVICE, {}).get("servers", {})
    told = [host.get("figures", {}).get("switch_ms") for host in servers.values()]
    return round(max(filter(None, told), default=seen.longest_gap_ms), 1)
