"""What jobs share, exhaustively: the live map's file and runtime on one server, and a service's claim on two."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import claims, history, job
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import StackswapError, Superseded
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import control, files, maps
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import HAProxy
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Held
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import Look, Observed
from tests.lab.fake import FakeRecords
from tests.lab.scripted import SERVICE, Scripted

# -- two services, one map file ---------------------------------------------------------------------------------------

OTHER = "test.blog"
VALUES = {SERVICE: "blue.green", OTHER: "green"}


class Died(BaseException):
    """A job's process is gone; its lock ends with it."""


class Moments:
    """The product's proxy on a scripted HAProxy: each touch of a file or a socket is a moment.

    act is called at the moment of this number of the outermost job, once.
    """

    def __init__(self, home: Path, patch: pytest.MonkeyPatch, lock: bool) -> None:
        self.scripted = Scripted(home, services=(SERVICE, OTHER, "test.third"))
        self.lock, self.holder, self.count, self.number = lock, False, 0, 0
        self.act: Callable[[], None] = str  # type: ignore[assignment]
        patch.setattr(os, "fsync", str)  # nobody pulls the plug here
        patch.setattr(control, "ask", self.touching(self.scripted.ask))
        patch.setattr(files, "read", self.touching(files.read))
        patch.setattr(files, "write", self.touching(files.write))

    def touching(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, which is a moment."""

        def touched(*given: Any) -> Any:
            self.count += 1
            if self.count == self.number:
                self.act()
            return call(*given)

        return touched

    @contextmanager
    def held(self) -> Iterator[None]:
        """The proxy's lock; two never have it."""
        if self.lock and self.holder:
            raise Held("the proxy is being changed by another job")
        before, self.holder = self.holder, True
        try:
            yield
        finally:
            self.holder = before

    def point(self, service: str) -> None:
        """A job points its service."""
        made = HAProxy(self.scripted.settings, self.held, lambda argv: (0, ""), sleep=lambda seconds: None)
        made.point(service, VALUES[service])

    def run(self, service: str, number: int, act: Callable[[], None]) -> bool:
        """The same, with something done at a moment; whether it came to that."""
        self.count, self.number, self.act = 0, number, act
        with suppress(Died):
            self.point(service)
        reached, self.number = self.count >= number, 0
        return reached

    def lost(self) -> set[str]:
        """The services that are served by one value and would be by another after a restart."""
        file = maps.parse(self.scripted.live.read_text())
        used = dict(self.scripted.entries)
        assert file["test.third"] == used["test.third"] == "none"
        return {name for name, value in VALUES.items() if used[name] == value and file[name] != value}


@pytest.fixture
def moments(tmp_path: Path) -> Callable[[bool], AbstractContextManager[Moments]]:
    """A new proxy with its files, with the lock or without it."""
    number = itertools.count()

    @contextmanager
    def made(lock: bool) -> Iterator[Moments]:
        with pytest.MonkeyPatch.context() as patch:
            yield Moments(tmp_path / str(next(number)), patch, lock)

    return made


Made = Callable[[bool], AbstractContextManager[Moments]]


def between(moments: Made, lock: bool) -> list[tuple[bool, set[str]]]:
    """One job's whole writing at every moment of the other's: whether the lock kept it out, and what was lost."""
    told = []
    for first, second in itertools.permutations(VALUES):
        for number in itertools.count(1):
            kept_out: list[Held] = []

            def cut_in(second: str = second, kept_out: list[Held] = kept_out) -> None:
                try:
                    here.point(second)
                except Held as error:
                    kept_out.append(error)

            with moments(lock) as here:
                if not here.run(first, number, cut_in):
                    break
                if kept_out:
                    here.point(second)
                told.append((bool(kept_out), here.lost()))
    return told


def test_with_the_lock_nobodys_entry_is_lost(moments: Made) -> None:
    """Whenever the other comes, it waits or is done: what the runtime was given, the file has."""
    told = between(moments, lock=True)
    assert len(told) > 10 and any(kept_out for kept_out, _ in told)
    assert not [lost for _, lost in told if lost]


def test_without_the_lock_the_loss_is_found(moments: Made) -> None:
    """The proof can fail: two that read the same file write over one another."""
    assert set().union(*(lost for _, lost in between(moments, lock=False))) == set(VALUES)


def test_wherever_a_job_dies_the_next_loses_nothing(moments: Made) -> None:
    """Either job, at any moment, and then the other, which may die as well."""

    deaths = [
        pair
        for order in itertools.permutations(VALUES)
        for pair in itertools.product(range(1, 12), range(1, 12))
        if both_died(moments, order, pair)
    ]
    assert len(deaths) > 100 and max(deaths) < (11, 11)


def both_died(moments: Made, order: tuple[str, ...], numbers: tuple[int, int]) -> bool:
    """Whether one job died at its moment and then the other at its own."""

    def die() -> None:
        raise Died

    with moments(True) as here:
        came = []
        for service, number in zip(order, numbers, strict=True):
            came.append(here.run(service, number, die))
            assert not here.lost(), f"{order} died at {numbers}"
        return all(came)


# -- two servers, two jobs --------------------------------------------------------------------------------------------

SERVERS, JOBS = ("main", "other"), ("j1", "j2")
CALLS = tuple((state, server) for state in ("ready", "live", "settled") for server in (0, 1))
GATE = CALLS.index(("live", 0))
SHOP, SECONDS = Service("test", "shop"), 10.0


class Site(NamedTuple):
    """Two servers with their records and candidates, how far each job has come and how it ended, and the time.

    past: who made the calls behind the gate, in order.
    """

    now: float = 0.0
    records: tuple[str, ...] = ("{}", "{}")
    candidates: tuple[str, ...] = ("", "")
    at: tuple[int, ...] = (0, 0)
    ended: tuple[str, ...] = ("", "")
    past: tuple[str, ...] = ()


def swapped(pair: tuple[Any, ...], number: int, value: Any) -> tuple[Any, ...]:
    """The pair with another value in this place."""
    return tuple(value if n == number else old for n, old in enumerate(pair))


def called(site: Site, number: int) -> Site:
    """A job's next call, by the product's own handling of claims; refused, the job ends."""
    (state, server), who, records = CALLS[site.at[number]], JOBS[number], FakeRecords()
    records.texts["record", SHOP.key] = site.records[server]
    fx: Any = SimpleNamespace(now=lambda: site.now, records=records)
    order, found = Order(state, job=who, claim_seconds=SECONDS), Look(Observed(), record=records.read(SHOP.key))
    gated = state in job.GATED and claims.ours(found.record.get("claim"), who)
    try:
        story = job.claim(fx, SHOP, found, order)
        if gated and site.candidates[server] != who:
            raise Superseded("its candidate is gone")
        job._close(fx, SHOP, order, history.after(story, (), "", {}), "")
    except StackswapError as refused:
        return site._replace(ended=swapped(site.ended, number, refused.cause))
    done = "done" if site.at[number] + 1 == len(CALLS) else ""
    return site._replace(
        records=swapped(site.records, server, records.texts["record", SHOP.key]),
        candidates=swapped(site.candidates, server, who),
        at=swapped(site.at, number, site.at[number] + 1),
        ended=swapped(site.ended, number, done),
        past=site.past if state == "ready" else (*site.past, who),
    )


def following(site: Site, late: bool, calls: int) -> Iterator[Site]:
    """What may happen next: a call, a crash that leaves the claims, or so much time that they run out, once."""
    running = [number for number in (0, 1) if not site.ended[number]]
    for number in running:
        yield site._replace(ended=swapped(site.ended, number, "crashed"))
        if site.at[number] < calls:
            yield called(site, number)
    if running and late and not site.now:
        yield site._replace(now=SECONDS + 1)


def sites(late: bool, calls: int = len(CALLS)) -> set[Site]:
    """Every state that some order of so many calls of each job leads to."""
    found, frontier = {Site()}, [Site()]
    while frontier:
        fresh = set(following(frontier.pop(), late, calls)) - found
        found |= fresh
        frontier += fresh
    return found


def mixed(past: tuple[str, ...]) -> bool:
    """Whether a job did anything behind the gate after another had come in between."""
    runs = [who for n, who in enumerate(past) if n == 0 or past[n - 1] != who]
    return len(runs) != len(set(runs))


def test_one_job_at_a_time_is_past_the_gate() -> None:
    """While claims live, in every order of two jobs' calls and crashes: who is second has changed nothing."""
    found = sites(late=False)
    assert len(found) > 50
    assert not [site for site in found if min(site.at) > GATE and "done" not in site.ended]
    assert not [site for site in found if mixed(site.past)]


def test_somebody_always_gets_through() -> None:
    """No order of claims leaves two jobs refused by each other: the main server's comes first."""
    ends = [site for site in sites(late=False) if all(site.ended)]
    assert ends
    assert not [site for site in ends if "crashed" not in site.ended and "done" not in site.ended]


def test_an_expired_claim_is_taken_over_and_the_old_job_is_superseded() -> None:
    """Who slept too long finds the other's claim, and has no say behind the gate any more."""
    found = sites(late=True, calls=CALLS.index(("settled", 0)))
    assert [site for site in found if "superseded" in site.ended and max(site.at) > GATE + 1]
    assert not [site for site in found if mixed(site.past)]


def test_a_job_that_slept_has_no_say_after_the_other_has_settled() -> None:
    """The claim is gone with the job that took it over; the old job is superseded all the same."""
    assert not [site for site in sites(late=True) if mixed(site.past)]
