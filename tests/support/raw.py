"""HTTP/1.1 as bytes, for tests: a client that says what it is told, and an answer as it came.

    client = await RawClient.connect(port)
    await client.send(get("/health"))
    answer = await client.read_answer()

Nothing of `router` is used here, so that a parser's bug cannot hide in the test of it.  Every
wait ends after `DEADLINE_S`: a test that hangs fails instead.
"""

from __future__ import annotations

import asyncio
import json as json_module
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

DEADLINE_S: Final = 15.0
POLL_S: Final = 0.005
READ_BYTES: Final = 64 * 1024
MAX_HEAD: Final = 256 * 1024

Fields = list[tuple[str, str]]
"""Field lines in the order they came; names in lower case."""


class BrokenMessageError(AssertionError):
    """What came is not a whole HTTP message: `head` and `body` are what there was of it."""

    def __init__(self, why: str, head: Head | None = None, body: bytes = b"") -> None:
        super().__init__(f"{why} after {head} {body[-200:]!r}")
        self.head = head
        self.body = body


@dataclass(frozen=True, slots=True)
class Head:
    """A start line and fields."""

    line: str
    fields: Fields

    def field(self, name: str) -> str | None:
        """The only value of a field, None without one."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for key, value in self.fields if key == name]

    @property
    def names(self) -> set[str]:
        """Which fields there are."""
        return {key for key, _ in self.fields}

    @property
    def status(self) -> int:
        """An answer's status."""
        return int(self.line.split(" ")[1])

    @property
    def method(self) -> str:
        """A request's method."""
        return self.line.split(" ")[0]

    @property
    def target(self) -> str:
        """A request's target."""
        return self.line.split(" ")[1]

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return self.field("transfer-encoding") == "chunked"

    @property
    def length(self) -> int | None:
        """The body's length, if the head says it."""
        value = self.field("content-length")
        return None if value is None else int(value)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `interim` are the 1xx before it."""

    head: Head
    body: bytes
    interim: list[int] = field(default_factory=list)

    @property
    def status(self) -> int:
        return self.head.status

    def field(self, name: str) -> str | None:
        return self.head.field(name)

    def json(self) -> Any:
        return json_module.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object, which must have OpenAI's shape."""
        assert self.field("content-type") == "application/json"
        document = self.json()
        assert set(document) == {"error"}
        error: dict[str, Any] = document["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error


def parse_head(raw: bytes) -> Head:
    """Take a head apart that ends in an empty line."""
    text = raw.decode("latin-1")
    assert text.endswith("\r\n\r\n")
    line, *lines = text[:-4].split("\r\n")
    assert "\n" not in text.replace("\r\n", ""), f"bare line end in {text!r}"
    fields = []
    for each in lines:
        name, colon, value = each.partition(":")
        assert colon, f"no field line: {each!r}"
        fields.append((name.lower(), value.strip(" \t")))
    return Head(line, fields)


def message(line: str, *fields: str, body: bytes = b"") -> bytes:
    """A message as it is said here: nothing is added."""
    return "".join(f"{each}\r\n" for each in (line, *fields, "")).encode("latin-1") + body


def get(target: str = "/", *fields: str, method: str = "GET") -> bytes:
    """A request without a body."""
    return message(f"{method} {target} HTTP/1.1", "Host: router.test", *fields)


def post(
    target: str, body: bytes | dict[str, Any] = b"", *fields: str, kind: str = "application/json"
) -> bytes:
    """A request with a body of known length."""
    if isinstance(body, dict):
        body = json_module.dumps(body).encode()
    lines = ("Host: router.test", f"Content-Type: {kind}", f"Content-Length: {len(body)}")
    return message(f"POST {target} HTTP/1.1", *lines, *fields, body=body)


def chunk(payload: bytes) -> bytes:
    """One chunk; an empty one ends the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def chunked_post(target: str, *fields: str, chunks: Iterable[bytes] = ()) -> bytes:
    """The head of a request with a chunked body, and these first chunks."""
    lines = ("Host: router.test", "Transfer-Encoding: chunked")
    return message(f"POST {target} HTTP/1.1", *lines, *fields, body=b"".join(map(chunk, chunks)))


class Wire:
    """One end of a connection; bodies are read as they are framed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Hand bytes to the kernel, as far as the other end takes them."""
        self.writer.write(data)
        await self.writer.drain()

    async def read_raw_head(self) -> bytes:
        """Bytes up to an empty line; b"" where the other end closed instead.

        Raises:
            BrokenMessageError: it closed in the middle of one.
        """
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise BrokenMessageError(f"a head breaks off: {error.partial!r}") from None
            return b""

    async def read_exactly(self, size: int) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await self.reader.readexactly(size)

    async def read_some(self, limit: int = READ_BYTES) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await self.reader.read(limit)

    async def read_chunk(self) -> bytes:
        """One chunk's payload; b"" for the last one.

        Raises:
            BrokenMessageError: the body breaks off.
        """
        try:
            async with asyncio.timeout(DEADLINE_S):
                line = await self.reader.readuntil(b"\r\n")
                size = int(line, 16)
                payload = await self.reader.readexactly(size + 2)
        except asyncio.IncompleteReadError as error:
            raise BrokenMessageError("a chunked body breaks off", body=error.partial) from None
        except ConnectionResetError:
            raise BrokenMessageError("a chunked body is reset") from None
        assert payload.endswith(b"\r\n")
        return payload[:-2]

    async def read_chunks(self, size: int) -> bytes:
        """As many chunks as this much payload takes."""
        got = b""
        while len(got) < size:
            part = await self.read_chunk()
            assert part, f"the body ended after {len(got)} of {size} bytes"
            got += part
        return got

    async def read_broken_chunks(self) -> bytes:
        """The payload of a chunked body that must break off, that is, come without its end."""
        payload = b""
        try:
            while part := await self.read_chunk():
                payload += part
        except (BrokenMessageError, ConnectionResetError):
            return payload
        raise AssertionError(f"the body seems whole: {payload!r}")

    async def pieces(self, head: Head, *, bodiless: bool = False) -> AsyncIterator[bytes]:
        """The body of a message, piece by piece.

        Raises:
            BrokenMessageError: the body breaks off.
        """
        if bodiless:
            return
        if head.chunked:
            while payload := await self.read_chunk():
                yield payload
            return
        missing = head.length
        while missing is None or missing > 0:
            try:
                piece = await self.read_some(READ_BYTES if missing is None else missing)
            except ConnectionResetError:
                raise BrokenMessageError("a body is reset", head) from None
            if not piece:
                if missing is None:
                    return
                raise BrokenMessageError(f"{missing} bytes are missing", head)
            missing = None if missing is None else missing - len(piece)
            yield piece

    async def read_body(self, head: Head, *, bodiless: bool = False) -> bytes:
        """The whole body.

        Raises:
            BrokenMessageError: with what there was of it.
        """
        body = b""
        try:
            async for piece in self.pieces(head, bodiless=bodiless):
                body += piece
        except BrokenMessageError as error:
            raise BrokenMessageError(str(error), head, body + error.body) from None
        return body

    async def read_to_end(self) -> bytes:
        """Everything until the other end closes or resets."""
        got = b""
        try:
            while piece := await self.read_some():
                got += piece
        except ConnectionResetError:
            pass
        return got

    async def wait_closed(self) -> None:
        """Wait for the other end to close or reset, with nothing said before.

        Raises:
            TimeoutError: it stays open.
        """
        rest = await self.read_to_end()
        assert rest == b"", f"{len(rest)} unexpected bytes: {rest[:500]!r}"

    @property
    def silent(self) -> bool:
        """Nothing has come that was not read, not even an end."""
        return not self.reader._buffer and not self.reader.at_eof()  # type: ignore[attr-defined]

    def finish_writing(self) -> None:
        """FIN, and go on reading."""
        self.writer.write_eof()

    @contextmanager
    def kernel_socket(self) -> Iterator[socket.socket]:
        """The socket itself, to act on without giving the loop a turn."""
        fd = os.dup(self.writer.get_extra_info("socket").fileno())
        with socket.socket(fileno=fd) as sock:
            yield sock

    def close(self) -> None:
        """FIN after what was sent (RST by the kernel if something came that was not read)."""
        self.writer.close()

    def reset(self) -> None:
        """RST, at once."""
        sock = self.writer.get_extra_info("socket")
        if sock is not None and not self.writer.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class RawClient(Wire):
    """A client that sends what it is told."""

    @classmethod
    async def connect(
        cls,
        port: int,
        *,
        buffer_bytes: int | None = None,
        tls: ssl.SSLContext | None = None,
        server_name: str = "localhost",
    ) -> RawClient:
        """Connect; small buffers make the kernel hold little for a client that does not read."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            reader, writer = await asyncio.open_connection(
                sock=sock,
                limit=MAX_HEAD if buffer_bytes is None else buffer_bytes,
                ssl=tls,
                server_hostname=server_name if tls is not None else None,
            )
        except BaseException:
            sock.close()
            raise
        return cls(reader, writer)

    async def read_head(self) -> Head:
        """The head of an answer; interim ones are passed over."""
        while True:
            raw = await self.read_raw_head()
            assert raw, "the connection was closed without an answer"
            head = parse_head(raw)
            if head.status >= 200:
                return head

    async def read_interim(self) -> int:
        """The status of an interim answer."""
        status = parse_head(await self.read_raw_head()).status
        assert status < 200
        return status

    async def read_answer(self, method: str = "GET") -> Answer:
        """A whole answer.

        Raises:
            BrokenMessageError: it is not whole.
        """
        interim = []
        while True:
            raw = await self.read_raw_head()
            assert raw, "the connection was closed without an answer"
            head = parse_head(raw)
            if head.status >= 200:
                break
            interim.append(head.status)
        bodiless = method == "HEAD" or head.status in (204, 304)
        return Answer(head, await self.read_body(head, bodiless=bodiless), interim)

    async def ask(self, request: bytes) -> Answer:
        """Send a request and read its answer."""
        await self.send(request)
        return await self.read_answer(request[: request.index(b" ")].decode())


async def wait_until(true: Callable[[], object], what: str = "") -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it stays false.
    """
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not true():  # noqa: ASYNC110 - there is no event for what a test looks at
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise TimeoutError(what or "the condition stays false") from None


async def wait_settled(number: Callable[[], int], quiet_s: float = 0.15) -> int:
    """Wait until a number has stopped changing, and give it."""
    last, since = number(), 0.0
    while since < quiet_s:
        await asyncio.sleep(0.025)
        now = number()
        since = since + 0.025 if now == last else 0.0
        last = now
    return last
