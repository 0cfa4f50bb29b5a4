"""Workers that end while they are asked: what is not there any more has nothing, and who is there must answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files, stats
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import (
    Admin,
    Master,
    ProxyError,
    ProxyUnreachable,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import Layout, Settings, layout
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.workers import SILENT, Workers

ADDRESSES = ("192.0.2.1",)
STAT = (
    "# pxname,svname,type,status,check_status,addr,tracked,scur,qcur\n"
    "test.shop:blue,blue1,2,UP,L7OK,192.0.2.1:8080,,{sessions},0"
)
SESS = (
    "0x55d0a1: proto=tcpv4 src=192.0.2.9:1 fe=in be=test.shop:blue srv=blue1 ts=00 epoch=0 age=1s calls=2 rate=0 "
    "rq[f=1840000h,i=0,an=8000h,ax=] rp[f=80000000h,i=0,an=1400000h,ax=] exp=1s rc=0 c_exp="
)


class Above:
    """A master as HAProxy 3.2 has it: who asks a worker that ends meanwhile is left without an answer."""

    def __init__(self, *pids: int, silent: int = 0) -> None:
        self.pids, self.left, self.asked = list(pids), silent, 0

    def workers(self) -> tuple[stats.Worker, ...]:
        """Who is there now."""
        return tuple(stats.Worker(pid, "worker" if pid == self.pids[-1] else "old") for pid in self.pids)

    def serving(self) -> int:
        """The newest of them."""
        return self.pids[-1]

    def worker_call(self, pid: int, command: str, _within: float | None = None) -> str:
        """Its answer; as often as it was said, none."""
        self.asked += 1
        if self.left:
            self.left -= 1
            self.ended(pid)
            raise ProxyUnreachable("the proxy does not answer: timed out")
        return self.said(pid, command)

    def ended(self, pid: int) -> None:
        """What becomes of one that says nothing."""

    def said(self, _pid: int, command: str) -> str:
        """What one says that answers."""
        return SESS if command.startswith("show sess") else STAT.format(sessions=1)


class Ends(Above):
    """Who says nothing has ended."""

    def ended(self, pid: int) -> None:
        """It is not there any more."""
        self.pids.remove(pid)


class EndsWithItsLast(Above):
    """An old worker ends with the session that it is told to cut."""

    def said(self, pid: int, command: str) -> str:
        """Nothing, of its own end."""
        if command.startswith("shutdown session"):
            self.pids.remove(pid)
            raise ProxyUnreachable("the proxy does not answer: timed out")
        return super().said(pid, command)


@pytest.fixture
def paths(tmp_path: Path) -> Layout:
    """The folders of one proxy."""
    found = layout(Settings(home=str(tmp_path)))
    Path(found.place(1)).mkdir(parents=True)
    files.aim(found, 1)
    return found


def below(master: Any, paths: Layout) -> Workers:
    """The workers below it, looked at without waiting."""
    return Workers(cast(Admin, None), cast(Master, master), paths, sleep=lambda _seconds: None)


def test_one_that_ends_while_it_is_asked_has_no_sessions(paths: Layout) -> None:
    """The other one's are counted."""
    master = Ends(7, 8, silent=1)
    assert below(master, paths).sessions(ADDRESSES) == 1 and master.pids == [8]


def test_one_that_answers_late_is_asked_again(paths: Layout) -> None:
    """As on a server that has much to do."""
    assert below(Above(8, silent=SILENT - 1), paths).sessions(ADDRESSES) == 1


def test_one_that_lives_and_never_answers_is_not_called_idle(paths: Layout) -> None:
    """Nobody knows what it has: nothing is stopped on its account."""
    master = Above(8, silent=1000)
    with pytest.raises(ProxyError, match="worker 8 of the proxy does not answer"):
        below(master, paths).sessions(ADDRESSES)
    assert master.asked == SILENT


def test_one_that_ends_with_the_last_session_that_is_cut_is_no_failure(paths: Layout) -> None:
    """That was what it was told for."""
    master = EndsWithItsLast(7, 8)
    below(master, paths)._cut_old(cast(Master, master), 7, {("test.shop:blue", "blue1")})
    assert master.pids == [8]
