"""What an inventory says of a service: read as values, or refused with a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils import service
from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.merge import clean, merged
from ansible_collections.stackswap.bluegreen.plugins.module_utils.model import (
    Bake,
    Container,
    Health,
    Image,
    Route,
    Service,
)

PRODUCTION = {"name": "production", "criticality": "critical"}
IMAGE = "registry.example.com/acme/shop"
DIGEST = "sha256:" + "0123456789abcdef" * 4
PULLED = Image(id="sha256:" + "a" * 64)
PASSWORD = "hunter2hunter2"


def parse(given: Any, overrides: Any = None, name: Any = "shop") -> service.Definition:
    """The definition of shop, which has an image unless that is what is asked."""
    return service.parse(name, {"shop": {"image": IMAGE, **given}, "blog": {}}, PRODUCTION, overrides)


def release(given: Any = None, version: Any = "1.4.2", **others: Any):
    """A release of shop."""
    return service.release_of(parse(given or {}), version, PULLED, DIGEST, **others)


# -- what is read ---------------------------------------------------------------------------------


def test_a_name_and_an_image_are_enough() -> None:
    """All else has a default, and the server's shared directory is mounted."""
    found = parse({})
    assert found.service == Service("production", "shop")
    assert found.container == Container(image="", volumes=("/mnt/shared:/data",))
    assert (found.image, found.source, found.build) == (IMAGE, None, service.Build())
    assert found.criticality == "critical"


def test_all_that_the_design_shows_is_read() -> None:
    """The inventory of the documentation, short form."""
    found = parse(
        {
            "source": {"git": "git@git.example.com:acme/shop.git", "ref": "main", "folder": "back"},
            "env": {"LOG_LEVEL": "info", "WORKERS": "4"},
            "secrets": {"DATABASE_URL": PASSWORD},
            "volumes": ["/srv/exports:/exports:ro"],
            "container": {"memory": "512m", "cpus": "1.0"},
            "health": {"path": "/health", "deadline": 90, "min_healthy_time": 3},
            "port": 8000,
            "routes": [{"host": "Shop.Example.com"}, {"host": "example.com", "path": "/shop"}],
            "replicas": 2,
            "bake": 20,
        }
    )
    assert found.service == Service(
        "production",
        "shop",
        port=8000,
        replicas=2,
        routes=(Route("shop.example.com"), Route("example.com", "/shop")),
        health=Health(path="/health", deadline=90.0, min_healthy_time=3.0),
        bake=Bake(20.0),
    )
    assert found.container == Container(
        image="",
        env=(("LOG_LEVEL", "info"), ("WORKERS", "4")),
        secrets=(("DATABASE_URL", PASSWORD),),
        volumes=("/mnt/shared:/data", "/srv/exports:/exports:ro"),
        memory="512m",
        cpus="1",
    )
    assert (found.source.ref, found.source.folder) == ("main", "back")


WEB = {"port": 81, "routes": [{"host": "a.example.com"}], "command": ["run"], "health": "none"}


def test_the_long_form_is_the_short_form() -> None:
    """One service with one process may leave processes out."""
    assert parse({"processes": {"web": WEB}}) == parse(WEB)


def test_build_settings_are_kept_for_the_builder() -> None:
    """What is not given is the builder's to choose."""
    build = {
        "dockerfile": "docker/Dockerfile",
        "target": "app",
        "args": {"NODE": "20"},
        "base_images": {"python:3.12": "local/python"},
        "callbacks": {"build": "ours"},
        "code_root": "/srv",
    }
    assert parse({"build": build}).build == service.Build(
        dockerfile="docker/Dockerfile",
        target="app",
        args=(("NODE", "20"),),
        base_images=(("python:3.12", "local/python"),),
        callbacks=(("build", "ours"),),
        code_root="/srv",
    )


def test_every_container_setting_reaches_the_container() -> None:
    """The names are those of the container, value for value."""
    settings = {
        "memory": "512m",
        "cpus": 1.50,
        "user": "33:33",
        "working_dir": "/srv",
        "hostname": "shop",
        "shm_size": "64m",
        "read_only": True,
        "init": False,
        "capabilities": ["net_bind_service"],
        "cap_drop": ["ALL"],
        "security_opts": ["no-new-privileges:true"],
        "extra_hosts": {"db": "192.0.2.5", "host.docker.internal": "host-gateway"},
        "tmpfs": ["/run:size=16m"],
        "ulimits": ["nofile:1024:2048"],
        "labels": {"team": "web"},
        "log_driver": "journald",
        "log_options": {"tag": "shop"},
        "stop_signal": "SIGQUIT",
        "stop_timeout": 30,
    }
    assert set(settings) == set(service.SPEC["container"]["options"])
    assert parse({"container": settings, "entrypoint": ["/run"], "shared": False}).container == (
        Container(
            image="",
            entrypoint=("/run",),
            memory="512m",
            cpus="1.5",
            user="33:33",
            working_dir="/srv",
            hostname="shop",
            shm_size="64m",
            read_only=True,
            init=False,
            capabilities=("NET_BIND_SERVICE",),
            cap_drop=("ALL",),
            security_opts=("no-new-privileges:true",),
            extra_hosts=(("db", "192.0.2.5"), ("host.docker.internal", "host-gateway")),
            tmpfs=("/run:size=16m",),
            ulimits=("nofile:1024:2048",),
            labels=(("team", "web"),),
            log_driver="journald",
            log_options=(("tag", "shop"),),
            stop_signal="SIGQUIT",
            stop_timeout=30,
        )
    )


