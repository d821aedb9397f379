"""One JSON line for each exchange that is worth one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from router.dataplane.accesslog import AccessLogSettings
from router.snapshot import Retry
from tests.support.dataplanes import RunningDataPlane, endpoint, route, version
from tests.support.raw import RawClient, get, post, wait_until
from tests.support.upstreams import Upstreams

ONCE = Retry(attempts=1)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.jsonl"


@pytest.fixture
def mode() -> str:
    return "all"


@pytest.fixture
def settings(log: Path, mode: str) -> dict[str, Any]:
    return {"access_log": AccessLogSettings(mode=mode, path=str(log))}


async def lines_of(log: Path, count: int) -> list[dict[str, Any]]:
    def written() -> list[str]:
        return log.read_text().splitlines() if log.exists() else []

    await wait_until(lambda: len(written()) >= count)
    return [json.loads(line) for line in written()]


async def test_a_line_tells_request_version_generation_and_bytes(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, log: Path
) -> None:
    v1 = await upstreams.named("v1")
    generation = router.install(route("chat", version("v1", v1)))
    answer = await client.ask(post("/x", b"12345", "X-Request-Id: mine"))
    (line,) = await lines_of(log, 1)
    assert line["request_id"] == "mine"
    assert (line["method"], line["path"], line["status"]) == ("POST", "/x", 200)
    assert (line["route"], line["version"], line["role"]) == ("chat", "v1", "stable")
    assert (line["generation"], line["endpoint"]) == (generation, v1.url)
    assert (line["bytes_in"], line["bytes_out"]) == (5, len(answer.body))
    assert (line["reason"], line["attempts"]) == (None, 1)
    assert 0 <= line["first_byte_s"] <= line["duration_s"]


async def test_a_line_tells_which_address_of_a_name_it_was(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, log: Path
) -> None:
    server = await upstreams.named("v1")
    url = f"dns://localhost:{server.port}"
    name = endpoint(server, url=url, host="localhost", dns=True)
    router.install(route("chat", version("v1", name)))
    await wait_until(lambda: bool(router.plane.health().endpoints))
    assert (await client.ask(get())).status == 200
    (line,) = await lines_of(log, 1)
    assert line["endpoint"] == f"{url} (127.0.0.1)"
    router.install()


@pytest.mark.parametrize("mode", ["off"])
async def test_a_failure_is_written_in_every_mode_and_an_answer_is_not(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, log: Path
) -> None:
    v1 = await upstreams.named("v1")
    router.install(route("chat", version("v1", v1)))
    assert (await client.ask(get())).status == 200
    refusing = upstreams.refusing()
    router.install(route("chat", version("v2", refusing), retry=ONCE))
    assert (await client.ask(get())).status == 502
    (line,) = await lines_of(log, 1)
    assert (line["version"], line["status"], line["reason"]) == ("v2", 502, "connect")


async def test_a_line_holds_no_header_no_query_and_no_body(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, log: Path
) -> None:
    v1 = await upstreams.named("v1")
    router.install(route("chat", version("v1", v1)))
    await client.ask(post("/x?key=hush", b"hush", "Authorization: Bearer hush"))
    assert "hush" not in json.dumps(await lines_of(log, 1))
