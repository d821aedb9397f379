"""Read a date in one of Go's layouts, which show how 2006-01-02 15:04:05 would be written."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from router.analysis.conditions.errors import ConditionError

_LAYOUTS: Final = (
    "2006-01-02",
    "2006-01-02 15:04:05",
    "2006-01-02T15:04:05Z07:00",
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)
"""expr's own layouts, but for the time of day alone, which is no point in time."""

_FULL_MONTHS: Final = (
    "january|february|march|april|may|june|july|august|september|october|november|december"
)
_MONTHS: Final = tuple(month[:3] for month in _FULL_MONTHS.split("|"))
_DAYS: Final = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_ELEMENTS: Final[Mapping[str, str]] = {
    "January": f"(?P<month_name>{_FULL_MONTHS})",
    "Jan": f"(?P<month_name>{'|'.join(_MONTHS)})",
    "Monday": f"(?:{_DAYS})",
    "Mon": f"(?:{'|'.join(day[:3] for day in _DAYS.split('|'))})",
    "MST": r"(?P<abbreviation>[a-z]{3,5})",
    "2006": r"(?P<year>\d{4})",
    "Z07:00": r"(?P<zone>z|[+-]\d\d:\d\d)",
    "-07:00": r"(?P<zone>[+-]\d\d:\d\d)",
    "-0700": r"(?P<zone>[+-]\d{4})",
    "PM": r"(?P<half>[ap]m)",
    "pm": r"(?P<half>[ap]m)",
    "01": r"(?P<month>\d\d)",
    "02": r"(?P<day>\d\d)",
    "03": r"(?P<hour>\d\d)",
    "04": r"(?P<minute>\d\d)",
    "05": r"(?P<second>\d\d(?:[.,]\d{1,9})?)",
    "06": r"(?P<short_year>\d\d)",
    "15": r"(?P<hour>\d\d)",
    "_2": r"\s?(?P<day>\d{1,2})",
    "1": r"(?P<month>\d{1,2})",
    "2": r"(?P<day>\d{1,2})",
    "3": r"(?P<hour>\d{1,2})",
    "4": r"(?P<minute>\d{1,2})",
    "5": r"(?P<second>\d{1,2}(?:[.,]\d{1,9})?)",
}
_ELEMENT: Final = re.compile("|".join(map(re.escape, _ELEMENTS)))
_MAX_LAYOUT: Final = 64


def read_date(text: str, layout: str | None = None, zone: str = "UTC") -> datetime:
    """Read a date; `zone` is where it holds if the text names no offset.

    Raises:
        ConditionError: it is not written so, there is no such day, or no such zone.
    """
    place = _zone(zone)
    for form in _LAYOUTS if layout is None else (layout,):
        found = _pattern(form).fullmatch(text.strip())
        if found is not None:
            return _datetime(text, found.groupdict(), place)
    raise ConditionError(f"invalid date {text[:100]}")


def _zone(name: str) -> tzinfo:
    if name in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConditionError(f"unknown time zone {name[:100]}") from None


def _pattern(layout: str) -> re.Pattern[str]:
    if len(layout) > _MAX_LAYOUT:
        raise ConditionError(f"a date's layout has {_MAX_LAYOUT} characters at most")
    pattern, place = "", 0
    for element in _ELEMENT.finditer(layout):
        pattern += re.escape(layout[place : element.start()]) + _ELEMENTS[element.group()]
        place = element.end()
    try:
        return re.compile(pattern + re.escape(layout[place:]), re.IGNORECASE | re.ASCII)
    except re.error:
        raise ConditionError(f"layout {layout} has an element twice") from None


def _datetime(text: str, parts: Mapping[str, str | None], place: tzinfo) -> datetime:
    second, _, fraction = (parts.get("second") or "0").replace(",", ".").partition(".")
    try:
        return datetime(
            _year(parts),
            _month(parts),
            int(parts.get("day") or 1),
            _hour(parts),
            int(parts.get("minute") or 0),
            int(second),
            int(fraction[:6].ljust(6, "0")),
            tzinfo=_offset(parts) or place,
        )
    except (ValueError, OverflowError):
        raise ConditionError(f"invalid date {text[:100]}: there is no such day or hour") from None


def _year(parts: Mapping[str, str | None]) -> int:
    short = parts.get("short_year")
    if short is None:
        return int(parts.get("year") or 0)  # year 0 is none: a time of day alone
    return int(short) + (1900 if int(short) >= 69 else 2000)  # Go's turning point


def _month(parts: Mapping[str, str | None]) -> int:
    name = parts.get("month_name")
    return _MONTHS.index(name[:3].lower()) + 1 if name else int(parts.get("month") or 1)


def _hour(parts: Mapping[str, str | None]) -> int:
    hour, half = int(parts.get("hour") or 0), parts.get("half")
    if half is None:
        return hour
    if hour > 12:
        raise ValueError("hour out of range")
    return hour % 12 + (12 if half.lower() == "pm" else 0)


def _offset(parts: Mapping[str, str | None]) -> tzinfo | None:
    """The offset that the text names; a zone's abbreviation is UTC, as in Go without its data."""
    if parts.get("abbreviation"):
        return UTC
    zone = parts.get("zone")
    if zone is None:
        return None
    if zone in ("z", "Z"):
        return UTC
    digits = zone[1:].replace(":", "")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-size if zone.startswith("-") else size)
