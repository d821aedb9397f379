"""What the demo says."""

from __future__ import annotations

import io
import shlex
from collections import Counter

import pytest
from rich.console import Console
from typer.testing import CliRunner

from router.cli import main
from router.demo import CANARY
from router.demo.readings import Counts, Reading
from router.demo.rollout import Entry, Progress
from router.demo.scenario import Act
from router.demo.story import Chapter, Story
from router.demo.table import percent, seconds, version_table
from router.demo.traffic import Tally
from router.demo.view import Moment, view_for
from router.demo.words import commands, print_end, print_summary, print_verdict
from router.rollouts.effects import Action

LONG = {0.5: 1_000_000.0, 15.0: 2_000_000.0, float("inf"): 2_000_000.0}
READING = Reading(
    {
        "v1": Counts(0.9975, "stable", 1_234_567, 1_234, 0, 99_999_999, LONG, LONG),
        "v3": Counts(0.0025, "canary", 3_000, 600, 599, 1_000, LONG, LONG),
    }
)
PROGRESS = Progress("Progressing", None, "v3", 5.0, 2, 8)


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


def story(*chapters: Chapter) -> Story:
    return Story(CANARY, list(chapters))


def chapter(act: Act, ending: Entry) -> Chapter:
    share = Entry(1, 100.0, Action.WEIGHT_SET, "", {"weight_bp": 500})
    return Chapter(act, [share, ending])


def summary(told: Story, tally: Tally, reading: Reading = READING) -> str:
    out = console()
    print_summary(out, told, reading, tally, 20.0)
    return said(out)


def test_the_summary_tells_what_the_bad_version_did_and_why_it_went() -> None:
    evidence = {"metrics": {"error-ratio": {"measurements": [{"value": "[0.2]"}]}}}
    ending = Entry(2, 104.25, Action.ABORTED, "error-ratio assessed Failed", evidence)
    text = summary(story(chapter(CANARY.acts[1], ending)), Tally(10, 10))
    assert "v3 was rolled back after 4.2 s: 5 %, 0 analyses good" in text
    assert "it had traffic for 4.2 s and got 3000 requests" in text
    assert "600 failed, of which stable answered 599 instead" in text
    assert "why: error-ratio assessed Failed" in text
    assert "measured: errors 20 % (NOT < 5 %)" in text
    assert "clients: 10 sent, 0 open, 0 failed" in text


def test_the_summary_tells_what_became_stable_and_what_was_not_shown() -> None:
    text = summary(story(chapter(CANARY.acts[0], Entry(2, 120.0, Action.PROMOTED))), Tally())
    assert "v2 became stable after 20.0 s: 5 %, 0 analyses good" in text
    assert "not shown, it ended too early: v3 is rolled back" in text


def test_failures_are_told_with_their_reasons() -> None:
    tally = Tally(10, 7, failures=Counter({"HTTP 502": 2, "ReadTimeout": 1}))
    text = summary(story(), tally)
    assert "clients: 10 sent, 0 open, 3 failed (HTTP 502 2, ReadTimeout 1)" in text


def test_a_summary_of_nothing_is_a_summary() -> None:
    text = summary(story(), Tally(), Reading())
    assert text.count("not shown") == 2


def test_the_end_lays_what_clients_saw_beside_what_the_router_counted() -> None:
    out = console()
    print_end(out, READING, Tally(1_236_968, 1_236_968))
    assert "1236968 sent, 0 open, 0 failed; the router counted 1236968" in said(out)


def test_the_verdict_names_every_shortfall_and_does_not_praise_what_was_not_shown() -> None:
    out = console()
    print_verdict(out, story(), ["v2 came to no end", "1 client requests failed"])
    print_verdict(out, story(), [])
    assert said(out).splitlines() == [
        "Story: NOT as it should be: v2 came to no end",
        "Story: NOT as it should be: 1 client requests failed",
        "Story: as it should be, as far as it went",
    ]


def test_every_command_that_is_shown_is_one_that_there_is() -> None:
    for line in commands("chat", "http://127.0.0.1:1"):  # tcpmux: nobody is there
        result = CliRunner().invoke(main, shlex.split(line)[1:])
        assert "cannot reach http://127.0.0.1:1" in result.output
        assert result.exit_code == 1


def moment(second: float) -> Moment:
    return Moment(second, READING, READING, 10.0, Tally(), PROGRESS)


def test_without_a_terminal_there_is_a_line_every_three_seconds() -> None:
    out = console()
    with view_for(out) as view:
        for second in range(10):
            view.show(moment(second))
    lines = said(out).splitlines()
    assert [line[:5] for line in lines] == ["00:03", "00:06", "00:09"]
    assert "Progressing: v3 at 5 %, step 2 of 8; v1 errors 0.1 %, p95 13.55 s" in lines[0]
    assert "v3 errors 20.0 %" in lines[0]


def test_without_a_terminal_there_is_no_escape_sequence() -> None:
    out = console()
    with view_for(out) as view:
        view.show(moment(3.0))
        print_summary(out, story(), READING, Tally(), 3.0)
    assert "\x1b" not in said(out)


def test_on_a_terminal_a_table_stays_in_place_and_goes_at_the_end() -> None:
    out = console(terminal=True)
    with view_for(out) as view:
        view.show(moment(1.0))
        assert "v1 stable" in said(out)
        assert "step 2 of 8" in said(out)
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
