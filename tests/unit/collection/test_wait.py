"""The one loop of all waits: how often it looks."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import PASS, Verdict, waiting
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service, Step
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import LONG, Work
from tests.lab.fake import FakeServer

ANSWERS, OVER = 10.0, 10.4  # seconds until the candidate answers, and until the proxy has seen it too


def looks(near: bool) -> list[float]:
    """When a wait that ends at OVER has looked, told or not told that the end is near."""
    fx: Effects = FakeServer().effects()
    began, taken = fx.clock(), list[float]()

    def sample(at: float) -> float:
        taken.append(fx.clock() - began)
        return at

    def judge(samples: list[float]) -> Verdict:
        return PASS if samples[-1] >= OVER else waiting("the proxy says DOWN")

    work = Work(fx, Service("test", "shop"), None)
    work.counting = SimpleNamespace(tick=lambda: None)
    assert work.wait(Step("await"), sample, judge, 60.0, lambda at: near and at >= ANSWERS) == ""
    return taken


def test_a_wait_looks_more_and_more_seldom() -> None:
    """Ten seconds cost some fifty looks, and the end is seen a quarter of a second late at most."""
    taken = looks(near=False)
    assert len(taken) < 60 and OVER <= taken[-1] < OVER + LONG
    assert max(after - before for before, after in pairwise(taken)) < LONG + 0.001


def test_a_wait_whose_end_is_near_looks_often_again() -> None:
    """Once it is: then the end is seen soon, and a candidate that stays as it is costs no more than before."""
    taken = looks(near=True)
    late = [after - before for before, after in pairwise(taken) if before >= ANSWERS]
    assert late[0] == min(late) < 0.011 and sorted(late) == late
    assert taken[-1] - OVER < 0.15
