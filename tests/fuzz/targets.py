"""What is fuzzed: each target takes any bytes, and fails only where a promise is broken.

A target calls the code as the router does, and checks what must hold for every input: the same
meaning however bytes fall into reads, one reading only (`second_reader`), only the errors that are
promised.  `run.py` searches for inputs with atheris; `test_fuzz_corpus.py` replays the corpus.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from router.comparison import Answer, Outcome, Rules, compare
from router.comparison.json_paths import leave_out, parse
from router.config import check, compile_snapshot, load
from router.config.fields import _JSON_PATH
from router.controller.shadow.paths import hide
from router.errors import ConfigError
from router.http1.chunked import END, ChunkedDecoder, frame_chunk
from router.http1.events import StreamObserver, read_answer
from router.http1.grammar import MAX_FIELDS, MAX_HEAD, ProtocolError
from router.http1.reader import HeadReader
from router.http1.request import CHUNKED_FIELD, RequestHead, parse_request, request_start
from router.http1.response import ResponseHead, parse_response
from router.link.framing import Frames, LinkError, encode, frames_down, frames_up
from tests.fuzz import second_reader as second

Target = Callable[[bytes], None]
T = TypeVar("T")

EXAMPLES: Final = Path(__file__).parents[2] / "config"
MAX_DOCUMENT: Final = 64 * 1024
RULES: Final = Rules(text_ratio=0.9, numeric_tolerance=0.01, ignore_paths=("$.id", "$..created"))


def pieces(data: bytes, seed: int) -> Iterator[bytes]:
    """`data` in pieces of different lengths, the same ones for the same seed."""
    at, step = 0, seed % 7 + 1
    while at < len(data):
        yield data[at : at + step]
        at += step
        step = (step * 5 + seed) % 61 + 1


def split_seed(data: bytes) -> tuple[int, bytes]:
    """The first byte says how the others are used."""
    return (data[0] if data else 0), data[1:]


# -- the wire ------------------------------------------------------------------------------------


def request_heads(data: bytes) -> None:
    """Heads of one connection are refused, or forwarded so that they say the same again."""
    reader = HeadReader(parse_request)
    for head in heads(data):
        parsed, again = accepted(parse_request, head), accepted(reader.read, head)
        assert (again is None) == (parsed is None)
        if parsed is None or again is None:
            continue
        length = parsed.content_length
        read, read_length = again
        forwarded = composed(parsed, length)
        assert (composed(read, read_length), read_length) == (forwarded, length)
        assert read_head_again(head)[:2] == (parsed.method, second.origin_form(parsed.target))
        assert read_head_again(forwarded)[:2] == (parsed.method, parsed.target)
        framing = second.framing(read_head_again(forwarded)[2], b"HTTP/1.1")
        assert framing == (length, parsed.chunked)
        assert framing == second.framing(read_head_again(head)[2], b"HTTP/1.%d" % parsed.minor)


def response_heads(data: bytes) -> None:
    """Heads of one model server are refused, or relayed so that they say the same again."""
    reader = HeadReader(parse_response)
    for head in heads(data):
        parsed, again = accepted(parse_response, head), accepted(reader.read, head)
        assert (again is None) == (parsed is None)
        if parsed is None or again is None:
            continue
        read, length = again
        assert (read.start, length) == (parsed.start, parsed.content_length)
        check_response(head, parsed)


def chunked_bodies(data: bytes) -> None:
    """A body has one payload and one end, however it is split, and for a second reader too."""
    seed, wire = split_seed(data)
    decoded = decode([wire])
    assert decode(list(pieces(wire, seed))) == decoded
    if decoded is None:
        return
    payload, done, rest = decoded
    assert read_chunked_again(wire, payload) == (payload, rest if done else None)
    if not done:
        return
    framed = (frame_chunk(payload) if payload else b"") + END
    assert decode([framed]) == (payload, True, b"")


def event_streams(data: bytes) -> None:
    """What is told of a stream does not depend on how its bytes fall into reads."""
    seed, wire = split_seed(data)
    whole, split = StreamObserver(), StreamObserver()
    if wire:
        whole.feed(wire)
    for piece in pieces(wire, seed):
        split.feed(piece)
    assert told(whole) == told(split)
    read_answer(wire)


def heads(data: bytes) -> list[bytes]:
    """Each head that a connection could find in these bytes."""
    parts = data.split(b"\r\n\r\n")
    return [part + b"\r\n\r\n" for part in parts if len(part) + 4 <= MAX_HEAD]


def accepted(parse: Callable[[bytes], T], head: bytes) -> T | None:
    """What a head means; None where it is refused."""
    try:
        return parse(head)
    except ProtocolError:
        return None


def composed(head: RequestHead, length: int | None) -> bytes:
    """What is forwarded of a head, less what the exchange adds."""
    start = request_start(
        head, target=head.target, authority=head.host or b"e", kept=head.kept, extra=b""
    )
    if length is not None:
        return start + b"content-length: %d\r\n\r\n" % length
    return start + (CHUNKED_FIELD if head.chunked else b"") + b"\r\n"


def read_head_again(head: bytes) -> tuple[bytes, bytes, second.Fields]:
    """Method, target and fields as the second reader has them; a body is not waited for."""
    line, fields, end = second.read_head(head, 0)
    assert end == len(head)
    assert len(fields) <= MAX_FIELDS + 1  # and the Host of the composed head
    method, target, _ = line.split(b" ")
    return method, second.origin_form(target), fields


def check_response(head: bytes, parsed: ResponseHead) -> None:
    """The second reader takes the head for the same, and what is relayed of it as well."""
    line, fields, _ = second.read_head(head, 0)
    version, status, *_ = line.split(b" ")
    length, chunked = second.framing(fields, version)
    assert int(status) == parsed.status
    assert (length, chunked) == (parsed.content_length, parsed.chunked)
    _, relayed, _ = second.read_head(parsed.start + b"\r\n", 0)
    hops = {b"connection", b"content-length", b"transfer-encoding", b"keep-alive", b"upgrade"}
    assert not hops & {name for name, _ in relayed}
    assert [field for field in fields if field in relayed] == relayed


def decode(reads: list[bytes]) -> tuple[bytes, bool, bytes] | None:
    """Payload, end and rest of a chunked body; None where it is refused."""
    decoder = ChunkedDecoder()
    payload = rest = b""
    try:
        for read in reads:
            if decoder.done:
                rest += read
            else:
                payload += decoder.feed(read)
                rest = decoder.rest
    except ProtocolError:
        return None
    return payload, decoder.done, rest


def read_chunked_again(wire: bytes, payload: bytes) -> tuple[bytes, bytes | None]:
    """Payload and rest as the second reader has them; no rest where the body has not ended."""
    try:
        again, end = second.read_chunked(wire, 0)
    except second.Incomplete as begun:
        return begun.body, None
    except second.Refused:
        return payload, None  # the router looks at trailers only once they are whole
    return again, wire[end:]


def told(observer: StreamObserver) -> tuple[object, ...]:
    """What is recorded of a stream."""
    return (
        observer.content, observer.ended, observer.failed, observer.known, observer.truncated,
        observer.finish_reason, observer.prompt_tokens, observer.completion_tokens,
    )  # fmt: skip


# -- answers -------------------------------------------------------------------------------------


def comparisons(data: bytes) -> None:
    """Any two bodies are compared without an error, and none differs from itself."""
    seed, bodies = split_seed(data)
    one, _, two = bodies.partition(b"\0\0")
    kind = ("application/json", "text/event-stream", "text/plain", "")[seed % 4]
    first, other = answered(one, kind), answered(two, kind)
    compared = compare(first, other, RULES)
    msgspec.json.encode(compared)  # it can be stored
    same = compare(first, first, RULES)
    assert same.error or not same.differing


def json_paths(data: bytes) -> None:
    """A path is refused by everybody, or followed by everybody without an error."""
    text, _, body = data.partition(b"\n")
    path = text.decode("utf-8", "replace")
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        document = None
    try:
        steps = parse(path)
    except ValueError:
        assert not _JSON_PATH.fullmatch(path)
        return
    assert _JSON_PATH.fullmatch(path)
    hidden = hide(document, [steps])
    assert hide(hidden, [steps]) == hidden
    leave_out(hidden, [path])


def answered(body: bytes, content_type: str) -> Answer:
    """An answer with this body."""
    return Answer(outcome=Outcome.ANSWERED, status=200, content_type=content_type, body=body)


# -- the link ------------------------------------------------------------------------------------


def link_frames(data: bytes) -> None:
    """A frame is refused with `LinkError`, or is a message that says the same again."""
    seed, body = split_seed(data)
    wire = body if seed & 2 else len(body).to_bytes(4) + body
    for direction in (frames_up, frames_down):
        with contextlib.suppress(LinkError):
            message = received(direction, wire)
            # Compared as bytes: NaN is not equal to itself.
            assert message is None or encode(received(direction, encode(message))) == encode(
                message
            )


def received(direction: Callable[[asyncio.StreamReader], Frames[Any]], wire: bytes) -> Any:
    """The first message of a stream that has ended, so that nothing is waited for."""
    stream = asyncio.StreamReader(loop=quiet_loop())
    stream.feed_data(wire)
    stream.feed_eof()
    try:
        direction(stream).receive().send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a stream that has ended is waited for")


@cache
def quiet_loop() -> asyncio.AbstractEventLoop:
    """A loop that a StreamReader wants to have and that never runs."""
    loop = asyncio.new_event_loop()
    loop.close()
    return loop


# -- the configuration ---------------------------------------------------------------------------


def configurations(data: bytes) -> None:
    """A file is served, or refused with problems that say what and where."""
    file = folder() / "router.yaml"
    file.write_bytes(data[:MAX_DOCUMENT])
    (report,) = check([file]).files
    for problem in (*report.problems, *report.warnings):
        assert problem.message
        assert problem.file
        assert problem.line or "is empty" in problem.message, problem
        str(problem).encode()
    if not report.problems:
        compile_snapshot(load(file), 1)
        return
    with contextlib.suppress(ConfigError):
        load(file)
        raise AssertionError("check refuses what load takes")


@cache
def folder() -> Path:
    """A place for the file and for those that the examples name."""
    place = Path(tempfile.mkdtemp(prefix="fuzz-configuration-"))
    for name in ("analysis", "rollouts"):
        shutil.copytree(EXAMPLES / name, place / name)
    return place


TARGETS: Final[dict[str, Target]] = {
    each.__name__: each
    for each in (
        request_heads,
        response_heads,
        chunked_bodies,
        event_streams,
        comparisons,
        json_paths,
        link_frames,
        configurations,
    )
}

__all__ = ["TARGETS", "Target"]
