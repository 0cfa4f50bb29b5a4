"""What containers say and do from inside: read on from where one was, told as whole lines, of the right containers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import reading
from ansible_collections.stackswap.bluegreen.plugins.module_utils.asked import asked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.crontab.table import Crontab
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.inside_module import MOST, Watch, ran, read
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, run
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Bake,
    Container,
    Health,
    Process,
    Release,
    Replica,
    Route,
    Service,
)
from tests.lab.fake import App, FakeServer

HEALTH = Health("http", "/health", deadline=10.0, min_healthy_time=1.0)
SHOP = Service("test", "shop", routes=(Route("shop.test"),), health=HEALTH, bake=Bake(1.0), confirmations=1)
WORK = {"command": ["work"]}
SERVICES = {"shop": {"processes": {"web": {}, "worker": WORK, "nightly": {**WORK, "schedule": "@daily"}}}}
KNOWN = {"stackswap_service": "shop", "stackswap_environment": {"name": "test"}, "stackswap_services": SERVICES}
LOGS = {"cursor": None, "tail": 2, "follow": False, "previous": False, "process": ""}


class Said:
    """Takes the place of a line, and of the engine's logs: what each container says, a second after another."""

    def __init__(self, logs: dict[str, list[str]], turns: int = 0, does: Callable[[int], Any] = id) -> None:
        self.logs, self.told, self.turns, self.does = logs, [], turns, does
        self.asked: list[str] = []
        self.ran: tuple[Replica, ...] = ()

    def tell(self, phase: str, msg: str = "", again: bool = False) -> None:
        self.told.append((phase, msg))

    def stop_asked(self) -> str:
        self.turns -= 1
        self.does(self.turns)
        return "asked" if self.turns < 0 else ""

    def said(self, container: str, tail: int, since: int = 0) -> list[tuple[str, str]]:
        texts = self.logs.get(container, [])
        lines = [(f"2026-01-01T00:00:{n:02d}.000000000Z", text) for n, text in enumerate(texts)]
        return lines if since else lines[-tail:] if tail else []

    def runs(self, service: str, process: str) -> tuple[Replica, ...]:
        return self.ran

    def run_in(self, container: str, argv: Sequence[str], heard: Callable[[bytes], None]) -> int:
        self.asked.append(container)
        for piece in (b"one\ntw", b"o\r\n", b"three"):
            heard(piece)
        return 7 if argv == ["false"] else 0


@pytest.fixture
def site() -> FakeServer:
    """A server on which a second version is live."""
    server = FakeServer(good=App())
    for version in ("1", "2"):
        deploy(server, version)
    return server


def deploy(server: FakeServer, version: str) -> None:
    """One more."""
    made = Release(SHOP.key, version, f"sha256:{version}", Container("good"), health=HEALTH)
    assert run(server.effects(), SHOP, made, Order("settled")).error is None


def box(server: FakeServer, version: str) -> str:
    """The id of the version's container."""
    return next(id for id, box in server.engine.boxes.items() if box.replica().version == version)


def watch(server: FakeServer, said: Said) -> Watch:
    """What a call looks with."""
    return Watch(server.effects(), said, said)  # type: ignore[arg-type]


def test_the_last_lines_of_the_live_release_are_shown(site: FakeServer) -> None:
    """Or of the one before it."""
    logs = {box(site, "1"): ["old"], box(site, "2"): ["a", "b", "c"]}
    for before, lines in ((False, ["b", "c"]), (True, ["old"])):
        said = Said(logs, turns=9)
        answer = read(watch(site, said), SHOP, {**LOGS, "previous": before})
        assert [text for _, text in said.told] == lines and not answer["stopped"]


def test_following_goes_on_with_the_release_that_goes_live(site: FakeServer) -> None:
    """Its lines from the first on; and the next call goes on where this one was stopped."""
    live = box(site, "2")
    logs = {live: ["a", "b", "c"]}

    def does(turn: int) -> None:
        if turn == 2:
            logs[live].append("d")
        if turn == 1:
            deploy(site, "3")
            logs[box(site, "3")] = ["x", "y", "z"]

    said = Said(logs, turns=3, does=does)
    answer = read(watch(site, said), SHOP, {**LOGS, "follow": True})
    assert [text for _, text in said.told] == ["b", "c", "d", "x", "y", "z"] and answer["stopped"]
    logs[box(site, "3")].append("more")
    said = Said(logs)
    read(watch(site, said), SHOP, {**LOGS, "cursor": answer["cursor"]})
    assert [text for _, text in said.told] == ["more"]


