"""Exchanges through a data plane: however the bytes fall into reads, and whatever is sent.

Real sockets, one data plane for all examples, on a clock that stands still.  What it forwards and
what it answers is read by `tests.fuzz.second_reader`, which shares nothing with the router.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, TypeVar

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.dataplane.accesslog import AccessLogSettings
from tests.fuzz import second_reader as second
from tests.support.dataplanes import RunningDataPlane, endpoint, route, running_dataplane, version
from tests.support.raw import DEADLINE_S, RawClient
from tests.support.upstreams import Upstream

PROPERTY = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
QUIET_TURNS: Final = 6
"""Turns of the loop without a byte from the router before it is taken to wait for more.

Too few would only let an example prove less: nothing is asserted of what has not come.
"""
OURS: Final = frozenset(
    (b"host", b"via", b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id", b"content-length",
     b"transfer-encoding", b"connection", b"x-model-version", b"x-router-route",
     b"x-router-generation")
)  # fmt: skip

QUIET: Final = AccessLogSettings(path=os.devnull)
FIRST: Final = b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
SECOND: Final = b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n"
"""Safe to repeat: the connection that it would go on with may just have been closed."""

T = TypeVar("T")


# -- what is sent --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sent:
    """A valid message: its bytes, and what they say."""

    wire: bytes
    start: tuple[bytes, ...]
    fields: second.Fields
    body: bytes


def framed(body: bytes, sizes: list[int], style: int) -> tuple[bytes, bytes]:
    """A framing field and a body: with a length, or in chunks as a sender may write them."""
    if not sizes:
        return b"Content-Length: %d\r\n" % len(body), body
    cuts = sorted({0, len(body), *(size % (len(body) + 1) for size in sizes)})
    extension = (b"", b"", b";a", b' ; a = "\\""')[style]
    chunks = [body[at:to] for at, to in pairwise(cuts)]
    wire = b"".join(b"%X%b\r\n%b\r\n" % (len(c), extension, c) for c in chunks)
    trailers = (b"", b"", b"X-T: 1\r\nHost: evil\r\n", b"")[style]
    return b"Transfer-Encoding: chunked\r\n", wire + b"00\r\n" + trailers + b"\r\n"


def sent_request(
    method: bytes, target: bytes, fields: second.Fields, framing: tuple[bytes, bytes]
) -> Sent:
    line = b"%b %b HTTP/1.1\r\nHost: a.example\r\n" % (method, target)
    lines = b"".join(b"%b:%b\r\n" % field for field in fields)
    return Sent(line + framing[0] + lines + b"\r\n" + framing[1], (method, target), fields, b"")


BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"", b"0\r\n\r\n", b"GET /evil HTTP/1.1\r\nHost: e\r\n\r\n", b"x" * 5_000]),
)
FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b"X-A", b"x-b", b"Accept", b"Content-Type", b"!#$%&'*+-.^_`|~"]),
        st.sampled_from([b" 1", b"", b" \t two words \t", b"\xc3\xa9", b"a:b,c", b" POST / x"]),
    ),
    max_size=4,
)  # fmt: skip
SIZES = st.lists(st.integers(0, 5_000), max_size=3)
TARGETS = st.sampled_from(
    [b"/", b"/a?b=c&d", b"//x", b"/%00", b"/?", b"http://o.example/p?q", b"http://o.example?q"]
)
METHODS = st.sampled_from([b"GET", b"POST", b"PUT", b"OPTIONS", b"M-X"])


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """A valid request."""
    method, target, fields, body = draw(METHODS), draw(TARGETS), draw(FIELDS), draw(BODIES)
    framing = framed(body, draw(SIZES), draw(st.integers(0, 3)))
    if not body and draw(st.booleans()):
        framing = b"", b""
    return replace(sent_request(method, target, fields, framing), body=body)


@st.composite
def responses(draw: st.DrawFn) -> Sent:
    """A valid response to a POST; `start` is its status, and whether it ends by a close."""
    status = draw(st.sampled_from([b"200", b"204", b"304", b"404"]))
    version, fields = draw(st.sampled_from([b"HTTP/1.1", b"HTTP/1.0"])), draw(FIELDS)
    body = b"" if status in (b"204", b"304") else draw(BODIES)
    sizes = draw(SIZES) if version == b"HTTP/1.1" else []
    kind, wire = framed(body, sizes, draw(st.integers(0, 3)))
    closes = draw(st.booleans())
    if status in (b"204", b"304"):
        kind, wire = b"", b""
    elif closes:
        kind, wire = b"", body  # the end of the connection ends it
    interim = draw(st.sampled_from([b"", b"", b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"]))
    lines = kind + b"".join(b"%b:%b\r\n" % field for field in fields)
    line = b"%b %b%b\r\n" % (
        version,
        status,
        draw(st.sampled_from([b"", b" ", b" OK", b" \xe9 b"])),
    )
    return Sent(
        interim + line + lines + b"\r\n" + wire, (status, b"close" if closes else b""), fields, body
    )


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[at:to] for at, to in pairwise(places)]


CUTS = st.lists(st.integers(0, 6_000), max_size=8)
SEAMS: Final = re.compile(rb"\r\n|: ?|;")
NOISE = st.sampled_from(
    [b"", b"+", b"_", b"0x", b"x", b"\r\n", b"\r", b"\n", b"\r\n\r\n", b" ", b"\t", b":", b"\x00",
     b"0", b"5", b"-", b";", b"Content-Length: 3\r\n",
     b"\r\nContent-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
     b"Connection: close\r\n", b"Connection: X-A\r\n", b"HTTP/1.0", b"Host: b\r\n", b"\r\n folded",
     b"Transfer-Encoding: gzip, chunked\r\n", b"Content-Length: +1\r\n", b"Expect: x\r\n"]
)  # fmt: skip
MUTATIONS = st.lists(st.tuples(st.integers(0, 6_000), st.integers(0, 2), NOISE), max_size=2)


def mutate(wire: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    """Cut and put bytes anywhere, but mostly where a reader decides something."""
    for place, gone, put in mutations:
        ends = [found.end() for found in SEAMS.finditer(wire)] or [0]
        seam = ends[place // 4 % len(ends)]
        at = (place % (len(wire) + 1), seam, max(0, seam - 2), seam + 1)[place % 4]
        wire = wire[:at] + put + wire[at + gone :]
    return wire


SMALL: Final = {
    "length": b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\nhello\r\n0\r\nX: 1\r\n\r\n",
}
AFTER: Final = b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n"
EVIL: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
SMALL_NOISE: Final = (b"", b"+", b"x", b"0", b" ", b"\r", b"\n", b"\x00")


def small_mutations(wire: bytes) -> Iterator[bytes]:
    """One byte put in, or one in the place of another, wherever a reader decides something."""
    places = {found.end() + off for found in SEAMS.finditer(wire) for off in (-2, -1, 0, 1)}
    for at in sorted(place for place in places if place <= len(wire)):
        for put in SMALL_NOISE:
            yield wire[:at] + put + wire[at:]
            yield wire[:at] + put + wire[at + 1 :]


# -- where it is sent ----------------------------------------------------------------------------


class ScriptedServer:
    """A model server on raw sockets: keeps what came, answers each whole request as it is told.

    `answers` by target; any other request is answered with its number and what was read of it.
    A target in `hangs_up` ends the connection behind its answer.
    """

    def __init__(self) -> None:
        self.answers: dict[bytes, list[bytes]] = {}
        self.hangs_up: set[bytes] = set()
        self.whole: list[second.Request] = []
        self.broken: list[bytes] = []
        self.turns = 0
        self._server: asyncio.Server | None = None
        self._connections: list[bytearray] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def forget(self) -> None:
        """Begin an example: nothing is kept but open connections."""
        self.answers, self.hangs_up, self.whole, self.broken = {}, set(), [], []

    @property
    def begun(self) -> list[bytes]:
        """What came of requests that are not whole."""
        return [bytes(each) for each in self._connections if each]

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        unread = bytearray()
        self._connections.append(unread)
        try:
            while data := await reader.read(64 * 1024):
                unread += data
                self.turns += 1
                if not await self._answer(unread, writer):
                    return
        except (ConnectionError, asyncio.CancelledError):
            pass  # the router, or the test, has ended it
        finally:
            self._tasks.discard(task)
            self._connections = [each for each in self._connections if each is not unread]
            writer.close()

    async def _answer(self, unread: bytearray, writer: asyncio.StreamWriter) -> bool:
        try:
            request, end = second.read_request(bytes(unread), 0)
        except second.Incomplete:
            return True
        except second.Refused:
            self.broken.append(bytes(unread))
            return False
        del unread[:end]
        if unread:  # the router never pipelines, so this is smuggled
            self.broken.append(bytes(unread))
        number = len(self.whole)
        self.whole.append(request)
        said = b"%d %b %b %d" % (number, *request.told[:2], len(request.body))
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)
        for piece in self.answers.get(request.target, [answer]):
            if writer.is_closing():  # the router has had enough of it
                return False
            writer.write(piece)
            await turn()
        return request.target not in self.hangs_up


async def turn() -> None:
    """Let the loop poll its sockets once or twice."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


