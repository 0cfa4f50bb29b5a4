"""What came of recorded jobs: outcome, exit code, the fold that equals the report, the schema."""

from __future__ import annotations

import functools
import itertools
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import document as collection_document
from ansible_collections.stackswap.bluegreen.plugins.module_utils import fleet, outcomes
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import drain, loss
from stackswap import errors
from stackswap import loss as counted
from stackswap.events import Event
from stackswap.fold import Fold, merge, outcome, together, unheard
from stackswap.report import Ending, Report, document, judge, read

from .streams import folded, recorded

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "collection" / "report.schema.json").read_text())
REPORTED = ("successful", "failed", "claimed", "unreachable", "unreachable_live", "went_back")
OLD = {"release": "a", "version": "1.9"}
NEW = {"release": "b", "version": "1.10"}


def said(**changed: Any) -> dict[str, Any]:
    """A HostReport."""
    report = {"v": 1, "service": "shop", "environment": "test", "rung": "ready", "changed": False}
    return {**report, "before": OLD, "serving": OLD, "steps": [], "failed": None, **changed}


def judged(name: str, stop: str = "") -> Report:
    """What a recorded job came to."""
    rc, events = recorded(name)
    return judge(folded(events), Ending(rc=rc, stop=stop, cut=rc is None))


@pytest.mark.parametrize(
    ("name", "stop", "status", "code", "what"),
    [
        ("successful", "", "successful", 0, "new"),
        ("successful", "canceled", "successful", 0, "new"),
        ("failed", "", "failed", 1, "unchanged"),
        ("claimed", "", "failed", 5, "unchanged"),
        ("unreachable", "", "failed", 3, "unknown"),
        ("unreachable_live", "", "failed", 3, "unknown"),
        ("went_back", "canceled", "canceled", 130, "unchanged"),
        ("went_back", "timeout", "timeout", 6, "unchanged"),
        ("canceled", "canceled", "canceled", 130, "unknown"),
        ("canceled", "timeout", "timeout", 6, "unknown"),
        ("parse_error", "", "error", 2, "unchanged"),
    ],
)
def test_status_exit_code_and_outcome(name: str, stop: str, status: str, code: int, what: str) -> None:
    """They are told apart: how the job ended, and what users get."""
    report = judged(name, stop)
    assert (report.status, report.exit, report.outcome) == (status, code, what)


@pytest.mark.parametrize("name", REPORTED)
def test_the_fold_equals_the_report(name: str) -> None:
    """All but the words for people; and the words answer for the same servers."""
    fold = folded(recorded(name)[1])
    assert fold.report is not None
    mine, theirs = document(fold, fold.report["status"]), dict(fold.report)
    mine.pop("line"), theirs.pop("line")
    for service in (*mine["services"].values(), *theirs["services"].values()):
        for server in service["servers"].values():
            assert server.pop("figures", {}) in ({}, {"switch_ms": 1}, {"switch_ms": 1, "lost": 0})
    assert mine == theirs


@pytest.mark.parametrize("name", [*REPORTED, "canceled", "parse_error"])
def test_the_fold_fits_the_schema(name: str) -> None:
    """A lost job's report is read by whoever reads the others."""
    document_ = document(folded(recorded(name)[1]), "failed", ("web2",) if name == "canceled" else ())
    jsonschema.validate(document_, SCHEMA)
    jsonschema.validate(judged(name).document, SCHEMA)


def test_a_server_not_heard_out_is_unknown() -> None:
    """A job that is killed says where a module may still be at work."""
    report = judged("canceled", "canceled")
    assert report.working == ("web2",)
    assert {name: one["outcome"] for name, one in report.servers.items()} == {
        "web1": "unchanged",
        "web2": "unknown",
    }
    assert "May still be at work: web2" in report.line


def test_a_call_that_could_not_look_leaves_what_serves_as_it_was_known() -> None:
    """As the collection's own report does."""
    known = {**unheard("shop", "test"), "heard": True, "before": {"release": "a"}, "serving": {"release": "a"}}
    refused = {**unheard("shop", "test"), "heard": True, "failed": {"cause": "engine_unreachable", "what": "none"}}
    made = merge(known, refused)
    assert made["serving"] == {"release": "a"} and outcome(made) == "unchanged"
    assert outcome(merge(known, {**refused, "before": {"release": "a"}})) == "gone", "one that has looked is believed"


@pytest.mark.parametrize("cut_after", range(0, 26, 2))
def test_a_job_lost_at_any_event_has_a_report(cut_after: int) -> None:
    """The wrapper killed anywhere: status error, exit 4, and a document by the schema."""
    report = judge(folded(recorded("failed")[1][:cut_after]), Ending(lost=True))
    assert (report.status, report.exit, report.reason) == ("error", 4, "lost")
    jsonschema.validate(report.document, SCHEMA)


