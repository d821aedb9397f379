"""Before anything is measured: does a target answer correctly, and does it really stream?

Demanded are the upstream's very bytes; of a rewriting target, its text: the words of the
answer, and of a stream all its tokens, in order, with [DONE] at the end.
"""

import contextlib
import json
import re
from collections.abc import Iterator

import httpx

from loadtests.bench import payloads
from loadtests.bench.process import BenchError, Target
from loadtests.bench.streams import BODY_BYTES

_JSON = {"content-type": "application/json"}
_TRIES = 5
_ALONE = 0.4  # a proxy that waits to fill its packets sends all chunks in one or two


def check_unary(target: Target, size: int) -> None:
    """Demand 200 and the upstream's answer."""
    response = _post(target, payloads.request_body(target.model, size))
    if response.status_code != 200 or not _same_answer(target, response.content):
        said = f"{response.status_code} {response.text[:500]}"
        raise BenchError(f"{target.name}: wrong answer to a request of {size} bytes: {said}")


def check_stream(target: Target, chunks: int) -> None:
    """Demand 200, the upstream's stream, and chunks that come one by one.

    One try of several is enough for the last, and not every chunk need come in a read of its own:
    a busy machine lumps now and then, a proxy that waits to fill its packets always does.
    """
    for _ in range(_TRIES):
        reads = _stream_reads(target, chunks)
        if reads >= _ALONE * chunks:
            return
    raise BenchError(f"{target.name}: {chunks} chunks came lumped, in {reads} reads")


def _stream_reads(target: Target, chunks: int) -> int:
    """Read a whole stream; return in how many reads it came."""
    body = payloads.request_body(target.model, BODY_BYTES, stream=True)
    url = target.address.url + payloads.PATH
    with _named(target), httpx.stream("POST", url, content=body, headers=_JSON) as response:
        reads = [read for read in response.iter_raw() if read]
    sent, received = b"".join(payloads.stream_events(chunks)), b"".join(reads)
    if response.status_code != 200 or not _same_stream(target, sent, received):
        said = f"{response.status_code}, {len(reads)} reads"
        raise BenchError(f"{target.name}: a stream did not arrive as it was sent ({said})")
    return len(reads)


def same_answer_text(sent: bytes, received: bytes) -> bool:
    """Compare the words of two chat completions."""
    return _answer_text(sent) == _answer_text(received)


def same_stream_text(sent: bytes, received: bytes) -> bool:
    """Compare the tokens of two chat streams, one by one, and demand [DONE]."""
    ended = received.rstrip().endswith(b"data: [DONE]")
    return ended and _tokens(sent) == _tokens(received)


def _same_answer(target: Target, received: bytes) -> bool:
    same = same_answer_text if target.rewriting else bytes.__eq__
    return bool(same(payloads.answer(), received))


def _same_stream(target: Target, sent: bytes, received: bytes) -> bool:
    same = same_stream_text if target.rewriting else bytes.__eq__
    return bool(same(sent, received))


def _answer_text(body: bytes) -> str:
    try:
        return str(json.loads(body)["choices"][0]["message"]["content"])
    except (ValueError, LookupError, TypeError):
        return ""


def _tokens(stream: bytes) -> list[str]:
    events = re.findall(rb"^data: (\{.*)$", stream, re.MULTILINE)
    try:
        choices = [choice for event in events for choice in json.loads(event)["choices"]]
        return [text for choice in choices if (text := choice["delta"].get("content"))]
    except (ValueError, LookupError, TypeError, AttributeError):
        return []


def _post(target: Target, body: bytes) -> httpx.Response:
    with _named(target):
        url = target.address.url + payloads.PATH
        return httpx.post(url, content=body, headers=_JSON, timeout=30)


@contextlib.contextmanager
def _named(target: Target) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise BenchError(f"{target.name}: {type(error).__name__}: {error}") from error
