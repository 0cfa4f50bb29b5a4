"""When a callback is due, what it is told, what is made of its end; and a release that waits for its own word."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import callbacks, fleet, job
from ansible_collections.stackswap.bluegreen.plugins.module_utils.asked import asked
from ansible_collections.stackswap.bluegreen.plugins.module_utils.barrier import barring
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callback_module import CutOff, called
from ansible_collections.stackswap.bluegreen.plugins.module_utils.callbacks import Callback, Calling, Told, due
from ansible_collections.stackswap.bluegreen.plugins.module_utils.effects import Ran, ReplicaSpec
from ansible_collections.stackswap.bluegreen.plugins.module_utils.engine_errors import EngineFailed, EngineUnreachable
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import Claimed, Superseded
from ansible_collections.stackswap.bluegreen.plugins.module_utils.job import Order, Result
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Bake,
    Container,
    Health,
    Image,
    Release,
    Route,
    Service,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.observe import look
from ansible_collections.stackswap.bluegreen.plugins.module_utils.plan import live_release
from tests.lab.fake import App, FakeServer

SHOP = Service("test", "shop", routes=(Route("shop.test"),), health=Health(min_healthy_time=0.2), bake=Bake(1.0))
ALL = Image("i", labels=((callbacks.SCRIPTS, "build entrypoint release verify after"),))
WELL, ILL = Ran(0, "fine\n"), Ran(3, "no such table\n")
CALLING = Calling(job="j1", server="web1", main=True)


def release(version: str, image: str = "app", **options: Any) -> Release:
    """A release of the shop."""
    container = Container(image, env=(("A", "b"),))
    return Release(SHOP.key, version, f"sha256:{image}", container, health=SHOP.health, **options)


# -- when one is due


@pytest.mark.parametrize(
    ("moment", "asked_for", "wanted"),
    [
        ("release", {}, Callback("release", 600.0, "abort")),
        ("verify", {}, Callback("verify", 60.0, "abort")),
        ("after", {}, Callback("after", 60.0, "warn")),
        ("after", {"on_error": "abort"}, Callback("after", 60.0, "warn")),
        ("verify", {"run": "auto", "timeout": 5, "user": "33"}, Callback("verify", 5.0, "abort", "33")),
        ("release", {"on_error": "warn", "idempotent": True}, Callback("release", 600.0, "warn", "", True)),
        ("release", {"run": "none"}, None),
    ],
)
def test_what_the_image_has_is_due_as_the_service_wants_it(
    moment: str, asked_for: dict[str, Any], wanted: Callback | None
) -> None:
    """Each moment has its own time and its own weight."""
    assert due(moment, ALL, {moment: asked_for, "entrypoint_lock": 5.0}) == wanted


@pytest.mark.parametrize("image", [None, Image("i"), Image("i", labels=((callbacks.SCRIPTS, "build releases"),))])
def test_what_the_image_has_not_is_never_due(image: Image | None) -> None:
    """Its label says what it has."""
    assert [due(moment, image, {}) for moment in callbacks.MOMENTS] == [None, None, None]


# -- what it is told


def test_it_has_the_releases_container_but_for_what_it_runs() -> None:
    """No address, no command, a log that can be read; the label of a replica is not on it."""
    wanted = replace(release("1"), container=Container("i", command=("serve",), user="33", log_driver="syslog"))
    spec = callbacks.container(Callback("release", 1.0, "abort"), CALLING, SHOP, wanted, Told(previous="0.9"), "net")
    assert (spec.address, spec.policy, spec.network) == ("", "no", "net")
    assert (spec.container.entrypoint, spec.container.command) == (("/.artifakt/release.sh",), None)
    assert (spec.container.user, spec.container.log_driver) == ("33", "json-file")
    assert dict(spec.container.env)["STACKSWAP_PREVIOUS_VERSION"] == "0.9"
    assert "stackswap.service" not in dict(spec.labels)


def test_the_file_is_typed_and_has_no_name_for_nothing() -> None:
    """What there is not is null."""
    told = Told(url="http://10.0.0.1:80", preview="word")
    found = json.loads(callbacks.context(Callback("verify", 1.0, "abort"), CALLING, SHOP, release("1"), told))
    assert (found["v"], found["main"], found["previous"], found["outcome"]) == (1, True, None, None)
    assert found["preview"] == {"header": "X-Stackswap-Preview", "value": "word"}


# -- what is made of its end


@pytest.mark.parametrize(
    ("ran", "code", "error"),
    [
        (Ran(0, ""), 0, ""),
        (Ran(3, ""), 3, "verify.sh exited 3 after 1.5 s"),
        (Ran(126, ""), 126, "verify.sh exited 126 after 1.5 s: is it executable?"),
        (Ran(137, "", "timeout"), None, "verify.sh was killed: it had not ended after 60 s"),
        (Ran(137, "", "asked"), None, "verify.sh was killed after 1.5 s: the job was stopped"),
    ],
)
def test_the_end_of_a_run_in_words(ran: Ran, code: int | None, error: str) -> None:
    """What was killed has no exit code of its own."""
    told = callbacks.entry(Callback("verify", 60.0, "abort"), ran, 1.5)
    assert (told["exit_code"], told["error"]) == (code, error)


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        ("", []),
        ("one\n\ntwo", ["one", "two"]),
        ("".join(f"{n}\n" for n in range(50)), [str(n) for n in range(30, 50)]),
        ("x" * 9000 + "end", ["x" * 397 + "end"]),
        ("\x1b[31mred\r\n\0", [" [31mred"]),
    ],
)
def test_the_last_lines_are_few_short_and_fit_to_be_shown(said: str, lines: list[str]) -> None:
    """Of a line without an end, the end."""
    assert callbacks.last_lines(said) == lines


def test_what_is_remembered_is_of_the_newest_releases() -> None:
    """And of no other moment than it was."""
    record: dict[str, Any] = {}
    releases = [release(str(n)) for n in range(callbacks.REMEMBERED + 5)]
    for number, one in enumerate(releases):
        record = {"hooks_done": callbacks.marked(record, one, "release", "done", float(number))}
    states = [callbacks.state_of(record, one, "release") for one in releases]
    assert states == [""] * 5 + ["done"] * callbacks.REMEMBERED
    assert callbacks.state_of(record, replace(releases[-1], seal="other", replicas=3), "release") == "done"
    assert callbacks.marked(record, releases[-1], "release", "", 0.0).keys().isdisjoint([releases[-1].id])


# -- the barrier


def kept(**declared: str) -> dict[str, Any]:
    """Manifests of releases that have declared this."""
    return {name: {"version": name.upper(), "migrations": text} for name, text in declared.items()}


@pytest.mark.parametrize(
    ("target", "live", "served", "declared", "named"),
    [
        ("a", "b", "ab", {"b": "contract"}, "B has taken away"),
        ("a", "b", "ab", {"b": "irreversible"}, "B has changed the data"),
        ("a", "b", "ab", {"b": "expand"}, ""),
        ("a", "b", "ab", {"a": "contract"}, ""),
        ("a", "c", "abc", {"b": "contract"}, "B "),
        ("a", "c", "abc", {"b": "contract", "c": "irreversible"}, "C "),
        ("b", "c", "abc", {"b": "contract"}, ""),
        ("a", "b", "ba", {"b": "contract"}, "B "),
        ("a", "a", "ab", {"b": "contract"}, ""),
        ("a", "b", "a", {"b": "contract"}, "B "),
        ("a", "b", "ab", {}, ""),
    ],
)
def test_what_bars_the_way_back(target: str, live: str, served: str, declared: dict[str, str], named: str) -> None:
    """Anything that was live or served later, and not what is live already."""
    found = barring(target, live, tuple(served), kept(**declared))
    assert found.startswith(named) and bool(found) == bool(named)


# -- verify.sh on a server in memory


class Site:
    """A server on which the first version serves, and what happens to the second."""

    def __init__(self, **scripts: Any) -> None:
        self.server = FakeServer(app=App(), called=App(scripts=scripts))
        assert self.run(release("1")).error is None

    def run(self, wanted: Release, state: str = "settled", calling: Calling = CALLING, **options: Any) -> Result:
        """One call, as the module makes it."""
        order = {name: options.pop(name) for name in ("back", "job", "migrations") if name in options}
        fx = self.server.effects(token=lambda: "a-word", **options)
        return job.run(fx, SHOP, wanted, Order(state, calling=calling, **order))

    def call(
        self, wanted: Release, moment: str = "release", job_id: str = "", back: bool = False, **options: Any
    ) -> Result:
        """One call of run_callback."""
        calling = replace(CALLING, options=options)
        return called(self.server.effects(), SHOP, wanted, Order("called", back, job=job_id, calling=calling), moment)

    def serving(self) -> str:
        """The version that is live."""
        found = look(self.server.effects(), SHOP)
        return next(r.version for r in found.replicas if r.release == live_release(found.seen))

    @property
    def record(self) -> dict[str, Any]:
        """What is remembered."""
        return self.server.records.read(SHOP.key)


TWO = release("2", "called")


def test_nothing_is_approved_before_it_has_verified_itself() -> None:
    """It is told where the candidate is, at a time when nobody has traffic for it."""
    seen: list[Any] = []

    def script(spec: ReplicaSpec, told: Any) -> Ran:
        approved = site.record.get("approved", {}).get("green")
        previews = dict(site.server.proxy.previews)
        seen.append((told["url"], told["previous"], told["preview"]["value"], approved, previews))
        return WELL

    site = Site(verify=script)
    done = site.run(TWO)
    assert done.error is None and site.serving() == "2"
    ((url, previous, word, approved, previews),) = seen
    assert url.startswith("http://172.30.") and url.endswith(":8080") and previous == "1"
    assert approved is None and previews == {word: f"{SHOP.key}:green"}
    assert site.server.proxy.previews == {}
    assert [told["moment"] for told in done.callbacks] == ["verify"]


def test_one_that_does_not_verify_is_stopped_and_users_notice_nothing() -> None:
    """With its last lines as evidence; the next call has it verify again."""
    site = Site(verify=ILL)
    for _ in range(2):
        done = site.run(TWO)
        assert done.error and done.error.cause == "verify_failed" and done.error.evidence == ("no such table",)
        assert site.serving() == "1" and "green" not in site.record.get("approved", {})
    assert site.server.called.count("verify") == 2 and site.server.proxy.previews == {}


def test_a_crash_while_it_verifies_has_it_verify_again() -> None:
    """No word is no approval."""

    def crash(spec: ReplicaSpec, told: Any) -> Ran:
        raise KeyboardInterrupt

    site = Site(verify=crash)
    with pytest.raises(KeyboardInterrupt):
        site.run(TWO, "ready")
    site.server.apps["called"].scripts = {"verify": WELL}
    assert site.run(TWO).error is None and site.serving() == "2"
    assert site.server.called.count("verify") == 2


def test_one_that_was_started_anew_while_it_verified_is_looked_at_again() -> None:
    """What was verified is no more."""
    times = [0]

    def script(spec: ReplicaSpec, told: Any) -> Ran:
        times[0] += 1
        if times[0] == 1:
            box = next(b for b in site.server.engine.boxes.values() if b.spec.container.image == "called")
            site.server.engine.stop(box.id, 1)
            site.server.engine.start(box.id)
        return WELL

    site = Site(verify=script)
    assert site.run(TWO).error is None and times[0] == 2 and site.serving() == "2"


def test_a_stop_that_was_asked_for_is_no_failure_to_verify() -> None:
    """It is a job that was canceled."""
    word = [""]

    def script(spec: ReplicaSpec, told: Any) -> Ran:
        word[0] = "asked"
        return Ran(137, "", "asked")

    site = Site(verify=script)
    done = site.run(TWO, stop_asked=lambda: word[0])
    assert done.error and done.error.cause == "canceled" and site.serving() == "1"


def test_a_warning_is_told_and_passed() -> None:
    """If the service says so."""
    site = Site(verify=ILL)
    done = site.run(TWO, calling=replace(CALLING, options={"verify": {"on_error": "warn"}}))
    assert done.error is None and done.warnings == ("verify.sh exited 3 after 0.0 s; the service says on_error: warn",)


def test_what_has_served_does_not_verify_on_the_way_back() -> None:
    """But does when it is deployed again."""
    site = Site(verify=WELL)
    for wanted, back, times in ((TWO, False, 1), (release("1"), False, 1), (TWO, True, 1), (release("1"), False, 1)):
        assert site.run(wanted, back=back).error is None
        assert site.server.called.count("verify") == times
    assert site.run(TWO).error is None and site.server.called.count("verify") == 2


def test_what_is_declared_is_kept_with_the_release_and_a_rollback_changes_no_word_of_it() -> None:
    """Also when the release is live when it is declared."""
    site = Site()
    two = release("2", "called")
    assert site.run(two, migrations="expand").error is None
    assert site.run(two, migrations="contract").error is None
    assert site.run(release("1"), back=True, migrations="irreversible").error is None
    found = [site.server.records.manifest(SHOP.key, name) or {} for name in (two.name, release("1").name)]
    assert [data["migrations"] for data in found] == ["contract", "none"]


# -- release.sh on a server in memory


def raises(error: Exception) -> Callable[[ReplicaSpec, Any], Ran]:
    """A script that never comes to run."""

    def script(spec: ReplicaSpec, told: Any) -> Ran:
        raise error

    return script


@pytest.mark.parametrize(
    ("script", "state"),
    [
        (WELL, "done"),
        (ILL, ""),
        (Ran(137, "", "timeout"), "begun"),
        (raises(EngineFailed("permission denied")), ""),
        (raises(EngineUnreachable("gone")), "begun"),
    ],
)
def test_what_is_remembered_of_a_run(script: Any, state: str) -> None:
    """What ended by itself, or never began, may be run again; what was cut off may have done half."""
    site = Site(release=script)
    done = site.call(TWO)
    assert callbacks.state_of(site.record, TWO, "release") == state
    assert bool(done.error) == (state != "done")


def test_begun_and_cut_off_is_not_run_again_but_where_that_does_no_harm() -> None:
    """Nobody knows how far it came."""

    def cut(spec: ReplicaSpec, told: Any) -> Ran:
        assert callbacks.state_of(site.record, TWO, "release") == "begun"
        raise KeyboardInterrupt

    site = Site(release=cut)
    with pytest.raises(KeyboardInterrupt):
        site.call(TWO)
    site.server.apps["called"].scripts = {"release": WELL}
    with pytest.raises(CutOff):
        site.call(TWO)
    assert site.call(TWO, release={"run": "none"}).callbacks == ()
    assert site.call(TWO, release={"idempotent": True}).error is None
    assert site.call(TWO).callbacks == ()
    assert site.server.called.count("release") == 2


def test_it_never_runs_on_the_way_back_nor_for_what_is_live() -> None:
    """Nor for the same release with other replicas or secrets."""
    site = Site(release=WELL)
    assert site.call(TWO, back=True).callbacks == ()
    assert site.run(TWO).error is None
    assert site.call(replace(TWO, seal="abcd")).callbacks == ()


def test_it_belongs_to_the_job_that_has_the_claim() -> None:
    """And renews it."""
    site = Site(release=WELL)
    assert site.run(TWO, "claimed", job="j1").error is None
    with pytest.raises(Claimed):
        site.call(TWO, job_id="j2")
    assert site.call(TWO, job_id="j1").error is None
    site.server.records.write(SHOP.key, {**site.record, "claim": None, "overtaken": ["j1"]})
    with pytest.raises(Superseded):
        site.call(release("3", "called"), job_id="j1")


def test_after_never_fails() -> None:
    """It is told as a warning."""
    done = Site(after=ILL).call(TWO, "after")
    assert done.error is None and done.warnings == ("after.sh exited 3 after 0.0 s",)


# -- the fleet


def host(**told: Any) -> dict[str, Any]:
    """What a server's task registered."""
    return {"stackswap": {**fleet.blank("shop", "test", "ready"), **told}}


