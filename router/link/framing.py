"""Messages on a byte stream: four bytes of length, big-endian, then one msgpack map.

A frame is bounded: a peer that lies about its length, or a snapshot beyond all reason, ends the
connection and not the process.
"""

from asyncio import IncompleteReadError, StreamReader
from typing import Final, Generic, TypeVar

import msgspec

from router.errors import ConfigError, RouterError
from router.link.messages import Down, Up

MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
"""Room for 10 000 routes of 50 endpoints each (about 100 bytes an endpoint)."""

READ_BUFFER_BYTES: Final = 1024 * 1024
"""A StreamReader's limit: fewer pauses while a whole table comes in."""

M = TypeVar("M")

_encoder: Final = msgspec.msgpack.Encoder()


class LinkError(RouterError):
    """The other end does not speak this protocol; the connection cannot go on."""


def encode(message: Down | Up) -> bytes:
    """One frame.

    Raises:
        LinkError: the message is longer than a frame may be.
    """
    frame = bytearray(4)
    _encoder.encode_into(message, frame, 4)
    length = len(frame) - 4
    if length > MAX_FRAME_BYTES:
        raise LinkError(f"a message of {length} bytes does not fit a frame")
    frame[:4] = length.to_bytes(4)
    return bytes(frame)


class Frames(Generic[M]):
    """The messages of one kind that come out of a stream."""

    def __init__(self, stream: StreamReader, decoder: msgspec.msgpack.Decoder[M]) -> None:
        self._stream: Final = stream
        self._decoder: Final = decoder

    async def receive(self) -> M | None:
        """The next message, or None at the end of the stream, clean or not.

        Raises:
            LinkError: what came is no frame of this kind.
        """
        try:
            length = int.from_bytes(await self._stream.readexactly(4))
            if length > MAX_FRAME_BYTES:
                raise LinkError(f"a frame of {length} bytes is beyond the bound")
            body = await self._stream.readexactly(length)
        except (IncompleteReadError, ConnectionError):
            return None
        try:
            return self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ConfigError) as error:
            raise LinkError(f"unreadable message: {error}") from error


def frames_up(stream: StreamReader) -> Frames[Up]:
    """What a worker sends."""
    return Frames(stream, msgspec.msgpack.Decoder(Up))


def frames_down(stream: StreamReader) -> Frames[Down]:
    """What control sends."""
    return Frames(stream, msgspec.msgpack.Decoder(Down))
