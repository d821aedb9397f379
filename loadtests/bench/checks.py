"""Before anything is measured: does a target answer correctly, and does it really stream?"""

import contextlib
from collections.abc import Iterator

import httpx

from loadtests.bench import payloads
from loadtests.bench.process import BenchError, Target
from loadtests.bench.streams import BODY_BYTES

_ALONE = 0.8  # how many of the chunks must come in a read of their own


def check_unary(target: Target, size: int) -> None:
    """Demand 200 and the upstream's very bytes."""
    response = _post(target, payloads.request_body(target.model, size))
    if response.status_code != 200 or response.content != payloads.answer():
        said = f"{response.status_code} {response.text[:500]}"
        raise BenchError(f"{target.name}: wrong answer to a request of {size} bytes: {said}")


def check_stream(target: Target, chunks: int) -> None:
    """Demand 200, the upstream's very bytes, and chunks that come one by one."""
    body = payloads.request_body(target.model, BODY_BYTES, stream=True)
    url = target.address.url + payloads.PATH
    with _named(target), httpx.stream("POST", url, content=body) as response:
        reads = [read for read in response.iter_raw() if read]
    if response.status_code != 200 or b"".join(reads) != b"".join(payloads.stream_events(chunks)):
        said = f"{response.status_code}, {len(reads)} reads"
        raise BenchError(f"{target.name}: a stream did not arrive as it was sent ({said})")
    if len(reads) < _ALONE * chunks:
        raise BenchError(f"{target.name}: {chunks} chunks came lumped, in {len(reads)} reads")


def _post(target: Target, body: bytes) -> httpx.Response:
    with _named(target):
        return httpx.post(target.address.url + payloads.PATH, content=body, timeout=30)


@contextlib.contextmanager
def _named(target: Target) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise BenchError(f"{target.name}: {type(error).__name__}: {error}") from error
