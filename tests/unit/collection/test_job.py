"""Whole calls on a server in memory: what users get when things go wrong, and what the call says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import job
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import Claimed, Superseded
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Held
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Bake,
    Container,
    Health,
    Observed,
    Release,
    Route,
    Service,
    Share,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.plan import live_release, previous, up
from tests.lab.fake import App, FakeServer

HEALTH = Health("http", "/health", deadline=10.0, min_healthy_time=1.0)
SHOP = Service("test", "shop", routes=(Route("shop.test"),), health=HEALTH, bake=Bake(5.0), confirmations=3)
APPS: dict[str, App] = {
    "good": App(),
    "exits": App(exits=0.8, code=3, says="KeyError: 'X'"),
    "silent": App(listens=float("inf")),
    "broken": App(status=500, says="oops"),
    "turns": App(sick=4.0, says="oops"),
    "dies": App(exits=4.0, code=9),
    "shy": App(listens=0.0, shy=True),
}


def release(version: str, image: str = "good", **options: Any) -> Release:
    """A release of the shop."""
    return Release(SHOP.key, version, f"sha256:{image}", Container(image), health=HEALTH, **options)


ONE, TWO = release("1"), release("2")


@dataclass
class Site:
    """A server, and the calls that are made on it."""

    server: FakeServer = field(default_factory=lambda: FakeServer(**APPS))

    def run(self, wanted: Release | None, state: str = "settled", service: Service = SHOP, **options: Any) -> Result:
        """One call, as the module makes it."""
        order = {
            name: options.pop(name)
            for name in ("back", "now", "drill", "job", "claim_seconds", "wait")
            if name in options
        }
        return job.run(self.server.effects(**options), service, wanted, Order(state, **order))

    def seen(self) -> Observed:
        """What is there now."""
        return look(self.server.effects(), SHOP).seen

    def serving(self) -> str:
        """The release that users get, if it is well."""
        seen = self.seen()
        return live_release(seen) if up(seen, seen.runtime.split(".")[0]) else ""

    def record(self) -> dict[str, Any]:
        """What is remembered of the shop."""
        return self.server.records.read(SHOP.key)

    def verbs(self, result: Result) -> list[str]:
        """What was done, in short."""
        return [step.verb for step, _ in result.done]


@pytest.fixture
def site() -> Site:
    """A server on which the shop's first release serves."""
    made = Site()
    assert made.run(ONE).error is None
    return made


def at(point: str, act: Callable[[], object], times: int = 1) -> Callable[[str], None]:
    """Do something when the executor comes to a point, so many times."""
    left = [times]

    def reached(here: str) -> None:
        if here == point and left[0]:
            left[0] -= 1
            act()

    return reached


# -- candidates that fail ---------------------------------------------------------------------------------------------


FAILURES = {
    "exits": ("candidate_exited", "exited 3 after 0."),
    "silent": ("candidate_unhealthy", "was not healthy within 10 s: last probe: connection refused"),
    "broken": ("candidate_unhealthy", "was not healthy within 10 s: last probe of /health: status 500: oops"),
    "shy": ("candidate_unhealthy", "was not healthy within 10 s: the proxy's check says DOWN"),
}


@pytest.mark.parametrize("image", FAILURES)
def test_a_candidate_that_fails_is_stopped_and_users_notice_nothing(site: Site, image: str) -> None:
    """The verdict has its cause, the live release was not touched, the candidate is kept for a look at its log."""
    before, candidate = site.seen(), release("2", image)
    result = site.run(candidate)
    assert result.error and (result.error.cause, result.error.what[: len(FAILURES[image][1])]) == FAILURES[image]
    assert site.serving() == ONE.name
    assert site.seen().at(ONE.name, "blue") == before.at(ONE.name, "blue")
    assert site.seen().runtime == site.seen().file == "blue"
    left = site.seen().at(candidate.name, "green")
    assert left is not None and left.running == "none"
    assert "route" not in site.verbs(result)


def test_an_exit_is_told_at_once_with_the_last_lines(site: Site) -> None:
    """Within a second of the exit, not at the deadline."""
    result = site.run(release("2", "exits"))
    assert result.error and result.error.evidence == ("KeyError: 'X'",)
    assert sum(1 for step, _ in result.done if step.verb == "await") == 0
    assert site.server.clock() < 1000 + 10 + 2


