"""The wire of a length: each way takes half a round trip, however much is under way."""

from __future__ import annotations

import socket
import threading
import time

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
