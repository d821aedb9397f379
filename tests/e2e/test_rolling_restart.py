"""Workers are replaced, configurations reloaded and routers ended under load; nothing is lost."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import pytest

from tests.support.engines import EngineProcess, running_engine
from tests.support.load import load
from tests.support.raw import RawClient, post
from tests.support.routers import Document, RouterProcess, document, route, running_router

pytestmark = pytest.mark.anyio

CHAT: Final = "/v1/chat/completions"
TEXT: Final = "/v1/completions"
ANSWERED: Final = 'model_requests_total{code="200",role="stable",route="chat",version="v1"}'
DEADLINE_S: Final = 40.0
BUSY_PAUSE_S: Final = 0.01
"""Between two requests of a connection: much less than a draining worker waits for the next."""

HELLO: Final = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
STREAM: Final = {"model": "m", "prompt": "hello", "stream": True, "max_tokens": 60}


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, EngineProcess]]:
    """One that answers at once, and two whose streams take more than a second."""
    with (
        running_engine("fast") as fast,
        running_engine("a", time_scale=1.0, step_seconds=0.02) as a,
        running_engine("b", time_scale=1.0, step_seconds=0.02) as b,
    ):
        yield {"fast": fast, "a": a, "b": b}


def configuration(engines: dict[str, EngineProcess], *servers: str, **server: Any) -> Document:
    text = route("text", TEXT, v1="")
    text["versions"]["v1"]["endpoints"] = [engines[name].url for name in servers]
    return document(route(v1=engines["fast"].url), text, drainSeconds=30, **server)


@contextmanager
def both(engines: dict[str, EngineProcess], folder: Path) -> Iterator[RouterProcess]:
    # The delay is for balancers to notice an end; a replaced worker does without.
    config = configuration(engines, "a", "b", drainDelaySeconds=2)
    with running_router(folder, config) as router:
        yield router


@pytest.fixture(scope="module")
def router(
    tmp_path_factory: pytest.TempPathFactory, engines: dict[str, EngineProcess]
) -> Iterator[RouterProcess]:
    with both(engines, tmp_path_factory.mktemp("router")) as router:
        yield router


@pytest.fixture
def fresh(tmp_path: Path, engines: dict[str, EngineProcess]) -> Iterator[RouterProcess]:
    """A router of one test, which counts everything or ends it."""
    with both(engines, tmp_path) as router:
        router.wait_ready()
        yield router


class Streams:
    """Streams, one after the other on each of some connections; each is read to its end."""

    def __init__(self, router: RouterProcess) -> None:
        self.whole = 0
        self.open = 0
        self.cut: list[str] = []
        self._url = router.traffic
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=20.0, trust_env=False) as client:
            while not self._stopping:
                try:
                    last = await self._read(client)
                except httpx.HTTPError as error:
                    self.cut.append(repr(error))
                    continue
                if last == "data: [DONE]":
                    self.whole += 1
                else:
                    self.cut.append(last)

    async def _read(self, client: httpx.AsyncClient) -> str:
        async with client.stream("POST", self._url + TEXT, json=STREAM) as answer:
            self.open += 1
            try:
                lines = [line async for line in answer.aiter_lines() if line]
            finally:
                self.open -= 1
            return lines[-1]


@asynccontextmanager
async def streams(router: RouterProcess, number: int = 3) -> AsyncIterator[Streams]:
    """Streams for the time of the block, all of them open when it begins."""
    running = Streams(router)
    tasks = [asyncio.create_task(running.run()) for _ in range(number)]
    try:
        await eventually(lambda: running.open == number)
        yield running
    finally:
        running.stop()
        await asyncio.gather(*tasks)


async def eventually(condition: Any) -> None:
    """Poll: other processes do what is waited for.  Blocking calls keep out of the loop's way."""
    async with asyncio.timeout(DEADLINE_S):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.05)


async def kept_connection(router: RouterProcess) -> RawClient:
    """A connection that has had an answer and is kept alive."""
    client = await RawClient.connect(int(router.traffic.rpartition(":")[2]))
    answer = await client.ask(post(CHAT, HELLO))
    assert (answer.status, answer.field("connection")) == (200, None)
    return client


