"""Faults and clients that go away, as they look on the wire."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.support.engines import EngineInLoop, StartEngine

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"

# One body that every inference endpoint takes.
HELLO = {
    "model": "m",
    "messages": [{"role": "user", "content": "Hello"}],
    "inputs": "Hello",
    "instances": [],
}


class Wire:
    """A client's end of a connection, on the bare socket.

    Not asyncio's streams: they forget what was received when a reset follows it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.received = b""

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._connection, data)

    async def read_more(self) -> None:
        async with asyncio.timeout(5):
            chunk = await asyncio.get_running_loop().sock_recv(self._connection, 65536)
        if not chunk:
            raise EOFError
        self.received += chunk

    async def read_until(self, mark: bytes) -> bytes:
        while mark not in self.received:
            await self.read_more()
        return self.received

    async def read_until_reset(self) -> bytes:
        while True:
            try:
                await self.read_more()
            except ConnectionResetError:
                return self.received


@asynccontextmanager
async def dialled(started: EngineInLoop) -> AsyncIterator[Wire]:
    """A connection that the client closes at the end of the block."""
    with socket.socket() as connection:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", started.port))
        yield Wire(connection)


@asynccontextmanager
async def asking(started: EngineInLoop, *, stream: bool, path: str = CHAT) -> AsyncIterator[Wire]:
    """One call that is sent; what comes back is up to the test."""
    body = json.dumps({**HELLO, "stream": stream}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    async with dialled(started) as wire:
        await wire.send(head.encode() + body)
        yield wire


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # nothing announces what a test looks for
            await asyncio.sleep(0)


def last_entry(started: EngineInLoop) -> dict[str, Any]:
    return started.engine.journal.entries()[-1].to_json()


async def suffer(started: EngineInLoop, **faults: Any) -> None:
    (await started.client.put("/_mock/faults", json=faults)).raise_for_status()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reset_comes_before_the_first_byte(start_engine: StartEngine, stream: bool) -> None:
    started = await start_engine()
    await suffer(started, reset_rate=1)
    async with asking(started, stream=stream) as wire:
        assert await wire.read_until_reset() == b""
    entry = last_entry(started)
    assert (entry["outcome"], entry["fault"], entry["status"]) == ("broken", "reset", None)


async def test_a_reset_in_the_stream_comes_behind_the_tokens(start_engine: StartEngine) -> None:
    started = await start_engine()
    await suffer(started, mid_stream_reset_rate=1, after_tokens=3)
    async with asking(started, stream=True) as wire:
        received = await wire.read_until_reset()
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert received.count(b"data: ") == 4  # the role and three tokens
    assert last_entry(started)["outcome"] == "broken"
    assert started.engine.statistics().running == 0


async def test_a_reset_in_a_whole_answer_comes_after_half_of_it(
    start_engine: StartEngine,
) -> None:
    started = await start_engine()
    await suffer(started, mid_stream_reset_rate=1)
    async with asking(started, stream=False) as wire:
        head, _, body = (await wire.read_until_reset()).partition(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].split()[0])
    assert len(body) == length // 2


async def test_a_truncated_stream_ends_cleanly_without_its_end_marks(
    start_engine: StartEngine,
) -> None:
    started = await start_engine()
    await suffer(started, truncate_rate=1)
    async with asking(started, stream=True) as wire:
        received = await wire.read_until(b"\r\n0\r\n\r\n")
    assert b"[DONE]" not in received
    assert b'"finish_reason":"' not in received
    assert last_entry(started)["fault"] == "truncate"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_aborted_body_is_incomplete_http(start_engine: StartEngine, stream: bool) -> None:
    started = await start_engine()
    await suffer(started, truncate_rate=1, truncate_by="abort")
    with pytest.raises(httpx.RemoteProtocolError):
        await started.client.post(CHAT, json={**HELLO, "stream": stream})
    assert last_entry(started)["outcome"] == "broken"


@pytest.mark.parametrize(("path", "done"), [(CHAT, 1), ("/generate_stream", 0)])
async def test_an_error_inside_a_stream_is_valid_json(
    start_engine: StartEngine, path: str, done: int
) -> None:
    started = await start_engine()
    await suffer(started, stream_error_rate=1)
    response = await started.client.post(path, json={**HELLO, "stream": True})
    assert response.status_code == 200
    events = [block.partition("data:")[2].strip() for block in response.text.split("\n\n")]
    assert events.count("[DONE]") == done
    errors = [event for event in events if '"error"' in event]
    assert len(errors) == 1
    assert json.loads(errors[0])["error"]
    assert last_entry(started)["outcome"] == "broken"


@pytest.mark.parametrize("path", [CHAT, "/generate", "/v1/models/m:predict"])
async def test_an_error_has_the_chosen_status_and_a_json_body(
    start_engine: StartEngine, path: str
) -> None:
    started = await start_engine()
    await suffer(started, error_rate=1, error_status=503)
    response = await started.client.post(path, json=HELLO)
    assert response.status_code == 503
    assert response.json()["error"]
    assert last_entry(started)["outcome"] == "error"


