"""A wire of a length: what goes through it arrives later, in both directions, and connecting takes a round trip.

    with delayed("192.0.2.1", 22, seconds=0.1) as port:
        ...

It listens on 127.0.0.1. The kernel's own delay (netem) is not everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

CHUNK = 65536


@contextlib.contextmanager
def delayed(address: str, port: int, seconds: float) -> Iterator[int]:
    """Yield the port behind which the other one is, a round trip of so many seconds away."""
    loop, carried = asyncio.new_event_loop(), set()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry it in a task of our own: asyncio complains of one of its own that is canceled."""
        carried.add(loop.create_task(through(reader, writer, address, port, seconds)))

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(take, "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(ended(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def ended(server: asyncio.Server) -> None:
    """Take no connection any more and cut those there are."""
    server.close()
    mine = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not mine]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def through(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, port: int, seconds: float
) -> None:
    """Carry one connection; in the end it is closed, also where there is nobody at the far end."""
    with contextlib.suppress(OSError), contextlib.closing(writer):
        await asyncio.sleep(seconds)
        far_reader, far_writer = await asyncio.open_connection(address, port)
        await asyncio.gather(carry(reader, far_writer, seconds / 2), carry(far_reader, writer, seconds / 2))


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Carry one direction: each piece a while after it came, none waiting for the one before."""
    loop, pieces = asyncio.get_running_loop(), asyncio.Queue()
    late = asyncio.ensure_future(deliver(pieces, writer))
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            pieces.put_nowait((loop.time() + seconds, data))
    pieces.put_nowait((loop.time() + seconds, b""))
    await late


async def deliver(pieces: asyncio.Queue, writer: asyncio.StreamWriter) -> None:
    """Hand on what is due; the empty piece ends it."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError), contextlib.closing(writer):
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            writer.write(data)
            await writer.drain()