def test_silence_is_told_just_after_the_deadline(site: Site) -> None:
    """One second late at the most, beside the time to stay healthy."""
    began = site.server.clock()
    site.run(release("2", "silent"))
    assert 10.0 <= site.server.clock() - began <= 12.5


def test_up_from_before_the_start_proves_nothing(site: Site) -> None:
    """The proxy's word is of the container before: one that only the proxy cannot reach is never called healthy."""
    hasty, proxy = replace(HEALTH, min_healthy_time=0.0), site.server.proxy
    candidate, service = replace(release("2", "shy"), health=hasty), replace(SHOP, health=hasty)

    def stale() -> None:
        proxy.words[proxy.backends[SHOP.key]["green"].addresses[0]] = ("UP", "L7OK")

    result = site.run(candidate, service=service, at=at("before await", stale))
    assert result.error and result.error.cause == "candidate_unhealthy"
    assert site.serving() == ONE.name


@pytest.mark.parametrize(("image", "why"), [("turns", "turned unhealthy in the bake"), ("dies", "restarted once")])
def test_a_release_that_fails_in_the_bake_gives_way_to_its_backup(site: Site, image: str, why: str) -> None:
    """Back at once, and the word that it failed is remembered."""
    candidate = release("2", image)
    result = site.run(candidate)
    assert result.error and result.error.cause == "bake_failed" and why in result.error.what
    assert site.serving() == ONE.name and site.seen().runtime == "blue"
    assert site.record()["rejected"] == [candidate.name]
    assert site.verbs(result)[-6:] == ["reject", "route", "confirm", "keep", "drain", "stop"]


STEPS = replace(SHOP, canary=(Share(10, 2.0), Share(50, 6.0)))


def test_a_canary_shares_more_and_more_of_the_traffic_and_then_is_none(site: Site) -> None:
    """Each step is watched; when all goes to the release, nothing is shared any more."""
    result = site.run(TWO, service=STEPS)
    assert result.error is None and site.serving() == TWO.name
    assert site.server.proxy.dealt == ["green 10", "green 50", "green 0"]
    assert site.verbs(result)[2:] == [
        *("share", "watch", "share", "watch", "keep", "route", "confirm", "share"),
        *("watch", "fence", "keep", "drain", "stop"),
    ]
    seconds = {step.value: took for step, took in result.done if step.verb == "watch"}
    assert 2 <= seconds["10"] < 3 and 6 <= seconds["50"] < 7 and 5 <= seconds[""] < 6


@pytest.mark.parametrize(
    ("image", "why", "last"),
    [("turns", "turned unhealthy", ["share", "share", "drain", "stop"]), ("dies", "exited 9", ["share", "share"])],
)
def test_a_release_that_fails_with_a_share_never_gets_all(site: Site, image: str, why: str, last: list[str]) -> None:
    """The share is taken away first of all, and the live release was never touched."""
    result = site.run(release("2", image), service=STEPS)
    assert result.error and why in result.error.what
    assert site.server.proxy.dealt == ["green 10", "green 50", "green 0"]
    assert "route" not in site.verbs(result) and site.serving() == ONE.name and site.seen().runtime == "blue"
    assert site.verbs(result)[-len(last) :] == last
    assert {"share_ms", "withdraw_ms"} <= {*result.figures}, "how soon it was taken away is told"


def test_a_canary_outlasts_a_restart_of_the_proxy_and_the_end_of_its_job(site: Site) -> None:
    """The next call of the same release goes on with the share that was not watched yet."""
    with pytest.raises(KeyboardInterrupt):
        site.run(TWO, service=STEPS, at=at("before keep", interrupt))
    site.server.proxy.restart()
    site.server.sleep(3)
    assert site.seen().canary == "green:50"
    result = site.run(TWO, service=STEPS)
    assert result.error is None and site.server.proxy.dealt == ["green 10", "green 50", "green 0"]
    assert site.verbs(result)[0] == "keep", "what was watched is not watched again"


DRILL = replace(SHOP, drill=True)


