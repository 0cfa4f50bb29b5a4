"""The wire of a length: each way takes half a round trip, however much is under way."""

from __future__ import annotations

import gc
import socket
import threading
import time

import pytest

from tests.lab.delay import delayed


def echo(listening: socket.socket) -> None:
    """Send back what comes, on one connection."""
    taken, _ = listening.accept()
    with taken:
        while data := taken.recv(65536):
            taken.sendall(data)


def test_a_round_trip_takes_as_long_as_asked_and_bytes_stay_in_order() -> None:
    """Pieces sent one after the other travel together: the wire is long, not slow."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=echo, args=(listening,), daemon=True).start()
        with (
            delayed(*listening.getsockname(), seconds=0.2) as port,
            socket.create_connection(("127.0.0.1", port)) as near,
        ):
            sent, began, got = bytes(range(256)) * 40, time.monotonic(), b""
            for at in range(0, len(sent), 1024):
                near.sendall(sent[at : at + 1024])
                time.sleep(0.01)
            while len(got) < len(sent):
                got += near.recv(65536)
            took = time.monotonic() - began
    assert got == sent
    assert took >= 0.4  # to connect, and there and back
    assert took < 10 * 0.2 + 2


def test_a_connection_that_is_open_when_the_wire_is_taken_away_is_cut_without_a_word(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It was delayed as long as it was there."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=echo, args=(listening,), daemon=True).start()
        with delayed(*listening.getsockname(), seconds=0.1) as port:
            began, near = time.monotonic(), socket.create_connection(("127.0.0.1", port), timeout=10)
            near.sendall(b"a")
            assert near.recv(1) == b"a"
            took = time.monotonic() - began
        with near:
            assert near.recv(1) == b""
    gc.collect()  # of what was forgotten asyncio complains only now
    assert took >= 0.2  # to connect, and there and back
    assert capfd.readouterr() == ("", "")
