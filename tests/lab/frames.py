"""WebSocket frames, for the application in its image as well as for the client."""

import struct

KEY = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A


def frame(first, content, mask=b""):
    """Return a whole frame; a client gives a mask of four bytes."""
    size, masked = len(content), 0x80 if mask else 0
    if size < 126:
        length = struct.pack("!B", size | masked)
    elif size < 65536:
        length = struct.pack("!BH", 126 | masked, size)
    else:
        length = struct.pack("!BQ", 127 | masked, size)
    return bytes([first]) + length + mask + (turned(content, mask) if mask else content)


def turned(content, mask):
    """Return the content exclusive-ored with the mask, which masks and unmasks."""
    size = len(content)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(content, "big") ^ key).to_bytes(size, "big")


async def read_frame(exactly):
    """Read a frame by means of `exactly(count)` and return its first byte and its content."""
    first, second = await exactly(2)
    size = second & 0x7F
    if size >= 126:
        size = int.from_bytes(await exactly(2 if size == 126 else 8), "big")
    mask = await exactly(4) if second & 0x80 else b""
    content = await exactly(size) if size else b""
    return first, turned(content, mask) if mask else content