def test_a_needed_server_that_is_bad_shuts_the_gate_whatever_the_budget() -> None:
    """Without release.sh nobody begins."""
    results = {"web1": {"failed": True, "msg": "no"}, "web2": {"changed": False}}
    assert not fleet.folded({}, results, "called", 1)["shut"]
    assert fleet.folded({}, results, "called", 1, ["web1"])["shut"]
    assert not fleet.folded({}, results, "called", 1, ["web2"])["shut"]


@pytest.mark.parametrize(
    ("rung", "results", "outcome"),
    [
        ("settled", {"a": host(serving={"release": "2"})}, "live"),
        ("settled", {"a": {**host(), "failed": True}}, "failed"),
        ("ready", {"a": host()}, "failed"),
        ("back", {"a": host(steps=[{"verb": "route", "did": ""}])}, "back"),
        ("back", {"a": host()}, "failed"),
    ],
)
def test_how_a_job_ended_in_a_word(rung: str, results: dict[str, Any], outcome: str) -> None:
    """And what comes after the end does not change it."""
    gate = fleet.folded({}, results, rung, None)
    assert gate["outcome"] == outcome
    assert fleet.folded(gate, {"a": host()}, "after", None)["outcome"] == outcome


def test_all_runs_are_in_the_report_and_each_warning_once() -> None:
    """Of all calls on the server."""
    asked_for = {"release": "2", "version": "2", "scripts": ["verify"]}
    first = host(callbacks=[{"moment": "release"}], warnings=["w"])
    second = host(callbacks=[{"moment": "verify"}], warnings=["w", "v"], asked=asked_for)
    gate = fleet.folded(fleet.folded({}, {"a": first}, "called", 0), {"a": second}, "ready", 0)
    assert [told["moment"] for told in gate["reports"]["a"]["callbacks"]] == ["release", "verify"]
    assert gate["reports"]["a"]["warnings"] == ["w", "v"] and gate["scripts"] == ["verify"]


def test_task_files_lie_beside_the_inventory() -> None:
    """Wherever the play is run from."""
    given = {
        "stackswap_service": "shop",
        "stackswap_services": {"shop": {"image": "shop"}},
        "stackswap_environment": {"name": "test"},
        "stackswap_before": "tasks/one.yml, ../two.yml",
        "stackswap_after": ["/etc/three.yml"],
    }
    told = asked("deploy", given, ["web1"], "/srv/inventory")
    assert told["before"] == ["/srv/inventory/tasks/one.yml", "/srv/two.yml"]
    assert told["after"] == ["/etc/three.yml"]