@pytest.mark.parametrize(
    ("given", "health"),
    [
        ("/health", Health(path="/health")),
        ("/health?deep=1", Health(path="/health?deep=1")),
        ("image", Health(kind="image")),
        ("none", Health(kind="none")),
        ({"kind": "image", "deadline": "600"}, Health(kind="image", deadline=600.0)),
        ({"path": ""}, Health()),
        ({}, Health()),
        (None, Health()),
    ],
)
def test_health_has_a_short_form(given: Any, health: Health) -> None:
    """A path, one of two words, or all of it; without any it is the root path."""
    assert parse({"health": given}).service.health == health


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"port": "8000"}, {"port": 8000}),
        ({"bake": "5"}, {"bake": 5.0}),
        ({"bake": "5"}, {"bake": {"seconds": 5, "min_requests": "20"}}),
        ({"probe": "5"}, {"probe": 5.0}),
        ({"container": {"cpus": "2.0"}}, {"container": {"cpus": 2}}),
        ({"env": {"B": "2", "A": "1"}}, {"env": {"A": "1", "B": "2"}}),
    ],
)
def test_spellings_of_one_thing_are_one_thing(one: Any, other: Any) -> None:
    """Extra variables arrive as text; the release must not differ for that."""
    assert parse(one) == parse(other)


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"bake": 0}, "bake", Bake(0.0)),
        ({"bake": {"max_error_share": "0.5", "observe": "layer7"}}, "bake", Bake(10.0, 0.5, 20, "layer7")),
        ({"settle": "later"}, "settle", "later"),
        ({"drain_timeout": 0}, "drain_timeout", 0.0),
        ({"probe": 0.5}, "probe", 0.5),
        ({}, "overlap", True),
        ({"overlap": False}, "overlap", False),
        ({"overlap": False}, "hold", 30),
        ({"overlap": False}, "drain_timeout", 10.0),
        ({"overlap": False, "hold": "6"}, "drain_timeout", 2.0),
        ({"overlap": False, "hold": 120, "drain_timeout": 60}, "drain_timeout", 60.0),
    ],
)
def test_how_a_release_is_watched_and_let_go(given: Any, field: str, value: Any) -> None:
    """A bake is a number or a dictionary; no drain at all is a wish that may be had."""
    assert getattr(parse(given).service, field) == value


@pytest.mark.parametrize("nothing", ["", None])
@pytest.mark.parametrize(
    "place", [[name] for name in service.SPEC if name != "image"]
    + [["container", name] for name in service.SPEC["container"]["options"]]
    + [["build", name] for name in service.SPEC["build"]["options"]]
    + [["build", "callbacks", "build"], ["env", "A"], ["secrets", "A"], ["processes", "web"]]
    + [["processes", "web", "port"], ["health", "path"]],
    ids=".".join,
)  # fmt: skip
def test_an_empty_text_counts_as_absent_at_every_level(place: list[str], nothing: Any) -> None:
    """Surveys send empty texts for what was left open."""
    given: Any = nothing
    for key in reversed(place):
        given = {key: given}
    assert parse(given) == parse({})


def test_empty_texts_in_lists_are_absent_but_words_of_a_command_stay() -> None:
    """An empty argument is an argument."""
    found = parse({"volumes": ["", "/a:/b"], "command": ["sh", "-c", ""]}).container
    assert found.volumes == ("/mnt/shared:/data", "/a:/b")
    assert found.command == ("sh", "-c", "")


def test_an_encrypted_value_of_an_older_ansible_is_text() -> None:
    """There it is an object that decrypts when it is made text."""

    class Encrypted:
        yaml_tag = "!vault"

        def __str__(self) -> str:
            return PASSWORD

    assert parse({"secrets": {"A": Encrypted()}}).container.secrets == (("A", PASSWORD),)


@pytest.mark.parametrize("kind", ["secrets", "secret_files"])
def test_secrets_are_not_in_what_is_shown_of_a_definition(kind: str) -> None:
    """A definition may end up in a traceback."""
    assert PASSWORD not in repr(parse({kind: {"A": PASSWORD}}))
    with pytest.raises(BadInput, match=rf"shop\.{kind}\.A must be text") as refused:
        parse({kind: {"A": f"{PASSWORD}\0"}})
    assert PASSWORD not in str(refused.value)


def test_a_variable_and_a_file_of_one_name_are_two_secrets() -> None:
    """Each is sealed as what it is."""
    both = parse({"secrets": {"A": "1"}, "secret_files": {"A": "2"}}).container.sealed
    assert sorted(both.values()) == ["1", "2"]


def test_secret_files_are_overridden_name_by_name() -> None:
    """Null deletes, an empty text does nothing."""
    files = {"a": "1", "b": "1", "c": "1"}
    found = parse({"secret_files": files}, {"shop": {"secret_files": {"a": "2", "b": None, "c": "", "d": "2"}}})
    assert dict(found.container.secret_files) == {"a": "2", "c": "1", "d": "2"}
    assert not parse({"secret_files": files}, {"shop": {"secret_files": None}}).container.secret_files


# -- overrides ------------------------------------------------------------------------------------

BASE = {"a": {"b": 1, "c": [1, 2]}, "d": 2}