def test_a_drill_goes_back_for_a_moment_and_forward_again(site: Site) -> None:
    """The old release has the traffic and is confirmed; the milliseconds are told, and no request is lost."""
    values: list[str] = []
    site.server.proxy.rate = 50

    def note(point: str) -> None:
        if point == "within drill":
            values.append(site.seen().runtime)
            site.server.sleep(0.1)

    result = site.run(TWO, service=DRILL, at=note)
    assert result.error is None and site.serving() == TWO.name
    assert values == ["blue.green", "green.blue"]
    assert result.figures and result.figures["drill_ms"] >= 0 and "drill" not in result.figures
    assert result.loss and result.loss["lost"] == 0 and not result.warnings
    assert site.verbs(result).index("drill") == site.verbs(result).index("watch") + 1


def test_a_drill_can_be_asked_for_by_the_job(site: Site) -> None:
    """Whatever the service says; what comes next does not try again."""
    live = site.run(TWO, "live", drill=True)
    settled = site.run(TWO, "settled", drill=True)
    assert "drill" in site.verbs(live) and "drill" not in site.verbs(settled) and settled.error is None


def test_without_a_way_back_the_release_stays_and_that_is_told(site: Site) -> None:
    """The old one has died meanwhile: nobody is sent there."""
    result = site.run(TWO, service=DRILL, at=at("before drill", lambda: sicken(site, "blue")))
    assert result.error is None and site.serving() == TWO.name and site.seen().runtime == "green"
    assert result.warnings == ("there is no way back to the old release, and the new one stays: it is not healthy",)
    assert result.figures and "drill_ms" not in result.figures and result.figures["drill"] == "it is not healthy"


def test_a_way_back_that_leads_nowhere_is_left_at_once(site: Site) -> None:
    """The door does not show the old one: users are with the new one again, which stays."""
    probe, waiting = site.server.probe, [True]
    door = probe.door

    def shut(*given: Any) -> Any:
        answer = door(*given)
        return replace(answer, told="") if "blue.green" in answer.told else answer

    probe.door = shut  # type: ignore[method-assign]
    result = site.run(TWO, service=DRILL)
    assert waiting and result.error is None and site.serving() == TWO.name
    assert "there is no way back" in result.warnings[0]


def test_who_does_not_take_over_again_after_a_drill_goes(site: Site) -> None:
    """It turned sick while users had the old release: they keep that."""
    result = site.run(TWO, service=DRILL, at=at("within drill", lambda: sicken(site, "green")))
    assert result.error and result.error.cause == "drill_failed" and site.serving() == ONE.name
    assert site.seen().runtime == "blue" and TWO.name in site.seen().rejected
    assert "turned unhealthy while users had the old release" in result.error.what


def test_a_stop_in_a_drill_leaves_users_with_the_old_release(site: Site) -> None:
    """As one in a bake does."""
    asked = [""]
    result = site.run(
        TWO, service=DRILL, at=at("within drill", lambda: asked.__setitem__(0, "asked")), stop_asked=lambda: asked[0]
    )
    assert result.error and result.error.cause == "canceled"
    assert site.serving() == ONE.name and site.seen().runtime == "blue"


def sicken(site: Site, slot: str) -> None:
    """What is in the slot answers 500 from now on, and the proxy has seen that."""
    seen = site.seen().occupant(slot)
    assert seen
    for box in site.server.engine.boxes.values():
        if dict(box.spec.labels)["stackswap.slot"] == slot and box.lives():
            box.app = replace(box.app, sick=0.0)
    site.server.sleep(1)


def test_another_deploy_takes_the_share_of_a_job_that_ended_away(site: Site) -> None:
    """Before its slot is vacated."""
    with pytest.raises(KeyboardInterrupt):
        site.run(TWO, service=STEPS, at=at("after share", interrupt))
    result = site.run(release("3"))
    assert result.error is None and site.verbs(result)[:3] == ["share", "drain", "stop"]


def interrupt() -> None:
    """The job's process ends."""
    raise KeyboardInterrupt


def test_a_door_that_leads_elsewhere_is_not_confirmed(site: Site) -> None:
    """A switch that users cannot see is none: it goes back."""
    site.server.probe.lies = f"{SHOP.key}:blue blue1 blue"
    result = site.run(TWO)
    assert result.error and result.error.cause == "not_confirmed"
    assert site.serving() == ONE.name
    assert site.record()["served"] == [ONE.name]