@pytest.mark.parametrize(
    ("rc", "played", "status", "code"),
    [
        (0, True, "successful", 0),
        (0, False, "successful", 0),
        (1, False, "error", 2),
        (4, False, "error", 2),
        (5, False, "error", 2),
        (2, True, "error", 4),
        (250, False, "error", 4),
        (127, False, "error", 4),
        (None, False, "error", 4),
        (-9, False, "error", 4),
    ],
)
def test_exit_codes_of_jobs_without_a_word_of_any_server(rc: int | None, played: bool, status: str, code: int) -> None:
    """What Ansible refuses before a play is configuration; what broke is an error."""
    fold = folded([Event("play.started")] if played else [])
    report = judge(fold, Ending(rc=rc))
    assert (report.status, report.exit) == (status, code)


def test_a_task_that_fails_without_a_report_fails_the_job() -> None:
    """A refusal by assert: the job failed and users noticed nothing."""
    refused = Event("host.failed", {"action": "assert", "msg": "No server of the group"}, "web1")
    report = judge(folded([Event("play.started"), refused]), Ending(rc=2))
    assert (report.exit, report.outcome) == (1, "unchanged")
    assert report.line == "deploy: failed: web1: No server of the group"


def test_a_rescued_failure_is_no_success() -> None:
    """Return code 0 with a server that failed is exit code 1."""
    failed = {"cause": "unhealthy", "what": "x", "serves": "", "kept": "", "next": ""}
    event = Event("host.failed", {"stackswap": said(failed=failed), "ignored": True}, "web1")
    assert judge(folded([Event("play.started"), event]), Ending(rc=0)).exit == 1


@pytest.mark.parametrize(
    ("cause", "serving", "code"),
    [("claimed", OLD, 5), ("held", OLD, 5), ("held", NEW, 1), ("superseded", OLD, 1)],
)
def test_another_job_in_the_way_is_told_apart(cause: str, serving: dict[str, Any], code: int) -> None:
    """Safe to try again, by its claim or by its lock, while users have what they had."""
    failed = {"cause": cause, "what": "x", "serves": "", "kept": "", "next": ""}
    event = Event("host.failed", {"stackswap": said(failed=failed, serving=serving)}, "web1")
    assert judge(folded([Event("play.started"), event]), Ending(rc=2)).exit == code


def test_a_result_that_was_too_large_leaves_its_server_unknown() -> None:
    """No report heard, no claim made; but a module of ours that broke off is told."""
    crashed = Event("host.failed", {"action": "stackswap.bluegreen.release", "msg": "boom"}, "web1")
    report = judge(folded([Event("play.started"), crashed]), Ending(rc=2))
    assert report.servers["web1"]["outcome"] == "unknown"
    jsonschema.validate(report.document, SCHEMA)


@pytest.mark.parametrize(
    ("report", "what"),
    [
        (said(), "unchanged"),
        (said(before=None, serving=None), "unchanged"),
        (said(before=None, serving=NEW), "new"),
        (said(serving=NEW, steps=[{"verb": "route", "did": ""}]), "new"),
        (said(steps=[{"verb": "start", "did": ""}]), "unchanged"),
        (said(steps=[{"verb": "route", "did": ""}]), "back"),
    ],
)
def test_what_users_of_a_server_got(report: dict[str, Any], what: str) -> None:
    """Back is told from unchanged by whether traffic ever moved."""
    assert outcome(report) == what


@pytest.mark.parametrize(
    ("outcomes", "what"),
    [
        (["new", "new"], "new"),
        (["new", "back"], "mixed"),
        (["new", "unknown"], "unknown"),
        (["unknown"], "unknown"),
        ([], "unchanged"),
    ],
)
def test_what_users_of_several_servers_got(outcomes: list[str], what: str) -> None:
    """All alike, or one unknown, or mixed."""
    assert together(outcomes) == what


def test_calls_on_a_server_add_up() -> None:
    """The first baseline, the last state, every step, each figure."""
    first = said(changed=True, steps=[{"verb": "start", "did": "a"}], figures={"a": 1})
    second = said(before=NEW, serving=NEW, steps=[{"verb": "route", "did": "b"}], figures={"b": 2})
    told = merge(merge(None, first), second)
    assert (told["before"], told["serving"], told["changed"]) == (OLD, NEW, True)
    assert [step["did"] for step in told["steps"]] == ["a", "b"]
    assert told["figures"] == {"a": 1, "b": 2}