@pytest.mark.parametrize(
    ("over", "result"),
    [
        ({}, BASE),
        ({"a": {"b": 3}}, {"a": {"b": 3, "c": [1, 2]}, "d": 2}),
        ({"a": {"c": [3]}}, {"a": {"b": 1, "c": [3]}, "d": 2}),
        ({"a": {"b": None}}, {"a": {"c": [1, 2]}, "d": 2}),
        ({"a": None}, {"d": 2}),
        ({"a": 5}, {"a": 5, "d": 2}),
        ({"d": {"e": 1, "f": None}}, {"a": BASE["a"], "d": {"e": 1}}),
        ({"d": ""}, BASE),
        ({"x": None}, BASE),
    ],
)
def test_overrides_merge_replace_and_delete(over: Any, result: Any) -> None:
    """Dictionaries merge, lists replace, null deletes, an empty text does nothing."""
    assert merged(BASE, over) == result


def test_overrides_are_laid_over_before_anything_is_read() -> None:
    """The environment's word wins over the service's."""
    shop = {"env": {"LOG_LEVEL": "info", "A": "1"}, "port": 1}
    found = parse(shop, {"shop": {"env": {"LOG_LEVEL": "warning", "A": None}, "port": 2}})
    assert found.container.env == (("LOG_LEVEL", "warning"),)
    assert found.service.port == 2


def test_what_is_given_has_overrides_and_nothing_absent() -> None:
    """A module gets this, so that Ansible's own check meets no empty text."""
    services = {"shop": {"image": IMAGE, "port": "", "container": {"memory": None, "cpus": "1"}}}
    assert service.given("shop", services, {"shop": {"bake": 3}}) == {
        "image": IMAGE,
        "container": {"cpus": "1"},
        "bake": 3,
    }
    assert clean([{"path": ""}, ""]) == [{}, ""]


# -- what is refused ------------------------------------------------------------------------------