def test_a_proxy_that_takes_no_value_is_told(site: Site) -> None:
    """The live release goes on, in the file too once the proxy listens again."""
    site.server.proxy.deaf = True
    result = site.run(TWO)
    assert result.error and result.error.cause == "not_taken"
    site.server.proxy.deaf = False
    assert site.serving() == ONE.name
    assert site.run(ONE).error is None and site.seen().file == "blue"


def test_a_doubled_map_entry_becomes_one(site: Site) -> None:
    """Look-ups use the first; a deploy leaves one."""
    site.server.proxy.entries.append((SHOP.key, "green"))
    assert site.run(TWO).error is None
    assert [value for key, value in site.server.proxy.entries if key == SHOP.key] == ["green"]


def test_an_image_that_is_not_here_changes_nothing(site: Site) -> None:
    """The ladder never fetches."""
    result = site.run(release("2", "nowhere"))
    assert result.error and result.error.cause == "image_missing"
    assert site.serving() == ONE.name


# -- surroundings -----------------------------------------------------------------------------------------------------


def test_a_proxy_that_restarts_while_a_candidate_is_awaited_is_asked_again(site: Site) -> None:
    """Another worker's word is fresh only after it was called down there, too."""
    result = site.run(TWO, at=at("before await", site.server.proxy.restart))
    assert result.error is None and site.serving() == TWO.name


def test_a_reboot_in_the_bake_is_gone_on_from(site: Site) -> None:
    """The release that was routed comes back with its backup; the next call ends the bake."""
    assert site.run(TWO, "ready").error is None
    result = site.run(TWO, at=at("after confirm", site.server.reboot))
    assert result.error is None or site.run(TWO).error is None
    assert site.serving() == TWO.name and site.seen().runtime == "green"


@pytest.mark.parametrize("times", [1, 3])
def test_a_world_that_moved_is_planned_anew(site: Site, times: int) -> None:
    """Somebody removes the candidate before it is awaited: it is made again."""
    engine = site.server.engine

    def gone() -> None:
        for box in [b for b in engine.boxes.values() if b.spec.container.image == "good" and b.policy == "no"]:
            engine.stop(box.id, 0)
            site.server.proxy.file[SHOP.key] = "green"

    result = site.run(TWO, at=at("before await", gone, times))
    assert result.error is None and site.serving() == TWO.name
    assert site.verbs(result).count("start") >= 2


def test_a_world_that_keeps_moving_is_left_alone(site: Site) -> None:
    """After the third time it is said, and users have what they had."""
    tries: list[int] = []

    def moved() -> None:
        tries.append(1)
        site.server.proxy.file[SHOP.key] = "green.blue"

    result = site.run(TWO, "ready", at=at("before await", moved, 99))
    assert result.error and result.error.cause == "moved"
    assert len(tries) == job.TRIES == 4
    assert site.serving() == ONE.name


# -- a release is discarded -------------------------------------------------------------------------------------------


def test_a_release_that_is_live_is_not_discarded(site: Site) -> None:
    """It is refused before anything changes."""
    result = site.run(ONE, "absent")
    assert result.error and result.error.cause == "bad_input" and "is live" in result.error.what
    assert not result.done and site.serving() == ONE.name


def test_a_release_that_is_kept_is_discarded_once(site: Site) -> None:
    """Its containers go, the live one is not touched, and the second time there is nothing to do."""
    assert site.run(TWO).error is None
    assert site.verbs(site.run(ONE, "absent")) == ["discard"]
    assert not [p for p in site.seen().placements if p.release == ONE.name]
    assert not site.run(ONE, "absent").done
    assert site.serving() == TWO.name


def test_a_candidate_is_drained_and_stopped_before_it_is_discarded(site: Site) -> None:
    """It may have been previewed."""
    assert site.run(TWO, "ready").error is None
    assert site.verbs(site.run(TWO, "absent")) == ["drain", "stop", "discard"]
    assert site.serving() == ONE.name


# -- claims and locks -------------------------------------------------------------------------------------------------


def test_a_claim_of_another_job_is_refused_with_its_holder(site: Site) -> None:
    """While it lives; nothing is done."""
    assert site.run(TWO, "ready", job="j1").error is None
    with pytest.raises(Claimed, match="claimed by job j1"):
        site.run(release("3"), "ready", job="j2")