class Stage:
    """A data plane between raw clients and one scripted server; one for all examples."""

    def __init__(self, router: RunningDataPlane, server: ScriptedServer) -> None:
        self.router = router
        self.server = server

    async def say(self, client: RawClient, reads: list[bytes]) -> None:
        """Send pieces so that each of them is a read of its own."""
        with suppress(ConnectionError):  # it may have been refused already
            for piece in reads:
                await client.send(piece)
                await turn()

    async def hear(self, client: RawClient) -> bytes:
        """Everything that is answered until the router waits for more, or has closed."""
        heard, quiet = b"", 0
        while quiet < QUIET_TURNS and not client.reader.at_eof():
            before = self.server.turns
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(0.002):
                    heard += (data := await client.reader.read(64 * 1024))
                    quiet = 0 if data else quiet
            quiet = 0 if self.server.turns != before else quiet + 1
        return heard

    async def hear_all(self, client: RawClient, methods: list[bytes]) -> list[second.Response]:
        """As many whole answers as there were requests.

        Raises:
            TimeoutError: they do not come.
        """
        heard = b""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                answers, _, _ = read_answers(heard, methods)
                if len(answers) == len(methods):
                    return answers
                data = await client.reader.read(64 * 1024)
                assert data, f"closed behind {heard!r}"
                heard += data

    async def end(self, client: RawClient) -> None:
        """The client goes; nothing may be left of what it began."""
        client.reset()
        self.router.clients.remove(client)
        await self.router.wait_idle()


