"""Durations of templates: Go's, days, or plain seconds."""

from __future__ import annotations

import pytest

from router.analysis.durations import MAX_DURATION_S, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5_400.0),
        ("1.5h", 5_400.0),
        (".5s", 0.5),
        ("+5s", 5.0),
        ("250ms", 0.25),
        ("3us", 3e-6),
        ("3µs", 3e-6),
        ("7ns", 7e-9),
        ("1m1m", 120.0),  # Go adds them up
        ("1d", 86_400.0),
        ("10", 10.0),
        (10, 10.0),
        (0.5, 0.5),
        ("0", 0.0),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("60s-typo", 'time: unknown unit "s-typo" in duration "60s-typo"'),
        ("1h30", 'time: missing unit in duration "1h30"'),
        ("soon", 'time: invalid duration "soon"'),
        ("", 'time: invalid duration ""'),
        ("-5s", 'time: invalid duration "-5s"'),
        (None, 'time: invalid duration "None"'),
        (True, 'time: invalid duration "True"'),
        (float("nan"), 'time: invalid duration "nan"'),
        ([], 'time: invalid duration "[]"'),
    ],
)
def test_what_is_no_duration_is_refused_in_gos_words(text: object, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_duration(text)
    assert str(refused.value) == message


def test_a_duration_is_bounded() -> None:
    assert parse_duration("3650d") == MAX_DURATION_S
    with pytest.raises(ValueError, match="more than ten years"):
        parse_duration("3651d")
    with pytest.raises(ValueError, match="invalid duration"):
        parse_duration("1s" * 100)
