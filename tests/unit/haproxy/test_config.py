"""What HAProxy is told: the base file and the container."""

from __future__ import annotations

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.errors import BadInput
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import config
from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy.layout import (
    Settings,
    layout,
    proxy_container,
    start_command,
)


def lines(**settings) -> list[str]:
    """The base's lines."""
    return [line.strip() for line in config.base(Settings(**settings)).splitlines()]


def test_the_base_knows_no_service() -> None:
    """Maps by the paths of the home, and a bind for each address."""
    found = lines(home="/srv/x", listen=("80", "127.0.0.1:8080"))
    assert "bind :80" in found and "bind 127.0.0.1:8080" in found
    assert any("map_beg(/srv/x/proxy/maps/route.map)" in line for line in found)
    assert any("map(/srv/x/proxy/maps/live.map,none)" in line for line in found)
    assert [line for line in found if line.startswith("backend")] == ["backend nowhere from web"]
    assert all(" from web" in one for one in found if one.split()[:1] in (["frontend"], ["listen"]))


def test_port_443_speaks_tls() -> None:
    """With the copies of the certificates."""
    found = lines(listen=("80", "443", "[::]:443"), certificates="/etc/ssl/x")
    assert [line for line in found if line.startswith("bind")] == [
        "bind :80",
        "bind :443 ssl crt /var/lib/stackswap/proxy/certificates alpn h2,http/1.1",
        "bind [::]:443 ssl crt /var/lib/stackswap/proxy/certificates alpn h2,http/1.1 v6only",
    ]


def test_only_trusted_networks_tell_who_the_client_is() -> None:
    """Headers of all others are removed; with the PROXY protocol everybody's are."""
    assert "http-request del-header x-forwarded-for" in lines()
    trusted = lines(trusted=("10.0.0.0/8", "fd00::/8"))
    kept = "http-request del-header x-forwarded-for unless { src 10.0.0.0/8 fd00::/8 }"
    assert kept in trusted
    told = lines(trusted=("10.0.0.0/8",), proxy_protocol=True)
    assert "tcp-request connection expect-proxy layer4 if { src 10.0.0.0/8 }" in told
    assert "http-request del-header x-forwarded-for" in told


@pytest.mark.parametrize(
    "wrong",
    [
        {"listen": ()},
        {"listen": ("http",)},
        {"listen": ("0",)},
        {"listen": ("70000",)},
        {"listen": ("80 ssl",)},
        {"listen": ("443",)},
        {"trusted": ("10.0.0.1/8",)},
        {"trusted": ("any",)},
        {"subnet": "172.30.64.0/30"},
        {"home": "relative"},
        {"certificates": "/a b"},
        {"redirect": True},
        {"health_path": "/a b"},
        {"health_path": "up"},
        {"acme": "acme.example:80"},
        {"acme": "0"},
        {"access_log": "csv"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong) -> None:
    """Before a file is written."""
    with pytest.raises(BadInput):
        Settings(**wrong)


def test_the_container_has_the_folder_at_the_same_path() -> None:
    """Maps are named by their path, in the configuration and in every call."""
    settings = Settings(home="/srv/x", labels=(("a", "b"),))
    document = proxy_container(settings)
    host = document["HostConfig"]
    assert [(m["Source"], m["Target"]) for m in host["Mounts"]] == [("/srv/x/proxy",) * 2]
    assert (host["NetworkMode"], host["RestartPolicy"]["Name"]) == ("host", "always")
    assert [*document["Entrypoint"], *document["Cmd"]] == start_command(settings)
    assert layout(settings).config in document["Cmd"]
    assert document["Labels"]["a"] == "b"


def test_another_configuration_is_another_container() -> None:
    """But not for labels or for what a reload takes."""

    def mark(**settings) -> str:
        return proxy_container(Settings(**settings))["Labels"]["stackswap.config"]

    same = mark()
    assert mark(labels=(("a", "b"),)) == mark(listen=("8080",)) == mark(certificates="/c") == same
    assert len({same, mark(image="x:1"), mark(maxconn=5), mark(home="/c")}) == 4


def test_a_container_that_takes_over_is_no_other_configuration() -> None:
    """It has sockets of its own and asks the one before for the listening ones."""
    settings = Settings(home="/srv/x")
    first, second = proxy_container(settings), proxy_container(settings, 2, 1)
    assert first["Labels"]["stackswap.config"] == second["Labels"]["stackswap.config"]
    assert second["Env"] == ["STACKSWAP_RUN=/srv/x/proxy/run/2"]
    assert second["Cmd"][3:6] == [
        "/srv/x/proxy/run/2/master.sock,mode,660,level,admin",
        "-x",
        "/srv/x/proxy/run/1/admin.sock",
    ]
    assert "-x" not in first["Cmd"]


def test_what_is_not_asked_for_is_not_there() -> None:
    """No redirect, no log, no challenges, and nothing that waits for them."""
    text = config.base(Settings())
    for word in ("redirect", "log stdout", "acme from web", "strict-transport", 'string "ok"'):
        assert word not in text


def test_the_client_behind_trusted_proxies_is_the_last_that_they_do_not_know() -> None:
    """Each hop is looked past only if it is trusted."""
    last = "req.hdr_ip(x-forwarded-for,-1)"
    found = [line for line in lines(trusted=("10.0.0.0/8",)) if "set-var(txn.src)" in line]
    assert found[:2] == [
        "http-request set-var(txn.src) src",
        f"http-request set-var(txn.src) {last} if {{ var(txn.src) -m ip 10.0.0.0/8 }} {{ {last} -m found }}",
    ]
    assert len(found) == 4
    assert [line for line in lines() if "set-var(txn.src)" in line] == found[:1]