def test_the_collection_adds_them_up_alike() -> None:
    """Each side has its own code; every story of three calls comes to the same with both."""
    failed = {"cause": "x", "what": "y", "serves": "", "kept": "", "next": ""}
    route = [{"verb": "route", "did": "routed"}]
    calls = [
        said(),
        said(serving=NEW, steps=route, changed=True, previous=OLD, figures={"a": 1}),
        said(serving=OLD, steps=route, rung="back"),
        said(failed=failed, asked=NEW),
        said(before=None, serving=None, heard=False, failed=failed),
        said(before=None, serving=None),
    ]
    for story in itertools.product(calls, repeat=3):
        mine = functools.reduce(merge, story, None)
        theirs = functools.reduce(fleet.merged, story, None)
        assert mine is not None
        assert (mine, outcome(mine)) == (theirs, fleet.outcome(theirs))
    for each in itertools.product(("new", "back", "unchanged", "unknown"), repeat=3):
        assert together(each) == outcomes.together(each)


def test_a_report_is_read_back_as_it_was_written() -> None:
    """result.json holds all of it."""
    report = judged("failed")
    assert read(json.loads(report.to_json())) == report


@pytest.mark.parametrize(
    ("name", "stop", "kind"),
    [
        ("failed", "", errors.Failed),
        ("claimed", "", errors.Claimed),
        ("unreachable", "", errors.Unreachable),
        ("canceled", "canceled", errors.Canceled),
        ("canceled", "timeout", errors.DeadlinePassed),
        ("parse_error", "", errors.Misconfigured),
    ],
)
def test_each_exit_code_has_its_exception(name: str, stop: str, kind: type[Exception]) -> None:
    """raise_for_status raises the one that fits, with the report in it."""
    with pytest.raises(kind) as raised:
        judged(name, stop).raise_for_status()
    assert isinstance(raised.value, errors.JobError)
    assert raised.value.report.exit == raised.value.exit
    judged("successful").raise_for_status()


@pytest.mark.parametrize(
    ("servers", "status", "line"),
    [
        (
            {"web1": said(serving=NEW, previous=OLD), "web2": said(serving=NEW)},
            "successful",
            "shop 1.10 serves on web1 web2; was 1.9, kept. Back: stackswap rollback shop",
        ),
        ({"web1": said()}, "successful", "shop 1.9 serves on web1; nothing to change."),
        (
            {"web1": said(), "web2": said(failed={"cause": "x", "what": "it exited 1"})},
            "failed",
            "NOT switched: web2: it exited 1. Users get 1.9 everywhere.",
        ),
        (
            {"web1": said(serving=NEW), "web2": said(failed={"cause": "x", "what": "no"})},
            "failed",
            "MIXED: web2: no. Users get 1.10 on web1, 1.9 on web2. Look: stackswap status shop",
        ),
    ],
)
def test_the_last_line(servers: dict[str, Any], status: str, line: str) -> None:
    """It says what serves where, why not, and what to type."""
    fold = Fold("j1", "deploy", "shop")
    fold.add(Event("play.started"))
    for server, report in servers.items():
        fold.add(Event("host.ok", {"stackswap": report}, server))
    assert document(fold, status)["line"] == line


# -- several services


@pytest.mark.parametrize("asked", ["shop,api", "all"])
def test_a_lost_job_for_several_services_tells_of_each(asked: str) -> None:
    """Version and outcome of every one, and which of them it was that failed."""
    failed = {"cause": "exited", "what": "it exited", "serves": "", "kept": "", "next": ""}
    fold = Fold("j1", "deploy", asked, "1.10")
    fold.add(Event("play.started"))
    fold.add(Event("host.ok", {"stackswap": said(serving=NEW)}, "web1"))
    fold.add(Event("host.failed", {"stackswap": said(service="api", failed=failed), "ignored": True}, "web1"))
    told = document(fold, "failed")
    jsonschema.validate(told, SCHEMA)
    assert {name: (one["version"], one["outcome"]) for name, one in told["services"].items()} == {
        "shop": ("1.10", "new"),
        "api": ("1.10", "unchanged"),
    }
    assert (told["outcome"], told["answers"]) == ("mixed", {"web1": "api: it exited"})
    assert told["line"] == (
        "MIXED: web1: api: it exited. Users get shop 1.10 everywhere. Users get api 1.9 everywhere. "
        "Look: stackswap status"
    )


def test_a_server_that_never_spoke_is_unknown_for_every_service_that_was_asked_for() -> None:
    """By their names; where all were asked for, nobody knows theirs."""
    for asked, names in (("shop,api", {"shop", "api"}), ("shop", {"shop"}), ("all", set())):
        fold = Fold("j1", "deploy", asked)
        fold.add(Event("play.started"))
        fold.add(Event("host.unreachable", {"msg": "no route"}, "web1"))
        told = document(fold, "failed")
        assert {*told["services"]} == names and told["outcome"] == "unknown"


