"""Plays one case and judges it by what the model server saw and what the client got."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Final, assert_never

import msgspec

from router.selftest.case import (
    PLAIN_BODY,
    SMUGGLED,
    Abandoned,
    AwaitAnswer,
    AwaitUpstream,
    Case,
    Failed,
    Forwarded,
    HalfClose,
    Leave,
    Refused,
    Relayed,
    Send,
    Step,
    Truncated,
    Wait,
)
from router.selftest.recorder import NEXT, PLAIN, READ_BYTES, Recorder
from router.selftest.wire import Message, read_answers

DEADLINE_S: Final = 3.0
CLOSE_DEADLINE_S: Final = 1.0
POLL_S: Final = 0.005
_PLAIN_REQUEST: Final = b"GET %b HTTP/1.1\r\nHost: selftest.example\r\n\r\n"


class Verdict(msgspec.Struct, frozen=True):
    """What came of a case; it passed if there is nothing to say against it."""

    case: Case
    against: tuple[str, ...]
    got: bytes
    """What the client got, its first bytes."""

    @property
    def passed(self) -> bool:
        """Whether everything was as it should be."""
        return not self.against


class Player:
    """Plays cases, one after the other, through the router at `port`.

    `wait` lets time go by: a command sleeps, a test may have a clock to jump.
    """

    def __init__(
        self,
        port: int,
        recorder: Recorder,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._port: Final = port
        self._recorder: Final = recorder
        self._wait: Final = wait

    async def play(self, case: Case) -> Verdict:
        """Play a case, and then a plain request that must not feel anything of it."""
        self._recorder.begin(case.answer)
        client = await _Client.connect(self._port, case.method)
        try:
            for step in case.steps:
                await self._do(client, step)
            await self._finish(client, case)
            got = bytes(client.data[:400])
            against = [*self._judge(case, client), *await self._judge_next(case, client)]
        finally:
            client.close()
        if not await self._plain_works():
            against.append("a plain request behind it fails: a connection is poisoned")
        return Verdict(case, tuple(against), got)

    async def _do(self, client: "_Client", step: Step) -> None:
        match step:
            case Send():
                await client.send(step.raw)
            case Wait():
                await self._wait(step.seconds)
            case AwaitAnswer():
                await client.read_until(lambda: bool(client.answers))
            case AwaitUpstream():
                await _until(lambda: bool(self._recorder.begun))
            case HalfClose():
                client.half_close()
            case Leave():
                client.leave()
            case _:
                assert_never(step)

    async def _finish(self, client: "_Client", case: Case) -> None:
        """Wait for what must come at the latest."""
        expect = case.expect
        if isinstance(expect, Abandoned):
            await _until(lambda: not self._recorder.waiting)
            return
        wanted = expect.count + len(expect.then) if isinstance(expect, Forwarded) else 1
        await client.read_until(lambda: len(client.whole) >= wanted)
        closes = isinstance(expect, Refused) or (isinstance(expect, Forwarded) and expect.closes)
        if closes or (client.final and client.final[-1].closes):
            await client.read_until(lambda: False, CLOSE_DEADLINE_S)

    def _judge(self, case: Case, client: "_Client") -> list[str]:
        recorder, expect = self._recorder, case.expect
        against = [f"the model server saw a broken rule: {each}" for each in recorder.problems]
        if any(each.target.startswith(SMUGGLED) for each in recorder.begun):
            against.append("a smuggled request reached the model server")
        match expect:
            case Refused():
                against += _judge_refused(expect, client, recorder)
            case Forwarded():
                against += _judge_forwarded(expect, client, recorder)
            case Relayed():
                against += _judge_relayed(expect, client, recorder)
            case Failed():
                against += _judge_failed(expect, client, recorder)
            case Truncated():
                final = client.final
                if final and final[0].whole and final[0].status < 500:
                    against.append("an answer that broke off looks whole")
                if not client.ended and not client.whole:
                    against.append("the client is left waiting")
            case Abandoned():
                if recorder.requests:
                    against.append("the model server took it for a whole request")
                if recorder.waiting:
                    against.append("the model server's connection stays open")
            case _:
                assert_never(expect)
        return against

    async def _judge_next(self, case: Case, client: "_Client") -> list[str]:
        """One more request on the same connection, where that stays open."""
        if client.ended or client.gone or isinstance(case.expect, (Abandoned, Truncated)):
            return []
        if not client.final or not client.final[-1].whole or client.final[-1].closes:
            return []
        before = len(client.final)
        client.method = b"GET"
        client.begin_anew()
        await client.send(_PLAIN_REQUEST % NEXT)
        await client.read_until(lambda: bool(client.whole))
        if client.ended and not client.final:
            return []  # it was closed meanwhile, which a client must be ready for
        if [each.body for each in client.whole] != [PLAIN_BODY]:
            return [f"the request behind answer {before} on its connection is not answered right"]
        return []

    async def _plain_works(self) -> bool:
        client = await _Client.connect(self._port, b"GET")
        try:
            await client.send(_PLAIN_REQUEST % PLAIN)
            await client.read_until(lambda: bool(client.whole))
            return [(each.status, each.body) for each in client.whole] == [(200, PLAIN_BODY)]
        finally:
            client.close()


def _judge_refused(expect: Refused, client: "_Client", recorder: Recorder) -> list[str]:
    against = []
    statuses = [each.status for each in client.final]
    if len(statuses) != 1 or statuses[0] not in expect.statuses or not client.final[0].whole:
        against.append(f"answered {_shown(client)}, not {_either(expect.statuses)}")
    if not client.ended:
        against.append("its connection stays open")
    if recorder.requests:
        against.append("it was forwarded")
    elif recorder.begun and not expect.begun:
        against.append("its head was forwarded before it was refused")
    return against


def _judge_forwarded(expect: Forwarded, client: "_Client", recorder: Recorder) -> list[str]:
    statuses = [each.status for each in client.final]
    if expect.or_refused and not recorder.requests and statuses:
        allowed = statuses[0] in expect.or_refused
        return [] if allowed else [f"answered {_shown(client)}"]
    against = []
    if statuses != [200] * expect.count + [*expect.then] or len(client.whole) != len(statuses):
        against.append(f"answered {_shown(client)}, not {expect.count} times 200")
    if expect.closes and not client.ended:
        against.append("its connection stays open")
    if client.interim != expect.interim:
        against.append(f"interim answers {client.interim}, not {expect.interim}")
    if len(recorder.requests) != expect.count:
        return [*against, f"{len(recorder.requests)} requests reached the model server"]
    seen = recorder.requests[0]
    for what, got, wanted in (
        ("method", seen.method, expect.method),
        ("target", seen.target, expect.target),
        ("body", seen.body, expect.body),
    ):
        if got != wanted:
            against.append(f"the model server saw the {what} {got[:60]!r}, not {wanted[:60]!r}")
    return against + _judge_fields(seen, expect.fields, expect.absent, "the model server")


def _judge_relayed(expect: Relayed, client: "_Client", recorder: Recorder) -> list[str]:
    if len(client.final) != 1 or client.final[0].status != expect.status:
        return [f"answered {_shown(client)}, not {expect.status}"]
    answer = client.final[0]
    against = [f"the client got a broken {each}" for each in answer.problems]
    if not answer.whole:
        against.append("the answer is not whole")
    if answer.body != expect.body:
        against.append(f"the client got the body {answer.body[:60]!r}, not {expect.body[:60]!r}")
    if len(recorder.requests) > expect.attempts:
        against.append(f"it was sent {len(recorder.requests)} times")
    return against + _judge_fields(answer, expect.fields, expect.absent, "the client")


def _judge_failed(expect: Failed, client: "_Client", recorder: Recorder) -> list[str]:
    against = []
    if len(client.final) != 1 or client.final[0].status not in expect.statuses:
        against.append(f"answered {_shown(client)}, not {_either(expect.statuses)}")
    elif not client.final[0].whole:
        against.append("the error is not whole")
    if b"unsafe" in client.data:
        against.append("bytes of the broken answer reached the client")
    if len(recorder.requests) > expect.attempts:
        against.append(f"it was sent {len(recorder.requests)} times")
    return against


def _judge_fields(
    message: Message,
    wanted: tuple[tuple[bytes, tuple[bytes, ...]], ...],
    absent: tuple[bytes, ...],
    who: str,
) -> list[str]:
    against = [
        f"{who} got {name.decode()}: {message.values(name)!r}"
        for name, values in wanted
        if message.values(name) != values
    ]
    return against + [f"{who} got {name.decode()}" for name in absent if message.values(name)]


def _shown(client: "_Client") -> str:
    shown = [
        f"{each.status or each.line!r}{'' if each.whole else ' (not whole)'}"
        for each in client.final
    ]
    return ", ".join(shown) or "with nothing"


def _either(statuses: tuple[int, ...]) -> str:
    return " or ".join(map(str, statuses))


async def _until(true: Callable[[], bool]) -> None:
    """Wait for a condition, for a while; whoever judges sees whether it came."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DEADLINE_S):
            while not true():  # noqa: ASYNC110  # there is no event for what a verdict looks at
                await asyncio.sleep(POLL_S)


