"""Values as the bytes that are stored.

msgpack where only the router reads (it keeps NaN and tells integers from floats); JSON for audit
entries, so that anybody can check the chain with SQL and a shell.
"""

from typing import Any, Final, Protocol, TypeVar

import msgspec

from router.audit.chain import canonical, placed
from router.audit.entry import Draft, Entry
from router.errors import ConfigError
from router.rollouts.state import RouteState
from router.snapshot import Route
from router.store.base import RouteShares, StoreCorruptError, StoreError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Decoder(Protocol[T_co]):
    def decode(self, buf: bytes, /) -> T_co: ...


_msgpack: Final = msgspec.msgpack.Encoder()
_states: Final = msgspec.msgpack.Decoder(RouteState)
_routes: Final = msgspec.msgpack.Decoder(Route)
_shares: Final = msgspec.msgpack.Decoder(tuple[RouteShares, ...])
_documents: Final = msgspec.msgpack.Decoder()
_drafts: Final = msgspec.json.Decoder(Draft)

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ConfigError)


def encode(value: Any, what: str) -> bytes:
    """A state, a route, shares or a run's document.

    Raises:
        StoreError: naming `what` holds something that cannot be stored.
    """
    try:
        return _msgpack.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise StoreError(f"{what} cannot be stored, nothing was written: {error}") from None


def decode_state(blob: bytes, route: str) -> RouteState:
    """See `encode`."""
    return _decode(_states, blob, f"the state of route {route}")


def decode_route(blob: bytes, name: str) -> Route:
    """See `encode`."""
    return _decode(_routes, blob, f"the table's route {name}")


def decode_shares(blob: bytes, generation: int) -> tuple[RouteShares, ...]:
    """See `encode`."""
    return _decode(_shares, blob, f"the history of generation {generation}")


def decode_document(blob: bytes, run: str) -> Any:
    """See `encode`."""
    return _decode(_documents, blob, f"analysis run {run}")


def encode_draft(draft: Draft) -> str:
    """The text that an entry's hash is made of."""
    return canonical(draft).decode()


def decode_entry(sequence: int, previous: str, hash_: str, draft: str) -> Entry:
    """An entry from its columns."""
    return placed(
        _decode(_drafts, draft.encode(), f"audit entry {sequence}"), sequence, previous, hash_
    )


def decode_entry_strictly(sequence: int, previous: str, hash_: str, draft: str) -> Entry:
    """As `decode_entry`, and refuse a text that only reads like what was written.

    A field named twice, or one that nobody asks for, would not change what `decode_entry` gives.
    """
    entry = decode_entry(sequence, previous, hash_, draft)
    if canonical(entry) != draft.encode():
        raise StoreCorruptError(f"audit entry {sequence} is not written as any router writes it")
    return entry


def _decode(decoder: _Decoder[T], blob: bytes, what: str) -> T:
    try:
        return decoder.decode(blob)
    except _UNREADABLE as error:
        raise StoreCorruptError(f"{what} cannot be read: {error}") from None
