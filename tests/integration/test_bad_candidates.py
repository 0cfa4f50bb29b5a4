"""Releases that are no good, on the real engine and proxy: what is said of them, and that users see nothing of it."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import engine_errors
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine import DockerEngine
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import Claimed, StackswapError, Superseded
from ansible_collections.stackswap.bluegreen.plugins.module_utils.locks import Held
from ansible_collections.stackswap.bluegreen.plugins.module_utils.module import message
from ansible_collections.stackswap.bluegreen.plugins.module_utils.plan import previous
from tests.lab import images
from tests.lab.building import docker
from tests.lab.calls import HEALTH, Called, Place, candidate, inside, kill
from tests.lab.stack import Stack
from tests.lab.wire import STATUS

pytestmark = [pytest.mark.engine, pytest.mark.slow]

RATE = 50
BUSY = 5  # seconds that a machine may be late: the figures themselves are the bench's
EATER = ["python3", "-c", "held = [bytearray(1 << 20) for _ in range(10000)]"]
MUTE = ["python3", "-c", "import socket, time; s = socket.create_server(('', 8080)); time.sleep(600)"]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server with its proxy, and the images of two versions."""
    assert images.app("1.0") != images.app("1.1")
    with Stack.made() as made:
        yield made


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Place:
    """A service that serves 1.0: the tests that use it leave it as it is."""
    place = Place(stack, "shop")
    assert place.call("1.0").result.error is None
    return place


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """Print a figure past pytest."""

    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}")

    return tell


def tried(shop: Place, options: dict[str, Any], **asked: Any) -> Called:
    """A call for 1.1 that has to fail, beside a load that must not notice."""
    with shop.untouched():
        done = shop.call("1.1", options, **asked)
    assert done.result.error is not None
    assert "users get shop 1.0" in done.failed["serves"]
    assert not [r for r in shop.look().replicas if r.version == "1.1" and r.running]
    return done


# -- never fit for traffic


def test_one_that_exits_is_known_at_once_by_its_code_and_last_words(shop: Place, told: Any) -> None:
    """The verdict does not wait for a deadline, and tells why: the exit code and what was on its lips."""
    done = tried(shop, {"env": {"EXIT_AT_ONCE": "3"}})
    seconds = done.when("verdict") - done.when("within start")
    told(f"exits at once: verdict {seconds:.2f} s after its start, the call over in {done.seconds:.2f} s")
    assert seconds < BUSY
    assert done.failed["cause"] == "candidate_exited"
    assert "exited 3" in done.failed["what"]
    assert "KeyError: 'DATABASE_URL'" in message(done.failed)
    assert candidate(shop, "1.1").name in done.failed["kept"]


def test_one_that_never_listens_has_until_the_deadline(shop: Place, told: Any) -> None:
    """And not a second more, however long it would have to stay healthy."""
    health = {**HEALTH, "deadline": 3, "min_healthy_time": 5}
    done = tried(shop, {"env": {"SILENT": "1"}, "health": health})
    seconds = done.when("verdict") - done.when("before await")
    told(f"never listens: verdict {seconds - 3:.2f} s past the deadline")
    assert 3 <= seconds <= 3 + BUSY
    assert done.failed["cause"] == "candidate_unhealthy"
    assert "was not healthy within 3 s" in done.failed["what"] and "connection refused" in done.failed["what"]


def test_one_that_accepts_and_never_answers_has_until_the_deadline(shop: Place, told: Any) -> None:
    """The last probe is given up when the time is over."""
    done = tried(shop, {"command": MUTE, "health": {**HEALTH, "deadline": 3}})
    seconds = done.when("verdict") - done.when("before await")
    told(f"never answers: verdict {seconds - 3:.2f} s past the deadline, the call over in {done.seconds:.2f} s")
    assert 3 <= seconds <= 3 + BUSY
    assert "no answer within" in done.failed["what"]


def test_one_that_answers_500_is_quoted(shop: Place) -> None:
    """The message has the status and how the body begins."""
    done = tried(shop, {"env": {"HEALTH_STATUS": "500"}, "health": {**HEALTH, "deadline": 2}})
    assert done.failed["cause"] == "candidate_unhealthy"
    assert "last probe of /health: status 500: 1.1" in done.failed["what"]


