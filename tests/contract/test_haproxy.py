"""What our code leans on, tried on the real HAProxy: on every version that apt offers here."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files, maps, sections
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.control import (
    ProxyError,
    ProxyUnreachable,
    ReloadRefused,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.fragments import (
    CheckRefused,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.proxy import (
    DIFFERS,
    NotRegistered,
    RouteTaken,
)
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import Route
from tests.contract.proxies import (
    ADDRESSES,
    BOTH,
    Background,
    Site,
    slot,
    stopped,
    until,
)
from tests.lab.building import docker

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture
def shop(site) -> Iterator[str]:
    """A service with both slots filled and none live."""
    name = site.service()
    site.proxy.register(name, BOTH)
    yield name
    site.proxy.remove(name)


@pytest.fixture
def live(site, shop) -> str:
    """The same with blue live and proven."""
    site.settle(shop, "blue")
    site.proxy.point(shop, "blue")
    return shop


def runtime(site: Site, service: str) -> list[str]:
    """The values that the serving worker has for a service."""
    (text,) = site.admin.call(f"show map {site.paths.live}")
    return [line.split()[2] for line in text.splitlines() if line.split()[1] == service]


def filed(site: Site, service: str) -> str | None:
    """The value in the file."""
    return maps.parse(files.read(site.paths.live)).get(service)


# -- registering


def test_a_service_is_registered_once_and_starts_as_none(site) -> None:
    """Fragment, entry none in file and runtime; the second time nothing is to be done."""
    name = site.service()
    assert site.proxy.register(name, BOTH) is True
    assert site.proxy.register(name, BOTH) is False
    view = site.proxy.view(name)
    assert (view.runtime, view.file, dict(view.backends)) == ("none", "none", BOTH)
    assert site.confirm(name).status == 503
    assert site.proxy.remove(name) is True
    assert site.proxy.remove(name) is False
    assert site.proxy.view(name).runtime == site.proxy.view(name).file == ""
    assert name not in files.fragments(site.paths)


def test_a_lost_entry_comes_back_as_none(site, live) -> None:
    """The file keeps its value for whoever decides; the runtime gets none, which serves nothing."""
    site.admin.call(f"del map {site.paths.live} {live}")
    assert site.proxy.register(live, BOTH) is True
    assert (runtime(site, live), filed(site, live)) == (["none"], "blue")


def test_a_slot_is_configured_alone(site, live) -> None:
    """A slot gets another check and another number of replicas; the live one serves on."""
    wanted = slot("green", replicas=2, path="/")
    assert site.proxy.configure(live, "green", wanted) is True
    assert site.proxy.configure(live, "green", wanted) is False
    view = site.proxy.view(live)
    assert (view.backends["green"], view.backends["blue"]) == (wanted, BOTH["blue"])
    assert (view.runtime, site.confirm(live).body) == ("blue", "blue1")
    assert len([s for s in view.servers if s.slot == "green"]) == 2


def test_a_connection_is_enough_where_no_path_is_given(site, shop) -> None:
    """The check's code is then L4OK."""
    plain = slot("blue", kind="none")
    site.proxy.configure(shop, "blue", plain)
    wanted = sections.expected_check(plain.health)
    assert wanted == "L4OK"
    until(lambda: (site.proxy.view(shop).servers[0].check) == wanted)


def test_the_addresses_in_all_fragments_tell_whose_they_are(site, live) -> None:
    """So that a lost record of them can be written again."""
    wanted = dict.fromkeys((*BOTH["blue"].addresses, *BOTH["green"].addresses), live)
    assert site.proxy.tenants() == wanted
    site.proxy.remove(live)
    assert site.proxy.tenants() == {}


def test_another_service_is_left_alone(site, live) -> None:
    """A service comes and goes; the first has its fragment, its value and its answers."""
    before = files.read(site.paths.fragment(live))
    name = site.service()
    site.proxy.register(name, BOTH)
    site.proxy.remove(name)
    assert files.read(site.paths.fragment(live)) == before
    assert (runtime(site, live), site.confirm(live).status) == (["blue"], 200)


# -- a fragment that HAProxy refuses


def test_a_bad_fragment_is_refused_and_not_left_behind(site, live) -> None:
    """A bad file in the folder would keep the next start from coming up."""
    before = files.read(site.paths.fragment(live))
    with pytest.raises(CheckRefused) as refused:
        site.proxy._fragments.load(live, before + "    option bogus\n")
    assert "bogus" in str(refused.value)
    assert files.read(site.paths.fragment(live)) == before
    assert os.listdir(site.paths.stage) == os.listdir(site.paths.pending) == []
    assert site.confirm(live).status == 200