async def test_a_malformed_call_is_refused_before_any_fault_strikes(
    start_engine: StartEngine,
) -> None:
    started = await start_engine()
    await suffer(started, error_rate=1)
    assert (await started.client.post(CHAT, content=b"{")).status_code == 400


async def test_a_slow_request_is_answered_after_its_delay(start_engine: StartEngine) -> None:
    started = await start_engine()
    await suffer(started, slow_rate=1, slow_seconds=0.01)
    response = await started.client.post("/generate", json={"inputs": "hi"})
    assert response.status_code == 200
    assert last_entry(started)["fault"] == "slow"


@pytest.mark.parametrize("path", [CHAT, "/generate"])
async def test_a_stall_of_some_seconds_ends_in_the_whole_answer(
    start_engine: StartEngine, path: str
) -> None:
    started = await start_engine()
    await suffer(started, stall_rate=1, stall_seconds=0.01)
    response = await started.client.post(path, json={**HELLO, "stream": True})
    assert "[DONE]" in response.text or response.json()["generated_text"]
    entry = last_entry(started)
    assert (entry["fault"], entry["outcome"]) == ("stall", "ok")


async def test_a_client_that_leaves_a_stalled_stream_frees_its_slot(
    start_engine: StartEngine,
) -> None:
    started = await start_engine(max_running=1)
    await suffer(started, stall_rate=1, after_tokens=2)
    async with asking(started, stream=True) as wire:
        await wire.read_until(b'{"content":" the"}')
        assert started.engine.statistics().running == 1
    await wait_until(lambda: started.engine.statistics().running == 0)
    assert last_entry(started)["cancelled"] is True
    assert started.engine.statistics().kv_reserved == 0
    assert started.engine.finish_reasons["abort"] == 1
    await suffer(started)
    assert (await started.client.post("/generate", json={"inputs": "hi"})).status_code == 200


async def test_a_client_that_leaves_before_the_headers_is_cancelled(
    start_engine: StartEngine,
) -> None:
    started = await start_engine()
    await suffer(started, stall_rate=1)
    async with asking(started, stream=False):
        await wait_until(lambda: started.engine.statistics().running == 1)
    await wait_until(lambda: started.engine.statistics().running == 0)
    assert last_entry(started)["outcome"] == "cancelled"


async def test_a_client_that_leaves_the_queue_never_runs(start_engine: StartEngine) -> None:
    started = await start_engine(max_running=1)
    await suffer(started, stall_rate=1)
    async with asking(started, stream=False):
        await wait_until(lambda: started.engine.statistics().running == 1)
        async with asking(started, stream=False):
            await wait_until(lambda: started.engine.statistics().waiting == 1)
        await wait_until(lambda: started.engine.statistics().waiting == 0)
        assert started.engine.statistics().running == 1
    await wait_until(lambda: started.engine.journal.statistics()["cancelled"] == 2)


async def test_a_client_that_leaves_during_a_delay_is_cancelled(
    start_engine: StartEngine,
) -> None:
    started = await start_engine()
    await suffer(started, slow_rate=1, slow_seconds=3600)
    async with asking(started, stream=False):
        await wait_until(lambda: started.engine.journal.statistics()["active"] == 1)
    await wait_until(lambda: started.engine.journal.statistics()["cancelled"] == 1)


async def test_a_client_that_leaves_its_upload_is_cancelled(start_engine: StartEngine) -> None:
    started = await start_engine()
    async with dialled(started) as wire:
        await wire.send(b"POST /_mock/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
        await wait_until(lambda: started.engine.journal.statistics()["active"] == 1)
    await wait_until(lambda: started.engine.journal.statistics()["cancelled"] == 1)
    assert last_entry(started)["body_sha256"] is None


async def test_a_terabyte_waits_for_a_client_that_does_not_read_and_ends_with_it(
    start_engine: StartEngine,
) -> None:
    started = await start_engine()
    async with dialled(started) as wire:
        await wire.send(b"GET /_mock/bytes/999999999999 HTTP/1.1\r\nhost: x\r\n\r\n")
        await wait_until(lambda: started.engine.journal.statistics()["active"] == 1)
    await wait_until(lambda: started.engine.journal.statistics()["cancelled"] == 1)


async def test_a_real_clock_gives_the_tokens_one_after_the_other(
    start_engine: StartEngine,
) -> None:
    started = await start_engine(time_scale=1, step_seconds=0.001, prefill_tokens_per_second=1e6)
    call = {**HELLO, "stream": True, "max_tokens": 8}
    calls = (started.client.post(CHAT, json=call) for _ in range(5))
    for response in await asyncio.gather(*calls):
        assert response.text.endswith("data: [DONE]\n\n")
    assert started.engine.statistics().generated_tokens == 40
