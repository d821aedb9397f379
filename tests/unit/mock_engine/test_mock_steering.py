"""`/_mock/...` over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from router.mock_engine.steering import pattern_chunks
from tests.support.engines import StartEngine

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


async def test_put_replaces_all_faults_and_patch_only_some(start_engine: StartEngine) -> None:
    client = (await start_engine()).client
    await client.put("/_mock/faults", json={"error_rate": 1, "error_status": 503})
    await client.patch("/_mock/faults", json={"slow_seconds": 0})
    shown = (await client.get("/_mock/faults")).json()
    assert (shown["error_rate"], shown["error_status"], shown["slow_seconds"]) == (1, 503, 0)
    await client.put("/_mock/faults", json={"slow_seconds": 0})
    assert (await client.get("/_mock/faults")).json()["error_rate"] == 0


async def test_wrong_faults_are_refused_and_nothing_changes(start_engine: StartEngine) -> None:
    client = (await start_engine()).client
    for wrong in ({"error_rate": 7}, {"nonsense": 1}):
        response = await client.patch("/_mock/faults", json={"slow_rate": 0.5, **wrong})
        assert response.status_code == 400
    assert (await client.get("/_mock/faults")).json()["slow_rate"] == 0


async def test_a_request_is_remembered_with_its_digest_and_outcome(
    start_engine: StartEngine,
) -> None:
    client = (await start_engine()).client
    body = b'{"model":"m","prompt":"hi"}'
    headers = [("x-trace", "1"), ("x-trace", "2")]
    await client.post("/v1/completions?a=b", content=body, headers=headers)
    (entry,) = (await client.get("/_mock/requests")).json()["requests"]
    assert (entry["method"], entry["path"], entry["query"]) == ("POST", "/v1/completions", "a=b")
    assert (entry["model"], entry["stream"]) == ("m", False)
    assert (entry["body_bytes"], entry["body_sha256"]) == (len(body), sha256(body).hexdigest())
    assert (entry["status"], entry["outcome"], entry["cancelled"]) == (200, "ok", False)
    assert [value for name, value in entry["headers"] if name == "x-trace"] == ["1", "2"]


async def test_probes_and_steering_are_not_among_the_requests(start_engine: StartEngine) -> None:
    client = (await start_engine()).client
    for path in ("/health", "/metrics", "/_mock/stats", "/_mock/faults", "/v2/health/live"):
        await client.get(path)
    assert (await client.get("/_mock/requests")).json() == {"requests": []}


async def test_the_ring_keeps_the_newest(start_engine: StartEngine) -> None:
    client = (await start_engine(journal_size=2)).client
    for path in ("/one", "/two", "/three"):
        await client.get(path)

    async def paths(query: str) -> list[str]:
        shown = (await client.get(f"/_mock/requests{query}")).json()["requests"]
        return [entry["path"] for entry in shown]

    assert await paths("") == ["/two", "/three"]
    assert await paths("?limit=1") == ["/three"]
    assert await paths("?path=/two") == ["/two"]
    await client.delete("/_mock/requests")
    assert await paths("") == []


async def test_the_counts_are_by_route_and_by_outcome(start_engine: StartEngine) -> None:
    client = (await start_engine(name="v1")).client
    await client.post(CHAT, json=HELLO)
    await client.get("/health")
    await client.get("/v2/models/m")
    await client.get("/made-up/1")
    await client.put("/_mock/faults", json={"error_rate": 1})
    await client.post(CHAT, json=HELLO)
    stats = (await client.get("/_mock/stats")).json()
    assert stats["name"] == "v1"
    assert stats["total"] == 5
    assert (stats["active"], stats["cancelled"]) == (0, 0)
    assert stats["by_path"] == {
        CHAT: 2,
        "/health": 1,
        "/v2/models/{model}": 1,
        "(unmatched)": 1,
    }
    assert stats["by_outcome"] == {"ok": 3, "refused": 1, "error": 1}


async def in_pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("total", [0, 1, 65_536, 1_000_003])
async def test_echo_tells_size_and_digest_of_a_chunked_body(
    start_engine: StartEngine, total: int
) -> None:
    client = (await start_engine()).client
    body = b"".join(pattern_chunks(total))
    response = await client.post("/_mock/echo", content=in_pieces(body, 10_007))
    assert response.json() == {"bytes": total, "sha256": sha256(body).hexdigest()}


async def test_the_pattern_counts_to_250_again_and_again() -> None:
    body = b"".join(pattern_chunks(200_000))
    assert body == bytes(index % 251 for index in range(200_000))


@pytest.mark.parametrize("query", ["", "?chunked=1"])
async def test_bytes_are_the_pattern(start_engine: StartEngine, query: str) -> None:
    client = (await start_engine()).client
    response = await client.get(f"/_mock/bytes/300001{query}")
    assert response.content == b"".join(pattern_chunks(300_001))
    assert ("content-length" in response.headers) is not query.startswith("?")


async def test_a_mirrored_body_comes_back_while_the_upload_goes_on(
    start_engine: StartEngine,
) -> None:
    client = (await start_engine()).client
    body = b"".join(pattern_chunks(3_000_000))
    for content in (body, in_pieces(body, 70_001)):
        response = await client.post(
            "/_mock/mirror-body", content=content, headers={"content-type": "audio/wav"}
        )
        assert response.content == body
        assert response.headers["content-type"] == "audio/wav"