def test_one_that_turns_unhealthy_before_its_time_is_refused(shop: Place) -> None:
    """It was healthy, and not for long enough."""
    health = {**HEALTH, "min_healthy_time": 8}
    done = tried(shop, {"env": {"SICK_AFTER": "3"}, "health": health})
    assert done.failed["cause"] == "candidate_unhealthy"
    assert "was healthy and is not" in done.failed["what"] and "status 500" in done.failed["what"]


def test_one_that_runs_out_of_memory_is_called_that(shop: Place) -> None:
    """An exit code of 137 would leave people guessing."""
    done = tried(shop, {"command": EATER, "container": {"memory": "32m"}})
    assert done.failed["cause"] == "candidate_exited"
    assert "ran out of memory" in done.failed["what"]


def test_one_that_the_engine_started_again_in_an_earlier_job_is_judged_by_what_it_does_now(stack: Stack) -> None:
    """A crash just as its restart policy is set outlives the job that went back from it."""
    place = Place(stack, "again")
    assert place.call("1.0").result.error is None
    assert place.call("1.1", job="job-first", state="ready").result.error is None
    docker("update", "--restart=always", candidate(place, "1.1").id)
    os.kill(int(docker("inspect", "--format={{.State.Pid}}", candidate(place, "1.1").id)), signal.SIGKILL)
    until = time.monotonic() + BUSY
    while not (candidate(place, "1.1").restarts and candidate(place, "1.1").running) and time.monotonic() < until:
        time.sleep(0.05)
    assert candidate(place, "1.1").restarts == 1
    done = place.call("1.1", job="job-first")
    assert done.result.error is None and "await" in done.verbs
    assert place.live()[0].version == "1.1"


def test_an_image_that_is_not_here_is_named(shop: Place) -> None:
    """Nothing is begun without it."""
    with shop.untouched(), pytest.raises(engine_errors.ImageMissing, match=r"stackswap-test/app:9\.9 is not on this"):
        shop.call("9.9")


# -- no good once it has traffic


def test_one_that_turns_sick_in_the_bake_goes_back_by_itself(stack: Stack, told: Any) -> None:
    """It is rejected; its users have had its own errors for about a second, which is what is promised."""
    place = Place(stack, "sick", bake=8)
    assert place.call("1.0").result.error is None
    before = place.live()

    def sicken(point: str) -> None:
        if point == "after confirm":
            inside(candidate(place, "1.1"), "touch", "/tmp/sick")

    with place.load(RATE) as load:
        done = place.call("1.1", at=sicken)
        time.sleep(0.3)
    report = load.report()
    times = [failure.at for failure in report.failures]
    seconds = max(times) - min(times) if times else 0.0
    told(f"sick in the bake: {report.lost} of {report.requests} at {RATE} r/s, for {seconds:.2f} s: {report.kinds}")
    assert done.failed["cause"] == "bake_failed"  # by its own health or by its users' errors, whichever tells first
    assert re.search("status 503|fails too often in the bake", done.failed["what"])
    assert "users get sick 1.0, as before" in done.failed["serves"]
    assert place.live() == before and place.look().seen.runtime == before[0].slot
    assert done.release and done.release.name in place.record()["rejected"]
    assert not candidate(place, "1.1").running
    assert set(report.kinds) <= {STATUS} and report.lost <= RATE * BUSY and seconds < BUSY


def test_one_that_is_killed_in_the_bake_is_covered_by_its_backup(stack: Stack, told: Any) -> None:
    """Nothing is lost but what was in flight on it; the rest is answered within two seconds by the old one."""
    place = Place(stack, "killed", bake=8)
    assert place.call("1.0").result.error is None
    before = place.live()

    def murder(point: str) -> None:
        if point == "after confirm" and candidate(place, "1.1").running:  # not again on the way back
            kill(candidate(place, "1.1"))

    with place.load(RATE) as load:
        done = place.call("1.1", at=murder)
        time.sleep(0.3)
    report = load.report()
    told(f"killed in the bake: {report.lost} of {report.requests} at {RATE} r/s, slowest {report.max_ms:.0f} ms")
    assert done.failed["cause"] == "bake_failed" and "exited 137" in done.failed["what"]
    assert place.live() == before
    assert report.lost <= 3, str(report)
    assert report.max_ms < 2500


def test_one_that_was_killed_in_the_bake_is_no_way_back(stack: Stack) -> None:
    """It is rejected as one that turned sick is: nobody goes back to it by chance."""
    place = Place(stack, "killed")
    found = place.look()
    assert [r.version for r in found.replicas if r.running] == ["1.0"]
    assert previous(found.seen) == ""


