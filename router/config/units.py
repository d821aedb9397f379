"""Durations, sizes and shares as people write them.

Pure.  Guarantees (each is a property in tests/unit/config/test_config_units.py):
  * what `format_…` writes, `parse_…` reads back as the very same value;
  * a `parse_…` answers with a finite value that is not negative, or raises ValueError with a
    text that shows how to write it.
"""

import math
import re
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Final

_SECONDS: Final = {
    "d": Decimal(86_400),
    "h": Decimal(3_600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
}
_NUMBER: Final = r"[0-9]{1,18}(?:\.[0-9]{1,12})?"
DURATION_PATTERN: Final = (
    rf"^(?=.)(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?$"
)
_DURATION: Final = re.compile(DURATION_PATTERN, re.ASCII)
_DURATION_PART: Final = re.compile(rf"({_NUMBER})(ms|[dhms])", re.ASCII)
_HUNDREDTH: Final = Decimal("0.01")
_PLAIN_NUMBER: Final = re.compile(_NUMBER, re.ASCII)
# Why a bound: beyond it a deadline is a typing error, and timers of some loops overflow.
MAX_DURATION_S: Final = 3650 * 86_400

_BYTES: Final = {
    "": 1,
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
SIZE_PATTERN: Final = rf"^{_NUMBER} ?(?:k|[KMGT]i?)?B?$"
_SIZE: Final = re.compile(rf"({_NUMBER}) ?(k|[KMGT]i?)?B?", re.ASCII)
MAX_SIZE: Final = 2**50


def parse_duration(value: object) -> float:
    """Read `250ms`, `30s`, `1h30m`, or a plain number of seconds."""
    text = _text_of(value)
    if _PLAIN_NUMBER.fullmatch(text):
        total = Decimal(text)
    elif _DURATION.fullmatch(text):
        parts = _DURATION_PART.findall(text)
        total = sum((Decimal(number) * _SECONDS[unit] for number, unit in parts), Decimal(0))
    else:
        raise ValueError(f'not a duration: "{text}" (write 250ms, 30s, 5m, 1h30m or seconds)')
    if total > MAX_DURATION_S:
        raise ValueError(f'too long: "{text}" is more than ten years')
    return float(total)


def format_duration(seconds: float) -> str:
    """Write a duration with the largest units first; whole milliseconds stay readable."""
    if (milliseconds := Decimal(repr(seconds)) * 1000) % 1:
        return f"{Decimal(repr(seconds)):f}s"
    left, text = int(milliseconds), ""
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        count, left = divmod(left, length)
        text += f"{count}{unit}" if count else ""
    return text + (f"{left}ms" if left else "") or "0s"


def parse_size(value: object) -> int:
    """Read `64MiB`, `8MB`, `512KiB`, or a plain number of bytes."""
    text = _text_of(value)
    if not (found := _SIZE.fullmatch(text)):
        raise ValueError(f'not a size: "{text}" (write 512KiB, 8MB, 64MiB or bytes)')
    size = Decimal(found[1]) * _BYTES[found[2] or ""]
    if size % 1:
        raise ValueError(f'not a whole number of bytes: "{text}"')
    if size > MAX_SIZE:
        raise ValueError(f'too large: "{text}" is more than a pebibyte')
    return int(size)


def format_size(size: int) -> str:
    """Write a size in the largest unit that divides it."""
    for unit in ("Ti", "Gi", "Mi", "Ki", "T", "G", "M", "k"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}B"
    return str(size)


def parse_percent(value: object) -> int:
    """Read a percentage with at most two decimals; the answer is in basis points."""
    text = _text_of(value)
    try:
        percent = Decimal(text)
    except InvalidOperation:
        percent = Decimal("NaN")
    if not percent.is_finite():
        raise ValueError(f'not a percentage: "{text}"')
    if not 0 <= percent <= 100:
        raise ValueError(f"{text} is not between 0 and 100 percent")
    if percent != percent.quantize(_HUNDREDTH):  # exact, where arithmetic would round 30 digits
        raise ValueError(f"{text} has more than two decimals")
    return int(percent * 100)


def format_percent(basis_points: int) -> str:
    """Write basis points as a percentage without needless zeros: `5`, `0.25`."""
    return f"{basis_points / 100:.2f}".rstrip("0").rstrip(".")


def to_basis_points(weight: Decimal, of: int) -> int:
    """Turn a weight out of a total other than 100 into basis points."""
    return int((weight * 10_000 / of).to_integral_value(ROUND_HALF_EVEN))


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return "nothing" if value is None else str(value)
    if isinstance(value, float) and math.isfinite(value):
        return f"{Decimal(repr(value)):f}"  # never 1e-05
    return str(value)