AT = r"stackswap_services\.shop\."
TEXT = r"must be text, not {}: quote it$"
REFUSED: list[tuple[Any, str]] = [
    # unknown keys
    ({"prot": 80}, rf"{AT}prot is not known: did you mean port\?"),
    ({"prot": ""}, rf"{AT}prot is not known: did you mean port\?"),
    ({"helth": "none"}, rf"{AT}helth is not known: did you mean health\?"),
    ({"environment": {}}, rf"{AT}environment is not known: did you mean env\?"),
    ({"container": {"memroy": "1g"}},
     rf"{AT}container\.memroy is not known: did you mean memory\?"),
    ({"container": {"etc_hosts": {}}}, rf"{AT}container\.etc_hosts .*did you mean extra_hosts\?"),
    ({"build": {"qqq": 1}}, rf"{AT}build\.qqq is not known: known are args, base_images, cache"),
    ({"build": {"callbacks": {"biuld": "ours"}}}, rf"{AT}build\.callbacks\.biuld .* mean build\?"),
    ({"source": {"branch": "main"}}, rf"{AT}source\.branch is not known: did you mean ref\?"),
    ({"health": {"deadlin": 1}}, rf"{AT}health\.deadlin is not known: did you mean deadline\?"),
    ({"routes": [{"hots": "a"}]}, rf"{AT}routes\[0\]\.hots is not known: did you mean host\?"),
    ({"processes": {"worker": {}}}, rf"{AT}processes\.worker\.command is missing: a list"),
    ({"processes": {"worker": {"prot": 1}}}, rf"{AT}processes\.worker\.prot is not known: "),
    ({"processes": {"worker": {"command": ["a"], "health": "tcp"}}},
     rf"{AT}processes\.worker\.health must be one of none, image"),
    ({"processes": {"worker": {"command": ["a"], "health": {"kind": "command"}}}},
     rf"{AT}processes\.worker\.health\.command is missing: a list"),
    ({"processes": {"worker": {"command": ["a"], "health": {"kind": "none", "command": ["b"]}}}},
     rf"{AT}processes\.worker\.health\.command goes with kind command"),
    ({"processes": {"green": {"command": ["a"]}}}, rf"{AT}processes\.green is the name of a slot"),
    ({"processes": {"The Worker": {"command": ["a"]}}}, rf"{AT}processes\.The Worker must be up to 40 small"),
    ({"processes": {"web": {"prot": 1}}}, rf"{AT}processes\.web\.prot .* did you mean port\?"),
    # types
    ({"env": ["A=1"]}, rf"{AT}env must be a dictionary, not a list"),
    ({"container": "512m"}, rf"{AT}container must be a dictionary, not text"),
    ({"routes": {"host": "a"}}, rf"{AT}routes must be a list, not a dictionary"),
    ({"routes": ["a.example.com"]}, rf"{AT}routes\[0\] must be a dictionary, not text"),
    ({"volumes": "/a:/b"}, rf"{AT}volumes must be a list, not '/a:/b'"),
    ({"command": "python -m shop"}, rf"{AT}command must be a list, not 'python -m shop'"),
    ({"command": ["sleep", 1]}, rf"{AT}command\[1\] " + TEXT.format("1")),
    ({"processes": "web"}, rf"{AT}processes must be a dictionary, not text"),
    ({"shared": "no"}, rf"{AT}shared must be true or false, not 'no'"),
    # text that YAML took for something else
    ({"env": {"WORKERS": 4}}, rf"{AT}env\.WORKERS " + TEXT.format("4")),
    ({"env": {"RATE": 1.1}}, rf"{AT}env\.RATE " + TEXT.format(r"1\.1")),
    ({"env": {"DEBUG": True}}, rf"{AT}env\.DEBUG " + TEXT.format("true")),
    ({"env": {"LIST": ["a"]}}, rf"{AT}env\.LIST " + TEXT.format("a list")),
    ({"env": {1: "a"}}, rf"{AT}env.*must be text, not 1: quote it"),
    ({"source": {"git": "g", "ref": 1.1}}, rf"{AT}source\.ref " + TEXT.format(r"1\.1")),
    ({"container": {"user": 2013}}, rf"{AT}container\.user " + TEXT.format("2013")),
    ({"container": {"memory": 512}}, rf"{AT}container\.memory " + TEXT.format("512")),
    ({"build": {"args": {"V": 1.1}}}, rf"{AT}build\.args\.V " + TEXT.format(r"1\.1")),
    ({"container": {"labels": {"a": 1}}}, rf"{AT}container\.labels\.a " + TEXT.format("1")),
    # names
    ({"env": {"A B": "1"}}, rf"{AT}env\.A B must be the name of an environment variable"),
    ({"env": {"A=": "1"}}, rf"{AT}env\.A= must be the name of an environment variable"),
    ({"env": {"A": "1"}, "secrets": {"A": "2"}}, rf"{AT}secrets\.A is in env too"),
    ({"secret_files": {"../a": "1"}}, rf"{AT}secret_files\.\.\./a must be letters, digits and"),
    ({"secret_files": {"a": 1}}, rf"{AT}secret_files\.a must be text, not a number: quote it"),
    ({"secret_files": {"a": "1"}, "volumes": ["/a:/run/secrets"]},
     rf"{AT}volumes has /run/secrets mounted twice: secret_files are mounted there"),
    ({"container": {"labels": {"stackswap.slot": "x"}}},
     r"labels\.stackswap\.slot is one of stack"),
    # numbers and times
    ({"port": 0}, rf"{AT}port must be a whole number from 1 to 65535, not 0"),
    ({"port": 65536}, rf"{AT}port must be a whole number from 1 to 65535, not 65536"),
    ({"port": "http"}, rf"{AT}port must be a whole number from 1 to 65535, not 'http'"),
    ({"port": 80.0}, rf"{AT}port must be a whole number from 1 to 65535, not 80\.0"),
    ({"port": True}, rf"{AT}port must be a whole number from 1 to 65535, not true"),
    ({"replicas": 0}, rf"{AT}replicas must be a whole number from 1 to 8, not 0"),
    ({"replicas": 9}, rf"{AT}replicas must be a whole number from 1 to 8, not 9"),
    ({"confirmations": 0}, rf"{AT}confirmations must be a whole number from 1 to 100, not 0"),
    ({"container": {"stop_timeout": -1}}, rf"{AT}container\.stop_timeout .* of seconds from 0 to"),
    ({"bake": {"max_error_share": 2}}, rf"{AT}bake.max_error_share must be a share from 0 to 1, as 0.1 .*, not 2"),
    ({"bake": {"max_error_share": True}}, rf"{AT}bake.max_error_share must be a share from 0 to 1"),
    ({"bake": {"min_requests": 0}}, rf"{AT}bake.min_requests must be a whole number from 1 to 1000000, not 0"),
    ({"bake": {"second": 3}}, rf"{AT}bake.second is not known: .*seconds"),
    ({"bake": {"observe": "layer3"}}, rf"{AT}bake.observe must be one of layer4, layer7, not 'layer3'"),
    ({"bake": [5]}, rf"{AT}bake must be a number of seconds, 0 or more, not a list"),
    ({"drain_timeout": -1}, rf"{AT}drain_timeout must be a number of seconds, 0 or more, not -1"),
    ({"overlap": "no"}, rf"{AT}overlap must be true or false, not 'no'"),
    ({"overlap": False, "hold": 0}, rf"{AT}hold must be a whole number of seconds from 1 to 300, not 0"),
    ({"overlap": False, "hold": 301}, rf"{AT}hold must be a whole number of seconds from 1 to 300, not 301"),
    ({"hold": 5}, rf"{AT}hold goes with overlap: false alone"),
    ({"overlap": True, "hold": 5}, rf"{AT}hold goes with overlap: false alone"),
    ({"overlap": False, "drain_timeout": 30}, rf"{AT}drain_timeout must be less than hold \(30\)"),
    ({"overlap": False, "canary": [{"share": 5}]}, rf"{AT}canary does not go with overlap: false: it shares"),
    ({"overlap": False, "bake": 5}, rf"{AT}bake does not go with overlap: false: it watches"),
    ({"overlap": False, "settle": "later"}, rf"{AT}settle does not go with overlap: false: it leaves"),
    ({"overlap": False, "probe": 1}, rf"{AT}probe does not go with overlap: false: it asks"),
    ({"settle": "never"}, rf"{AT}settle must be one of now, later, not 'never'"),
    ({"probe": 51}, rf"{AT}probe must be a number a second, from 0 to 50, not 51"),
    ({"probe": "often"}, rf"{AT}probe must be a number a second, from 0 to 50, not 'often'"),
    ({"bake": -1}, rf"{AT}bake must be a number of seconds, 0 or more, not -1"),
    ({"bake": "10s"}, rf"{AT}bake must be a number of seconds, 0 or more, not '10s'"),
    ({"bake": False}, rf"{AT}bake must be a number of seconds, 0 or more, not false"),
    ({"drain_timeout": "nan"}, rf"{AT}drain_timeout must be a number of seconds"),
    ({"drain_timeout": [1]}, rf"{AT}drain_timeout must be a number of seconds, .* not a list"),
    ({"health": {"deadline": 0}}, rf"{AT}health\.deadline must be .* seconds, 1 or more, not 0"),
    ({"health": {"min_healthy_time": -1}}, rf"{AT}health\.min_healthy_time must be a number of"),
    ({"container": {"cpus": 0}}, rf"{AT}container\.cpus must be a number of processors above 0"),
    ({"container": {"cpus": "two"}}, rf"{AT}container\.cpus must be a number .* not 'two'"),
    # routes and health
    ({"routes": [{"path": "/"}]}, rf"{AT}routes\[0\]\.host is missing: a route has a host"),
    ({"routes": [{"host": "https://a.example.com"}]},
     r"routes\[0\]\.host must be a host name.*no sch"),
    ({"routes": [{"host": "a.example.com:80"}]}, r"routes\[0\]\.host must be a host name.*no port"),
    ({"routes": [{"host": "-a"}]}, rf"{AT}routes\[0\]\.host must be a host name"),
    ({"routes": [{"host": "*.example.com"}]}, r"routes\[0\]\.host must be a whole host name"),
    ({"routes": [{"host": "a", "path": "x"}]},
     r"routes\[0\]\.path must be a path that begins with /"),
    ({"routes": [{"host": "a", "path": "/ x"}]}, r"routes\[0\]\.path must be .*no space"),
    ({"routes": [{"host": "a"}, {"host": "A", "path": "/"}]}, rf"{AT}routes has a/ twice"),
    ({"health": "images"}, rf"{AT}health must be a path, the word image or none, .* not 'images'"),
    ({"health": False}, rf"{AT}health must be a path, the word image or none, .* not false"),
    ({"health": {"path": "health"}}, rf"{AT}health\.path must be a path that begins with /"),
    ({"health": {"kind": "none", "path": "/"}}, rf"{AT}health\.path goes with kind http alone"),
    ({"health": {"kind": "tcp"}}, rf"{AT}health\.kind must be one of http, image, none, not 'tcp'"),
    ({"port": 1, "processes": {"web": {"port": 1}}}, rf"{AT}processes\.web\.port is given twice"),
    # mounts and the rest of the container
    ({"volumes": ["/a"]}, rf"{AT}volumes\[0\] must be SERVER_PATH:CONTAINER_PATH"),
    ({"volumes": ["a/b:/c"]}, rf"{AT}volumes\[0\] must be SERVER_PATH:CONTAINER_PATH"),
    ({"volumes": ["/a:b"]}, rf"{AT}volumes\[0\] must be SERVER_PATH:CONTAINER_PATH"),
    ({"volumes": ["/a/../b:/c"]},
     rf"{AT}volumes\[0\] must mount .* no \. or \.\. in it, not /a/\.\."),
    ({"volumes": ["/:/c"]}, rf"{AT}volumes\[0\] must mount a whole path other than /"),
    ({"volumes": ["/a:/b:rx"]}, rf"{AT}volumes\[0\] has the mount option 'rx', which is none"),
    ({"volumes": ["/a:/c", "/b:/c/"]}, rf"{AT}volumes has /c mounted twice$"),
    ({"volumes": ["/a:/data"]}, rf"{AT}volumes has /data mounted twice: .* unless shared is false"),
    ({"container": {"tmpfs": ["/data"]}}, rf"{AT}volumes has /data mounted twice"),
    ({"container": {"tmpfs": ["run"]}}, rf"{AT}container\.tmpfs\[0\] must be a path in the"),
    ({"container": {"ulimits": ["nofile"]}}, rf"{AT}container\.ulimits\[0\] must be a limit"),
    ({"container": {"capabilities": ["NET-ADMIN"]}}, r"capabilities\[0\] must be a capability"),
    ({"container": {"extra_hosts": {"db": "there"}}}, r"extra_hosts\.db must be an address"),
    ({"container": {"memory": "lots"}}, rf"{AT}container\.memory must be a size, as 512m or 1\.5g"),
    ({"container": {"stop_signal": "please"}}, rf"{AT}container\.stop_signal must be a signal"),
    ({"container": {"working_dir": "srv"}},
     rf"{AT}container\.working_dir must be an absolute path"),
    # where the image comes from
    ({"image": ""}, rf"{AT}image is missing, and so is source: name an image, or a source"),
    ({"image": "Acme/Shop"}, rf"{AT}image must be an image's name, as registry\.example\.com"),
    ({"image": "a:1", "source": {"path": "/a"}},
     rf"{AT}image has a tag or digest \(a:1\), but the"),
    ({"source": {}, "image": ""}, rf"{AT}image is missing, and so is source"),
    ({"source": {"ref": "main"}},
     rf"{AT}source is refused: source: name a path on the builder, or"),
    ({"source": {"git": "https://me:pw@h/x"}},
     rf"{AT}source is refused: source\.git: a name or pass"),
    ({"build": {"dockerfile": "/etc/Dockerfile"}}, rf"{AT}build\.dockerfile must be a path below"),
    ({"build": {"code_root": "srv"}}, rf"{AT}build\.code_root must be an absolute path"),
    ({"build": {"callbacks": {"build": "mine"}}},
     r"callbacks\.build must be one of auto, ours, the"),
    ({"canary": [{"share": 10}, {"share": 10}]}, rf"{AT}canary\[1\]\.share must be more than the 10 before it"),
    ({"canary": [{"share": 50}, {"share": 10}]}, rf"{AT}canary\[1\]\.share must be more than the 50 before it"),
    ({"canary": [{"share": 101}]}, r"canary\[0\]\.share must be a whole number of a hundred from 1 to 100, not 101"),
    ({"canary": [{"share": 0}]}, r"canary\[0\]\.share must be a whole number of a hundred from 1 to 100, not 0"),
    ({"canary": [{"share": "some"}]}, r"canary\[0\]\.share must be a whole number of a hundred"),
    ({"canary": [{"seconds": 5}]}, r"canary\[0\]\.share is missing"),
    ({"canary": [{"share": 5, "for": 5}]}, r"canary\[0\]\.for is not known"),
    ({"canary": 10}, r"canary must be a list, not 10"),
    ({"canary_by": "cookie"}, r"canary_by must be one of request, client"),
    ({"maintenance": {"bypass": ["everyone"]}}, r"maintenance\.bypass\[0\] must be an address or a network"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence"), REFUSED, ids=lambda one: str(one)[:50])
def test_what_is_wrong_is_refused_with_the_key_and_the_way_out(given: Any, sentence: str) -> None:
    """The whole path of the key, what it must be, what it is."""
    with pytest.raises(BadInput, match=sentence):
        parse(given)


@pytest.mark.parametrize(
    "secrets",
    [{"A": [PASSWORD]}, {"A": {"x": PASSWORD}}, {"A": PASSWORD + "\0"}, PASSWORD, [PASSWORD],
     {"A": 4917384917}],
)  # fmt: skip
def test_a_refused_secret_is_not_told(secrets: Any) -> None:
    """Its key is, and its kind."""
    with pytest.raises(BadInput, match=rf"{AT}secrets(\.A)? must be") as refused:
        parse({"secrets": secrets})
    assert not any(word in str(refused.value) for word in (PASSWORD, "4917384917"))


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"shop": {"env": {"A": 1}}}, r"stackswap_overrides\.shop\.env\.A must be text, not 1"),
        ({"shop": {"prot": 1}}, r"stackswap_overrides\.shop\.prot .*did you mean port\?"),
        ({"shop": {"routes": [{}]}}, r"stackswap_overrides\.shop\.routes\[0\]\.host is missing"),
        ({"shpo": {}}, r"overrides\.shpo is not a known .*: did you mean shop\? .*blog, shop$"),
        ({"shop": "no"}, r"stackswap_overrides\.shop must be a dictionary, not text"),
        ("shop", r"stackswap_overrides must be a dictionary, not text"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_an_override_is_found_there(overrides: Any, sentence: str) -> None:
    """The path leads to where it was written."""
    with pytest.raises(BadInput, match=sentence):
        parse({"port": 80}, overrides)


def test_what_is_wrong_below_an_override_is_found_in_the_service() -> None:
    """An override of the same section is not blamed for another key."""
    with pytest.raises(BadInput, match=r"stackswap_services\.shop\.env\.A must be text"):
        parse({"env": {"A": 1}}, {"shop": {"env": {"B": "1"}}})


@pytest.mark.parametrize(
    ("name", "services", "sentence"),
    [
        ("shpo", {"shop": {}, "blog": {}}, r"shpo is not a known .*mean shop\? .* has blog, shop$"),
        (
            "zzz",
            {"shop": {}, "blog": {}},
            r"zzz is not a known service: stackswap_services has blog",
        ),
        ("shop", {}, r"shop is not a known service: stackswap_services has none"),
        ("shop", None, r"stackswap_services has none"),
        ("", {"shop": {}}, r"stackswap_service is missing: known are shop"),
        (None, {}, r"stackswap_service is missing: none is known"),
        (7, {7: {}}, r"stackswap_service must be text, not 7: quote it"),
        ("shop", ["shop"], r"stackswap_services must be a dictionary, not a list"),
        ("shop", {"shop": "image"}, r"stackswap_services\.shop must be a dictionary, not text"),
        ("shop", {"shop": None}, r"stackswap_services\.shop\.image is missing"),
        *(
            (name, {name: {"image": IMAGE}}, r"stackswap_service must be up to 40 small letters")
            for name in ("Shop", "-shop", "shop-", "sh_op", "a.b", "a b", "../x", "a" * 41)
        ),
    ],
)
def test_a_service_that_cannot_be_is_refused(name: Any, services: Any, sentence: str) -> None:
    """The known ones are listed, the nearest is named."""
    with pytest.raises(BadInput, match=sentence):
        service.parse(name, services, PRODUCTION)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (None, r"stackswap_environment\.name is missing"),
        ({"name": ""}, r"stackswap_environment\.name is missing"),
        ({"name": "Live"}, r"stackswap_environment\.name must be up to 40 small letters"),
        ({"nmae": "live"}, r"stackswap_environment\.nmae is not known: did you mean name\?"),
        ("production", r"stackswap_environment must be a dictionary, not text"),
    ],
)
def test_an_environment_that_cannot_be_is_refused(environment: Any, sentence: str) -> None:
    """Every name on a server begins with it."""
    with pytest.raises(BadInput, match=sentence):
        service.parse("shop", {"shop": {"image": IMAGE}}, environment)


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (1.1, r"must be text, not 1\.1: quote it \(YAML reads 1\.10 as the number 1\.1\)"),
        (2, r"must be text, not 2: quote it$"),
        (True, r"must be text, not true: quote it$"),
        ("", r"is missing: name the version"),
        (None, r"is missing: name the version"),
        ("1.4 2", r"must be letters, digits, dots, dashes and underscores"),
        ("-1", r"must be letters, digits"),
        ("1/2", r"must be letters, digits"),
    ],
)
def test_a_version_that_is_not_text_is_refused(version: Any, sentence: str) -> None:
    """1.10 would be 1.1."""
    with pytest.raises(BadInput, match=f"stackswap_version {sentence}"):
        service.parse_version(version)


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        (None, {}),
        ({}, {}),
        ({"listen": [80, "127.0.0.1:8080"], "image": ""}, {"listen": ("80", "127.0.0.1:8080")}),
        ({"trusted": ["10.0.0.0/8"], "maxconn": "9"}, {"trusted": ("10.0.0.0/8",), "maxconn": 9}),
    ],
)
def test_settings_of_the_proxy_are_read(given: Any, settings: Any) -> None:
    """What is not given is the proxy's own default."""
    assert service.parse_proxy(given) == settings


