"""What the demo says."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from rich.console import Console

from router.demo import CANARY
from router.demo.readings import Counts, Reading
from router.demo.table import percent, seconds, version_table
from router.demo.traffic import Tally
from router.demo.view import Moment, view_for
from router.demo.words import print_summary

LONG = {0.5: 1_000_000.0, 15.0: 2_000_000.0, float("inf"): 2_000_000.0}
READING = Reading(
    {
        "v1": Counts(0.9975, "stable", 1_234_567, 1_234, 99_999_999, LONG, LONG),
        "v2": Counts(0.0025, "canary", 3_000, 12, 1_000, LONG, LONG),
    }
)


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=terminal)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_table_with_long_figures_fits_80_columns() -> None:
    out = console()
    out.print(version_table(READING, READING, 3_600.0))
    assert "…" not in said(out)
    assert "1234567" in said(out)


def summary(tally: Tally) -> str:
    out = console()
    print_summary(out, CANARY, READING, tally, 20.0)
    return said(out)


def test_a_split_within_a_request_of_each_worker_is_exact() -> None:
    text = summary(Tally(800, 800, free=Counter(v1=759, v2=41)))
    assert "split: 41 of 800 requests outside conversations to v2, 40.0 expected: exact" in text


def test_a_split_that_is_off_is_called_so() -> None:
    assert "40.0 expected: NOT EXACT" in summary(Tally(800, 800, free=Counter(v1=758, v2=42)))


def test_a_conversation_that_moved_is_called_so() -> None:
    tally = Tally(2, 2, conversations={"a": "v1", "b": "v2"}, moved={"a"})
    assert "conversations: 2, 1 MOVED (1 on v1, 1 on v2)" in summary(tally)


def test_failures_are_told_with_their_reasons() -> None:
    tally = Tally(10, 7, failures=Counter({"HTTP 502": 2, "ReadTimeout": 1}))
    text = summary(tally)
    assert "clients: 10 sent, 0 open, 3 failed (HTTP 502 2, ReadTimeout 1)" in text


@pytest.mark.parametrize("elapsed_s", [0.0, 5.0])
def test_a_summary_of_nothing_is_a_summary(elapsed_s: float) -> None:
    out = console()
    print_summary(out, CANARY, Reading(), Tally(), elapsed_s)
    assert "0 of 0 requests" in said(out)


def test_without_a_terminal_there_is_a_line_every_three_seconds() -> None:
    out = console()
    with view_for(out) as view:
        for second in range(10):
            view.show(Moment(second, READING, READING, 10.0, Tally()))
    lines = said(out).splitlines()
    assert [line[:5] for line in lines] == ["00:03", "00:06", "00:09"]
    assert "v2 3000 requests (0.24 % for 0.25 %), 12 errors, p50 500 ms" in lines[0]


def test_on_a_terminal_a_table_stays_in_place_and_goes_at_the_end() -> None:
    out = console(terminal=True)
    with view_for(out) as view:
        view.show(Moment(1.0, READING, READING, 1.0, Tally()))
        assert "v1 stable" in said(out)
    assert said(out).endswith("\x1b[2K")  # erased, line by line


@pytest.mark.parametrize(
    ("figure", "text"), [(0.05, "5 %"), (0.0025, "0.25 %"), (1.0, "100 %"), (None, "-")]
)
def test_percents_have_the_digits_they_need(figure: float | None, text: str) -> None:
    assert percent(figure) == text


@pytest.mark.parametrize(
    ("figure", "text"), [(0.0042, "4 ms"), (0.9996, "1.00 s"), (12.3, "12.30 s"), (None, "-")]
)
def test_durations_change_their_unit(figure: float | None, text: str) -> None:
    assert seconds(figure) == text
