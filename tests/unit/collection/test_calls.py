"""What a job's calls on a server are given: the same for all of them, but what is the server's own."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import calls
from ansible_collections.stackswap.bluegreen.plugins.module_utils.asked import asked as read
from ansible_collections.stackswap.bluegreen.plugins.modules import release, run_callback

SERVICES = {"shop": {"image": "acme/shop", "port": 8080, "health": "/"}}
GIVEN = {"stackswap_service": "shop", "stackswap_services": SERVICES, "stackswap_environment": {"name": "test"}}
WHO = {"id": "j1", "by": "ann", "replicas": "192.0.2.1,192.0.2.2"}
IMAGE = {"name": "acme/shop:2", "from": "auto", "registry": "docker.io"}
SEEN = {"name": "acme/shop:2", "id": "sha256:1", "digests": [], "size": 1, "scripts": ["release"]}


def asked(kind: str = "deploy", **variables: Any) -> dict[str, Any]:
    """What preflight answers for a service on two servers."""
    told = read(kind, {**GIVEN, **{f"stackswap_{name}": one for name, one in variables.items()}}, ["a", "b"], "/")
    return {**told, **WHO}


def test_servers_differ_by_what_is_their_own() -> None:
    """The main one, the names, and what each has of the service."""
    a, b = (calls.options(asked(version="2"), {}, server) for server in ("a", "b"))
    assert (a["name"], a["version"], a["job"], a["holder"]) == ("shop", "2", "j1", "ann") and a["server"] == "a"
    assert [one["local_env"]["ARTIFAKT_IS_MAIN_INSTANCE"] for one in (a, b)] == ["1", "0"]
    assert a["local_env"]["ARTIFAKT_REPLICA_LIST"] == b["local_env"]["ARTIFAKT_REPLICA_LIST"] == WHO["replicas"]
    own = ("local_env", "server")
    assert {n: one for n, one in a.items() if n not in own} == {n: one for n, one in b.items() if n not in own}


def test_a_server_that_has_nothing_of_the_service_is_never_given_all_of_it() -> None:
    """A release whose processes are not told is made of all of them."""
    with pytest.raises(KeyError):
        calls.options(asked(version="2"), {}, "c")


def test_the_image_is_the_one_that_this_server_has_for_the_job() -> None:
    """Before it has one, the version names it."""
    gate = {"images": {"a": {"id": "sha256:1"}, "b": {"id": "sha256:2"}}}
    assert [calls.options(asked(version="2"), gate, server)["image"] for server in ("a", "b")] == [
        "sha256:1",
        "sha256:2",
    ]
    assert calls.options(asked(version="2"), {}, "a")["image"] == ""


def test_a_rollback_goes_to_the_release_that_the_claim_has_named() -> None:
    """A deploy names none: what was asked of it before is another thing."""
    gate = {"reports": {"a": {"asked": {"release": "r1-blue"}}, "b": {"asked": None}}}
    back = [calls.options(asked("rollback"), gate, server) for server in ("a", "b")]
    assert [one["release"] for one in back] == ["r1-blue", ""] and all(one["rollback"] for one in back)
    assert calls.options(asked(version="2"), gate, "a")["release"] == ""


def test_the_manner_of_a_job_is_given_where_it_was_asked_for_and_read_as_it_is_meant() -> None:
    """What was not asked for is left to the module, and a survey's words are truth values."""
    told = calls.options(asked(version="2", now="yes", wait_claim="30", unmounted="/mnt/a, /mnt/b", drill=""), {}, "a")
    assert (told["now"], told["wait"], told["unmounted"]) == (True, 30, ["/mnt/a", "/mnt/b"])
    assert not {"drill", "force", "claim_seconds"} & set(told)


@pytest.mark.parametrize(("module", "of"), [(release, calls.options), (run_callback, calls.callback_options)])
def test_modules_know_all_that_their_calls_are_given(module: Any, of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of ours that a module has not would be refused on every server."""
    known: dict[str, Any] = {}
    monkeypatch.setattr(module, "AnsibleModule", lambda argument_spec, **_more: known.update(argument_spec))
    monkeypatch.setattr(module, "run_release" if module is release else "run_callback", lambda _module: None)
    module.main()
    everything = dict(now="yes", wait_claim=1, claim_seconds=60, force="yes", drill="yes", unmounted="/a")
    assert set(of(asked(version="2", **everything), {}, "a")) <= set(known)


# -- who has the image


def test_a_server_that_claims_with_the_image_is_not_asked_for_it_again() -> None:
    """The other one is."""
    reports = {"a": {"here": SEEN}, "b": {"here": None}, "c": {}}
    (found,) = calls.at_hand({"image": IMAGE, "build": None}, reports).items()
    assert (found[0], found[1]["id"], found[1]["scripts"]) == ("a", "sha256:1", ["release"])


@pytest.mark.parametrize(
    "otherwise",
    [
        {"image": None},
        {"build": {"source": {}}},
        {"image": {**IMAGE, "from": "builder"}},
        {"image": {**IMAGE, "from": "peer", "digest": "sha256:1"}},
        {"image": {**IMAGE, "name": "registry.example.com/acme/shop:2"}},
        {"image": {**IMAGE, "name": "acme/shop:3"}},
    ],
)
def test_what_another_may_have_newer_is_asked_for(otherwise: dict[str, Any]) -> None:
    """A builder, a registry, a server that the others serve from; or it is another image."""
    assert calls.at_hand({"image": IMAGE, "build": None, **otherwise}, {"a": {"here": SEEN}}) == {}
