"""Both doors, real sockets: a data plane in the test's loop, between raw clients and upstreams.

Each test runs over every door; what a door cannot promise stands in `exemptions.py`, with its
reason.  The loop is uvloop, as in a worker (CONFORMANCE_LOOP=asyncio runs the suite on asyncio's),
and is shared by a file's tests, so that a data plane can drain while the next test runs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.conformance.exemptions import DOORS, exempt
from tests.support.dataplanes import RunningDataPlane, route, running_dataplane, version
from tests.support.raw import RawClient
from tests.support.upstreams import Upstream, Upstreams, started_upstreams


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "door" in metafunc.fixturenames:
        metafunc.parametrize("door", DOORS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in [item for item in items if _is_exempt(item)]:
        items.remove(item)
    for item in items:
        if "conformance" in item.path.parts and asyncio.iscoroutinefunction(
            getattr(item, "function", None)
        ):
            item.add_marker(pytest.mark.anyio)


def _is_exempt(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    if callspec is None or "door" not in callspec.params:
        return False
    door = callspec.params["door"]
    case = "-".join(each for each in callspec.id.split("-") if each != door)
    return exempt(getattr(item, "originalname", item.name), case, door)


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    uvloop = os.environ.get("CONFORMANCE_LOOP", "uvloop") == "uvloop"
    return "asyncio", {"use_uvloop": uvloop}


@pytest.fixture(scope="module")
async def stopping(anyio_backend: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Data planes that end while the next tests run; all have ended with the file."""
    tasks: list[asyncio.Task[None]] = []
    yield tasks
    await asyncio.gather(*tasks)


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    async with started_upstreams() as started:
        yield started


@pytest.fixture
def settings() -> dict[str, Any]:
    """What `router` is started with; a test may parametrise it."""
    return {}


@pytest.fixture
async def router(
    door: str,
    settings: dict[str, Any],
    upstreams: Upstreams,
    stopping: list[asyncio.Task[None]],
) -> AsyncIterator[RunningDataPlane]:
    """A data plane with an empty table; nothing may be left running in it after the test."""
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(running_dataplane(door, **settings))
        stack.callback(
            lambda: stopping.append(asyncio.get_running_loop().create_task(running.stop()))
        )
        yield running


@pytest.fixture
async def v1(router: RunningDataPlane, upstreams: Upstreams) -> Upstream:
    """The one version of the one route `chat`, which takes every path; played by hand."""
    upstream = await upstreams.start()
    router.install(route("chat", version("v1", upstream)))
    return upstream


@pytest.fixture
async def client(router: RunningDataPlane) -> RawClient:
    """One connected client."""
    return await router.connect()
