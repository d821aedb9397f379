"""The little of two differing values that a person is shown."""

import json
from typing import Any, AnyStr, Final

from router.comparison.result import MAX_EXCERPT

_CUT: Final = "…"
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, default=lambda _: _CUT)


def around(primary: str, other: str) -> tuple[str, str]:
    """Both texts where they first differ."""
    at = common_start(primary, other)
    return excerpt(primary, at), excerpt(other, at)


def around_bytes(primary: bytes, other: bytes) -> tuple[str, str]:
    """Both bodies where they first differ, read as UTF-8 as far as they are."""
    start = max(0, common_start(primary, other) - MAX_EXCERPT // 2)
    end = start + MAX_EXCERPT
    return primary[start:end].decode("utf-8", "replace"), other[start:end].decode(
        "utf-8", "replace"
    )


def excerpt(text: str, at: int = 0) -> str:
    """At most `MAX_EXCERPT` characters with `at` in their middle, as far as the text goes."""
    start = max(0, min(at - MAX_EXCERPT // 2, len(text) - MAX_EXCERPT))
    shown = text[start : start + MAX_EXCERPT]
    if start:
        shown = _CUT + shown[1:]
    if start + MAX_EXCERPT < len(text):
        shown = shown[:-1] + _CUT
    # JSON may hold half of a surrogate pair, and no encoder would take it again.
    return shown.encode("utf-8", "replace").decode()


def common_start(one: AnyStr, two: AnyStr) -> int:
    """How much two texts begin with in common; a search for it, because `==` runs in C."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == two[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def json_start(value: Any) -> str:
    """The beginning of a value as JSON.

    Only so much is written as will be shown: the value may be eight megabytes, or a thousand
    levels deep.
    """
    written, length = [], 0
    try:
        for piece in _ENCODER.iterencode(value):
            written.append(piece)
            length += len(piece)
            if length > MAX_EXCERPT:
                break
    except RecursionError:
        written.append(_CUT)
    return "".join(written)
