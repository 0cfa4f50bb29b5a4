"""Who joins what the others serve, and from whom the image comes."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.joining import joined

JOB = {"kind": "deploy", "version": "", "service": "shop", "promote": "yes"}
EMPTY: dict[str, Any] = {"serving": None}


def serves(version: str = "1.1", digest: str = "sha256:aa") -> dict[str, Any]:
    """What a server tells that serves this."""
    return {"serving": {"version": version, "digest": digest}}


def test_who_serves_nothing_joins_those_of_this_run() -> None:
    """Each of them may have to give the image."""
    found = joined({"a": serves(), "b": EMPTY, "c": serves()}, {}, JOB)
    assert found == {"servers": ["b"], "version": "1.1", "digest": "sha256:aa", "peers": ["a", "c"]}


def test_alone_in_a_run_it_joins_those_that_were_left_out() -> None:
    """One that did not answer is none of them."""
    found = joined({"b": EMPTY}, {"a": {}, "c": serves()}, JOB)
    assert (found["version"], found["peers"]) == ("1.1", ["c"])


def test_those_left_out_that_serve_another_version_give_no_image() -> None:
    """What this run's own servers serve counts."""
    assert joined({"a": serves(), "b": EMPTY}, {"c": serves("1.0")}, JOB)["peers"] == ["a"]


NOBODY = {
    "all serve": ({"a": serves(), "b": serves()}, JOB),
    "none serves": ({"a": EMPTY, "b": EMPTY}, JOB),
    "a version is named": ({"a": serves(), "b": EMPTY}, {**JOB, "version": "1.2"}),
    "a rollback": ({"a": serves(), "b": EMPTY}, {**JOB, "kind": "rollback"}),
    "what waits is promoted": ({"a": serves(), "b": EMPTY}, {**JOB, "promote": "only"}),
}


@pytest.mark.parametrize(("reports", "job"), NOBODY.values(), ids=NOBODY)
def test_nobody_joins(reports: dict[str, Any], job: dict[str, Any]) -> None:
    """The job is what it was."""
    assert joined(reports, {}, job) == {}


DIFFERENT = {
    "versions": ({"b": EMPTY}, {"a": serves("1.0"), "c": serves()}, "versions: 1.0 on a, 1.1 on c. Name the version"),
    "images": ({"a": serves(), "b": EMPTY, "c": serves(digest="sha256:bb")}, {}, "images of 1.1: sha256:aa on a"),
}


@pytest.mark.parametrize(("reports", "others", "why"), DIFFERENT.values(), ids=DIFFERENT)
def test_it_does_not_choose(reports: dict[str, Any], others: dict[str, Any], why: str) -> None:
    """Where the others differ, a person names the version."""
    with pytest.raises(BadInput, match=why):
        joined(reports, others, JOB)