# -- what users lost


def told(verdict: str = "none", lost: int | None = 0, requests: int = 100, probes: int = 0) -> dict[str, Any]:
    """A server's loss."""
    probe = {"probe": {"count": probes, "failed": 0, "gap_ms": 1.0}} if probes else {}
    return {"verdict": verdict, "lost": lost, "requests": requests, "why": "", "slots": {}, "moments": {}, **probe}


LOST, SILENT = told("lost", 3), told("not_counted", None)
SUMS: dict[str, tuple[list[dict[str, Any] | None], dict[str, Any] | None, str]] = {
    "nobody has counted": ([None, None], None, ""),
    "nothing on either": (
        [told(requests=12000), told(requests=31)],
        {"verdict": "none", "lost": 0, "requests": 12031},
        "12,031 requests, lost 0.",
    ),
    "little on each is enough together": (
        [told("too_little", requests=11)] * 2,
        {"verdict": "none", "lost": 0, "requests": 22},
        "22 requests, lost 0.",
    ),
    "little is little": (
        [told("too_little", requests=1)],
        {"verdict": "too_little", "lost": 0, "requests": 1},
        "1 request, lost 0: too little traffic to tell.",
    ),
    "probes count": (
        [told(requests=0, probes=40)],
        {"verdict": "none", "lost": 0, "requests": 0},
        "0 requests, lost 0.",
    ),
    "one that lost has lost for all": (
        [told(), LOST, SILENT],
        {"verdict": "lost", "lost": 3, "requests": 300},
        "300 requests, LOST 3.",
    ),
    "one that cannot tell leaves it untold": (
        [told(), SILENT],
        {"verdict": "not_counted", "lost": None, "requests": 200},
        "200 requests; what was lost could not be counted.",
    ),
    "so does one that was not heard": (
        [told(), None],
        {"verdict": "not_counted", "lost": None, "requests": 100},
        "100 requests; what was lost could not be counted.",
    ),
}


@pytest.mark.parametrize("case", SUMS)
def test_both_sides_sum_what_servers_lost(case: str) -> None:
    """Collection and command have a sum each, since neither imports the other."""
    servers, whole, line = SUMS[case]
    for side in (counted, loss):
        assert side.summed(servers) == whole
        assert side.sentence(whole) == line


CUT = {"count": 3, "oldest": 3601.4, "kinds": {"stream": 1, "websocket": 2}}
NOT_CUT = {"count": 0, "oldest": 0.0, "kinds": {}}


def drained(cut: dict[str, Any]) -> dict[str, Any]:
    """A drain."""
    return {"release": "a", "version": "1.9", "slot": "blue", "seconds": 3.0, "over_time": [], "cut": cut}


def test_both_sides_name_what_was_cut() -> None:
    """By kind, with the age of the oldest; nothing where nothing was."""
    line = "Cut at the drain's end: 2 streams, 4 websockets; the oldest was 3,601 s old."
    assert drain.sentence([CUT, NOT_CUT, CUT]) == line
    assert counted.cut([{"drains": [drained(CUT)]}, {"drains": [drained(NOT_CUT), drained(CUT)]}, {}]) == line
    assert drain.sentence([NOT_CUT]) == counted.cut([{}]) == ""


def test_both_documents_tell_what_was_lost() -> None:
    """Of the last call of each server, summed for service and job, by the schema; drains of all calls are told."""
    done = {"changed": True, "steps": [{"verb": "route", "did": "routed"}], "serving": NEW, "rung": "live"}
    calls = [
        said(**done, loss=told(requests=40), drains=[drained(NOT_CUT)]),
        said(**{**done, "before": NEW}, loss=told(requests=70), drains=[drained(CUT)]),
    ]
    fold = Fold("j1", "deploy", "shop", "1.10")
    fold.played = True
    gate: dict[str, Any] = {}
    for call in calls:
        fold.add(Event("host.ok", {"action": "stackswap.bluegreen.release", "stackswap": call}, "web1"))
        gate = fleet.folded(gate, {"web1": {"stackswap": call}}, call["rung"], 0)
    job = {"id": "j1", "kind": "deploy", "environment": "test", "service": "shop", "version": "1.10"}
    ours, theirs = document(fold, "successful"), collection_document.report_of(gate, ["web1"], job, None)
    for one in (ours, theirs):
        jsonschema.validate(one, SCHEMA)
        assert one["loss"] == one["services"]["shop"]["loss"] == {"verdict": "none", "lost": 0, "requests": 70}
        assert len(one["services"]["shop"]["servers"]["web1"]["drains"]) == 2
        assert "70 requests, lost 0. Cut at the drain's end: 1 stream, 2 websockets" in one["line"]