def test_settings_of_the_proxy_that_are_unknown_are_refused() -> None:
    """With the nearest known one."""
    with pytest.raises(BadInput, match=r"stackswap_proxy\.lisen is not known: did you mean listen"):
        service.parse_proxy({"lisen": [80]})


def test_a_home_whose_sockets_would_have_too_long_paths_is_refused() -> None:
    """HAProxy would say so only when it reads its configuration."""
    assert service.parse_proxy({"home": "/" + "h" * 69})["home"]
    with pytest.raises(BadInput, match=r"stackswap_proxy\.home must be at most 70 bytes long, .*, not 71"):
        service.parse_proxy({"home": "/" + "h" * 70})


# -- releases -------------------------------------------------------------------------------------


def test_a_release_runs_the_image_by_its_id_and_is_known_by_its_digest() -> None:
    """Names of images move, ids do not."""
    made = release({"port": 8000, "health": "/up"}, seal="5ea1")
    assert (made.service, made.version, made.digest) == ("production.shop", "1.4.2", DIGEST)
    assert (made.container.image, made.port, made.health.path) == (PULLED.id, 8000, "/up")
    assert made.name == f"{made.id}-5ea1"


def test_each_environment_is_laid_over_the_one_before() -> None:
    """Platform, then service and override, then job."""
    given = {"env": {"ARTIFAKT_ENVIRONMENT_NAME": "mine", "A": "service", "B": "service"}}
    platform = {"A": "platform", "C": "platform"}
    equipped = service.equipped(parse(given), {"B": "job"})
    made = service.release_of(equipped, "1.4.2", PULLED, DIGEST, platform=platform)
    assert dict(made.container.env) == {
        "ARTIFAKT_ENVIRONMENT_NAME": "mine",
        "ARTIFAKT_ENVIRONMENT_CRITICALITY": "critical",
        "ARTIFAKT_BUILD_ID": "0123456789ab",
        "A": "service",
        "B": "job",
        "C": "platform",
    }


