"""What a test needs of this machine is there before it runs; else the test fails: none is skipped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.lab import engine

FLEET = Path(__file__).parent / "fleet"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Where tests run in lanes, a module's stay together, and all fleets: several at once leave no core."""
    for item in items:
        lane = FLEET if FLEET in item.path.parents else item.path
        item.add_marker(pytest.mark.xdist_group(str(lane)))


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
