"""What the selftest makes of what it saw: each promise can be broken, and says by what."""

from __future__ import annotations

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import selftest
from ansible_collections.stackswap.bluegreen.plugins.module_utils.selftest import CHAPTERS, Chapter, Seen

NAMES = {chapter.name: chapter for chapter in CHAPTERS}


def kept(chapter: Chapter) -> Seen:
    """What keeps the promise."""
    return Seen(chapter.serves, chapter.outcome, chapter.cause, bool(chapter.changed), requests=100)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=[chapter.name for chapter in CHAPTERS])
def test_what_was_promised_is_kept(chapter: Chapter) -> None:
    """By exactly what it says."""
    assert selftest.verdict(chapter, kept(chapter)) == ""


@pytest.mark.parametrize(
    ("name", "otherwise", "why"),
    [
        ("first", {"version": ""}, "users get nothing, not 1.0"),
        ("swaps", {"lost": 1}, "1 of 100 requests were lost, 0 may be"),
        ("swaps", {"outcome": "back"}, "the outcome is back, not new"),
        ("again", {"changed": True}, "something was changed"),
        ("exits", {"cause": ""}, "it ended by success, not by candidate_exited"),
        ("exits", {"version": "2.0"}, "users get 2.0, not 1.3"),
        ("sick", {"seconds": 99.0}, "it took 99.0 s, 15 s may be"),
        ("bake", {"lost": 4}, "4 of 100 requests were lost, 3 may be"),
        ("kills", {"error": "the engine is gone"}, "the engine is gone"),
        ("rollback", {"cause": "nothing_kept"}, "it ended by nothing_kept, not by success"),
        ("gone", {"left": ("a container",)}, "left: a container"),
    ],
)
def test_what_breaks_a_promise_is_named(name: str, otherwise: dict[str, object], why: str) -> None:
    """In words, whatever else was well."""
    seen = kept(NAMES[name])._replace(**otherwise)  # type: ignore[arg-type]
    assert why in selftest.verdict(NAMES[name], seen)
    told = selftest.told(NAMES[name], seen)
    assert not told["held"] and why in told["why"]


def test_the_line_says_how_many_were_kept_or_which_were_not() -> None:
    """One line a server."""
    checks = [selftest.told(chapter, kept(chapter)) for chapter in CHAPTERS]
    assert (
        selftest.line(checks) == f"all {len(CHAPTERS)} promises are kept here, under 900 requests, of which 0 were lost"
    )
    checks[1] = selftest.told(CHAPTERS[1], kept(CHAPTERS[1])._replace(lost=2))
    assert selftest.line(checks).startswith(f"1 of {len(CHAPTERS)} promises are not kept here: swaps: 2 of 100")