def test_a_warning_is_a_refusal(site, live, tmp_path) -> None:
    """A section without `from` among others with it: 2.6 prints an alert and ends with 0."""
    folder = os.path.join(site.paths.stage, "bare")
    os.mkdir(folder)
    try:
        files.write(f"{folder}/a.cfg", "backend a:blue\n    server blue1 127.0.0.1:1 check\n")
        with pytest.raises(CheckRefused):
            site.proxy._fragments.check(site.paths.config, folder)
    finally:
        os.unlink(f"{folder}/a.cfg")
        os.rmdir(folder)


def test_a_refused_reload_is_taken_back(site, live) -> None:
    """The check passes and the start does not: the old worker serves, the old fragment stays."""
    before, base = files.read(site.paths.fragment(live)), files.read(site.paths.config)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        bind = f"    bind 127.0.0.1:{port}\n    bind 127.0.0.1:{site.port}"
        files.write(site.paths.config, base.replace(f"    bind 127.0.0.1:{site.port}", bind))
        try:
            with pytest.raises(ReloadRefused):
                site.proxy.configure(live, "green", slot("green", replicas=2))
        finally:
            files.write(site.paths.config, base)
    assert files.read(site.paths.fragment(live)) == before
    assert os.listdir(site.paths.pending) == []
    assert (site.confirm(live).body, runtime(site, live)) == ("blue1", ["blue"])
    assert site.proxy.configure(live, "green", slot("green", replicas=2)) is True


def test_a_fragment_that_no_reload_confirmed_is_loaded_again(site, live) -> None:
    """A job ended between the two: the file alone does not count as known."""
    files.write(os.path.join(site.paths.pending, live), "")
    assert dict(site.proxy.view(live).backends) == {}
    pid = site.master.serving()
    assert site.proxy.configure(live, "green", BOTH["green"]) is True
    assert site.master.serving() != pid
    assert dict(site.proxy.view(live).backends) == BOTH


# -- pointing


def test_a_value_is_written_to_file_and_runtime(site, live) -> None:
    """And the answers come from it at once."""
    site.settle(live, "green")
    for value, server in (("green.blue", "green1"), ("green", "green1"), ("blue", "blue1")):
        site.proxy.point(live, value)
        assert (runtime(site, live), filed(site, live)) == ([value], value)
        reply = site.confirm(live)
        assert (reply.body, reply.told) == (server, f"{live}:{value} {server} {value}")


@pytest.mark.parametrize("value", ["", "red", "blue.blue", "blue+green", "blue.green.blue"])
def test_what_is_no_value_is_refused(site, live, value) -> None:
    """HAProxy itself would take it and answer 503."""
    with pytest.raises(BadInput):
        site.proxy.point(live, value)
    assert runtime(site, live) == ["blue"]


def test_a_value_without_a_backend_is_refused(site) -> None:
    """It would answer 503."""
    name = site.service()
    site.proxy.register(name, {"blue": BOTH["blue"]})
    with pytest.raises(NotRegistered):
        site.proxy.point(name, "green")
    assert (runtime(site, name), filed(site, name)) == (["none"], "none")
    site.proxy.remove(name)


def test_an_unknown_service_is_not_pointed(site) -> None:
    """An entry is made by registering only."""
    with pytest.raises(NotRegistered):
        site.proxy.point("test.nobody", "blue")
    assert filed(site, "test.nobody") is None


def test_doubled_entries_become_one(site, live) -> None:
    """`add map` adds a second without a word; look-ups use the first."""
    site.admin.call(f"add map {site.paths.live} {live} green")
    assert runtime(site, live) == ["blue", "green"]
    assert site.confirm(live).body == "blue1"
    site.proxy.point(live, "blue.green")
    assert (runtime(site, live), filed(site, live)) == (["blue.green"], "blue.green")


def test_registering_mends_doubled_entries_too(site, live) -> None:
    """The one that is in use stays."""
    site.admin.call(f"add map {site.paths.live} {live} green")
    assert site.proxy.register(live, BOTH) is True
    assert runtime(site, live) == ["blue"]


