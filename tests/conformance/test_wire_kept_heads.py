"""What a connection keeps of a large head when its answer has ended: little; when closed: nothing.

Memory is counted as Python allocates it, clients and model server included.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.dataplanes import RunningDataPlane
from tests.support.raw import RawClient, get, wait_until
from tests.support.upstreams import Upstream, saying

CLIENTS: Final = 30
SMALL: Final = tuple(f"X-{number}: {'v' * 50}" for number in range(100))
"""Fields of about 6 KB, which a door remembers."""
LARGE: Final = tuple(f"X-{number}: {'v' * 600}" for number in range(95))
"""Fields of about 60 KB, which it does not."""
MOST_HELD: Final = {"native": 8 * 1024, "asgi": 100 * 1024}
"""uvicorn itself holds the last scope of each open connection, once."""
ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def allocated() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def ask_all(clients: list[RawClient], v1: Upstream, fields: tuple[str, ...]) -> None:
    """Each asks alike, and unlike all others."""
    for number, client in enumerate(clients):
        assert (await client.ask(get(f"/{number}", *fields))).status == 200
    v1.requests.clear()


@pytest.mark.usefixtures("traced")
async def test_an_idle_connection_holds_no_large_head(
    router: RunningDataPlane, v1: Upstream, door: str
) -> None:
    v1.replies = saying(ANSWER)
    clients = [await router.connect() for _ in range(CLIENTS)]
    await ask_all(clients, v1, ())
    before = allocated()
    await ask_all(clients, v1, LARGE)
    assert (allocated() - before) / CLIENTS < MOST_HELD[door]


@pytest.mark.usefixtures("traced")
async def test_of_a_closed_connection_nothing_is_held(
    router: RunningDataPlane, v1: Upstream
) -> None:
    v1.replies = saying(ANSWER)
    first = [await router.connect() for _ in range(CLIENTS)]
    await ask_all(first, v1, SMALL)
    held = allocated()
    clients = [await router.connect() for _ in range(CLIENTS)]
    await ask_all(clients, v1, SMALL)
    with_clients = allocated() - held
    for client in clients:
        client.close()
        router.clients.remove(client)
    del client
    clients.clear()
    await wait_until(lambda: len(router.plane.connections) == CLIENTS)
    assert allocated() - held < with_clients / 10
