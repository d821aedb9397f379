"""The model server of a case: it reads strictly, keeps what came, and answers as it is told."""

import asyncio
import socket
import struct
from typing import Final

from router.selftest.case import PLAIN_BODY, End, Say
from router.selftest.wire import Message, read_request

READ_BYTES: Final = 64 * 1024
_PLAIN: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % len(
    PLAIN_BODY
)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Recorder:
    """Listens on loopback, at a port of the kernel's choice."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Message] = []
        """What came whole."""
        self.begun: list[Message] = []
        """What came as far as its head."""
        self.problems: list[str] = []
        """What a strict server would not have taken."""
        self._answer: Say | None = None
        self._server: asyncio.Server | None = None
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._busy = 0

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End every connection."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def begin(self, answer: Say | None) -> None:
        """A new case: forget the last one, answer like this."""
        self.requests, self.begun, self.problems = [], [], []
        self._answer = answer

    @property
    def waiting(self) -> bool:
        """Whether a request has begun and its end is still to come."""
        return self._busy > 0

    def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b""
        try:
            while True:
                read = await self._read(reader, writer, data)
                if read is None:
                    return
                data = read
        except OSError:
            pass  # the router closed: what came is what is judged
        finally:
            writer.close()

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
    ) -> bytes | None:
        """Read and answer one request; what came behind it, or None at the connection's end."""
        answer = self._answer
        begun = False
        try:
            while True:
                message = read_request(data) if data else None
                if message is not None and not begun:
                    begun = True
                    self._busy += 1
                    self.begun.append(message)
                    answer = self._answer if message.target not in _NEXT else None
                    if answer is not None and answer.early:
                        return await self._say(writer, message, answer)
                    if message.values(b"expect") and not message.whole:
                        writer.write(_CONTINUE)
                if message is not None and message.broken:
                    self.problems += message.problems
                    return None
                if message is not None and message.whole:
                    self.requests.append(message)
                    rest = await self._say(writer, message, answer)
                    return None if rest is None else data[message.size :]
                more = await reader.read(READ_BYTES)
                if not more:
                    return None
                data += more
        finally:
            self._busy -= begun

    async def _say(
        self, writer: asyncio.StreamWriter, message: Message, answer: Say | None
    ) -> bytes | None:
        """Answer; None where the connection ends behind it."""
        if answer is None:
            writer.write(_PLAIN + (b"" if message.method == b"HEAD" else PLAIN_BODY))
            await writer.drain()
            return b""
        writer.write(answer.raw)
        await writer.drain()
        if answer.end is End.KEEP:
            return b""
        if answer.end is End.RESET:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return None


NEXT: Final = b"/next"
PLAIN: Final = b"/plain"
_NEXT: Final = (NEXT, PLAIN)
"""What follows a case is answered as usual."""
