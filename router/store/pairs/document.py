"""Documents as the bytes that are stored: JSON, so that a shell can read them, compressed when
that helps."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from router.store.base import StoreCorruptError, StoreError
from router.store.pairs.base import KeptPair

COMPRESSED_ABOVE: Final = 1_024
"""Bytes of JSON."""

_LEVEL: Final = 1
_MARK: Final = b"x"
"""What every zlib stream of ours begins with (RFC 1950 §2.2), and no JSON text does."""

_json: Final = msgspec.json.Encoder()
_documents: Final = msgspec.json.Decoder()

_UNWRITABLE: Final = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def encode_pairs(pairs: Sequence[KeptPair]) -> list[KeptPair]:
    """Pairs with their documents as bytes.

    Raises:
        StoreError: naming the pair whose document cannot be stored.
    """
    return [
        msgspec.structs.replace(
            pair, document=_encode(pair.document, f"pair {number} of the batch ({pair.route})")
        )
        for number, pair in enumerate(pairs, start=1)
    ]


def encode_tallies(tallies: Mapping[str, Any]) -> dict[str, bytes]:
    """Tallies as bytes.

    Raises:
        StoreError: naming the route whose tally cannot be stored.
    """
    return {route: _encode(tally, f"the tally of {route}") for route, tally in tallies.items()}


def decode_pair(pair: KeptPair) -> KeptPair:
    """A pair with its document, of one with its bytes.

    Raises:
        StoreCorruptError: naming the pair.
    """
    return sized_pair(pair)[0]


def sized_pair(pair: KeptPair) -> tuple[KeptPair, int]:
    """As `decode_pair`, and how many bytes its document takes as JSON."""
    what = f"pair {pair.id} of route {pair.route}"
    text = _text(pair.document, what)
    return msgspec.structs.replace(pair, document=_decode(text, what)), len(text)


def decode_tally(blob: bytes, route: str) -> Any:
    """A tally of its bytes.

    Raises:
        StoreCorruptError: naming the route.
    """
    what = f"the tally of route {route}"
    return _decode(_text(blob, what), what)


def _encode(value: Any, what: str) -> bytes:
    try:
        text = _json.encode(value)
    except _UNWRITABLE as error:
        raise StoreError(f"{what} cannot be stored, nothing was written: {error}") from None
    if len(text) <= COMPRESSED_ABOVE:
        return text
    compressed = zlib.compress(text, _LEVEL)
    return compressed if len(compressed) < len(text) else text


def _text(blob: bytes, what: str) -> bytes:
    if not blob.startswith(_MARK):
        return blob
    try:
        return zlib.decompress(blob)
    except zlib.error as error:
        raise StoreCorruptError(f"{what} cannot be read: {error}") from None


def _decode(text: bytes, what: str) -> Any:
    try:
        return _documents.decode(text)
    except _UNREADABLE as error:
        raise StoreCorruptError(f"{what} cannot be read: {error}") from None
