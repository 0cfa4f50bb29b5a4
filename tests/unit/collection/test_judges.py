"""The judges' tables: samples in a row, and the verdict at the last of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Count
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer, Left, Server
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import Verdict, bake, confirm, drain, health
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge.health import Sample
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Bake, Health, Replica

HTTP = Health("http", "/health", deadline=10.0, min_healthy_time=2.0)
IMAGE = Health("image", min_healthy_time=2.0)
NONE = Health("none", min_healthy_time=2.0)
PROVEN = ("UP", "L7OK")


def replica(**facts: Any) -> Replica:
    """A replica that runs."""
    return Replica(**{**dict(id="c1", name="shop-1", release="r", version="1", slot="green", number=1), **facts})


def sample(at: float = 0.0, status: int = 200, word: tuple[str, str] = PROVEN, **facts: Any) -> Sample:
    """A look at a slot of one replica: its own answer, the proxy's word, and what the engine tells."""
    answer = Answer(status) if status else Answer(error="connection refused")
    told = replica(**{"state": "running", **facts})
    return Sample(at, (told,), (Server("green", 1, "10.0.0.1", *word),), (answer,) if told.running else ())


WELL, SICK, SILENT = sample(), sample(status=500), sample(status=0)


HEALTHS: dict[str, tuple[Sequence[Sample], Health, float | None, str, str]] = {
    "healthy for long enough passes": ([sample(2.0)], HTTP, 0.0, "passed", ""),
    "healthy just now is not enough": ([sample(1.9)], HTTP, 0.0, "waiting", "healthy for less than 2 s"),
    "no answer yet is waited for": ([SILENT], HTTP, None, "waiting", "last probe: connection refused"),
    "500 is told with its path": ([SICK], HTTP, None, "waiting", "last probe of /health: status 500"),
    "a redirect is healthy": ([sample(3.0, status=302)], HTTP, 0.0, "passed", ""),
    "404 is not": ([sample(status=404)], HTTP, None, "waiting", "last probe of /health: status 404"),
    "UP alone proves nothing": ([sample(word=("UP", "INI"))], HTTP, None, "waiting", "the proxy's check says UP INI"),
    "a check of another kind proves nothing": (
        [sample(word=("UP", "L4OK"))],
        HTTP,
        None,
        "waiting",
        "the proxy's check says UP L4OK",
    ),
    "a server on its way down is not up": (
        [sample(word=("UP 1/2", "L7OK"))],
        HTTP,
        None,
        "waiting",
        "the proxy's check says UP 1/2 L7OK",
    ),
    "no server in the proxy is no health": (
        [sample()._replace(servers=())],
        HTTP,
        None,
        "waiting",
        "the proxy has no check",
    ),
    "no container is no health": ([sample()._replace(replicas=())], HTTP, None, "waiting", "it has no containers"),
    "one that was made and not started is waited for": (
        [sample(state="created")],
        HTTP,
        None,
        "waiting",
        "shop-1 is created",
    ),
    "a restart from before the wait is none": (
        [sample(0.0, restarts=1), sample(4.0, restarts=1)],
        HTTP,
        1.0,
        "passed",
        "",
    ),
    "an exit is final at once": (
        [sample(0.8, state="exited", exit_code=3)],
        HTTP,
        None,
        "failed",
        "exited 3 after 0.8 s",
    ),
    "a restart is an exit": (
        [sample(1.0), sample(4.0, restarts=2, exit_code=1)],
        HTTP,
        0.0,
        "failed",
        "restarted 2 times within 4.0 s, last exit code 1",
    ),
    "no memory left is told": (
        [sample(2.5, state="exited", oom_killed=True)],
        HTTP,
        None,
        "failed",
        "ran out of memory after 2.5 s",
    ),
    "one bad answer after health is waited out": (
        [WELL, SICK],
        HTTP,
        0.0,
        "waiting",
        "last probe of /health: status 500",
    ),
    "two in a row after health are final": (
        [WELL, SICK, SICK],
        HTTP,
        0.0,
        "failed",
        "was healthy and is not: last probe of /health: status 500",
    ),
    "bad answers before health are waited for": (
        [SICK, SICK, SICK],
        HTTP,
        None,
        "waiting",
        "last probe of /health: status 500",
    ),
    "the image's own check is waited for": (
        [sample(word=("UP", "L4OK"), health="starting")],
        IMAGE,
        None,
        "waiting",
        "the image's health check says starting",
    ),
    "the image's own check and a connection are enough": (
        [sample(2.0, status=599, word=("UP", "L4OK"), health="healthy")],
        IMAGE,
        0.0,
        "passed",
        "",
    ),
    "without a check it has to accept connections": (
        [sample(status=0, word=("UP", "L4OK"))],
        NONE,
        None,
        "waiting",
        "last probe: connection refused",
    ),
}


