"""From HAProxy's statistics to what a worker has counted, by rows as both versions of Debian write them."""

from __future__ import annotations

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.counts import Count, Tally
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.tallies import tallies

HEAD = "# pxname,svname,type,scur,stot,econ,eresp,wretr,wredis,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,"
HEAD += "cli_abrt,srv_abrt"


def stat(*rows: str) -> str:
    """``show stat`` with these rows; what a row leaves out is empty."""
    return "\n".join([HEAD, "in,FRONTEND,0,7,0", *rows, "nowhere,BACKEND,1,0,9,0,0,0,0,0,0,0,0,9"])


# What both versions told after: two answers, a 502 of the proxy, and on 2.6 a connection closed without a word.
KILLED = ("shop:blue,blue1,2,0,4,0,1,0,0,0,2,0,0,0,0", "shop:blue,BACKEND,1,0,4,0,1,0,0,0,2,0,0,1,0")


def test_what_no_server_has_answered_is_unanswered() -> None:
    """An answer of the proxy's own, and no answer at all, which no column counts."""
    told = tallies(stat(*KILLED), "8@1")["shop"]
    assert (told.requests, told.unanswered) == (4, 2)
    assert told.of("blue") == Count(requests=2, response_errors=1)


ROWS: dict[str, tuple[tuple[str, ...], tuple[int, int]]] = {
    "an answer is none": (("s:blue,blue1,2,0,1,0,0,0,0,0,1", "s:blue,BACKEND,1,0,1,0,0,0,0,0,1"), (1, 0)),
    "the application's own 500 is none": (
        ("s:blue,blue1,2,0,3,0,0,0,0,0,0,0,0,3", "s:blue,BACKEND,1,0,3,0,0,0,0,0,0,0,0,3"),
        (3, 0),
    ),
    "one under way is none yet": (("s:blue,blue1,2,1,1", "s:blue,BACKEND,1,1,1"), (0, 0)),
    "nor is one whose answer has begun": (
        ("s:blue,blue1,2,1,1,0,0,0,0,0,1", "s:blue,BACKEND,1,1,1"),
        (0, 0),
    ),
    "one that waited in vain is": (
        ("s:wait-blue,blue1,2,0,15,1,0,15", "s:wait-blue,BACKEND,1,0,1,1,0,15,0,0,0,0,0,1"),
        (1, 1),
    ),
    "one that the backup answered is none": (
        (
            "s:blue.green,blue1,2,0,1,0,0,0,1",
            "s:blue.green,green1,2,0,1,0,0,0,0,0,1",
            "s:blue.green,BACKEND,1,0,1,0,0,0,1,0,1",
        ),
        (1, 0),
    ),
    "a page that the proxy answers by itself loses nothing": (
        ("s:closed,BACKEND,1,0,5,0,0,0,0,0,0,0,0,5", "s:blue,blue1,2,0,0", "s:blue,BACKEND,1,0,0"),
        (0, 0),
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_lost_or_not(case: str) -> None:
    """How many requests have ended, and how many of them no server has answered."""
    rows, expected = ROWS[case]
    told = tallies(stat(*rows), "8@1")["s"]
    assert (told.requests, told.unanswered) == expected


def test_a_service_with_a_like_name_is_another() -> None:
    """And one that a worker does not know is told with what is true of the worker."""
    told = tallies(stat("shop2:blue,blue1,2,0,3,0,0,0,0,0,3", "shop2:blue,BACKEND,1,0,3"), "8@1", old=True)
    assert set(told) == {"", "shop2"}
    assert told[""] == Tally("8@1", old=True, open=7)


def test_what_is_no_statistics_is_no_zero() -> None:
    """An error message must not read as: nothing was lost."""
    with pytest.raises(ValueError, match="not the statistics"):
        tallies("Unknown command\n", "8@1")
