"""The ledger over workers that come, are reloaded and vanish; and what a job may say that it has lost."""

from __future__ import annotations

import json

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import counts
from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Count, Ledger, Tally
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer, Probed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import loss


def tally(worker: str = "8@1", requests: int = 0, unanswered: int = 0, **facts: object) -> Tally:
    """What a worker has counted, with blue's servers having answered the rest."""
    slots = {"blue": Count(requests - unanswered)}
    return Tally(worker, requests=requests, unanswered=unanswered, slots=slots)._replace(**facts)  # type: ignore[arg-type]


OLD = {"old": True}
READINGS: dict[str, tuple[list[list[Tally]], tuple[int, int, int, bool]]] = {
    "what was before is not counted": ([[tally(requests=900, unanswered=7)]], (0, 0, 0, False)),
    "what came since is": (
        [[tally(requests=900, unanswered=7)], [tally(requests=950, unanswered=9)]],
        (50, 2, 0, False),
    ),
    "a new worker counts from its beginning": (
        [[tally(requests=900)], [tally(requests=905, **OLD), tally("9@2", 20, 1)]],
        (25, 1, 0, False),
    ),
    "an old one that had no connection left may go": (
        [[tally(requests=5)], [tally(requests=6, **OLD), tally("9@2")], [tally("9@2", 4)]],
        (5, 0, 0, False),
    ),
    "of one that had some, so many requests were not seen": (
        [[tally()], [tally(requests=6, open=3, **OLD), tally("9@2")], [tally("9@2", 4)]],
        (10, 0, 3, False),
    ),
    "its last reading makes good for it": (
        [[tally(open=5)], [tally(requests=6, ended=True, **OLD), tally("9@2")], [tally("9@2", 4)]],
        (10, 0, 0, False),
    ),
    "a last reading is counted once": (
        [[tally()], *[[tally(requests=6, open=2, ended=True, **OLD), tally("9@2")]] * 3],
        (6, 0, 2, False),
    ),
    "one that ended before the beginning is nobody's": (
        [[tally(requests=6, open=2, ended=True, **OLD), tally("9@2")], [tally("9@2", 1)]],
        (1, 0, 0, False),
    ),
    "one that served and is gone took its figures along": ([[tally()], [tally("8@2", 9)]], (9, 0, 0, True)),
    "a figure that fell is another worker's": ([[tally(requests=9)], [tally(requests=2)]], (-7, 0, 0, True)),
    "no answer is no zero": ([[tally()], [], [tally()]], (0, 0, 0, True)),
    "nor is one at the beginning": ([[], [tally(requests=3)]], (3, 0, 0, True)),
}


@pytest.mark.parametrize("case", READINGS)
def test_readings_are_added_up(case: str) -> None:
    """Requests, unanswered ones, how many were not seen, and whether it can be told at all."""
    readings, expected = READINGS[case]
    ledger = counts.begun(readings[0])
    for reading in readings[1:]:
        ledger = counts.folded(ledger, reading)
    assert (ledger.requests, ledger.unanswered, ledger.unseen, bool(ledger.blind)) == expected


def test_a_ledger_goes_on_from_what_the_record_kept() -> None:
    """Through JSON and back; what is no ledger is none."""
    ledger = counts.folded(counts.begun([tally(requests=3)]), [tally(requests=9, unanswered=1), tally("9@2", 2)])
    assert counts.read(json.loads(json.dumps(counts.written(ledger)))) == ledger
    for broken in ({}, {"last": {}}, {"last": [], "slots": {}}, {"last": {}, "slots": {}, "strange": 1}):
        assert counts.read(broken) is None


LOSSES: dict[str, tuple[Ledger, Probed, int, tuple[str, int | None, int]]] = {
    "nothing of much": (Ledger(1000), Probed(), 0, ("none", 0, 1000)),
    "nothing of little": (Ledger(19), Probed(), 0, ("too_little", 0, 19)),
    "our own confirmations prove nothing": (Ledger(24), Probed(), 5, ("too_little", 0, 19)),
    "our own prober does": (Ledger(40), Probed(40), 0, ("none", 0, 0)),
    "one of little is one": (Ledger(3, 1), Probed(), 0, ("lost", 1, 3)),
    "what the prober missed is lost too": (Ledger(1000, 2), Probed(10, 4, 3), 0, ("lost", 5, 993)),
    "what it got from the proxy is counted there": (Ledger(1000, 2), Probed(10, 2, 0), 0, ("lost", 2, 990)),
    "not counted is no zero": (Ledger(1000, blind="gone"), Probed(), 0, ("not_counted", None, 1000)),
    "nor is what was not seen": (Ledger(1000, unseen=2), Probed(), 0, ("not_counted", None, 1000)),
    "what is known of it is told": (Ledger(1000, 3, blind="gone"), Probed(), 0, ("lost", 3, 1000)),
    "the application's own errors are no loss": (
        Ledger(100, slots={"blue": Count(100, errors_5xx=100)}),
        Probed(),
        0,
        ("none", 0, 100),
    ),
    "an answer under way is no gain": (Ledger(100, -1), Probed(), 0, ("none", 0, 100)),
}


@pytest.mark.parametrize("case", LOSSES)
def test_loss(case: str) -> None:
    """The verdict, what was lost, and of how many."""
    ledger, probed, own, expected = LOSSES[case]
    assert loss.judge(ledger, probed, own)[:3] == expected


def test_a_probe_fails_by_the_proxys_word_and_not_by_the_applications() -> None:
    """An error that names a server is the application's own."""
    assert loss.failed(Answer(error="connection refused"))
    assert loss.failed(Answer(503, told="test.shop:blue <NOSRV> blue"))
    assert not loss.failed(Answer(503, told="test.shop:blue blue1 blue"))
    assert not loss.failed(Answer(404, told="test.shop:blue blue1 blue"))


def test_two_probers_are_one() -> None:
    """Their requests are added; of their gaps the longer counts."""
    assert loss.together(Probed(3, 1, 1, 20.0), Probed(4, 2, 0, 35.5)) == Probed(7, 3, 1, 35.5)