@pytest.mark.parametrize("digest", [DIGEST, f"{IMAGE}@{DIGEST}"])
def test_the_build_id_is_the_digest_in_short(digest: str) -> None:
    """With a repository in front or without."""
    assert service.platform_env(parse({}), digest)["ARTIFAKT_BUILD_ID"] == "0123456789ab"


def test_the_build_id_is_the_builds_own_where_the_image_has_one() -> None:
    """In the label that a build here leaves."""
    built = replace(PULLED, labels=(("stackswap.build", "20260101-abc"),))
    made = service.release_of(parse({}), "1.4.2", built, DIGEST)
    assert dict(made.container.env)["ARTIFAKT_BUILD_ID"] == "20260101-abc"


def test_the_main_domain_is_the_first_routes_and_restarts_nothing() -> None:
    """It belongs to the door."""
    made = release({"routes": [{"host": "A.example.com"}, {"host": "b.example.com"}]})
    assert made.container.local_env == (("ARTIFAKT_DOMAIN", "a.example.com"),)
    assert made.id == release().id and not release().container.local_env


@pytest.mark.parametrize(("seconds", "told"), [(600, "600"), (1.2, "2"), ("", None)])
def test_a_lock_of_entrypoints_is_told_with_its_seconds(seconds: Any, told: str | None) -> None:
    """Where all servers see it; a service may have it elsewhere."""
    lock = {"callbacks": {"entrypoint_lock": seconds}}
    env = dict(release(lock).container.env)
    assert env.get("STACKSWAP_ENTRYPOINT_LOCK_SECONDS") == told
    path = "/data/.stackswap/shop-entrypoint.lock" if told else None
    assert env.get("ARTIFAKT_ENTRYPOINT_LOCK") == path
    own = dict(release({**lock, "env": {"ARTIFAKT_ENTRYPOINT_LOCK": "/data/mine"}}).container.env)
    assert own["ARTIFAKT_ENTRYPOINT_LOCK"] == "/data/mine"