async def restart_by_command(router: RouterProcess) -> tuple[int | None, str, str]:
    """`inference-router restart`: exit status, output, errors."""
    command = ("-m", "router", "restart", "--server", router.admin, "--reason", "new memory")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = await process.communicate()
    return process.returncode, said.decode(), complained.decode()


def ask_restart(router: RouterProcess) -> httpx.Response:
    return httpx.post(
        f"{router.admin}/api/v1/restart", json={"reason": "a test"}, timeout=10, trust_env=False
    )


def newest(router: RouterProcess) -> Document:
    """How far the newest restart is; nothing while control is away."""
    try:
        return router.get("/api/v1/restart")
    except httpx.TransportError:
        return {"stage": "away"}


def trail(router: RouterProcess, action: str) -> list[Document]:
    """Entries of the audit trail, the newest first."""
    entries: list[Document] = router.get(f"/api/v1/audit?action={action}")["entries"]
    return entries


async def has_settled(router: RouterProcess) -> None:
    """Wait until no old worker is left, of whatever test came before."""
    await eventually(lambda: newest(router)["stage"] in ("none", "done", "failed"))
    await eventually(lambda: router.readiness()["ready"])


def pids(router: RouterProcess) -> dict[str, int]:
    found = {name: child.pid for name, child in router.children().items()}
    return {name: pid for name, pid in found.items() if name != "control"}


def coming(router: RouterProcess) -> list[psutil.Process]:
    """Successors that the supervisor has started, whether they serve already or not."""
    found = []
    for child in psutil.Process(router.process.pid).children():
        with suppress(psutil.Error):
            if '"successor":true' in (child.cmdline() or [""])[-1]:
                found.append(child)
    return found


# -- rolling restarts --------------------------------------------------------------------------


async def test_a_rolling_restart_fails_no_request_and_cuts_no_stream(fresh: RouterProcess) -> None:
    router = fresh
    before = pids(router)
    counted: list[float] = []
    idle = [await kept_connection(router) for _ in range(4)]
    async with (
        load(router.traffic, connections=4, pause_s=BUSY_PAUSE_S) as running,
        streams(router) as streaming,
    ):
        await running.wait_answers(50)
        counted.append(await asyncio.to_thread(router.metric, ANSWERED))
        restarting = asyncio.create_task(restart_by_command(router))
        while not restarting.done():
            counted.append(await asyncio.to_thread(router.metric, ANSWERED))
            await asyncio.sleep(0.05)
        # Who slept through all of it is answered by the old worker, and told.
        assert newest(router)["stage"] == "draining"
        for client in idle:
            answer = await client.ask(post(CHAT, HELLO))
            assert (answer.status, answer.field("connection")) == (200, "close")
            client.close()
        await eventually(lambda: newest(router)["stage"] == "done")
        counted.append(await asyncio.to_thread(router.metric, ANSWERED))
        code, said, complained = await restarting
        await running.wait_answers(len(running.answers) + 50)
    after = pids(router)
    assert (code, complained) == (0, "")
    assert said.splitlines() == [
        f"{name}: pid {after[name]} serves, pid {before[name]} finishes what it has begun"
        for name in ("w0", "w1")
    ] + ["2 workers were replaced"]
    assert not set(before.values()) & set(after.values())
    assert running.failures == []
    assert streaming.cut == []
    assert streaming.whole >= 3
    # What the old workers counted stands; not a moment shows less than the one before.
    assert counted == sorted(counted)
    asked = len(running.answers) + 2 * len(idle)
    await eventually(lambda: router.metric(ANSWERED) == asked)
    (begun,), (ended,) = trail(router, "workers.restart"), trail(router, "workers.restarted")
    assert (begun["reason"], begun["actor"]["role"]) == ("new memory", "admin")
    assert ended["evidence"]["replaced"] == ["w0", "w1"]


async def test_one_restart_runs_at_a_time_and_goes_on_while_control_dies(
    router: RouterProcess,
) -> None:
    await has_settled(router)
    before = pids(router)
    async with load(router.traffic, connections=4, pause_s=BUSY_PAUSE_S) as running:
        await running.wait_answers(20)
        asking = [asyncio.to_thread(ask_restart, router) for _ in range(2)]
        begun, refused = sorted(await asyncio.gather(*asking), key=lambda said: said.status_code)
        assert (begun.status_code, begun.json()["stage"]) == (202, "starting")
        assert refused.status_code == 409
        assert "a restart is under way (by local" in refused.json()["detail"]
        router.kill("control")
        await eventually(lambda: newest(router)["stage"] == "done")
        assert newest(router)["id"] == begun.json()["id"]
        await running.wait_answers(len(running.answers) + 20)
    assert running.failures == []
    assert not set(before.values()) & set(pids(router).values())


