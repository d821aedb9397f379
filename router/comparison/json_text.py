"""JSON as model servers write it, read."""

import json
from typing import Any

import orjson


def read_json(text: bytes | str) -> Any:
    """Read a whole document; the last of equal keys counts.

    Raises:
        ValueError: it is none, or is nested deeper than about a thousand levels.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _read_python_json(text)


def _read_python_json(text: bytes | str) -> Any:
    # Servers in Python write NaN and Infinity, and halves of surrogate pairs, which JSON does
    # not have (RFC 8259 §6, §8.2) and orjson refuses.
    try:
        return json.loads(text if isinstance(text, str) else text.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def head_length(body: bytes) -> int:
    """How many bytes the JSON object takes that a body begins with, whatever follows it.

    Raises:
        ValueError: it begins with none.
    """
    if not body.startswith(b"{"):
        raise ValueError("begins with no JSON object")
    # In Latin-1 one byte is one character, and all that JSON's structure needs is ASCII.
    try:
        return json.JSONDecoder().raw_decode(body.decode("latin-1"))[1]
    except RecursionError:
        raise ValueError("is nested too deeply") from None