def test_a_file_with_a_key_twice_is_refused(site, live) -> None:
    """HAProxy would keep both lines."""
    text = files.read(site.paths.live)
    files.write(site.paths.live, text + f"{live} green\n")
    with pytest.raises(maps.MapBroken, match=live):
        site.proxy.point(live, "blue")
    files.write(site.paths.live, text)
    assert runtime(site, live) == ["blue"]


def test_a_reload_changes_nobodys_slot(site, live, shop) -> None:
    """File and runtime differ after a broken off job: what is served stays, so does the file."""
    text = files.read(site.paths.live)
    files.write(site.paths.live, maps.render({**maps.parse(text), live: "green"}))
    name = site.service()
    site.proxy.register(name, BOTH)
    assert (runtime(site, live), filed(site, live)) == (["blue"], "green")
    site.proxy.remove(name)
    assert (runtime(site, live), filed(site, live)) == (["blue"], "green")


def test_a_restart_comes_back_with_the_file(site, live) -> None:
    """The map file is what a restart reads."""
    site.settle(live, "green")
    site.proxy.point(live, "green.blue")
    docker("restart", "--time=2", site.settings.container)
    until(site.answers)
    assert runtime(site, live) == ["green.blue"]
    until(lambda: site.confirm(live).body == "green1")


# -- who answers


def test_the_backup_answers_when_the_live_slot_dies(site, live) -> None:
    """At once, and the confirm header tells that it was the other slot."""
    site.settle(live, "green")
    site.proxy.point(live, "blue.green")
    with stopped("blue1"):
        replies = [site.confirm(live) for _ in range(3)]
        assert [(r.status, r.told) for r in replies][-1] == (
            200,
            f"{live}:blue.green green1 blue.green",
        )
        assert {r.status for r in replies} == {200}


def test_a_request_waits_out_a_short_absence(site, live) -> None:
    """The live slot has no backup, and is back within the turns of its wait."""
    with stopped("blue1") as start:
        asked = Background(lambda: site.confirm(live))
        time.sleep(1.5)
        late = Background(lambda: site.confirm(live))
        time.sleep(0.5)
        start()
        assert (asked.reply().body, late.reply().body) == ("blue1", "blue1")


def test_only_the_servers_key_is_told_who_answered(site, live) -> None:
    """Nor may anybody else choose a service."""
    site.proxy.open(live, (Route("keys.example"),))
    told = f"{live}:blue blue1 blue"
    assert site.get("keys.example", x_stackswap_key=site.key).told == told
    assert site.get("keys.example", "/nothing", x_stackswap_key=site.key).told == told
    for key in ({}, {"x_stackswap_key": "wrong"}, {"x_stackswap_key": ""}):
        reply = site.get("keys.example", **key)
        assert (reply.status, reply.told) == (200, None)
        assert site.get("any", x_stackswap_service=live, **key).status == 404


def test_the_application_sees_neither_key_nor_forged_headers(site, live) -> None:
    """And knows the client's own address and scheme."""
    forged = {"x_forwarded_for": "9.9.9.9", "x_forwarded_proto": "https"}
    sent = {"x_stackswap_key": site.key, "x_stackswap_service": live, **forged}
    seen = site.get("any", "/cgi-bin/env", **sent).body
    assert "STACKSWAP" not in seen.upper()
    assert site.key not in seen
    assert "9.9.9.9" not in seen
    assert "https" not in seen


def test_the_proxys_own_answers_carry_the_header_too(site, shop) -> None:
    """404 for an unknown host, 503 for none."""
    assert site.get("unknown.example").status == 404
    reply = site.confirm(shop)
    assert (reply.status, reply.told) == (503, "nowhere <NOSRV> none")


# -- routes


def test_the_longest_prefix_wins_and_ends_at_a_slash(site, live) -> None:
    """/api does not take /apix."""
    api = site.service()
    site.proxy.register(api, BOTH)
    site.settle(api, "green")
    site.proxy.point(api, "green")
    site.proxy.open(live, (Route("shop.example"),))
    site.proxy.open(api, (Route("shop.example", "/api"),))
    asked = ["/", "/api", "/api/", "/api/v1?x=/", "/apix", "/x/api", "/API"]
    told = [site.get("SHOP.example:80", path, x_stackswap_key=site.key).told for path in asked]
    slots = [(text or "").split()[1] for text in told]
    assert slots == ["blue1", "green1", "green1", "green1", "blue1", "blue1", "blue1"]
    assert site.get("api.shop.example").status == 404
    site.proxy.remove(api)
    assert site.get("shop.example", "/api", x_stackswap_key=site.key).told.endswith("blue")