def test_one_that_was_silent_is_heard_from_its_first_line_on(site: FakeServer) -> None:
    """Between two looks it may say more than the last lines that were asked for at first."""
    live = box(site, "2")
    logs: dict[str, list[str]] = {live: []}
    said = Said(logs, turns=2, does=lambda turn: logs.update({live: ["a", "b", "c"]}))
    read(watch(site, said), SHOP, {**LOGS, "follow": True})
    assert [text for _, text in said.told] == ["a", "b", "c"]


def test_lines_of_one_moment_are_told_once_each() -> None:
    """The engine's clock may stand still between two lines."""
    at = "2026-01-01T00:00:00.000000000Z"
    first = [(at, "a"), (at, "b")]
    mark = reading.read_to(first, ())
    assert list(reading.fresh([*first, (at, "c"), (f"{at[:18]}1Z", "d")], mark)) == ["c", "d"]
    assert reading.second(mark) == 1767225600 and reading.second(()) == 0
    assert reading.read_to([], mark) == mark


def test_nothing_live_and_nothing_kept_is_said() -> None:
    """By the service's name."""
    server = FakeServer(good=App())
    with pytest.raises(BadInput, match="no container of shop is live on this server"):
        read(watch(server, Said({})), SHOP, LOGS)
    deploy(server, "1")
    with pytest.raises(BadInput, match="no container of shop is kept of a release before on this server"):
        read(watch(server, Said({})), SHOP, {**LOGS, "previous": True})


@pytest.fixture
def crewed(tmp_path: Path) -> FakeServer:
    """A server on which the worker of a second version works, too; cron has something to run."""
    server = FakeServer(good=App())
    clocked = Process("nightly", ("work",), schedule="@daily")
    for version in ("1", "2"):
        made = Release(SHOP.key, version, f"sha256:{version}", Container("good"), health=HEALTH)
        made = replace(made, processes=(Process("worker", ("work",)), clocked))
        cron = Crontab(str(tmp_path), "unix:///run/docker.sock", str(tmp_path / "cron.d"))
        assert run(replace(server.effects(), cron=cron), SHOP, made, Order("settled")).error is None
    return server


def worker(server: FakeServer, version: str) -> str:
    """The id of the version's worker."""
    found = [box.replica() for box in server.engine.boxes.values()]
    return next(one.id for one in found if (one.process, one.version) == ("worker", version))


def test_a_worker_is_heard_and_asked_alone(crewed: FakeServer) -> None:
    """That of the live release, or of the one before; web's containers are those of no other process."""
    logs = {id: ["web"] for id, box in crewed.engine.boxes.items() if not box.replica().process}
    logs |= {worker(crewed, version): [f"worker of {version}"] for version in ("1", "2")}
    for process, before, line in (
        ("worker", False, "worker of 2"), ("worker", True, "worker of 1"), ("web", False, "web"), ("", False, "web")
    ):  # fmt: skip
        said = Said(logs)
        read(watch(crewed, said), SHOP, {**LOGS, "process": process, "previous": before})
        assert [text for _, text in said.told] == [line]
    said = Said({})
    assert ran(watch(crewed, said), SHOP, {"command": ["true"], "process": "worker"}) == {"exit_code": 0}
    assert said.asked == [worker(crewed, "2")]


@pytest.mark.parametrize(
    ("process", "why"),
    [
        ("worekr", "no container of worekr of shop is live on this server: did you mean worker"),
        ("mail", "no container of mail of shop is live on this server: known are nightly, web, worker"),
        ("nightly", "nightly of shop has not run yet on this server: cron runs it"),
    ],
)
def test_a_process_that_a_server_does_not_have_is_answered_with_those_that_it_has(
    crewed: FakeServer, process: str, why: str
) -> None:
    """What cron has never run has nothing to tell either."""
    for act, more in ((read, LOGS), (ran, {"command": ["true"]})):
        with pytest.raises(BadInput, match=why):
            act(watch(crewed, Said({})), SHOP, {**more, "process": process})


def test_what_cron_runs_is_heard_in_the_container_of_its_last_run(crewed: FakeServer) -> None:
    """One that waits on the server and never runs says nothing; a command runs only while the run does."""
    said = Said({"last": ["42 mails sent"]})
    said.ran = (Replica("last", "n", "", "2", "", 0, "exited"),)
    read(watch(crewed, said), SHOP, {**LOGS, "process": "nightly"})
    assert said.told == [("log", "42 mails sent")]
    with pytest.raises(BadInput, match="no container of nightly of shop runs on this server"):
        ran(watch(crewed, said), SHOP, {"command": ["true"], "process": "nightly"})
    with pytest.raises(BadInput, match="no container of nightly of shop is kept of a release before"):
        read(watch(crewed, said), SHOP, {**LOGS, "process": "nightly", "previous": True})