def test_a_claim_of_another_job_is_waited_for_as_long_as_asked(site: Site) -> None:
    """By the clock of this server alone: nobody else's counts, here or on another one."""
    site.run(ONE, "claimed", job="j1", claim_seconds=100.0)
    began = site.server.clock()
    with pytest.raises(Claimed):
        site.run(ONE, "claimed", job="j2", wait=60.0)
    assert 60 <= round(site.server.clock() - began, 6) < 65
    assert not site.run(ONE, "claimed", job="j2", wait=60.0).error
    assert site.record()["claim"]["job"] == "j2"
    assert site.server.clock() - began >= 99


def test_a_claim_is_given_up_and_all_else_stays(site: Site) -> None:
    """By the job that has it; another's stays where it is."""
    site.run(ONE)
    site.run(TWO, "live", job="j1")
    for job_id, left in (("j2", "j1"), ("j1", "")):
        gone = site.run(None, "released", job=job_id)
        assert (gone.error, gone.changed, site.serving()) == (None, False, TWO.name)
        assert (site.record()["claim"] or {}).get("job", "") == left
    assert site.seen().runtime.count(".") == 1


def test_a_claim_is_renewed_by_each_call_and_ends_with_the_job(site: Site) -> None:
    """It lasts from the latest call on."""
    site.run(TWO, "ready", job="j1")
    first = site.record()["claim"]["expires"]
    site.server.sleep(100)
    site.run(TWO, "live", job="j1")
    assert site.record()["claim"]["expires"] > first + 99
    site.run(TWO, "settled", job="j1")
    assert site.record()["claim"] is None


def test_a_claim_that_ran_out_is_taken_over_and_the_old_job_is_superseded(site: Site) -> None:
    """Behind the gate the old job finds that it has no say any more."""
    site.run(TWO, "ready", job="j1")
    site.server.sleep(901)
    assert site.run(release("3"), "ready", job="j2").error is None
    with pytest.raises(Superseded, match="job j2 has taken"):
        site.run(TWO, "live", job="j1")
    assert site.serving() == ONE.name


@pytest.mark.parametrize("ahead", [86400.0, -86400.0])
def test_servers_whose_clocks_differ_keep_a_claim_each_by_its_own(site: Site, ahead: float) -> None:
    """A day apart, one job has both for as long, nobody else does, and both are free at once."""
    other = Site()
    other.run(ONE)
    (other if ahead > 0 else site).server.sleep(abs(ahead))
    assert [one.run(TWO, "ready", job="j1").error for one in (site, other)] == [None, None]
    for one in (site, other):
        one.server.sleep(800)
        with pytest.raises(Claimed):
            one.run(release("3"), "ready", job="j2")
        one.server.sleep(101)
        assert one.run(release("3"), "ready", job="j2").error is None


def test_a_candidate_that_is_gone_behind_the_gate_is_not_made_again(site: Site) -> None:
    """What is switched to is what was ready before the gate."""
    site.run(TWO, "ready", job="j1")
    site.server.engine.boxes.popitem()
    result = site.run(TWO, "live", job="j1")
    assert result.error and result.error.cause == "superseded"
    assert site.serving() == ONE.name and "start" not in site.verbs(result)


def test_going_back_leaves_another_jobs_server_alone(site: Site) -> None:
    """A job that was refused has nothing to take back."""
    site.run(TWO, "live", job="j1")
    result = site.run(TWO, "back", job="j2")
    assert result.error is None and not result.done
    assert site.serving() == TWO.name


def test_two_calls_at_once_are_refused(site: Site) -> None:
    """The service's lock has one holder."""
    with site.server.locks.service(SHOP.key), pytest.raises(Held):
        site.run(TWO)


# -- to stop ----------------------------------------------------------------------------------------------------------


def stopping(word: str, point: str) -> dict[str, Any]:
    """A call that is asked to stop from a point on."""
    asked: list[str] = []
    return {"stop_asked": lambda: asked[-1] if asked else "", "at": at(point, lambda: asked.append(word))}


