import asyncio

import pytest

from loadtests.bench import payloads
from loadtests.bench.streams import StreamClient

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = [payloads.as_http_chunk(event) for event in payloads.stream_events(5)]


def client_after(*reads: bytes) -> StreamClient:
    async def scenario() -> StreamClient:
        client = StreamClient(b"")
        for read in reads:
            client.data_received(read)
        return client

    return asyncio.run(scenario())


@pytest.mark.parametrize("first", [[HEAD, EVENTS[0]], [HEAD + EVENTS[0]]])
@pytest.mark.parametrize(
    "last", [[EVENTS[4], payloads.TERMINATOR], [EVENTS[4] + b"0\r", b"\n\r\n"]]
)
def test_a_stream_is_whole_however_its_head_and_its_end_are_cut(
    first: list[bytes], last: list[bytes]
) -> None:
    client = client_after(*first, *EVENTS[1:4], *last)
    assert (client.status_ok, client.chunks, client.lumped) == (True, 5, 0)
    assert len(client.gaps_s) == 4
    assert client.ended.done()


def test_a_stream_without_its_end_has_not_ended() -> None:
    assert not client_after(HEAD, *EVENTS).ended.done()


def test_chunks_that_share_a_read_are_lumped() -> None:
    client = client_after(HEAD + EVENTS[0], EVENTS[1] + EVENTS[2])
    assert (client.chunks, client.lumped) == (3, 1)


def test_an_error_is_no_stream() -> None:
    assert not client_after(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").status_ok