@pytest.mark.parametrize("case", HEALTHS)
def test_health(case: str) -> None:
    """Whether a candidate is healthy, and why not."""
    samples, policy, since, word, why = HEALTHS[case]
    verdict = health.judge(samples, policy, "L7OK" if policy.kind == "http" else "L4OK", since)
    assert (verdict.word, verdict.why) == (word, why)
    exits = ("exited", "restarted", "ran out")
    cause = "candidate_exited" if why.startswith(exits) else "candidate_unhealthy"
    assert verdict.cause == (cause if word == "failed" else "")


def test_who_was_killed_is_looked_at_once_more_before_it_is_said_why() -> None:
    """The engine tells that memory ran out a moment after the end; then it is that, else the exit code stands."""
    runs, killed = sample(), sample(0.1, state="exited", exit_code=137)
    known = sample(0.3, state="exited", exit_code=137, oom_killed=True)
    first = health.judge([runs, killed], HTTP, "L7OK", None)
    assert (first.word, first.why) == ("waiting", "exited 137 after 0.1 s")
    assert health.judge([runs, killed, known], HTTP, "L7OK", None).why == "ran out of memory after 0.3 s"
    late = health.judge([runs, killed, killed._replace(at=0.7)], HTTP, "L7OK", None)
    assert (late.word, late.cause, late.why) == ("failed", "candidate_exited", "exited 137 after 0.7 s")
    assert health.judge([runs, sample(0.1, state="exited", exit_code=1)], HTTP, "L7OK", None).word == "failed"


def row(*kinds: Sample, at: float = 0.0) -> list[Sample]:
    """Samples in a row, the last at this time."""
    return [*kinds[:-1], kinds[-1]._replace(at=at)]


BAKES: dict[str, tuple[list[Sample], str, str]] = {
    "healthy to the end passes": (row(WELL, WELL, at=5.0), "passed", ""),
    "before the end it is waited": (row(WELL, WELL, at=4.0), "waiting", "watched for 4 of 5 s"),
    "a bad sample is no verdict": (row(WELL, SICK, at=1.0), "waiting", "last probe of /health: status 500"),
    "nor are two": (row(WELL, SICK, SICK, at=1.0), "waiting", "last probe of /health: status 500"),
    "three in a row are": (
        row(WELL, SICK, SICK, SICK, at=1.0),
        "failed",
        "turned unhealthy in the bake: last probe of /health: status 500",
    ),
    "three that are not in a row are none": (
        row(SICK, SICK, WELL, SICK, at=1.0),
        "waiting",
        "last probe of /health: status 500",
    ),
    "it does not end on a bad sample": (row(WELL, SICK, at=9.0), "waiting", "last probe of /health: status 500"),
    "an exit is final at once": (
        row(WELL, sample(state="exited", exit_code=7), at=1.0),
        "failed",
        "exited 7 after 1.0 s",
    ),
    "a restart in the bake is final at once": (
        row(WELL, sample(restarts=1, exit_code=7), at=1.0),
        "failed",
        "restarted once within 1.0 s, last exit code 7",
    ),
    "a restart from before the bake is not": (row(sample(restarts=1), sample(restarts=1), at=5.0), "passed", ""),
}


