"""The native door behind an early answer: how long it goes on reading, and how much."""

from __future__ import annotations

from typing import Any, Final

import pytest

from router.clock import ManualClock
from router.dataplane.frontends.native import LINGER_S, MAX_LINGER, NativeProtocol
from router.dataplane.server import DataPlane, DataPlaneSettings
from tests.support.raw import message
from tests.support.transports import HandTransport

WRITE_S: Final = 20.0
EARLY: Final = message("POST /x HTTP/1.1", "Host: router.test", "Content-Length: 99000000")
"""Of a body that large nothing is waited for: no route takes the request."""


class Door:
    """A connection of which the client takes what a test says."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        settings = DataPlaneSettings(write_timeout_s=WRITE_S)
        self.plane = DataPlane(settings, clock=self.clock)
        self._state: set[Any] = set()
        self.protocol = NativeProtocol(self.plane, self._state)
        self.transport = HandTransport(self.protocol)

    def jump(self, seconds: float) -> None:
        """Let time pass, as the sweep sees it."""
        self.clock.advance(seconds)
        if self.protocol.deadline <= self.plane.now():
            self.protocol.on_deadline()


@pytest.fixture
def door() -> Door:
    door = Door()
    door.protocol.data_received(EARLY)
    assert door.transport.unsent.startswith(b"HTTP/1.1 404 ")
    return door


def test_the_time_to_read_on_begins_when_the_last_byte_is_written(door: Door) -> None:
    door.jump(WRITE_S - 1)
    door.transport.take(len(door.transport.unsent) - 1)
    assert not door.transport.aborted
    assert door.transport.take().endswith(b"}")
    door.jump(LINGER_S - 0.1)
    assert not door.transport.aborted
    door.jump(0.2)
    assert door.transport.aborted


def test_an_answer_that_is_not_taken_is_given_up_when_the_write_timeout_is_over(door: Door) -> None:
    door.jump(WRITE_S + 0.1)
    assert door.transport.aborted


def test_what_still_comes_of_the_body_cuts_no_answer_that_is_being_written(door: Door) -> None:
    door.protocol.data_received(b"x" * (MAX_LINGER + 1))
    assert not door.transport.aborted
    assert not door.transport.reading
    assert door.transport.take().endswith(b"}")
    door.jump(LINGER_S + 0.1)
    assert door.transport.aborted


def test_so_much_of_the_body_is_read_behind_an_answer_and_no_more(door: Door) -> None:
    door.transport.take()
    door.protocol.data_received(b"x" * MAX_LINGER)
    assert not door.transport.aborted
    door.protocol.data_received(b"x")
    assert door.transport.aborted