def test_routes_are_exactly_those_asked_for(site, live) -> None:
    """Removed ones lead nowhere, also after a reload; unchanged ones write nothing."""
    first, second = Route("a.example"), Route("b.example", "/x")
    assert site.proxy.open(live, (first, second)) is True
    assert site.proxy.open(live, (second, first)) is False
    assert set(site.proxy.view(live).routes) == {first, second}
    assert site.proxy.open(live, (second,)) is True
    assert site.get("a.example").status == 404
    site.proxy._fragments.reload()
    assert site.get("a.example").status == 404
    assert site.get("b.example", "/x/", x_stackswap_key=site.key).told == f"{live}:blue blue1 blue"


def test_a_route_in_the_file_alone_is_seen_and_mended(site, live) -> None:
    """The view then shows a route of no host, so that it equals no wish."""
    files.write(site.paths.route, files.read(site.paths.route) + f"c.example/ {live}\n")
    assert DIFFERS in site.proxy.view(live).routes
    assert site.proxy.open(live, (Route("c.example"),)) is True
    assert site.proxy.view(live).routes == (Route("c.example"),)


def test_a_foreign_route_is_refused_with_its_owners_name(site, live) -> None:
    """Nothing of the wish is written."""
    site.proxy.open(live, (Route("mine.example"),))
    other = site.service()
    site.proxy.register(other, BOTH)
    with pytest.raises(RouteTaken, match=live) as refused:
        site.proxy.open(other, (Route("new.example"), Route("mine.example")))
    assert refused.value.facts["owner"] == live
    assert site.proxy.view(other).routes == ()
    site.proxy.remove(other)


# -- freshness


def test_forced_down_is_up_again_only_by_new_checks(site, live) -> None:
    """UP with a check's code and the same worker: then it is fresh."""
    site.settle(live, "green")
    pid = site.proxy.force_down(live, "green")
    began = time.monotonic()
    green = [s for s in site.proxy.view(live).servers if s.slot == "green"]
    assert [s.status for s in green] == ["DOWN"]
    site.settle(live, "green")
    assert time.monotonic() - began > 0.1, "two checks, 150 ms apart"
    assert site.proxy.view(live).pid == pid


def test_a_dead_slot_stays_down(site, live) -> None:
    """Without it a stopped replica would be called up for seconds."""
    site.settle(live, "green")
    with stopped("green1"):
        site.proxy.force_down(live, "green")
        time.sleep(2.5)
        assert site.proven(live, "green") == [False]


def test_all_holders_of_replicas_are_forced_down(site, live) -> None:
    """A slot with replicas is checked at two places, and each must have new proof."""
    site.proxy.configure(live, "green", slot("green", replicas=2))
    site.settle(live, "green")
    site.proxy.force_down(live, "green")
    rows = [s.status for s in site.proxy.view(live).servers if s.slot == "green"]
    assert rows == ["DOWN", "DOWN"]
    site.settle(live, "green")


def test_a_routed_slot_is_never_forced_down(site, live) -> None:
    """Neither the live one nor a backup."""
    for value in ("blue", "green.blue"):
        site.proxy.point(live, value)
        with pytest.raises(ProxyError, match="routed"):
            site.proxy.force_down(live, "blue")


def test_after_a_reload_up_is_no_proof(site, live) -> None:
    """A dead slot is called up until its first check has failed: the code tells."""
    with stopped("green1"):
        site.proxy._fragments.reload()
        assert site.proven(live, "green") == [False]
        until(lambda: "DOWN" in {s.status for s in site.proxy.view(live).servers})
        assert site.proven(live, "green") == [False]


# -- sessions


def test_sessions_are_counted_in_old_workers_too(site, live) -> None:
    """After a reload the new worker knows nothing of them."""
    blue = ADDRESSES["blue"][:1]
    assert site.proxy.sessions(blue) == 0
    asked = Background(lambda: site.confirm(live, "/cgi-bin/sleep?3"))
    until(lambda: site.proxy.sessions(blue) == 1)
    site.proxy._fragments.reload()
    assert site.proxy.sessions(blue) == 1
    assert site.proxy.sessions(ADDRESSES["green"]) == 0
    assert asked.reply().status == 200
    until(lambda: site.proxy.sessions(blue) == 0)