@pytest.mark.parametrize("case", BAKES)
def test_bake(case: str) -> None:
    """Whether a live release stays healthy for five seconds beside its backup."""
    samples, word, why = BAKES[case]
    verdict = bake.judge(samples, HTTP, "L7OK", Bake(5.0), Count())
    assert verdict == Verdict(word, why, "bake_failed" if word == "failed" else "")


def asked(tried: int, failed: int) -> Count:
    """A slot that has been asked so many times, and answered so many of them 5xx."""
    return Count(requests=tried, errors_5xx=failed)


WORSE: dict[str, tuple[Count, Count, Bake, bool]] = {
    "every answer an error, often enough": (asked(20, 20), asked(900, 0), Bake(), True),
    "one request too few to be judged": (asked(19, 19), asked(900, 0), Bake(), False),
    "the sample may be chosen": (asked(19, 19), asked(900, 0), Bake(min_requests=10), True),
    "a few errors are chance, whatever their share": (asked(20, 4), asked(900, 0), Bake(), False),
    "as bad as the old one is not worse": (asked(100, 30), asked(100, 30), Bake(), False),
    "a tenth more than the old one is the limit": (asked(100, 40), asked(100, 30), Bake(), False),
    "more than a tenth more is worse": (asked(100, 41), asked(100, 30), Bake(), True),
    "without a figure of the old one it is held against none": (asked(100, 11), Count(), Bake(), True),
    "the share may be chosen": (asked(100, 11), Count(), Bake(max_error_share=0.2), False),
    "with 1 no share is too great": (asked(100, 100), Count(), Bake(max_error_share=1), False),
    "requests that found no way in have failed": (Count(15, connect_errors=5), asked(900, 0), Bake(), True),
    "so have those whose answer broke off": (Count(15, response_errors=5), asked(900, 0), Bake(), True),
    "what a retry has saved has not": (Count(100, retries=50, redispatches=50), Count(), Bake(), False),
}


@pytest.mark.parametrize("case", WORSE)
def test_a_bake_by_its_errors(case: str) -> None:
    """Whether a release fails so much more often than the old one that it goes back."""
    count, before, policy, expected = WORSE[case]
    assert bake.worse(count, before, policy) is expected
    verdict = bake.judge([WELL._replace(traffic=count, at=1.0)], HTTP, "L7OK", policy, before)
    assert (verdict.word, verdict.cause) == (("failed", "bake_failed") if expected else ("waiting", ""))


def test_a_bake_that_failed_tells_both_figures() -> None:
    """In words: what failed, of how many, and what the old release did before the switch."""
    verdict = bake.judge([WELL._replace(traffic=asked(2120, 1901))], HTTP, "L7OK", Bake(), asked(1902, 3))
    assert verdict.why == (
        "fails too often in the bake: 1,901 of 2,120 requests failed; of the old release before the switch 3 of 1,902"
    )


SAID = {
    "no traffic": (Count(), "no request came in the bake: only its health was watched"),
    "too little": (asked(3, 3), "3 requests came in the bake, too few to judge its errors by"),
    "enough": (asked(300, 1), "1 of 300 requests failed; of the old release before the switch none was counted"),
}


@pytest.mark.parametrize("case", SAID)
def test_a_bake_that_passed_says_what_it_is_worth(case: str) -> None:
    """One without traffic passes, and is not called a proof of anything but health."""
    count, words = SAID[case]
    assert bake.said(count, Count(), Bake(5.0)).startswith(words)
    assert bake.judge([WELL._replace(traffic=count, at=5.0)], HTTP, "L7OK", Bake(5.0), Count()).word == "passed"


DRAINS = {
    "no session twice in a row is the end": ([3, 0, 0], "passed", ""),
    "none once is not: one may be on its way": ([3, 0], "waiting", "0 sessions left"),
    "the first look is no end": ([0], "waiting", "0 sessions left"),
    "one that came between starts the count anew": ([0, 1, 0], "waiting", "0 sessions left"),
    "some are waited for": ([3, 2], "waiting", "2 sessions left"),
}


