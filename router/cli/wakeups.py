"""Waiting that ends early when something has happened to a route.

A thread follows the server's events.  They only say that it is time to look: what has happened is
asked of the server, so that an event that was lost, or came twice, does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from router.cli.events import content_of, follow
from router.cli.failures import CommandError

if TYPE_CHECKING:
    from router.cli.client import AdminClient
    from router.cli.sse import Event as ServerEvent

Wait = Callable[[float], None]
"""Returns after so many seconds, or earlier when something has happened."""

_OF_EVERYTHING: Final = frozenset({"hello", "reset", "config"})
"""Events that may mean any route: the connection is a new one, or the configuration is."""


@contextmanager
def waking(client: AdminClient, route: str) -> Iterator[Wait]:
    """Follow a route's events for the time of the block, over a client of its own.

    The thread closes the client, at the latest when the process ends.
    """
    listener = _Listener(client, route)
    Thread(target=listener.run, daemon=True, name="events").start()
    try:
        yield listener.wait
    finally:
        listener.over.set()


class _EndedError(Exception):
    """Nobody listens any more."""


class _Listener:
    def __init__(self, client: AdminClient, route: str) -> None:
        self.over: Final = Event()
        self._client: Final = client
        self._route: Final = route
        self._woken: Final = Event()

    def wait(self, seconds: float) -> None:
        self._woken.wait(seconds)
        self._woken.clear()  # before the look that follows, so that nothing is missed

    def run(self) -> None:
        # A server that gives no events for good is looked at every few seconds all the same, and
        # says there why it refuses.
        with closing(self._client), suppress(CommandError, _EndedError):
            for event in follow(self._client, self._rest, patient=True, say=_nobody):
                if self.over.is_set():
                    return
                if self._concerns(event):
                    self._woken.set()

    def _concerns(self, event: ServerEvent) -> bool:
        return event.kind in _OF_EVERYTHING or content_of(event).get("route") == self._route

    def _rest(self, seconds: float) -> None:
        if self.over.wait(seconds):
            raise _EndedError


def _nobody(_text: str) -> None:
    """The looks tell that the server is away."""
