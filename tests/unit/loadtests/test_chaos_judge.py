"""The chaos run's bars: what is counted against a run, and when nothing can be said."""

from __future__ import annotations

import pytest

from loadtests.chaos.asks import End, Kind, Outcome
from loadtests.chaos.judge import SLACK_DESCRIPTORS, judge
from loadtests.chaos.load import Ends
from loadtests.chaos.resources import Growth, Holding, Row, ended, growth

MB = 1_000_000
FAULTS = {"Reset": 3}
REST = {"worker w0": Holding(1, 40 * MB, 30)}


def good() -> Ends:
    ends = Ends()
    ends.add(Kind.CHAT, End(Outcome.OWN))
    ends.add(Kind.CHAT, End(Outcome.BROKEN_ANSWER))
    ends.add(Kind.STREAM, End(Outcome.BROKEN_STREAM, "upstream_truncated"))
    return ends


def missed(ends: Ends, **more: object) -> set[str]:
    how = {
        "faults": FAULTS,
        "gauges": {"in flight": 0.0},
        "rest": (REST, REST),
        "grown": [],
        "ended": [],
    }
    verdicts = judge(ends, **{**how, **more})  # type: ignore[arg-type]  # one dict for all
    return {verdict.name for verdict in verdicts if verdict.kept is False}


def test_what_broke_when_begun_on_the_faulty_endpoint_is_told_and_nothing_is_missed() -> None:
    assert missed(good()) == set()


def test_one_wrong_answer_or_one_error_before_anything_had_begun_misses_a_bar() -> None:
    ends = good()
    ends.add(Kind.ECHO, End(Outcome.WRONG, "echo 7: another body's digest"))
    assert missed(ends) == {"answers that are wrong or lost"}
    assert ends.flaws == ["echo 7: another body's digest"]
    ends = good()
    ends.add(Kind.STREAM, End(Outcome.ERROR, "upstream_reset"))
    assert missed(ends) == {"errors where nothing had begun"}


def test_a_run_without_answers_or_without_faults_proves_nothing() -> None:
    assert missed(Ends(), faults={}) == {"own answers, whole", "faults carried out"}


def test_what_is_left_in_flight_or_open_or_has_ended_misses_a_bar() -> None:
    more = {"worker w0": Holding(1, 40 * MB, REST["worker w0"].descriptors + SLACK_DESCRIPTORS + 1)}
    assert missed(good(), gauges={"in flight": 1.0}) == {"gauge in flight"}
    assert missed(good(), rest=(REST, more)) == {"descriptors of worker w0 at rest"}
    assert missed(good(), ended=["worker w1"]) == {"processes that ended"}


def rows(seconds: int, resident: float, descriptors: float) -> list[Row]:
    """A process that grows by so much a second."""
    return [
        (
            float(s),
            {"worker w0": Holding(1, int(40 * MB + s * resident), int(100 + s * descriptors))},
        )
        for s in range(1, seconds + 1)
    ]


@pytest.mark.parametrize(
    ("resident", "descriptors", "bars"),
    [
        (0, 0, set()),
        (5_000, 0, set()),
        (50_000, 0, {"memory of worker w0 after the first minute"}),
        (0, 1, {"descriptors of worker w0 under load"}),
    ],
)
def test_growth_after_the_first_minute_misses_a_bar(
    resident: float, descriptors: float, bars: set[str]
) -> None:
    assert missed(good(), grown=growth(rows(200, resident, descriptors))) == bars


def test_a_run_too_short_to_tell_is_not_judged() -> None:
    assert growth(rows(99, 1e6, 1)) == []
    verdicts = judge(good(), FAULTS, {}, (REST, REST), [], [])
    assert [each.kept for each in verdicts if "under load" in each.name] == [None]


def test_medians_are_of_the_time_after_the_first_minute_and_of_the_end() -> None:
    (grown,) = growth(rows(160, 100_000, 1))
    assert grown == Growth("worker w0", 46.95 * MB, 55.0 * MB, 169.5, 250.0)
    assert round(grown.percent, 1) == 17.1


def test_a_process_that_was_started_again_or_is_gone_has_ended() -> None:
    one, two = Holding(1, MB, 5), Holding(2, MB, 5)
    assert ended([(1.0, {"w0": one, "w1": one}), (2.0, {"w0": one, "w1": one})]) == []
    assert ended([(1.0, {"w0": one, "w1": one}), (2.0, {"w0": two})]) == ["w0", "w1"]
