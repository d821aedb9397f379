"""What an exchange can suffer, and a draw among it all.

Pure: chance comes in as an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Draw = Callable[[], float]
"""Numbers in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Delay:
    """The answer begins so much later, and is whole."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Trickle:
    """The answer is whole; its first `limit` bytes come `size` at a time, every `every_s`."""

    size: int = 1
    every_s: float = 0.001
    limit: int = 256


@dataclass(frozen=True, slots=True)
class Reset:
    """RST (SO_LINGER 0) when so many bytes of the answer have passed."""

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Finish:
    """FIN when so many bytes of the answer have passed."""

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Truncate:
    """FIN when so many bytes behind the answer's head have passed.

    That is fewer than its Content-Length says, or in the middle of a chunk.
    """

    body_bytes: int


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Nothing more comes when so many bytes have passed, and nothing closes; 0: no answer."""

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Garbage:
    """The request is answered with bytes that are no HTTP."""

    data: bytes = b"\x16\x03\x01 this is not HTTP\r\n\r\n"


@dataclass(frozen=True, slots=True)
class StaleClose:
    """A connection that has answered before closes just when the next request comes.

    On a fresh connection it is nothing: there a close is a `Finish` or a `Reset`.
    """

    reset: bool = False


Fault = Delay | Trickle | Reset | Finish | Truncate | BlackHole | Garbage | StaleClose

_IN_HEAD: Final = (1, 100)
_IN_BODY: Final = (200, 4_000)
"""Bytes of an answer: its head has 250, a stream's token 250."""


def name_of(fault: Fault) -> str:
    """What it is counted as."""
    return type(fault).__name__


def draw_fault(share: float, draw: Draw) -> Fault | None:
    """This share of exchanges suffers one fault; each kind is as likely as another."""
    if draw() >= share:
        return None
    kinds = (
        lambda: Delay(0.5 * draw()),
        lambda: Trickle(1 + int(draw() * 40), 0.01, 600),
        lambda: Reset(_somewhere(draw)),
        lambda: Finish(_somewhere(draw)),
        lambda: Truncate(int(draw() * 1_000)),
        lambda: BlackHole(_somewhere(draw)),
        lambda: Garbage(bytes(int(draw() * 256) for _ in range(1 + int(draw() * 200)))),
        lambda: StaleClose(draw() < 0.5),
    )
    fault: Fault = kinds[int(draw() * len(kinds))]()
    return fault


def _somewhere(draw: Draw) -> int:
    """Before the answer, in its head, or behind it: each as likely."""
    where = int(draw() * 3)
    if where == 0:
        return 0
    low, high = _IN_HEAD if where == 1 else _IN_BODY
    return low + int(draw() * (high - low))
