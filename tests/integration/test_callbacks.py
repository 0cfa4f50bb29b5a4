"""Callbacks of an application in containers of their own, on the real engine: what they are told, what they may do."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.barrier import Barred
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_module import CutOff
from ansible_collections.stackswap.bluegreen.plugins.module_utils.choose import barrier_passed
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import layout
from tests.lab import images
from tests.lab.building import build, context, docker
from tests.lab.calls import ORDERS, Place, admin
from tests.lab.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]

IMAGE = "stackswap-test/called"
DOES = '#!/bin/sh\neval "${%s_DOES:-true}"\n'
FILE = """FROM app:full
COPY --chmod=755 release.sh verify.sh after.sh /.artifakt/
RUN chmod {mode} /.artifakt/release.sh
LABEL stackswap.scripts="build release verify after"
"""
TEN_MB = "head -c 10000000 /dev/zero | tr '\\0' x"


def image(version: str, mode: str = "755") -> str:
    """The test application with callbacks that do what variables say."""
    scripts = {f"{moment}.sh": (DOES % moment.upper()).encode() for moment in ("release", "verify", "after")}
    files = {"Dockerfile": FILE.format(mode=mode).encode(), **scripts}
    return build(f"{IMAGE}:{version}", context(files), {"app:full": images.app(version[:3])})


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server with its proxy, and the images of two versions."""
    for version in ("1.0", "1.1"):
        image(version)
    image("1.0-plain", "644")
    with Stack.made() as made:
        yield made


def place(stack: Stack, name: str, **options: Any) -> Place:
    """A service of that image."""
    return Place(stack, name, image=IMAGE, **options)


def does(**scripts: str) -> dict[str, Any]:
    """The options under which the scripts do this."""
    return {"env": {f"{moment.upper()}_DOES": text for moment, text in scripts.items()}}


def left(stack: Stack) -> list[str]:
    """The callback containers of a stack that are there."""
    wanted = ("label=stackswap.callback", f"network={stack.settings.network}")
    return docker("ps", "-aq", *(f"--filter={one}" for one in wanted)).split()


# -- what it finds


def test_a_callback_is_told_its_circumstances_and_has_the_releases_own(stack: Stack) -> None:
    """Variables and a typed file; environment, secrets and user are the release's; no trace is left."""
    says = 'cat $STACKSWAP_CONTEXT; echo; echo "$STACKSWAP_MOMENT $STACKSWAP_VERSION $KEY $(id -u) $0"'
    container = {"read_only": True, "user": "33", "tmpfs": ["/run"]}
    options = {**does(release=says), "secrets": {"KEY": "of-the-release"}, "container": container}
    shop = place(stack, "told", **options, callbacks={"release": {"user": "34"}})
    ran = shop.callback("release", "1.0", job="job-1")
    assert ran.error is None
    (told,) = ran.callbacks
    assert (told["moment"], told["exit_code"], told["error"]) == ("release", 0, "")
    assert told["lines"][-1] == "release 1.0 of-the-release 34 /.artifakt/release.sh"
    found = json.loads("".join(told["lines"][:-1]))
    assert (found["v"], found["moment"], found["job"], found["service"]) == (1, "release", "job-1", "told")
    assert (found["version"], found["previous"], found["main"], found["preview"]) == ("1.0", None, True, None)
    assert left(stack) == []


def test_a_callback_is_none_of_the_replicas_and_has_no_fixed_address(stack: Stack) -> None:
    """While it runs the service looks as it did."""
    shop = place(stack, "alone", **does(release="sleep 60"))
    assert shop.call("1.0", does(release="")).result.error is None
    seen: list[Any] = []

    def asked() -> str:
        found = left(stack)
        if found:
            (told,) = json.loads(docker("inspect", found[0]))
            seen.append((told["Config"]["Labels"], told["NetworkSettings"]["Ports"], len(shop.look().replicas)))
            return "asked"
        return ""

    ran = shop.callback("release", "1.1", stop_asked=asked)
    labels, ports, replicas = seen[0]
    assert labels["stackswap.moment"] == "release" and "stackswap.service" not in labels
    assert not any(ports.values()) and replicas == 1
    assert ran.callbacks[0]["exit_code"] is None and "the job was stopped" in ran.callbacks[0]["error"]
    assert left(stack) == []


# -- what it does wrong

WRONG = {
    "fails": ("echo no such table; exit 3", 3, "exited 3 after", "no such table"),
    "hangs": ("echo waiting; sleep 600", None, "was killed: it had not ended after 2 s", "waiting"),
    "deaf": ("trap '' TERM INT; echo deaf; sleep 600", None, "had not ended after 2 s", "deaf"),
    "leaves children that hold its output": ("sleep 600 & (sleep 600 &) ; echo left; exit 4", 4, "exited 4", "left"),
    "says ten megabytes without a line": (f"{TEN_MB}; exit 5", 5, "exited 5", "xxx"),
    "says ten megabytes in lines": (f"{TEN_MB} | fold -w 100; echo end; exit 6", 6, "exited 6", "end"),
    "says what is no text": ("printf '\\033[31m\\377\\000red'; exit 7", 7, "exited 7", "red"),
}