# -- others are at it


def test_a_second_deploy_at_once_is_refused_with_the_holder_s_name_or_waits(stack: Stack) -> None:
    """One change of a service at a time: the other is told whose it is, or waits for its end."""
    place = Place(stack, "twice")
    assert place.call("1.0").result.error is None
    begun, go_on, ended = threading.Event(), threading.Event(), []

    def hold(point: str) -> None:
        if point == "after start":
            begun.set()
            assert go_on.wait(30)

    first = threading.Thread(target=lambda: ended.append(place.call("1.1", job="job-first", at=hold)))
    first.start()
    try:
        assert begun.wait(30)
        with pytest.raises(Held, match="job-first"):
            place.call("1.0", job="job-second")
        waiting = threading.Thread(target=lambda: ended.append(place.call("1.0", job="job-third", wait=60)))
        waiting.start()
    finally:
        go_on.set()
    first.join(60)
    waiting.join(60)
    assert [done.result.error for done in ended] == [None, None]
    assert [done.report["serving"]["version"] for done in ended] == ["1.1", "1.0"]
    assert place.live()[0].version == "1.0"


def test_a_service_that_a_job_has_claimed_is_refused_to_others(stack: Stack) -> None:
    """Between two calls of one job, too; the claim ends with the job."""
    place = Place(stack, "claimed")
    assert place.call("1.0", job="job-first", state="ready").result.error is None
    with pytest.raises(Claimed, match="job-first of a test"):
        place.call("1.1", job="job-second", state="ready")
    with pytest.raises(Superseded, match="job-first"):
        place.call("1.1", job="job-second")
    assert place.call("1.0", job="job-first").result.error is None
    assert place.call("1.1", job="job-second").result.error is None


def test_a_stranger_on_a_slot_s_address_is_named(shop: Place, stack: Stack) -> None:
    """Nothing is made, for it could not be started; nor is the live one touched."""
    stored = stack.effects().records.addresses()[shop.wanted().service.key]
    spare = "green" if shop.live()[0].slot == "blue" else "blue"
    name = f"{stack.name}-stranger"
    words = ("--detach", f"--name={name}", "--label=stackswap.test=1", f"--network={stack.settings.network}")
    docker("run", *words, f"--ip={stored[spare][0]}", images.busybox(), "sleep", "600")
    try:
        with shop.untouched():
            done = shop.call("1.1", {"env": {"ANOTHER": "1"}})
        assert done.failed["cause"] == "address_taken"
        assert name in done.failed["what"] and stored[spare][0] in done.failed["what"]
    finally:
        docker("rm", "--force", name)
    assert "users get shop 1.0" in done.failed["serves"]


def test_lost_addresses_are_read_off_containers_and_proxy(stack: Stack) -> None:
    """The next deploy of any service writes all down again, and no service gets another's (R13)."""
    old, new, file = Place(stack, "settler"), Place(stack, "newcomer"), Path(stack.settings.home, "addresses.json")
    assert old.call("1.0").result.error is None
    known = json.loads(file.read_text())
    for place, version in ((new, "1.0"), (old, "1.1")):
        file.unlink()
        with old.load() as load:
            done = place.call(version)
        assert done.result.error is None, done.result.error
        assert load.report().lost == 0, str(load.report())
        found = json.loads(file.read_text())
        assert {key: found[key] for key in known} == known
        every = [address for block in found.values() for slot in block.values() for address in slot]
        assert len(every) == len(set(every))
    assert (old.live()[0].version, new.live()[0].version) == ("1.1", "1.0")


# -- no engine


def test_an_engine_that_does_not_answer_is_named_with_what_to_do() -> None:
    """The address that was tried, and how to look."""
    with pytest.raises(engine_errors.EngineUnreachable) as refused:
        DockerEngine("unix:///run/there-is-none.sock")
    assert "/run/there-is-none.sock" in refused.value.what and "setup installs it" in refused.value.what


def test_an_engine_that_one_may_not_use_is_not_called_absent() -> None:
    """Permission is another matter than no engine."""
    error: StackswapError = engine_errors.unreachable(
        "unix:///var/run/docker.sock", "PermissionError(13, 'Permission denied')"
    )
    assert error.cause == "engine_permission" and "docker group" in error.what