def test_what_is_true_of_the_server_now_is_told_to_a_release_of_then() -> None:
    """Its replica list may have grown since; what it said itself stands."""
    name = "ARTIFAKT_REPLICA_LIST"
    then = release(platform={name: "web1"})
    assert service.of_server(then, parse({}), {name: "web1,web2"}).container.local_env == ((name, "web1,web2"),)
    own = release({"env": {name: "mine"}})
    assert service.of_server(own, parse({}), {name: "web1"}) == own


@pytest.mark.parametrize("name", service.LOCAL)
def test_what_is_true_of_one_server_reaches_the_container_and_not_the_id(name: str) -> None:
    """A release has one id on all servers and in all jobs."""
    here, there = release(platform={name: "1"}), release(platform={name: "0"})
    assert here.id == there.id
    assert here.container.local_env == ((name, "1"),)
    assert name not in dict(here.container.env)


def test_users_word_wins_over_the_platforms_for_one_server() -> None:
    """A name is in the container once."""
    main = "ARTIFAKT_IS_MAIN_INSTANCE"
    made = release({"env": {main: "1"}}, platform={main: "0"})
    assert (dict(made.container.env)["ARTIFAKT_IS_MAIN_INSTANCE"], made.container.local_env) == (
        "1",
        (),
    )
    hidden = release({"secrets": {"TOKEN": "a"}}, platform={"TOKEN": "b"})
    assert "TOKEN" not in dict(hidden.container.env)


