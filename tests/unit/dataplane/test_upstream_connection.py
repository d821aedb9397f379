"""One upstream connection, byte in and byte out: what is not sent, and what is copied."""

from __future__ import annotations

import time
from typing import Any, Final, SupportsIndex

import pytest

from router.dataplane.upstream.connection import Connection
from router.dataplane.upstream.idle import IdleTime
from router.dataplane.upstream.pool import Pool
from router.http1.response import ResponseHead
from router.snapshot import Endpoint
from tests.support.raw import get
from tests.support.transports import HandTransport

ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
INTERIM: Final = b"HTTP/1.1 102 Processing\r\n\r\n"


class Asker:
    """Hears the answer."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def on_response(
        self, head: ResponseHead, length: int | None, body: bytes, framed: Any, ended: bool
    ) -> None:
        assert ended
        self.answers.append(body)

    def on_response_body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        raise AssertionError("it was whole")

    def on_upstream_lost(self, broken: str | None) -> None:
        raise AssertionError(f"lost: {broken}")

    def on_upstream_full(self) -> None:
        """It holds back nothing."""

    def on_upstream_drained(self) -> None:
        """As above."""


class Copied(bytes):
    """Counts the bytes that are cut out of it, and out of what was."""

    total = 0

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        part = super().__getitem__(key)
        if isinstance(part, int):
            return part
        Copied.total += len(part)
        return Copied(part)


@pytest.fixture
def pool() -> Pool:
    server = Endpoint(url="http://192.0.2.1:80", host="192.0.2.1", port=80)
    return Pool(server, time.monotonic, IdleTime())


@pytest.fixture
def connection(pool: Pool) -> Connection:
    return Connection(pool)


def test_interim_answers_are_passed_over_without_copying_what_is_behind_them(
    connection: Connection,
) -> None:
    asker = Asker()
    HandTransport(connection)
    connection.send(asker, b"GET", get(), complete=True)
    Copied.total = 0
    data = Copied(INTERIM * 2000 + ANSWER)
    connection.data_received(data)
    assert asker.answers == [b"ok"]
    assert Copied.total < 2 * len(data)


@pytest.mark.parametrize("unsent", [0, 1, 500_000])
def test_a_connection_is_used_again_only_if_all_that_was_sent_has_left(
    pool: Pool, connection: Connection, unsent: int
) -> None:
    transport = HandTransport(connection)
    connection.send(Asker(), b"POST", b"x" * 1_000_000, complete=True)
    transport.take(1_000_000 - unsent)
    connection.data_received(ANSWER)
    assert (pool.take() is connection) == (unsent == 0)
    assert transport.aborted == (unsent > 0)
