"""The time expressions of a range query mean points in time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from router.analysis.conditions import ConditionError, evaluate_time

NOW = 1_700_000_000.5


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("now()", 0),
        ('now() - duration("5m")', -300),
        ('now() + duration("1h30m")', 5_400),
        ('duration("1.5h") + now()', 5_400),
        ('now() - 2 * duration("10s")', -20),
        ('now() - duration("10s") * 0.5', -5),
        ('now() - (duration("1m") - duration("250ms"))', -59.75),
        ('now() + duration("-1h")', -3_600),
        ('now() - -duration("1s")', 1),
        ("now() - (now() - now())", 0),
        ('now() - duration("0")', 0),
        ('now() + duration("1000000us")', 1),
    ],
)
def test_a_time_is_counted_from_the_present_that_is_given(text: str, offset: float) -> None:
    assert evaluate_time(text, NOW) == NOW + offset


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ('date("2023-08-14")', "2023-08-14T00:00:00"),
        ('date("2023-08-14 10:20:30")', "2023-08-14T10:20:30"),
        ('date("2023-08-14T10:20:30Z")', "2023-08-14T10:20:30"),
        ('date("2023-08-14T10:20:30.25+02:00")', "2023-08-14T08:20:30.250000"),
        ('date("14 Aug 23 10:20 UTC")', "2023-08-14T10:20:00"),
        ('date("Monday, 14-Aug-23 10:20:30 UTC")', "2023-08-14T10:20:30"),
        ('date("Mon, 14 Aug 2023 10:20:30 GMT")', "2023-08-14T10:20:30"),
        ('date("8/2/2023 3:04PM", "1/2/2006 3:04PM")', "2023-08-02T15:04:00"),
        ('date("12:30 am, 2 January 2023", "03:04 pm, 2 January 2006")', "2023-01-02T00:30:00"),
        ('date("2023-08-14 00:00:00", "2006-01-02 15:04:05", "UTC")', "2023-08-14T00:00:00"),
        ('date("2023-08-14") - duration("1h")', "2023-08-13T23:00:00"),
    ],
)
def test_a_date_is_read_by_its_layout(text: str, iso: str) -> None:
    assert evaluate_time(text, NOW) == datetime.fromisoformat(iso).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello", "unknown name hello"),
        ("now() -- ?", 'unexpected token Operator("?")'),
        ('duration("5m")', "expected time.Time, but got time.Duration"),
        ("5", "expected time.Time, but got int"),
        ("now() + now()", "mismatched types time.Time and time.Time"),
        ("now() - 5", "mismatched types time.Time and int"),
        ('duration("5m") - now()', "mismatched types time.Duration and time.Time"),
        ('now() - duration("5 minutes")', 'time: invalid duration "5 minutes"'),
        ('now() - duration("")', 'time: invalid duration ""'),
        ('now() - duration("--5m")', 'time: invalid duration "--5m"'),
        ('date("yesterday")', "invalid date yesterday"),
        ('date("2023-02-30")', "there is no such day"),
        ('date("10:20:30")', "invalid date 10:20:30"),
        ('date("2023-08-14", "2006-01-02", "Mars/Olympus")', "unknown time zone Mars/Olympus"),
        ('date("2023-08-14", "2006-01-02", "../../etc/passwd")', "unknown time zone"),
        ('date("1 1", "1 01")', "has an element twice"),
        ("now(1)", "now does not take these arguments"),
        ('exec("x")', "unknown name exec"),
        ('now() + duration("2562047h") * 9', "time out of range"),
        ("now()[0]", "a time is made of"),
    ],
)
def test_what_is_no_point_in_time_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConditionError) as caught:
        evaluate_time(text, NOW)
    assert words in str(caught.value)