def test_a_worker_that_has_ended_runs_no_command(crewed: FakeServer) -> None:
    """Its logs are still there."""
    crewed.engine.boxes[worker(crewed, "2")].state = "exited"
    with pytest.raises(BadInput, match="no container of worker of shop runs on this server"):
        ran(watch(crewed, Said({})), SHOP, {"command": ["true"], "process": "worker"})
    said = Said({worker(crewed, "2"): ["last words"]})
    read(watch(crewed, said), SHOP, {**LOGS, "process": "worker"})
    assert said.told == [("log", "last words")]


def test_a_commands_output_is_told_in_whole_lines_and_its_exit_code_is_answered(site: FakeServer) -> None:
    """However it comes in pieces."""
    said = Said({})
    assert ran(watch(site, said), SHOP, {"command": ["false"], "process": ""}) == {"exit_code": 7}
    assert said.told == [("out", "one"), ("out", "two"), ("out", "three")]


def test_what_is_too_much_is_counted() -> None:
    """And the rest is let go."""
    told: list[str] = []
    pieces = reading.Pieces(told.append, 10)
    pieces.take(b"12345\n123456\n")
    pieces.end()
    assert told == ["12345"] and pieces.left == 6 and MOST > 100_000


@pytest.mark.parametrize(
    ("kind", "given", "why"),
    [
        ("exec", {}, "stackswap_command is missing: a list"),
        ("exec", {"stackswap_command": "ls -l"}, "stackswap_command must be a list"),
        ("logs", {"stackswap_tail": -1}, "stackswap_tail"),
        ("logs", {"stackswap_service": None}, "stackswap_service is missing"),
        ("logs", {"stackswap_process": "wroker"}, "is wroker, which shop does not have: did you mean worker"),
        ("exec", {"stackswap_process": "mail"}, "is mail, which shop does not have: known are nightly, web, worker"),
        ("remove", {"stackswap_process": "worker"}, "stackswap_process is given, and a service leaves with all"),
    ],
)
def test_what_cannot_be_read_is_refused(kind: str, given: dict[str, Any], why: str) -> None:
    """By its name, before any server is asked."""
    with pytest.raises(BadInput, match=why):
        asked(kind, {**KNOWN, "stackswap_command": ["ls"] if "process" in str(given) else None, **given}, ["web1"], "/")


def asked_of(kind: str, process: str, **more: Any) -> dict[str, Any]:
    """A job on two servers, the second of which alone has the worker."""
    given = {**KNOWN, "stackswap_command": ["ls"], "stackswap_process": process, **more}
    return asked(kind, given, ["web1", "jobs1"], "/", {"web": ["web1"], "jobs": ["jobs1"]})


@pytest.mark.parametrize("kind", ["logs", "exec"])
@pytest.mark.parametrize(
    ("process", "servers"), [("", ["web1", "jobs1"]), ("web", ["web1"]), ("worker", ["jobs1"]), ("mail", ["jobs1"])]
)
def test_a_process_is_asked_for_where_it_is(kind: str, process: str, servers: list[str]) -> None:
    """Also one that this environment alone has."""
    placed = {"web": {"group": "web"}, "worker": {**WORK, "group": "jobs"}}
    more = {"processes": {"mail": {**WORK, "group": "jobs"}}}
    services = {"stackswap_services": {"shop": {"processes": placed}}, "stackswap_overrides": {"shop": more}}
    told = asked_of(kind, process, **services)
    assert (list(told["places"]), told["main"], told["process"]) == (servers, servers[0], process)


def test_a_command_runs_on_the_main_server_that_was_chosen() -> None:
    """Where it has the service at all, else on the first that does."""
    defined = {"stackswap_services": {"shop": {"processes": {"web": {}, "worker": {**WORK, "group": "jobs"}}}}}
    assert [asked_of("exec", "", **defined, stackswap_main=name)["main"] for name in ("", "jobs1")] == ["web1", "jobs1"]
    assert asked_of("exec", "worker", **defined, stackswap_main="web1")["main"] == "jobs1"
    with pytest.raises(BadInput, match="stackswap_main is web9"):
        asked_of("exec", "", **defined, stackswap_main="web9")


def test_what_cron_runs_is_asked_for_on_the_main_server() -> None:
    """That runs it, and no other."""
    for chosen, main in (("", "web1"), ("jobs1", "jobs1")):
        told = asked_of("logs", "nightly", stackswap_main=chosen)
        assert (list(told["places"]), told["main"]) == ([main], main)


@pytest.mark.parametrize("services", [None, {}, {"shop": {"processes": ["worker"]}}, {"shop": None}])
def test_where_the_inventory_tells_of_no_process_the_servers_do(services: Any) -> None:
    """All are asked for the one that is named."""
    told = asked_of("logs", "worker", stackswap_services=services)
    assert "places" not in told and told["process"] == "worker"
