"""A captured answer as one that can be compared.  Pure.

A body that was compressed is unpacked first: two servers that say the same pack it differently.
"""

import zlib
from typing import Final

from router.comparison import Answer, Outcome
from router.link.messages import Captured, Fields

MAX_UNPACKED: Final = 8 * 1024 * 1024
"""A longer body stays packed: a few KB may unpack to gigabytes."""

# zlib reads the gzip format, or the one that HTTP calls deflate, with these (RFC 9110 §8.4.1).
_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def answer_of(captured: Captured) -> Answer:
    """What the comparison reads.

    Raises:
        ValueError: the outcome is none that there is.
    """
    return Answer(
        outcome=Outcome(captured.outcome),
        reason=captured.reason,
        status=captured.status,
        content_type=value_of(captured.fields, "content-type"),
        body=unpacked(captured.body, captured.fields),
        first_byte_s=captured.first_byte_s,
        first_token_s=captured.first_token_s,
        duration_s=captured.duration_s,
    )


def value_of(fields: Fields, name: str) -> str:
    """A header field's value; empty where there is none."""
    return next((value for each, value in fields if each == name), "")


def unpacked(body: bytes, fields: Fields) -> bytes:
    """A body without its content coding; as it is where that cannot be undone."""
    window = _WINDOWS.get(value_of(fields, "content-encoding").strip().lower())
    if window is None or not body:
        return body
    reader = zlib.decompressobj(window)
    try:
        plain = reader.decompress(body, MAX_UNPACKED)
    except zlib.error:
        return body
    return plain if reader.eof else body
