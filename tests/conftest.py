"""What a test needs of this machine is there before it runs; else the test fails: none is skipped."""

from __future__ import annotations

from functools import cache

import pytest

from tests.lab import engine


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
