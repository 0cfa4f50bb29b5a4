"""Who has a port, read from a made-up /proc."""

from __future__ import annotations

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.haproxy import ports

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LINE = (
    "   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1\n"
)
OURS = "/var/lib/stackswap/proxy/haproxy.cfg"


@pytest.fixture
def proc(tmp_path):
    """A /proc whose process 42 has socket 777."""
    process = tmp_path / "42"
    (process / "fd").mkdir(parents=True)
    (process / "fd" / "3").symlink_to("socket:[777]")
    (process / "comm").write_text("nginx\n")
    (process / "cmdline").write_bytes(b"nginx\0-g\0daemon off;\0")
    (tmp_path / "net").mkdir()

    def listening(address: str, port: int, state: str = "0A", inode: int = 777, table="tcp"):
        line = LINE.format(address=address, port=port, state=state, inode=inode)
        (tmp_path / "net" / table).write_text(HEAD + line)
        return str(tmp_path)

    return listening


@pytest.mark.parametrize(
    ("held", "wanted", "refused"),
    [
        (("00000000", 80), ("", 80), True),
        (("00000000", 80), ("127.0.0.1", 80), True),
        (("0100007F", 80), ("", 80), True),
        (("0100007F", 80), ("127.0.0.1", 80), True),
        (("0100007F", 80), ("127.0.0.2", 80), False),
        (("00000000", 81), ("", 80), False),
        (("00000000", 80, "01"), ("", 80), False),
    ],
)
def test_a_port_is_taken_where_both_would_listen(proc, held, wanted, refused) -> None:
    """The same address, or one of them on all; a connection is no listener."""
    root = proc(*held)
    if refused:
        with pytest.raises(ports.PortTaken, match="nginx") as told:
            ports.refuse_taken([wanted], OURS, root)
        assert told.value.facts == {"port": 80, "owner": "nginx"}
    else:
        ports.refuse_taken([wanted], OURS, root)


def test_one_that_listens_on_all_of_ipv6_has_the_port_too(proc) -> None:
    """It mostly takes IPv4 as well."""
    with pytest.raises(ports.PortTaken):
        ports.refuse_taken([("", 80)], OURS, proc("0" * 32, 80, table="tcp6"))


def test_a_listener_without_a_process_to_be_seen_is_refused_too(proc) -> None:
    """Its owner may be in another namespace."""
    with pytest.raises(ports.PortTaken, match="does not show"):
        ports.refuse_taken([("", 80)], OURS, proc("00000000", 80, inode=778))


def test_our_own_proxy_may_have_it(proc, tmp_path) -> None:
    """Told by the configuration in its command line."""
    root = proc("00000000", 80)
    (tmp_path / "42" / "cmdline").write_bytes(b"haproxy\0-W\0-f\0" + OURS.encode() + b"\0")
    ports.refuse_taken([("", 80)], OURS, root)
    with pytest.raises(ports.PortTaken):
        ports.refuse_taken([("", 80)], "/srv/other/proxy/haproxy.cfg", root)
