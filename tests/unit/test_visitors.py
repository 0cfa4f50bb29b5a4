"""Visitors count what a browser would hide: nothing is asked twice."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ansible_collections.stackswap.bluegreen.plugins.module_utils.visitors import Visitors

WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n1.0"
SICK = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def door(answer: bytes, once: bool = False) -> Iterator[int]:
    """Somebody who answers so; once: and closes the connection with the first byte of a second request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener, answer, once), daemon=True).start()
        yield listener.getsockname()[1]


def accept(listener: socket.socket, answer: bytes, once: bool) -> None:
    """Serve each connection on a thread of its own, until the listener is closed."""
    while True:
        try:
            stream = listener.accept()[0]
        except OSError:
            return
        threading.Thread(target=serve, args=(stream, answer, once), daemon=True).start()


def serve(stream: socket.socket, answer: bytes, once: bool) -> None:
    """Answer what comes."""
    with stream, suppress(ConnectionError):
        for number in range(1000):
            if not stream.recv(65536) or (once and number):
                return
            stream.sendall(answer)


def visited(port: int, seconds: float = 0.6):
    """What they got in that time."""
    with Visitors("127.0.0.1", port, "shop.test", 60) as visitors:
        time.sleep(seconds)
    return visitors.tally()


def test_answers_are_counted_by_version() -> None:
    """Of all three kinds."""
    with door(WELL) as port:
        told = visited(port)
    assert told.requests >= 10 and told.lost == 0
    assert told.versions == {"1.0": told.requests}


def test_a_status_that_is_none_is_lost() -> None:
    """With its words."""
    with door(SICK) as port:
        told = visited(port)
    assert told.lost == told.requests > 0
    assert "status 503" in told.failures[0]


def test_a_connection_that_closes_after_the_request_was_sent_loses_it() -> None:
    """The kept one and the post cannot know: they are not asked again."""
    with door(WELL, once=True) as port:
        told = visited(port)
    assert told.lost > 0 and told.versions["1.0"] > 0


def test_nobody_at_the_door_is_lost() -> None:
    """Each request once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    told = visited(port)
    assert told.lost == told.requests > 0