def read_answers(
    heard: bytes, methods: list[bytes], *, closed: bool = False
) -> tuple[list[second.Response], bytes, bool]:
    """Whole answers, what stands behind them, and whether that is the beginning of another."""
    answers: list[second.Response] = []
    while heard and len(answers) < len(methods):
        try:
            answer, end = second.read_response(heard, methods[len(answers)], closed=closed)
        except second.Incomplete:
            return answers, heard, True
        answers.append(answer)
        heard = heard[end:]
    return answers, heard, False


class Playing:
    """Runs an example in the stage's loop."""

    def __init__(self, runner: asyncio.Runner, stage: Stage) -> None:
        self._runner = runner
        self._stage = stage

    def __call__(self, example: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(example)

    @property
    def stage(self) -> Stage:
        self._stage.server.forget()
        return self._stage


@pytest.fixture(scope="module")
def play() -> Iterator[Playing]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        router, server = runner.run(set_up(stack))
        yield Playing(runner, Stage(router, server))
        runner.run(tear_down(stack, router))


async def set_up(stack: AsyncExitStack) -> tuple[RunningDataPlane, ScriptedServer]:
    server = ScriptedServer()
    upstream = Upstream("scripted")
    upstream.port = await server.start()
    stack.push_async_callback(server.stop)
    router = await stack.enter_async_context(running_dataplane("native", access_log=QUIET))
    router.install(route("chat", version("v1", endpoint(upstream))))
    return router, server


async def tear_down(stack: AsyncExitStack, router: RunningDataPlane) -> None:
    await router.stop()
    await stack.aclose()


# -- any split of what is valid ------------------------------------------------------------------


def stripped(fields: second.Fields) -> second.Fields:
    """Names and values as a reader has them, less what the router writes itself."""
    pairs = [(name.lower(), value.strip(b" \t")) for name, value in fields]
    return [(name, value) for name, value in pairs if name not in OURS]


@PROPERTY
@given(st.lists(requests(), min_size=1, max_size=3), CUTS)
def test_any_split_of_requests_over_reads_gives_the_same_exchanges(
    play: Playing, sent: list[Sent], cuts: list[int]
) -> None:
    stage = play.stage

    async def example() -> list[second.Response]:
        client = await stage.router.connect()
        await stage.say(client, split(b"".join(each.wire for each in sent), cuts))
        answers = await stage.hear_all(client, [each.start[0] for each in sent])
        await stage.end(client)
        return answers

    answers = play(example())
    told = [(each.start[0], second.origin_form(each.start[1]), each.body) for each in sent]
    assert [each.told for each in stage.server.whole] == told
    assert [stripped(each.fields) for each in stage.server.whole] == [
        stripped(each.fields) for each in sent
    ]
    assert stage.server.broken == []
    assert [(each.status, each.body) for each in answers] == [
        (200, b"%d %b %b %d" % (number, method, target, len(body)))
        for number, (method, target, body) in enumerate(told)
    ]


@PROPERTY
@given(responses(), CUTS)
def test_any_split_of_an_answer_over_reads_gives_the_same_exchange(
    play: Playing, sent: Sent, cuts: list[int]
) -> None:
    stage = play.stage
    stage.server.answers[b"/first"] = split(sent.wire, cuts)
    if sent.start[1]:
        stage.server.hangs_up.add(b"/first")

    async def example() -> list[second.Response]:
        client = await stage.router.connect()
        answers = []
        for ask, method in ((FIRST, b"POST"), (SECOND, b"GET")):
            await stage.say(client, [ask])
            answers += await stage.hear_all(client, [method])
        await stage.end(client)
        return answers

    first, following = play(example())
    assert (first.status, first.body) == (int(sent.start[0]), sent.body)
    assert stripped(first.fields) == stripped(sent.fields)
    assert (following.status, following.body) == (200, b"1 GET /second 0")


# -- what is not valid ---------------------------------------------------------------------------


def is_in_order(some: list[T], every: list[T]) -> bool:
    """Whether `some` are among `every`, in their order."""
    rest = iter(every)
    return all(any(each == other for other in rest) for each in some)


async def check_requests(stage: Stage, wire: bytes, cuts: list[int]) -> None:
    """What is forwarded of these bytes is what the second reader reads in them."""
    reading = second.read_requests(wire)
    client = await stage.router.connect()
    await stage.say(client, split(wire, cuts))
    heard = await stage.hear(client)
    begun = stage.server.begun
    await stage.end(client)
    forwarded = [each.told for each in stage.server.whole]
    assert is_in_order(forwarded, [each.told for each in reading.whole]), wire
    assert stage.server.broken == [], wire
    assert len(begun) <= 1
    assert not (begun and reading.end in ("whole", "last") and len(forwarded) == len(reading.whole))
    answers, _, _ = read_answers(heard, [*(each.method for each in reading.whole), b"POST"])
    refused = [each for each in answers if each.status != 200]
    assert len(answers) - len(refused) <= len(forwarded), wire
    assert all(each.body.startswith(b'{"error":') or not each.body for each in refused), wire


@settings(PROPERTY, max_examples=150)
@given(st.lists(requests(), min_size=1, max_size=3), MUTATIONS, CUTS)
def test_mutated_requests_are_refused_or_forwarded_in_one_reading_only(
    play: Playing, sent: list[Sent], mutations: list[tuple[int, int, bytes]], cuts: list[int]
) -> None:
    wire = mutate(b"".join(each.wire for each in sent), mutations)
    play(check_requests(play.stage, wire, cuts))


@pytest.mark.parametrize("framing", sorted(SMALL))
def test_every_small_mutation_of_a_small_request_is_refused_or_forwarded_in_one_reading_only(
    play: Playing, framing: str
) -> None:
    for wire in small_mutations(SMALL[framing]):
        play(check_requests(play.stage, wire + AFTER, []))


def first_answer(wire: bytes, *, closed: bool) -> second.Response | None:
    """What a strict reader takes for the answer to a POST; None where there is none (yet)."""
    try:
        return second.read_response(wire, b"POST", closed=closed)[0]
    except (second.Incomplete, second.Refused):
        return None


async def check_answer(stage: Stage, wire: bytes, cuts: list[int], *, hang: bool) -> None:
    """What a client is told of these bytes is what the second reader reads in them."""
    stage.server.answers[b"/first"] = split(wire, cuts)
    stage.server.hangs_up = {b"/first"} if hang else set()
    client = await stage.router.connect()
    await stage.say(client, [FIRST])
    heard = await stage.hear(client)
    closed = client.reader.at_eof() and client.reader.exception() is None
    await stage.end(client)
    answers, rest, begun = read_answers(heard, [b"POST"], closed=closed)
    assert begun or not rest, wire
    for answer in answers:
        if answer.status == 502 and answer.body.startswith(b'{"error":'):
            continue  # the router's own
        meant = first_answer(wire, closed=hang)
        assert meant is not None, (wire, answer)
        assert (answer.status, answer.body) == (meant.status, meant.body), wire
    stage.server.whole.clear()
    client = await stage.router.connect()
    await stage.say(client, [SECOND])
    (following,) = await stage.hear_all(client, [b"GET"])
    await stage.end(client)
    assert (following.status, following.body) == (200, b"0 GET /second 0"), wire


@settings(PROPERTY, max_examples=150)
@given(responses(), MUTATIONS, CUTS, st.booleans())
def test_a_mutated_answer_is_refused_or_relayed_in_one_reading_and_poisons_no_connection(
    play: Playing, sent: Sent, mutations: list[tuple[int, int, bytes]], cuts: list[int], hang: bool
) -> None:
    play(check_answer(play.stage, mutate(sent.wire, mutations), cuts, hang=hang))


@pytest.mark.parametrize("framing", sorted(SMALL))
def test_every_small_mutation_of_a_small_answer_is_refused_or_relayed_in_one_reading_only(
    play: Playing, framing: str
) -> None:
    _, _, rest = SMALL[framing].partition(b"a\r\n")
    for wire in small_mutations(b"HTTP/1.1 200 OK\r\n" + rest):
        play(check_answer(play.stage, wire + EVIL, [], hang=False))
