"""Reads the heads of one connection, and knows one again that it has just read.

A keep-alive peer mostly repeats its head but for Content-Length (a model server also changes Date,
once a second).  Comparing the bytes around that number takes 0.5 µs where reading takes 8.
"""

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from router.http1.grammar import MAX_CONTENT_LENGTH_DIGITS, lines_of

_NAME = b"content-length"
MAX_REMEMBERED: Final = 8 * 1024
"""Bytes of a head; what is larger is read anew each time, so that no idle connection holds it."""


class _Head(Protocol):
    fields: bytes
    lowered: bytes
    content_length: int | None


H = TypeVar("H", bound=_Head)


class HeadReader(Generic[H]):
    """Guarantee: gives what `parse` gives, for every sequence of heads (a property test)."""

    __slots__ = ("_after", "_before", "_last", "_parse", "_result", "_same")

    def __init__(self, parse: Callable[[bytes], H]) -> None:
        self._parse = parse
        self._last: H | None = None
        self._before = b""
        self._after = b""
        self._same = b""
        self._result: tuple[H, int | None]

    def read(self, head: bytes) -> tuple[H, int | None]:
        """Read a head that ends in an empty line; its own Content-Length stands beside it.

        The head may be one that was given before, so nothing may change it.

        Raises:
            ProtocolError: see `parse`.
        """
        if head == self._same:
            return self._result
        last = self._last
        if last is not None and head.startswith(self._before) and head.endswith(self._after):
            digits = head[len(self._before) : len(head) - len(self._after)]
            if digits.isdigit() and len(digits) <= MAX_CONTENT_LENGTH_DIGITS:
                return self._remember(head, (last, int(digits)))
        return self._read_new(head)

    def _remember(self, head: bytes, result: tuple[H, int | None]) -> tuple[H, int | None]:
        self._same = head
        self._result = result
        return result

    def _read_new(self, head: bytes) -> tuple[H, int | None]:
        parsed = self._parse(head)
        if len(head) > MAX_REMEMBERED:
            return parsed, parsed.content_length
        self._last = None
        lengths = lines_of(parsed.lowered, _NAME)
        if len(lengths) == 1 and parsed.content_length is not None:
            block = len(head) - len(parsed.fields) - 2
            value = head[block + lengths[0][0] + len(_NAME) + 1 :]
            digits = value.lstrip(b" \t")
            self._before = head[: len(head) - len(digits)]
            self._after = digits.lstrip(b"0123456789")
            self._last = parsed
        return self._remember(head, (parsed, parsed.content_length))
