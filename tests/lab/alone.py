"""What one process at a time makes for all tests: those that run beside it wait, and find it made."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUILD = Path(__file__).parents[2] / ".build"


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Be the only one in this checkout that makes what has this name; around a function too. Not within itself."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
