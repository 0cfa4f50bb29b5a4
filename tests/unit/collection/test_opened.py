"""How long is waited for a connection that opens while a call is put together."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.stackswap.bluegreen.plugins.plugin_utils.opened import opened

COMMAND = 1.0  # seconds until the command that opens the connection has ended
SHARED, BUILT = 0.2, 0.1  # seconds until others may use the connection; until the call is put together


class Connection:
    """One whose command ends late. socket: where it makes the one for others; fault: how the command ends."""

    password = ""
    _play_context = SimpleNamespace(password=None)

    def __init__(self, folder: Path, socket: str = "", fault: Exception | None = None, transport: str = "ssh") -> None:
        self.transport, self.control_path_dir = transport, str(folder)
        self.control_path: str | None = "%(directory)s/one" if socket else None
        self._socket, self._fault, self.commands = folder / socket if socket else None, fault, list[str]()

    def get_option(self, name: str) -> Any:
        """Return an option of Ansible's."""
        return getattr(self, name)

    def exec_command(self, command: str, sudoable: bool = True) -> None:
        """Open it."""
        self.commands.append(command)
        if self._socket:
            threading.Timer(SHARED, self._socket.touch).start()
        time.sleep(COMMAND if not self._fault else SHARED)
        if self._fault:
            raise self._fault


def seconds(connection: Connection) -> float:
    """How long it takes to have it open, and the call put together."""
    task, built = SimpleNamespace(action="stackswap.bluegreen.release"), list[Any]()

    def configure(**_words: Any) -> None:
        time.sleep(BUILT)
        built.append(True)

    began = time.monotonic()
    opened(SimpleNamespace(_connection=connection, _task=task, _configure_module=configure), {}, {})
    assert built or connection.transport != "ssh"
    return time.monotonic() - began


def test_the_end_of_the_command_that_opens_it_is_not_waited_for(tmp_path: Path) -> None:
    """Its connection is shared two round trips before."""
    assert SHARED <= seconds(Connection(tmp_path, "one")) < COMMAND


@pytest.mark.parametrize("socket", ["", "another"])
def test_a_connection_that_is_not_shared_by_a_socket_that_we_know_is_waited_for(socket: str, tmp_path: Path) -> None:
    """Where the user's own settings name it, or nothing is shared."""
    assert seconds(Connection(tmp_path, socket)) >= COMMAND


def test_the_socket_of_a_connection_that_is_gone_counts_for_nothing(tmp_path: Path) -> None:
    """ssh makes another in its place."""
    (tmp_path / "one").touch()
    os.utime(tmp_path / "one", (1, 1))
    took = seconds(Connection(tmp_path, "one"))
    assert SHARED <= took < COMMAND


def test_one_with_a_password_is_waited_for(tmp_path: Path) -> None:
    """Two commands at once would take it away from each other."""
    connection = Connection(tmp_path, "one")
    connection.password = "let-me-in"
    assert seconds(connection) >= COMMAND


def test_what_keeps_it_from_opening_is_raised(tmp_path: Path) -> None:
    """As by the call itself."""
    with pytest.raises(ConnectionError, match="no route"):
        seconds(Connection(tmp_path, fault=ConnectionError("no route")))


def test_only_what_stays_open_is_opened(tmp_path: Path) -> None:
    """A connection of another kind is made anew for each call."""
    local = Connection(tmp_path, transport="local")
    assert seconds(local) < BUILT and local.commands == []