def test_sessions_are_cut_in_every_worker(site, live) -> None:
    """The serving one and one that a reload left behind; other slots' go on."""
    site.settle(live, "green")
    old = Background(lambda: site.confirm(live, "/cgi-bin/sleep?20"))
    blue = ADDRESSES["blue"][:1]
    until(lambda: site.proxy.sessions(blue) == 1)
    site.proxy._fragments.reload()
    until(lambda: all(site.proven(live, "blue")))
    new = Background(lambda: site.confirm(live, "/cgi-bin/sleep?20"))
    until(lambda: site.proxy.sessions(blue) == 2)
    site.proxy.point(live, "green")
    kept = Background(lambda: site.confirm(live, "/cgi-bin/sleep?2"))
    until(lambda: site.proxy.sessions(ADDRESSES["green"]) == 1)
    began = time.monotonic()
    assert [left.kind for left in site.proxy.cut(live, blue)] == ["request", "request"]
    assert {old.reply().status, new.reply().status} <= {0, 502}
    assert time.monotonic() - began < 15
    until(lambda: site.proxy.sessions(blue) == 0)
    assert (kept.reply().status, kept.reply().body) == (200, "green1")


# -- previews

WORD, OTHER = "0123456789abcdef-word", "0123456789abcdef-other"


def test_the_word_of_a_preview_leads_to_its_slot_and_nobody_else_gets_there(site, live) -> None:
    """Before there is a route too; a wrong word is none; the application never sees the header."""
    site.settle(live, "green")
    assert site.proxy.preview(live, "green", WORD) is True
    assert site.get("no.such.host", x_stackswap_preview=WORD).body == "green1"
    site.proxy.open(live, (Route("seen.example"),))
    assert site.get("seen.example", x_stackswap_preview=WORD).body == "green1"
    for headers in ({}, {"x_stackswap_preview": OTHER}, {"x_stackswap_preview": ""}):
        assert site.get("seen.example", **headers).body == "blue1", headers
    seen = site.get("seen.example", "/cgi-bin/env", x_stackswap_preview=WORD)
    assert seen.status == 200 and WORD not in seen.body and "PREVIEW" not in seen.body.upper()
    assert WORD not in site.get("seen.example", "/cgi-bin/env", x_stackswap_preview=OTHER).body
    assert WORD not in docker("logs", site.settings.container)


def test_a_service_has_one_preview_and_it_is_closed(site, live) -> None:
    """A new word is the only one, also after a reload; other services keep theirs."""
    other = site.service()
    site.proxy.register(other, BOTH)
    site.settle(other, "blue")
    assert site.proxy.preview(other, "blue", OTHER * 2)
    assert site.proxy.preview(live, "green", WORD) and site.proxy.preview(live, "blue", OTHER)
    site.proxy._fragments.reload()
    site.settle(live, "blue")
    assert site.get("any", x_stackswap_preview=WORD).status == 404
    assert site.get("any", x_stackswap_preview=OTHER).body == "blue1"
    assert site.proxy.close_preview(live) is True
    assert site.proxy.close_preview(live) is False
    assert site.get("any", x_stackswap_preview=OTHER).status == 404
    assert site.get("any", x_stackswap_preview=OTHER * 2).body == "blue1"
    site.proxy.remove(other)
    assert OTHER not in files.read(site.paths.preview)


def test_a_word_that_could_be_guessed_or_split_is_refused(site, live) -> None:
    """It is all that keeps strangers out."""
    for word in ("", "short", "a word with blanks in it", "a;show info;0123456789"):
        with pytest.raises(BadInput, match="word of a preview"):
            site.proxy.preview(live, "green", word)


# -- the sockets


def test_an_unknown_map_entry_is_not_made_by_set(site) -> None:
    """That is why registering adds and pointing sets."""
    told = site.admin.call(f"set map {site.paths.live} test.ghost blue")
    assert "not found" in told[0]
    assert runtime(site, "test.ghost") == []


def test_several_commands_are_answered_by_one_worker(site, live) -> None:
    """Each command has its own answer, an empty one too."""
    write, shown, info = site.admin.call(
        f"set map {site.paths.live} {live} blue", f"show map {site.paths.live}", "show info"
    )
    assert write == ""
    assert live in shown
    assert f"Pid: {site.master.serving()}" in info


def test_nobody_at_the_socket_is_an_error_with_words(site, tmp_path) -> None:
    """No hang, no traceback of the socket library."""
    with pytest.raises(ProxyUnreachable, match="does not answer"):
        type(site.admin)(str(tmp_path / "nobody.sock")).call("show info")