@pytest.mark.parametrize("case", DRAINS)
def test_drain(case: str) -> None:
    """Whether a slot has finished what it had."""
    samples, word, why = DRAINS[case]
    assert drain.judge(samples) == Verdict(word, why)


def test_what_a_drain_leaves_is_summed_by_kind() -> None:
    """How many, of what kinds, and how old the oldest is."""
    left = (Left("websocket", 3601.0), Left("stream", 2.0), Left("websocket", 5.0))
    assert drain.summed(left) == {"count": 3, "oldest": 3601.0, "kinds": {"stream": 1, "websocket": 2}}
    assert drain.summed(()) == {"count": 0, "oldest": 0.0, "kinds": {}}


def test_the_book_of_a_drain_notes_news_and_not_too_often() -> None:
    """The first look, each change a second after the last note, and at once that nobody is left."""
    book, noted = drain.Book(), []
    for at, count in ((0.0, 3), (0.3, 2), (1.1, 2), (1.4, 2), (2.5, 2), (2.6, 0), (2.7, 0)):
        if book.due(at, count):
            book.note(at, (Left("stream", at),) * count)
            noted.append((at, count))
    assert noted == [(0.0, 3), (1.1, 2), (2.6, 0)]
    assert [(line["at"], line["count"]) for line in book.lines] == noted


def test_the_book_of_a_long_drain_is_thinned_out() -> None:
    """Hours fit in it, and its beginning stays."""
    book = drain.Book()
    for at in range(10_000):
        book.note(float(at), (Left("websocket", 1.0),))
    assert len(book.lines) <= drain.MEMORY
    assert (book.lines[0]["at"], book.lines[-1]["at"]) == (0.0, 9999.0)


def told(value: str = "green.blue", server: str = "green1", backend: str = "", status: int = 200) -> Answer:
    """An answer through the door with the proxy's header."""
    return Answer(status, told=f"{backend or f'test.shop:{value}'} {server} {value}")


OURS, STALE = told(), told("blue", "blue1")
CONFIRMS = {
    "as often as asked is enough": ([OURS, OURS], "passed", ""),
    "once is not": ([OURS], "waiting", "the proxy told test.shop:green.blue green1 green.blue, status 200"),
    "a stale answer starts the count anew": (
        [OURS, STALE, OURS],
        "waiting",
        "the proxy told test.shop:green.blue green1 green.blue, status 200",
    ),
    "what came before does not count": ([STALE, STALE, OURS, OURS], "passed", ""),
    "the application's own error is not the door's": ([told(status=500), told(status=500)], "passed", ""),
    "the backup's server is not the live slot's": (
        [told(server="blue1")] * 2,
        "waiting",
        "the proxy told test.shop:green.blue blue1 green.blue, status 200",
    ),
    "no server at all is none": (
        [told(server="<NOSRV>", status=503)] * 2,
        "waiting",
        "the proxy told test.shop:green.blue <NOSRV> green.blue, status 503",
    ),
    "another service's backend is not ours": (
        [told(backend="test.blog:green.blue")] * 2,
        "waiting",
        "the proxy told test.blog:green.blue green1 green.blue, status 200",
    ),
    "another value is not the one written": (
        [told("green")] * 2,
        "waiting",
        "the proxy told test.shop:green green1 green, status 200",
    ),
    "an answer without the header proves nothing": ([Answer(200)] * 2, "waiting", "the proxy told nothing, status 200"),
    "no answer is told": ([Answer(error="connection refused")] * 2, "waiting", "connection refused"),
}


@pytest.mark.parametrize("case", CONFIRMS)
def test_confirm(case: str) -> None:
    """Whether the public door leads to green, with blue as its backup."""
    samples, word, why = CONFIRMS[case]
    assert confirm.judge(samples, "test.shop", "green.blue", 2) == Verdict(word, why)
