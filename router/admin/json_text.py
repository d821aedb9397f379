"""Read JSON as RFC 8259 has it, and nothing that two readers could understand differently.

Numbers keep their digits: whoever wrote 95.005 is told about the third decimal.
"""

import json
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any, Final

MAX_DIGITS: Final = 1_000
"""Of a whole number; Python needs a time that grows with their square."""


def read_json(text: bytes) -> Any:
    """Read a document; fractions become Decimal.

    `NaN` and `Infinity` are read too, as Decimals, so that the field that holds one can be named.

    Raises:
        ValueError: it is no JSON in UTF-8, names a member twice, or holds half a character; the
            text says where, and shows nothing of the document.
    """
    try:
        document = json.loads(
            text.decode(),
            parse_int=_read_whole,
            parse_float=_read_fraction,
            parse_constant=Decimal,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"it is not JSON: {error.msg} ({place})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if b"\\u" in text:
        _refuse_halves(document)
    return document


def write_json(document: Any) -> bytes:
    """Write what `read_json` has read.

    Raises:
        ValueError: a number is NaN or infinite, or it is nested too deeply.
    """
    try:
        return json.dumps(document, ensure_ascii=False, default=_write_fraction).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _read_whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"it holds a whole number of more than {MAX_DIGITS} digits")
    return int(digits)


def _read_fraction(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise ValueError("it holds a number with too large an exponent") from None


def _write_fraction(number: Any) -> float:
    assert isinstance(number, Decimal)
    written = float(number)
    if not isfinite(written):  # 1e400 is finite only as a Decimal
        raise ValueError("holds a number that is not finite, or too large")
    return written


def _object(members: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in members:
        if name in found:
            raise ValueError(f"it names the member {name[:80]!r} twice")
        found[name] = value
    return found


def _refuse_halves(document: Any) -> None:
    """`"\\ud800"` is half a character: it cannot be written down again."""
    try:
        json.dumps(document, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half a surrogate pair") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
