"""The own prober: how often it asks, what it misses, and the longest gap between two good answers."""

from __future__ import annotations

import threading
import time

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Answer
from ansible_collections.stackswap.bluegreen.plugins.module_utils.prober import Prober

GOOD, OWN = Answer(200), Answer(500, told="test.shop:blue blue1 blue")
MISSED, FAILED = Answer(error="connection refused"), Answer(503, told="test.shop:blue <NOSRV> blue")


class Door:
    """Answers in this order, the last one for ever; the clock goes on by a second with each."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.seconds, self.asked = [*answers], 0.0, threading.Event()

    def ask(self) -> Answer:
        """One request."""
        self.seconds += 1.0
        if len(self.answers) == 1:
            self.asked.set()
            return self.answers[0]
        return self.answers.pop(0)

    def probed(self, rate: float = 1000.0) -> Prober:
        """A prober that has come to the last answer."""
        made = Prober(self.ask, rate, clock=lambda: self.seconds)
        assert self.asked.wait(10)
        return made


def test_good_answers_leave_no_gap_but_the_pause() -> None:
    """The application's own error is an answer."""
    told = Door(GOOD, OWN, GOOD, GOOD).probed().end()
    assert told.count >= 4 and (told.failed, told.missed) == (0, 0)
    assert told.gap_ms == 1000.0


def test_what_is_missed_is_counted_and_makes_the_gap_longer() -> None:
    """From the last good answer to the next; an error of the proxy is a failure, and was counted by itself."""
    told = Door(GOOD, MISSED, FAILED, MISSED, GOOD, GOOD).probed().end()
    assert (told.failed, told.missed, told.gap_ms) == (3, 2, 4000.0)


def test_a_gap_that_has_not_ended_is_one() -> None:
    """Nobody answers any more when it is over."""
    prober = Door(GOOD, MISSED, MISSED).probed()
    time.sleep(0.05)
    told = prober.end()
    assert told.missed == told.count - 1 and told.gap_ms >= 2000.0


def test_it_keeps_to_its_rate_and_ends_when_told() -> None:
    """Twenty a second are about ten in half a second, not hundreds; none comes after the end."""
    asked: list[float] = []

    def ask() -> Answer:
        asked.append(time.monotonic())
        return GOOD

    prober = Prober(ask, 20.0)
    time.sleep(0.5)
    told = prober.end()
    time.sleep(0.2)
    assert 2 <= told.count == len(asked) <= 11
