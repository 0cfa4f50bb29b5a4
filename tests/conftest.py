"""What a test needs of this machine is there before it runs; else the test fails: none is skipped."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.lab import engine

FLEET = "tests/fleet"


class Lanes(LoadScopeScheduling):
    """Where tests run in lanes, a module's stay together, and all fleets: several at once leave no core to anybody."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return FLEET if module.startswith(f"{FLEET}/") else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Lanes:
    """Deal them out so."""
    return Lanes(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture of a test marked engine: have one that answers, by the product's own setup."""
    if item.get_closest_marker("engine") and (why := without_engine()):
        pytest.fail(f"there is no Docker engine for this test: {why}", pytrace=False)


@cache
def without_engine() -> str:
    """Return why there is none; one try a session."""
    try:
        engine.ready()
    except (RuntimeError, OSError) as error:
        return str(error)
    return ""
