"""The one loop of all waits: how often it looks."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Effects
from ansible_collections.stackswap.bluegreen.plugins.module_utils.judge import PASS, Verdict, waiting
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service, Step
from ansible_collections.stackswap.bluegreen.plugins.module_utils.work import LONG, NEAR, SOON, Work
from tests.lab.fake import FakeServer

ANSWERS, OVER = 10.0, 10.4  # seconds until the candidate answers, and until the proxy has seen it too


def looks(near: bool, over: float = OVER) -> list[float]:
    """When a wait that ends at this second has looked, told or not told that the end is near."""
    fx: Effects = FakeServer().effects()
    began, taken = fx.clock(), list[float]()

    def sample(at: float) -> float:
        taken.append(fx.clock() - began)
        return at

    def judge(samples: list[float]) -> Verdict:
        return PASS if samples[-1] >= over else waiting("the proxy says DOWN")

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
    """Once it is: then the end is seen soon."""
    taken = looks(near=True)
    late = [after - before for before, after in pairwise(taken) if before >= ANSWERS]
    assert late[0] == min(late) < 0.011 and max(late) < NEAR + 0.001
    assert taken[-1] - OVER < NEAR


def test_an_end_that_is_near_for_long_costs_no_more_than_another() -> None:
    """A candidate that answers, and that the proxy never finds well, is looked at as seldom as before."""
    late = [after - before for before, after in pairwise(looks(near=True, over=20.0)) if before >= ANSWERS + SOON]
    assert late and max(late) > LONG - 0.001 and len(late) < 40
