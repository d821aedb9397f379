"""Durations as templates write them: Go's (`30s`, `1h30m`, `1.5h`, `250ms`), days, or seconds.

Pure.  A duration is never negative.  The error texts are those of Go's `time.ParseDuration`,
because people search for them.
"""

import re
from decimal import Decimal
from typing import Final

_SECONDS: Final = {
    "d": Decimal(86_400),  # Go has no days; the router's own durations do
    "h": Decimal(3_600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("1e-3"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),  # U+00B5, and below U+03BC: Go takes both
    "μs": Decimal("1e-6"),
    "ns": Decimal("1e-9"),
}
_NUMBER: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{0,12})?|\.[0-9]{1,12}", re.ASCII)
_UNIT: Final = re.compile(r"[^0-9.]+")
_MAX_LENGTH: Final = 64
MAX_DURATION_S: Final = 3650 * 86_400


def parse_duration(value: object) -> float:
    """Give a duration in seconds.

    Raises:
        ValueError: it is none; the text says what is wrong with it.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"time: invalid duration {_quoted(value)}")
    text = str(value).strip()
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"time: invalid duration {_quoted(text[:_MAX_LENGTH])}…")
    total = Decimal(text) if _NUMBER.fullmatch(text) else _sum(text)
    if total > MAX_DURATION_S:
        raise ValueError(f"time: invalid duration {_quoted(text)}: more than ten years")
    return float(total)


def _sum(text: str) -> Decimal:
    total, rest = Decimal(0), text.removeprefix("+")
    if not rest:
        raise ValueError(f"time: invalid duration {_quoted(text)}")
    while rest:
        number = _NUMBER.match(rest)
        if number is None:
            raise ValueError(f"time: invalid duration {_quoted(text)}")
        unit = _UNIT.match(rest, number.end())
        if unit is None:
            raise ValueError(f"time: missing unit in duration {_quoted(text)}")
        if unit[0] not in _SECONDS:
            raise ValueError(f"time: unknown unit {_quoted(unit[0])} in duration {_quoted(text)}")
        total += Decimal(number[0]) * _SECONDS[unit[0]]
        rest = rest[unit.end() :]
    return total


def _quoted(value: object) -> str:
    return f'"{value}"'