async def test_a_worker_that_does_not_come_up_ends_the_restart_and_the_old_ones_serve(
    router: RouterProcess,
) -> None:
    await has_settled(router)
    before = pids(router)
    served = {child.pid for child in coming(router)}
    async with load(router.traffic, connections=4, pause_s=BUSY_PAUSE_S) as running:
        assert (await asyncio.to_thread(ask_restart, router)).status_code == 202
        await eventually(lambda: {child.pid for child in coming(router)} - served)
        for child in coming(router):
            if child.pid not in served:
                child.kill()
        await eventually(lambda: newest(router)["stage"] == "failed")
        await running.wait_answers(len(running.answers) + 20)
    assert running.failures == []
    assert pids(router) == before
    assert router.readiness()["ready"] is True
    problem = newest(router)["problem"]
    assert "the new worker w0" in problem
    assert "did not come up (killed by SIGKILL); the old ones keep serving: w0, w1" in problem
    await eventually(lambda: trail(router, "workers.notRestarted"))


async def test_sigusr2_restarts_the_workers_too(router: RouterProcess) -> None:
    await has_settled(router)
    before = pids(router)
    router.signal(signal.SIGUSR2)
    await eventually(lambda: newest(router)["by"] == "SIGUSR2")
    await eventually(lambda: newest(router)["stage"] == "done")
    assert not set(before.values()) & set(pids(router).values())
    await eventually(
        lambda: (
            trail(router, "workers.restart")[0]["actor"]
            == {"name": "SIGUSR2", "role": "system", "address": ""}
        )
    )


# -- reload ------------------------------------------------------------------------------------


async def test_sighup_under_load_fails_no_request_and_streams_of_a_removed_endpoint_finish(
    router: RouterProcess, engines: dict[str, EngineProcess]
) -> None:
    await has_settled(router)
    generation = router.readiness()["generation"]
    engines["b"].forget_requests()
    async with load(router.traffic, connections=4, pause_s=BUSY_PAUSE_S) as running:
        async with streams(router) as streaming:
            assert engines["b"].requests(TEXT) != []  # they are shared out
            router.write_config(configuration(engines, "a", drainDelaySeconds=2))
            router.signal(signal.SIGHUP)
            await eventually(lambda: router.readiness()["generation"] > generation)
            streaming.stop()
        await running.wait_answers(len(running.answers) + 50)
        engines["b"].forget_requests()
        async with streams(router) as later:
            later.stop()
    assert running.failures == []
    assert streaming.cut == later.cut == []
    assert engines["b"].requests(TEXT) == []
    assert engines["b"].stats()["by_outcome"].get("cancelled", 0) == 0


# -- end ---------------------------------------------------------------------------------------


async def test_requests_in_flight_at_sigterm_are_answered_and_told_that_the_connection_closes(
    fresh: RouterProcess, engines: dict[str, EngineProcess]
) -> None:
    router = fresh
    port = int(router.traffic.rpartition(":")[2])
    clients = [await RawClient.connect(port) for _ in range(8)]
    for client in clients:  # kept alive, so that each is an old connection when it counts
        answer = await client.ask(post(TEXT, {**STREAM, "stream": False, "max_tokens": 1}))
        assert (answer.status, answer.field("connection")) == (200, None)
    for client in clients[:6]:
        await client.send(post(TEXT, {**STREAM, "stream": False, "max_tokens": 100}))
    await eventually(lambda: sum(engines[name].stats()["active"] for name in "ab") == 6)
    router.signal(signal.SIGTERM)
    await eventually(lambda: "drains" in router.log)
    late = await clients[6].ask(post(TEXT, {**STREAM, "stream": False, "max_tokens": 1}))
    for answer in [late, *[await client.read_answer() for client in clients[:6]]]:
        assert (answer.status, answer.field("connection")) == (200, "close")
    for client in clients:
        await client.wait_closed()
        client.close()
    assert await asyncio.to_thread(router.wait_ended) == 0
