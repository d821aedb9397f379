import asyncio

import pytest

from loadtests.bench import payloads
from loadtests.bench.upstream import Script, Upstream, loopback_hosts


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self._grew = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))
        self._grew.set()

    async def wait_sent(self, count: int) -> None:
        while len(self.sent) < count:
            self._grew.clear()
            await self._grew.wait()


def connected() -> tuple[Upstream, Wire]:
    upstream, wire = Upstream(Script(chunks=5, interval_s=0.0)), Wire()
    upstream.connection_made(wire)
    return upstream, wire


def chunked_request(body: bytes) -> bytes:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + payloads.as_http_chunk(body) + payloads.TERMINATOR


BODY = payloads.request_body("m", 1000)


@pytest.mark.parametrize("cut", [10, 60, 100, 500, 1090])
@pytest.mark.parametrize(
    "request_bytes", [payloads.http_request("/", "host", BODY), chunked_request(BODY)]
)
def test_a_request_is_answered_once_and_only_when_it_is_whole(
    request_bytes: bytes, cut: int
) -> None:
    async def scenario() -> None:
        upstream, wire = connected()
        for _ in range(2):  # keep-alive: the next request meets a clean state
            wire.sent.clear()
            upstream.data_received(request_bytes[: min(cut, len(request_bytes) - 1)])
            assert wire.sent == []
            upstream.data_received(request_bytes[min(cut, len(request_bytes) - 1) :])
            assert [each.partition(b"\r\n\r\n")[2] for each in wire.sent] == [payloads.answer()]

    asyncio.run(scenario())


def test_a_probe_without_a_body_is_answered() -> None:
    async def scenario() -> None:
        upstream, wire = connected()
        upstream.data_received(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wire.sent[0].startswith(b"HTTP/1.1 200")

    asyncio.run(scenario())


def test_a_stream_is_sent_one_event_at_a_time_with_a_proper_end() -> None:
    async def scenario() -> None:
        upstream, wire = connected()
        body = payloads.request_body("m", 1000, stream=True)
        upstream.data_received(payloads.http_request("/", "host", body))
        assert len(wire.sent) == 1
        async with asyncio.timeout(5):
            await wire.wait_sent(5)
        assert all(sent.count(b"data: ") == 1 for sent in wire.sent)
        assert wire.sent[-1].endswith(b"data: [DONE]\n\n\r\n" + payloads.TERMINATOR)

    asyncio.run(scenario())


def test_a_stream_that_nobody_reads_stops() -> None:
    async def scenario() -> None:
        upstream, wire = connected()
        body = payloads.request_body("m", 1000, stream=True)
        upstream.data_received(payloads.http_request("/", "host", body))
        upstream.connection_lost(None)
        await asyncio.sleep(0.01)
        assert len(wire.sent) == 1

    asyncio.run(scenario())


def test_many_hosts_are_different_loopback_addresses() -> None:
    hosts = loopback_hosts(600)
    assert hosts[0] == "127.0.0.1"
    assert len(set(hosts)) == 600
    assert all(host.startswith("127.0.") for host in hosts)