STOPS = {
    "asked before the switch: back": ("asked", "before await", "canceled", "1"),
    "asked in the bake: back": ("asked", "before watch", "canceled", "1"),
    "asked after the fence: it is finished": ("asked", "after fence", "", "2"),
    "asked while it drains: it is finished": ("asked", "before drain", "", "2"),
    "alone before the switch: back": ("alone", "before await", "canceled", "1"),
    "alone just before the switch: back": ("alone", "after await", "canceled", "1"),
    "alone in the bake: it goes on by its own judgement": ("alone", "before watch", "", "2"),
    "alone after the fence: it is finished": ("alone", "after fence", "", "2"),
}


@pytest.mark.parametrize("case", STOPS)
def test_a_stop(case: str, site: Site) -> None:
    """Who serves after it, and whether the call ends as canceled."""
    word, point, cause, version = STOPS[case]
    result = site.run(TWO, **stopping(word, point))
    assert (result.error.cause if result.error else "") == cause
    assert site.serving() == {"1": ONE, "2": TWO}[version].name
    assert site.seen().runtime == ("blue" if version == "1" else "green")


def test_alone_in_a_bake_of_a_sick_release_still_goes_back(site: Site) -> None:
    """Its own judgement is the same as ever."""
    result = site.run(release("2", "turns"), **stopping("alone", "before watch"))
    assert result.error and result.error.cause == "bake_failed"
    assert site.serving() == ONE.name


# -- what is said -----------------------------------------------------------------------------------------------------


def test_a_swap_is_a_change_and_the_same_again_is_none(site: Site) -> None:
    """Looking and confirming change nothing (R15)."""
    assert site.run(TWO).changed
    again = site.run(TWO)
    assert not again.changed and site.verbs(again) == ["confirm"]


def test_ending_a_bake_is_a_change(site: Site) -> None:
    """The fence is."""
    site.run(TWO, "live")
    assert site.run(TWO).changed


def test_a_failed_candidate_is_a_change_too(site: Site) -> None:
    """It lies there."""
    assert site.run(release("2", "exits")).changed


def test_check_mode_tells_the_plan_and_touches_nothing(site: Site) -> None:
    """No lock, no claim, no step."""
    texts = dict(site.server.records.texts)
    with site.server.locks.service(SHOP.key):
        result = job.foresee(site.server.effects(), SHOP, TWO, Order("settled", job="j1"))
    assert [step.verb for step in result.plan][:3] == ["start", "await", "keep"] and not result.done
    assert site.server.records.texts == texts


# -- records ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{not json"])
def test_a_lost_record_costs_the_way_back_and_never_the_service(site: Site, text: str) -> None:
    """A deploy goes on from what runs; only a rollback without a version is not known any more."""
    site.run(TWO)
    del site.server.records.texts["record", SHOP.key]
    if text:
        site.server.records.texts["record", SHOP.key] = text
    assert site.serving() == TWO.name and previous(site.seen()) == ""
    assert site.run(release("3")).error is None
    assert site.serving() == release("3").name
    assert previous(site.seen()) == TWO.name
    assert "broken" not in site.record()


BLOG = replace(SHOP, name="blog", routes=(Route("blog.test"),))


@pytest.mark.parametrize("whose", [SHOP, BLOG])
def test_lost_addresses_are_read_off_what_is_there(site: Site, whose: Service) -> None:
    """The record of addresses is gone: each service gets its own again (R13), whoever deploys next."""
    records = site.server.records
    known = records.addresses()
    del records.texts[("addresses",)]
    assert site.run(replace(TWO, service=whose.key), service=whose).error is None
    assert records.addresses()[SHOP.key] == known[SHOP.key]
    assert len(
        {address for block in records.addresses().values() for address in (*block["blue"], *block["green"])}
    ) == (16 * len({SHOP.key, whose.key}))
    assert site.serving() == (TWO if whose == SHOP else ONE).name


def test_a_service_that_was_registered_and_never_started_finds_its_addresses_in_the_proxy(site: Site) -> None:
    """It has no container to read them off."""
    with pytest.raises(KeyboardInterrupt):
        site.run(replace(ONE, service=BLOG.key), service=BLOG, at=at("before start", _interrupted))
    known = site.server.records.addresses()
    del site.server.records.texts[("addresses",)]
    assert site.run(replace(ONE, service=BLOG.key), service=BLOG).error is None
    assert site.server.records.addresses() == known


def _interrupted() -> None:
    raise KeyboardInterrupt