@pytest.mark.parametrize(
    "given",
    [{"routes": [{"host": "a.example.com"}]}, {"replicas": 3}, {"bake": 1}, {"confirmations": 1},
     {"drain_timeout": 1}, {"processes": {"web": {"port": 8080}}}],
)  # fmt: skip
def test_what_belongs_to_the_door_does_not_change_the_release(given: Any) -> None:
    """A new host name restarts nothing."""
    assert release(given).id == release().id


@pytest.mark.parametrize(
    "given",
    [{"env": {"A": "1"}}, {"secrets": {"A": "1"}}, {"port": 81}, {"health": "none"},
     {"volumes": ["/a:/b"]}, {"command": ["run"]}, {"container": {"memory": "1g"}}],
)  # fmt: skip
def test_what_is_in_the_container_changes_the_release(given: Any) -> None:
    """Another configuration is another candidate."""
    assert release(given).id != release().id


@pytest.mark.parametrize("kind", ["secrets", "secret_files"])
def test_the_value_of_a_secret_does_not_change_the_id(kind: str) -> None:
    """The seal tells that on each server; the name is part of the release."""
    assert release({kind: {"A": "1"}}).id == release({kind: {"A": "2"}}).id
    assert len({release(given).id for given in ({}, {kind: {"A": "1"}}, {kind: {"B": "1"}})}) == 3


def test_the_images_own_check_is_asked_for_only_where_there_is_one() -> None:
    """Without it nothing would ever be healthy."""
    with pytest.raises(BadInput, match=r"shop\.health is image, and the image of 1\.4\.2 has no HEA"):
        release({"health": "image"})


def test_a_release_refuses_a_version_that_is_not_text() -> None:
    """However it was called."""
    with pytest.raises(BadInput, match=r"must be text, not 1\.1"):
        release(version=1.1)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (IMAGE, f"{IMAGE}:1.4.2"),
        ("localhost:5000/shop", "localhost:5000/shop:1.4.2"),
        ("nginx:1.27", "nginx:1.27"),
        (f"nginx@{DIGEST}", f"nginx@{DIGEST}"),
        (None, "stackswap/production-shop:1.4.2"),
    ],
)
def test_the_name_of_an_image(image: str | None, name: str) -> None:
    """The version is its tag, unless the inventory has one."""
    given = {"image": image} if image else {"image": "", "source": {"path": "/srv/shop"}}
    assert service.reference(parse(given), "1.4.2") == name


# -- manifests ------------------------------------------------------------------------------------

FULL = {
    "env": {"A": "1"},
    "secrets": {"TOKEN": PASSWORD, "KEY": "k"},
    "secret_files": {"tls.key": f"{PASSWORD}\n"},
    "volumes": ["/a:/b:ro"],
    "command": ["run", ""],
    "health": {"path": "/up", "deadline": 7},
    "container": {"extra_hosts": {"db": "192.0.2.5"}, "labels": {"a": "b"}, "cpus": 2},
}


def test_a_manifest_comes_back_as_the_same_release() -> None:
    """Through JSON, with the secrets of now."""
    made = release(FULL, seal="5ea1", platform={"ARTIFAKT_IS_MAIN_INSTANCE": "1"})
    kept, sealed = json.loads(json.dumps(service.manifest(made))), made.container.sealed
    assert service.from_manifest(kept, sealed) == made
    assert service.from_manifest(kept, {**sealed, "NEW": "x"}).id == made.id
    assert service.from_manifest(kept, sealed, seal="0ff0").name == f"{made.id}-0ff0"
    assert set(service.sealed_names(kept)) == set(sealed)


def test_a_manifest_from_before_there_were_secret_files_is_read() -> None:
    """And the release of one that has none is the one that it was."""
    made = release({"secrets": {"A": "1"}})
    kept = json.loads(json.dumps(service.manifest(made)))
    del kept["container"]["secret_files"]
    assert service.from_manifest(kept, {"A": "1"}).id == made.id
    assert "secret_files" not in made.container.canonical()


def test_a_manifest_has_the_names_of_secrets_and_no_value() -> None:
    """It lies on the server's disk."""
    kept = service.manifest(release(FULL))
    assert kept["container"]["secrets"] == ["KEY", "TOKEN"]
    assert kept["container"]["secret_files"] == ["tls.key"]
    assert PASSWORD not in json.dumps(kept)


def test_a_manifest_without_its_secrets_is_refused_by_name() -> None:
    """A rollback that would start without a password is none."""
    kept = service.manifest(release(FULL))
    missing = "had secrets that are not given now: the file tls.key, TOKEN"
    with pytest.raises(BadInput, match=rf"release 1\.4\.2 {missing}"):
        service.from_manifest(kept, {"KEY": "k"})


@pytest.mark.parametrize("broken", [{}, {"v": 2}, {"container": {"new": 1}}, {"health": None}])
def test_a_manifest_that_cannot_be_read_is_refused(broken: dict) -> None:
    """One of another version, or a damaged one."""
    kept = {**service.manifest(release()), **broken} if broken else {}
    with pytest.raises(BadInput, match=r"cannot be read .*: deploy it anew"):
        service.from_manifest(kept, {})
