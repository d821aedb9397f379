"""Durations, sizes and shares as people write them."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config.units import (
    DURATION_PATTERN,
    MAX_DURATION_S,
    MAX_SIZE,
    SIZE_PATTERN,
    format_duration,
    format_percent,
    format_size,
    parse_duration,
    parse_percent,
    parse_size,
    to_basis_points,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        ("1d", 86400.0),
        ("1.5h", 5400.0),
        ("1m500ms", 60.5),
        ("90", 90.0),
        (90, 90.0),
        (0.25, 0.25),
        ("0", 0.0),
        (1e-7, 1e-7),
        (" 5s ", 5.0),
    ],
)
def test_a_duration_is_read_as_written(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "5 m", "-5s", "5min", "m5", "1m1h", "1s1s", "nan", "inf", "1e3", "٣s", None, []),
        *(True, float("nan"), float("inf"), -1, "11y", "3651d", "9" * 19),
    ],
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"not a duration|too long"):
        parse_duration(text)


@given(st.integers(0, MAX_DURATION_S * 1000))
def test_whole_milliseconds_survive_being_written_and_read(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.floats(1e-6, MAX_DURATION_S))
def test_any_duration_is_written_so_that_it_can_be_read(seconds: float) -> None:
    seconds = round(seconds, 9)
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (12600.0, "3h30m"), (0.25, "250ms"), (90.0, "1m30s"), (86400.0, "1d")],
)
def test_a_duration_is_written_in_large_units_first(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 * 1024**2),
        ("8MB", 8_000_000),
        ("512KiB", 512 * 1024),
        ("64Mi", 64 * 1024**2),
        ("1k", 1000),
        ("1.5KiB", 1536),
        ("100B", 100),
        ("8 MB", 8_000_000),
        ("0", 0),
        (4096, 4096),
    ],
)
def test_a_size_is_read_as_written(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "1.5", "64mib", "-1", "1 000", "MiB", "1e3", None, True, float("nan"), "2PiB"]
)
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"not a"):
        parse_size(text)


def test_a_size_beyond_a_pebibyte_is_a_typing_error() -> None:
    with pytest.raises(ValueError, match="too large"):
        parse_size("1025TiB")


@given(st.integers(0, MAX_SIZE))
def test_a_size_survives_being_written_and_read(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(0, 10_000))
def test_a_share_survives_being_written_and_read(basis_points: int) -> None:
    assert parse_percent(format_percent(basis_points)) == basis_points
    assert parse_percent(basis_points / 100) == basis_points


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nan", "not a percentage"),
        (float("nan"), "not a percentage"),
        ("many", "not a percentage"),
        (None, "not a percentage"),
        (True, "not a percentage"),
        (-1, "not between"),
        (100.01, "not between"),
        ("0.125", "more than two decimals"),
    ],
)
def test_what_is_no_share_is_refused(text: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_percent(text)


def test_a_weight_of_another_total_becomes_basis_points() -> None:
    assert to_basis_points(Decimal(5), 1000) == 50
    assert to_basis_points(Decimal(1), 3) == 3333


@given(st.text(alphabet="0123456789.dhmsKMGTiB ", max_size=12))
def test_what_the_schema_allows_is_what_can_be_read(text: str) -> None:
    for pattern, parse in ((DURATION_PATTERN, parse_duration), (SIZE_PATTERN, parse_size)):
        if re.fullmatch(pattern, text) is None and not re.fullmatch(r"\s*[0-9.]+\s*", text):
            if text != text.strip():
                continue  # white space around it is forgiven
            with pytest.raises(ValueError):
                parse(text)
