"""How soon a container is found at its address: the kernel's own setting, of the bridge with these addresses alone."""

from __future__ import annotations

import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from ansible_collections.stackswap.bluegreen.plugins.module_utils.neighbours import ask_often

SUBNET = "172.30.64.0/20"
HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


class Machine:
    """A machine's interfaces, and the table of its routes as proc(5) describes it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.routes = folder, folder / "route"
        self.routes.write_text(HEAD)

    def interface(self, name: str, to: str, mask: str, by: str = "0.0.0.0", bridge: bool = True) -> None:
        """An interface with a route, whose setting is the kernel's own."""
        words = (name, shown(to), shown(by), "0001", "0", "0", "0", shown(mask), "0", "0", "0")
        with self.routes.open("a") as file:
            file.write("\t".join(words) + "\n")
        (self.folder / "links" / name / ("bridge" if bridge else "queues")).mkdir(parents=True)
        (self.folder / "neigh" / name).mkdir(parents=True)
        self.setting(name).write_text("1000")

    def setting(self, name: str) -> Path:
        """Where it is."""
        return self.folder / "neigh" / name / "retrans_time_ms"

    def ask_often(self) -> None:
        """As the module does."""
        ask_often(SUBNET, str(self.routes), str(self.folder / "links"), str(self.folder / "neigh"))


def shown(address: str) -> str:
    """An address as the table has it."""
    return f"{int.from_bytes(IPv4Address(address).packed, sys.byteorder):08X}"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine that is on the network itself, with Docker's own bridge and that of our network."""
    made = Machine(tmp_path)
    made.interface("eth0", "0.0.0.0", "0.0.0.0", by="198.51.100.1", bridge=False)
    made.interface("docker0", "172.17.0.0", "255.255.0.0")
    return made


def test_only_the_bridge_of_our_network_is_asked_more_often(machine: Machine) -> None:
    """One whose addresses are others stays as it is, and so does one that leads to them through a gateway."""
    machine.interface("br-1", "172.30.64.0", "255.255.240.0")
    machine.interface("br-2", "172.30.64.0", "255.255.0.0")
    machine.interface("br-3", "172.30.64.0", "255.255.240.0", by="172.17.0.9")
    machine.ask_often()
    told = {name: machine.setting(name).read_text() for name in ("eth0", "docker0", "br-1", "br-2", "br-3")}
    assert told == {"eth0": "1000", "docker0": "1000", "br-1": "100", "br-2": "1000", "br-3": "1000"}


def test_a_real_interface_with_these_addresses_is_left_alone(machine: Machine) -> None:
    """There an answer may take longer than it does on one machine."""
    machine.interface("eth1", "172.30.64.0", "255.255.240.0", bridge=False)
    machine.ask_often()
    assert machine.setting("eth1").read_text() == "1000"


def test_where_it_cannot_be_told_it_stays_as_it_is(machine: Machine) -> None:
    """As in a container whose settings are not to be written, or where the kernel has no such table."""
    machine.interface("br-1", "172.30.64.0", "255.255.240.0")
    machine.setting("br-1").unlink()
    machine.setting("br-1").parent.rmdir()
    machine.ask_often()
    machine.routes.unlink()
    machine.ask_often()
