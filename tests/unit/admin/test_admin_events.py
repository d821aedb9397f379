"""`/events`: in order, complete or said not to be, and never endless when it must end."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import Message

from router.admin import events
from router.admin.application import API
from router.controller.events import KEPT, MAX_BEHIND, MAX_SUBSCRIBERS
from tests.support.admin import SECRETS, Admin, configuration, tokens

pytestmark = pytest.mark.anyio

PATIENCE_S = 5.0


@dataclass(frozen=True)
class Told:
    """One event as it was written."""

    id: str
    kind: str
    data: dict[str, Any]

    @property
    def number(self) -> int:
        return int(self.id.rpartition("-")[2])


def read(frame: str) -> Told:
    fields = dict(line.split(": ", 1) for line in frame.split("\n"))
    assert set(fields) == {"id", "event", "data"}
    return Told(fields["id"], fields["event"], json.loads(fields["data"]))


class Reader:
    """Reads the stream straight from the application; `stalled` takes nothing off the wire."""

    def __init__(self, admin: Admin, last: str | None = None, role: str | None = None) -> None:
        self.frames: asyncio.Queue[str] = asyncio.Queue()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.ended = False
        self.stalled = asyncio.Event()
        self.stalled.set()
        self.on_head: Callable[[], None] = lambda: None
        self._gone = asyncio.Event()
        headers = [(b"host", b"127.0.0.1:8081")]
        if last is not None:
            headers.append((b"last-event-id", last.encode()))
        if role is not None:
            headers.append((b"authorization", f"Bearer {SECRETS[role]}".encode()))
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"{API}/events",
            "raw_path": f"{API}/events".encode(),
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8081),
            "scheme": "http",
        }
        self.task = asyncio.ensure_future(admin.app(scope, self._receive, self._send))  # type: ignore[arg-type]

    def leave(self) -> None:
        self._gone.set()

    async def next(self) -> Told:
        async with asyncio.timeout(PATIENCE_S):
            return read(await self.frames.get())

    async def end(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.task

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self.on_head()
            return
        await self.stalled.wait()
        for frame in message["body"].decode().split("\n\n")[:-1]:
            self.frames.put_nowait(frame)
        self.ended = not message.get("more_body", False)


@asynccontextmanager
async def reading(admin: Admin, *args: Any, **how: Any) -> AsyncIterator[Reader]:
    reader = Reader(admin, *args, **how)
    yield reader
    reader.leave()
    await reader.end()


async def test_the_first_event_says_hello_with_the_generation(admin: Admin) -> None:
    await admin.weights()
    async with reading(admin) as reader:
        hello = await reader.next()
    assert reader.status == 200
    assert reader.headers["content-type"].startswith("text/event-stream")
    assert reader.headers["cache-control"] == "no-store"
    assert "content-length" not in reader.headers
    assert (hello.kind, hello.data) == ("hello", {"generation": 2})


async def test_a_change_is_told_with_who_why_and_what(guarded: Admin) -> None:
    async with reading(guarded, role="viewer") as reader:
        await reader.next()
        await guarded.weights(role="operator", body={"reason": "v2 looks well"})
        table, change = await reader.next(), await reader.next()
    assert (table.kind, table.data["generation"]) == ("generation", 2)
    assert (change.kind, change.data["route"]) == ("weights.set", "chat")
    assert (change.data["actor"], change.data["reason"]) == ("operator-1", "v2 looks well")
    assert change.data["generation"] == 2
    assert change.data["state"]["weights"] == {"v1": 90.0, "v2": 10.0}
    assert change.data["time"] == 1_700_000_000.0


async def test_events_come_in_order_without_a_gap(admin: Admin) -> None:
    async with reading(admin) as reader:
        first = (await reader.next()).number
        for weight in range(1, 11):
            await admin.weights(100 - weight, weight)
        numbers = [(await reader.next()).number for _ in range(20)]
    assert numbers == list(range(first + 1, first + 21))


async def test_who_comes_back_gets_what_came_in_between(admin: Admin) -> None:
    async with reading(admin) as reader:
        last = await reader.next()
    await admin.weights()
    async with reading(admin, last.id) as reader:
        hello, table, change = [await reader.next() for _ in range(3)]
    assert (hello.kind, hello.id) == ("hello", last.id)
    assert [table.number, change.number] == [last.number + 1, last.number + 2]
    assert change.kind == "weights.set"


async def test_who_hangs_up_after_hello_has_missed_nothing(admin: Admin) -> None:
    """What is told while the head is on its way comes after `hello`, whose id is before it."""
    reader = Reader(admin)
    reader.on_head = lambda: admin.plane.events.tell("test", "chat")
    hello = await reader.next()
    reader.leave()
    await reader.end()
    async with reading(admin, hello.id) as again:
        await again.next()
        assert (await again.next()).kind == "test"


@pytest.mark.parametrize("where", ["another process", "the future", "nowhere", "empty"])
async def test_who_comes_back_from_elsewhere_is_told_to_read_everything_anew(
    admin: Admin, where: str
) -> None:
    async with reading(admin) as reader:
        newest = await reader.next()
    process = newest.id.rpartition("-")[0]
    last = {
        "another process": f"00000000-{newest.number}",
        "the future": f"{process}-{newest.number + 1}",
        "nowhere": "garbage \u00e9",
        "empty": "",
    }[where]
    async with reading(admin, last) as reader:
        hello, reset = await reader.next(), await reader.next()
        await admin.weights()
        following = await reader.next()
    assert [hello.kind, reset.kind] == ["hello", "reset"]
    assert reset.id == newest.id
    assert following.number == newest.number + 1


async def test_who_was_away_too_long_is_told_to_read_everything_anew(admin: Admin) -> None:
    async with reading(admin) as reader:
        last = await reader.next()
    for _ in range(KEPT + 1):
        admin.plane.events.tell("test")
    async with reading(admin, last.id) as reader:
        assert [(await reader.next()).kind for _ in range(2)] == ["hello", "reset"]


async def test_a_reader_that_falls_behind_is_cut_off(admin: Admin) -> None:
    reader = Reader(admin)
    await reader.next()
    reader.stalled.clear()
    for _ in range(KEPT + MAX_BEHIND + 2):
        admin.plane.events.tell("test")
        await asyncio.sleep(0)
    reader.stalled.set()
    await reader.end()
    assert reader.ended


async def test_a_full_house_is_503_and_a_place_that_is_left_is_free(admin: Admin) -> None:
    readers = [Reader(admin) for _ in range(MAX_SUBSCRIBERS)]
    for reader in readers:
        await reader.next()
    refused = await admin.call("GET", "/events")
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:inference-router:busy")
    assert refused.headers["retry-after"] == "10"
    readers[0].leave()
    await readers[0].end()
    async with reading(admin) as reader:
        assert (await reader.next()).kind == "hello"
    for reader in readers[1:]:
        reader.leave()
        await reader.end()


async def test_silence_is_broken_by_comments(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE_S", 0.001)
    async with reading(admin) as reader, asyncio.timeout(PATIENCE_S):
        await reader.frames.get()
        assert [await reader.frames.get() for _ in range(3)] == [": still here"] * 3
        monkeypatch.undo()
        await admin.weights()
        while (frame := await reader.frames.get()).startswith(":"):
            pass
        assert read(frame).kind == "generation"


async def test_head_tells_the_type_and_takes_no_place(admin: Admin) -> None:
    for _ in range(MAX_SUBSCRIBERS + 1):
        response = await admin.call("HEAD", "/events")
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        assert response.content == b""


async def test_close_ends_every_stream_whole(admin: Admin) -> None:
    readers = [Reader(admin), Reader(admin)]
    for reader in readers:
        await reader.next()
    admin.plane.events.close()
    for reader in readers:
        await reader.end()
        assert reader.ended


@pytest.mark.parametrize("how", ["withdrawn", "expected"])
async def test_a_token_that_is_withdrawn_reads_no_further(guarded: Admin, how: str) -> None:
    reader = Reader(guarded, role="viewer")
    await reader.next()
    kept = [token for token in tokens() if how == "expected" or token["name"] != "viewer-1"]
    guarded.content = configuration(auth={"tokens": kept})
    await guarded.plane.reload()
    if how == "withdrawn":
        await reader.end()
        assert reader.frames.empty()
        assert reader.ended
    else:
        assert (await reader.next()).kind == "config"
        reader.leave()
        await reader.end()


async def test_who_goes_away_is_forgotten(admin: Admin) -> None:
    async with reading(admin) as reader:
        await reader.next()
        assert "router_event_subscribers 1.0" in (await admin.get("/metrics")).text
    assert "router_event_subscribers 0.0" in (await admin.get("/metrics")).text


# -- over a socket -----------------------------------------------------------------------------


@asynccontextmanager
async def served(admin: Admin) -> AsyncIterator[httpx.AsyncClient]:
    """The port as `serve` opens it."""
    listener = socket.create_server(("127.0.0.1", 0))
    how = {"lifespan": "off", "ws": "none", "log_config": None, "access_log": False}
    server = uvicorn.Server(uvicorn.Config(admin.app, timeout_graceful_shutdown=1, **how))  # type: ignore[arg-type]
    server.capture_signals = nullcontext  # type: ignore[method-assign]  # they are pytest's
    running = asyncio.create_task(server.serve([listener]))
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}{API}"
    async with httpx.AsyncClient(base_url=base_url, trust_env=False, timeout=PATIENCE_S) as client:
        yield client
    admin.plane.events.close()
    server.should_exit = True
    await running
    listener.close()


async def frames_of(response: httpx.Response) -> AsyncIterator[Told]:
    text = ""
    async for part in response.aiter_text():
        text += part
        *frames, text = text.split("\n\n")
        for frame in frames:
            yield read(frame)


async def test_a_stream_over_a_socket_is_live_and_ends_with_the_server(admin: Admin) -> None:
    async with served(admin) as client, client.stream("GET", "/events") as response:
        frames = frames_of(response)
        assert (await anext(frames)).kind == "hello"
        body = {"weights": {"v1": 1, "v2": 99}, "reason": "x"}
        assert (await client.put("/routes/chat/weights", json=body)).status_code == 200
        assert [(await anext(frames)).kind for _ in range(2)] == ["generation", "weights.set"]
        admin.plane.events.close()
        assert [frame async for frame in frames] == []


async def test_a_body_that_is_announced_too_long_is_refused_before_it_is_sent(admin: Admin) -> None:
    async with served(admin) as client, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(
            b"PUT /api/v1/routes/chat/weights HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\nContent-Length: 1048577\r\n\r\n"
        )
        answer = await reader.read()  # to the end of the connection
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"type":"urn:inference-router:body-too-large"' in answer
