"""The proxy's setup against the real engine and the real HAProxy."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import files
from tests.contract.proxies import Site, offered, slot
from tests.lab.building import docker

pytestmark = [pytest.mark.engine, pytest.mark.slow]
MODULE = "ansible_collections.stackswap.bluegreen.plugins.modules.proxy"
COLLECTIONS = Path(__file__).resolve().parents[2] / "playbooks" / "collections"
NETWORK, SUBNET = f"stackswap-test-setup-{os.getpid()}", f"10.179.{os.getpid() % 256}.0/24"


class Caller:
    """Calls the module as Ansible does on a server."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.options = {
            "home": site.settings.home,
            "listen": list(site.settings.listen),
            "image": site.settings.image,
            "container": site.settings.container,
            "maxconn": 500,
            "network": NETWORK,
            "subnet": SUBNET,
            "labels": {"stackswap.test": "1"},
        }

    def __call__(self, check: bool = False, **more: Any) -> dict[str, Any]:
        """The module's answer, or its failure."""
        options = {**self.options, **more, "_ansible_check_mode": check}
        done = subprocess.run(
            [sys.executable, "-m", MODULE, json.dumps({"ANSIBLE_MODULE_ARGS": options})],
            env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
            capture_output=True,
            text=True,
        )
        assert done.stdout, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(params=offered()[:1])
def proxy(request, tmp_path_factory) -> Iterator[Caller]:
    """The module for a server that has no proxy; all is taken away after."""
    site = Site(request.param, tmp_path_factory.mktemp("proxy") / "home")  # a name that leaves room for sockets
    try:
        yield Caller(site)
    finally:
        site.stop()
        with suppress(RuntimeError):
            docker("network", "rm", NETWORK)


def test_the_proxy_comes_is_kept_and_goes(proxy) -> None:
    """Check mode foretells; a second run changes nothing; with services it is not removed."""
    foretold = proxy(check=True)
    assert foretold["changed"] and not os.path.exists(proxy.options["home"])
    made = proxy()
    assert made["changed"] and made["actions"][0] == f"made network {NETWORK}"
    assert made["actions"][1:] == foretold["actions"]
    assert proxy()["actions"] == proxy(check=True)["actions"] == []
    proxy.site.proxy.register("test.one", {"blue": slot("blue")})
    assert proxy(state="absent")["cause"] == "still_used"
    assert proxy.site.answers()
    proxy.site.proxy.remove("test.one")
    assert proxy(state="absent", check=True)["changed"] and proxy.site.answers()
    assert proxy(state="absent")["changed"]
    assert not proxy(state="absent")["changed"]


def test_new_settings_are_reloaded_or_taken_back(proxy) -> None:
    """Another address without another container; a configuration that fails leaves the old one."""
    proxy()
    before = files.read(proxy.site.paths.config)
    here = docker("inspect", "--format={{.Id}}", proxy.options["container"])
    listen = [*proxy.options["listen"], "127.0.0.2:18099"]
    assert proxy(listen=listen)["actions"] == [f"wrote {proxy.site.paths.config}", "reloaded"]
    with socket.create_connection(("127.0.0.2", 18099), 2):
        pass
    assert proxy(listen=["203.0.113.1:18098"])["failed"]
    assert "127.0.0.2:18099" in files.read(proxy.site.paths.config)
    assert proxy()["changed"] and files.read(proxy.site.paths.config) == before
    assert docker("inspect", "--format={{.Id}}", proxy.options["container"]) == here


def test_a_stopped_proxy_is_started_and_another_takes_over(proxy) -> None:
    """The key stays, and the one before is gone with its sockets."""
    proxy()
    key = proxy.site.key
    docker("stop", "--time=1", proxy.options["container"])
    assert proxy()["actions"] == ["container started"]
    anew = [f"wrote {proxy.site.paths.config}", "container upgraded"]
    assert proxy(maxconn=600)["actions"] == anew
    assert files.places(proxy.site.paths) == (2,)
    assert proxy(maxconn=600)["actions"] == []
    assert proxy.site.key == key
    assert proxy.site.answers()


def test_another_home_or_a_stranger_of_our_name_is_refused(proxy) -> None:
    """Its services would be out of reach, and nobody told."""
    proxy()
    elsewhere = Path(proxy.options["home"]).with_name("elsewhere")
    refused = proxy(home=str(elsewhere), listen=["127.0.0.1:18097"])
    assert refused["cause"] == "bad_input" and proxy.options["container"] in refused["msg"]
    assert not elsewhere.exists() and proxy.site.answers()


def test_a_taken_port_is_refused_with_its_owners_name(proxy) -> None:
    """Nothing is changed."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", proxy.site.port))
        held.listen()
        refused = proxy()
    assert (refused["cause"], os.path.exists(proxy.options["home"])) == ("port_taken", False)
    assert f"process {os.getpid()}" in refused["msg"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"listen": ["http"]},
        {"listen": ["443"]},
        {"subnet": "10.179.0.0/30"},
        {"trusted": ["everyone"]},
        {"home": "/a b"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(proxy, wrong) -> None:
    """Before anything changes."""
    assert proxy(**wrong)["cause"] == "bad_input"
    assert not os.path.exists(proxy.options["home"])