class _Client:
    """A raw connection to the router, and all that came through it."""

    def __init__(self, sock: socket.socket, method: bytes) -> None:
        self._sock: Final = sock
        self.method = method
        self.data = bytearray()
        self.ended = False
        self.gone = False

    @classmethod
    async def connect(cls, port: int, method: bytes) -> "_Client":
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except BaseException:
            sock.close()
            raise
        return cls(sock, method)

    @property
    def answers(self) -> list[Message]:
        """All answers so far."""
        return read_answers(bytes(self.data), method=self.method, ended=self.ended)

    @property
    def final(self) -> list[Message]:
        """Answers that are no interim ones."""
        return [each for each in self.answers if not 100 <= each.status < 200]

    @property
    def whole(self) -> list[Message]:
        """Those of them that came to their end."""
        return [each for each in self.final if each.whole]

    @property
    def interim(self) -> tuple[int, ...]:
        """The statuses of interim answers."""
        return tuple(each.status for each in self.answers if 100 <= each.status < 200)

    def begin_anew(self) -> None:
        """Only look at what comes from now on."""
        self.data = bytearray()

    async def send(self, raw: bytes) -> None:
        """Send, and read meanwhile: who refuses early may not read what follows."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(DEADLINE_S):
                await loop.sock_sendall(self._sock, raw)

    async def read_until(self, true: Callable[[], bool], deadline_s: float | None = None) -> None:
        """Read until this holds, the connection ends, or time is up."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE_S if deadline_s is None else deadline_s):
                while not self.ended and not true():
                    try:
                        more = await loop.sock_recv(self._sock, READ_BYTES)
                    except OSError:
                        more = b""
                    self.data += more
                    self.ended = not more

    def half_close(self) -> None:
        """FIN."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def leave(self) -> None:
        """RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """The end."""
        self.gone = True
        self._sock.close()