def went(stack: Stack, moment: str, options: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """What is told of a callback of this moment, and the cause of what failed with it."""
    shop = place(stack, f"wrong-{moment}")
    if moment == "verify":
        done = shop.call("1.0", options)
        return done.report["callbacks"][0], done.failed["cause"]
    ran = shop.callback(moment, "1.0", options, "live")
    return ran.callbacks[0], ran.error.cause if ran.error else ""


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize(
    ("moment", "cause"), [("release", "callback_failed"), ("verify", "verify_failed"), ("after", "")]
)
def test_a_callback_that_goes_wrong_is_told_within_bounds(stack: Stack, moment: str, cause: str, name: str) -> None:
    """Its code, its last lines and no more of them; nothing of it is left, neither process nor container."""
    script, code, error, last = WRONG[name]
    timeout = {"callbacks": {moment: {"timeout": 2 if code is None else 60}}}
    told, failed = went(stack, moment, {**does(**{moment: script}), **timeout})
    assert failed == cause
    assert told["exit_code"] == code and f"{moment}.sh " in told["error"] and error in told["error"], told
    assert last in told["lines"][-1] and len(told["lines"]) <= 20 and len(json.dumps(told)) < 20_000
    assert all(line.isprintable() for line in told["lines"])
    assert left(stack) == []


@pytest.mark.parametrize("init", [True, False])
def test_one_that_is_not_executable_is_called_that(stack: Stack, init: bool) -> None:
    """By whoever finds it out, the init process or the engine; it was never begun, so it may be tried again."""
    shop = place(stack, "plain", container={"init": init})
    for _ in range(2):
        ran = shop.callback("release", "1.0-plain")
        assert ran.error and "ermission denied" in " ".join([ran.error.what, *ran.error.evidence])
    assert left(stack) == []


def test_what_a_killed_call_left_is_removed_by_the_next(stack: Stack) -> None:
    """A module that is killed can clean up nothing; what was begun is not begun again by itself."""
    shop = place(stack, "killed")
    slow = does(release="echo once >>/dev/null; sleep 600")
    process = multiprocessing.get_context("fork").Process(target=shop.callback, args=("release", "1.0", slow))
    process.start()
    until = time.monotonic() + 30
    while not left(stack) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    (lost,) = left(stack)
    with pytest.raises(CutOff, match=r"release\.sh of killed 1\.0 was begun by an earlier job, and cut off"):
        shop.callback("release", "1.0", slow)
    quick = {**slow, "callbacks": {"release": {"idempotent": True, "timeout": 1}}}
    ran = shop.callback("release", "1.0", quick)
    assert ran.callbacks and lost not in left(stack) and left(stack) == []


# -- release.sh, once


def test_release_runs_once_for_a_release(stack: Stack) -> None:
    """Not again by a second deploy, not for what is live, again when it failed by itself."""
    shop = place(stack, "once")
    assert shop.callback("release", "1.0", does(release="exit 1")).error
    assert shop.callback("release", "1.0", does(release="exit 1")).error
    assert len(shop.callback("release", "1.0").callbacks) == 1
    assert shop.callback("release", "1.0").callbacks == ()
    assert next(iter(shop.record()["hooks_done"].values()))["release"] == "done"
    assert shop.call("1.0").result.error is None
    assert shop.callback("release", "1.0", {"replicas": 2}).callbacks == (), "the door's affair"
    assert shop.callback("release", None).callbacks == ()
    assert len(shop.callback("release", "1.1").callbacks) == 1


def test_release_changes_data_while_the_old_one_serves(stack: Stack, tmp_path: Path) -> None:
    """In /data, which both have; users notice nothing, and nothing of the new one is started before it is done."""
    shop = place(stack, "migrates", volumes=[f"{tmp_path}:/data"])
    assert shop.call("1.0").result.error is None
    migrates = 'echo "$STACKSWAP_PREVIOUS_VERSION $STACKSWAP_VERSION" >/data/schema; sleep 2'
    with shop.untouched():
        assert shop.callback("release", "1.1", does(release=migrates)).error is None
    assert (tmp_path / "schema").read_text() == "1.0 1.1\n"
    assert {replica.version for replica in shop.look().replicas} == {"1.0"}
    with shop.load() as load:
        assert shop.call("1.1", does(release=migrates)).result.error is None
    assert load.report().lost == 0


def test_a_failure_that_is_but_a_warning_is_told_and_passed(stack: Stack) -> None:
    """The service says so."""
    options = {**does(release="exit 9"), "callbacks": {"release": {"on_error": "warn"}}}
    ran = place(stack, "warned").callback("release", "1.0", options)
    assert ran.error is None and "release.sh exited 9" in ran.warnings[0]
    switched_off = {**options, "callbacks": {"release": {"run": "none"}}}
    assert place(stack, "warned").callback("release", "1.0", switched_off).callbacks == ()


# -- verify.sh, before any traffic


ASKS = 'test "$(wget -qO- $STACKSWAP_URL/)" = {version}'


def test_verify_reaches_the_candidate_at_its_address_and_through_the_door(stack: Stack) -> None:
    """By the url, and by the header that leads there; nobody gets there without, and nobody afterwards."""
    shop = place(stack, "seen")
    script = 'sed -n \'s/.*"value": "\\(.*\\)".*/\\1/p\' $STACKSWAP_CONTEXT; ' + ASKS.format(version="1.0")
    first = shop.call("1.0", does(verify=script))
    assert first.result.error is None, first.failed
    words: list[str] = []

    def at(point: str) -> None:
        if point == "before keep" and not words:
            words.append(next(iter(previews(shop))))
            assert ask(shop, words[0]) == "1.1" and ask(shop, "wrong") == ask(shop) == "1.0"

    done = shop.call("1.1", does(verify=ASKS.format(version="1.1")), at=at)
    assert done.result.error is None and words
    (told,) = done.report["callbacks"]
    assert (told["moment"], told["exit_code"]) == ("verify", 0)
    assert previews(shop) == {} and first.report["callbacks"][0]["lines"][0] != words[0]


def test_a_candidate_that_does_not_verify_gets_no_traffic(stack: Stack) -> None:
    """Users notice nothing; the next call does not take it for approved."""
    shop = place(stack, "unfit")
    assert shop.call("1.0").result.error is None
    for _ in range(2):
        with shop.untouched():
            done = shop.call("1.1", does(verify="echo the basket is empty; exit 8"))
        assert done.failed["cause"] == "verify_failed"
        assert "unfit 1.1 was not approved: verify.sh exited 8" in done.failed["what"]
        assert done.failed["evidence"] == ["the basket is empty"]
        assert "route" not in done.verbs and "await" not in done.verbs
    assert previews(shop) == {}
    warned = shop.call("1.1", {**does(verify="exit 8"), "callbacks": {"verify": {"on_error": "warn"}}})
    assert warned.result.error is None and "verify.sh exited 8" in warned.report["warnings"][0]


def test_the_way_back_does_not_wait_for_a_script(stack: Stack) -> None:
    """What has served was verified when it came."""
    shop = place(stack, "back")
    assert shop.call("1.0").result.error is None
    assert shop.call("1.1").result.error is None
    done = shop.call(rollback=True)
    assert done.result.error is None and done.report["callbacks"] == []


# -- after.sh


@pytest.mark.parametrize("outcome", ["live", "failed", "back"])
def test_after_is_told_the_outcome_and_fails_nothing(stack: Stack, outcome: str) -> None:
    """A warning is all that its failure is."""
    shop = place(stack, "after")
    ran = shop.callback("after", "1.0", does(after="echo it ended $STACKSWAP_OUTCOME; exit 2"), outcome)
    assert ran.error is None and "after.sh exited 2" in ran.warnings[0]
    assert ran.callbacks[0]["lines"] == [f"it ended {outcome}"]


# -- the barrier


def test_the_way_back_past_a_contraction_is_barred_unless_it_is_forced(stack: Stack) -> None:
    """It is named with what it declared; forced, that is told."""
    shop = place(stack, "barred")
    assert shop.call("1.0").result.error is None
    assert shop.call("1.1", {"migrations": "contract"}).result.error is None
    with shop.untouched(), pytest.raises(Barred, match=r"barred cannot go back: 1\.1 has taken away") as refused:
        shop.call(rollback=True)
    assert refused.value.cause == "barrier"
    asked = {**ORDERS, "rollback": True, "force": True}
    assert "migrations: contract" in barrier_passed(shop.effects(), shop.wanted(), asked)
    assert shop.call(rollback=True, force=True).report["serving"]["version"] == "1.0"
    assert shop.call("1.1").result.error is None
    assert shop.call(rollback=True).report["serving"]["version"] == "1.0", "it was deployed without that word"


def test_the_word_may_be_given_to_a_release_that_is_live(stack: Stack) -> None:
    """Forgotten, and declared by the same deploy again; a bake that fails goes back all the same."""
    shop = place(stack, "late")
    assert shop.call("1.0").result.error is None
    assert shop.call("1.1").result.error is None
    again = shop.call("1.1", {"migrations": "irreversible"})
    assert again.result.error is None and again.verbs == ["confirm"]
    with pytest.raises(Barred, match="has changed the data for good"):
        shop.call(rollback=True)


def previews(shop: Place) -> dict[str, str]:
    """The words that lead to a slot of the service, in the proxy's runtime."""
    (shown,) = admin(shop.stack, f"show map {layout(shop.stack.settings).preview}")
    found = dict(line.split()[1:3] for line in shown.splitlines())
    return {word: slot for word, slot in found.items() if slot.startswith(f"{shop.wanted().service.key}:")}


def ask(shop: Place, word: str = "") -> str:
    """What the service's page says through the public door."""
    asked = HTTPConnection("127.0.0.1", shop.stack.port, timeout=10)
    asked.request("GET", "/", headers={"Host": shop.host, **({"X-Stackswap-Preview": word} if word else {})})
    return asked.getresponse().read().decode().strip()
