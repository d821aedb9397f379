"""A measured value is judged as Argo's EvaluateResult judges it."""

from __future__ import annotations

import math

import pytest

from router.analysis.conditions import Condition, ConditionError, Outcome, judge, parse
from router.analysis.conditions.argo_functions import (
    as_a_float,
    as_int,
    default,
    is_nil,
    is_nil_or_empty,
)

YES, NO = parse("true"), parse("false")


@pytest.mark.parametrize(
    ("success", "failure", "outcome"),
    [
        (None, None, Outcome.SUCCESSFUL),
        (YES, None, Outcome.SUCCESSFUL),
        (NO, None, Outcome.FAILED),
        (None, NO, Outcome.SUCCESSFUL),
        (None, YES, Outcome.FAILED),
        (YES, NO, Outcome.SUCCESSFUL),
        (YES, YES, Outcome.FAILED),
        (NO, YES, Outcome.FAILED),
        (NO, NO, Outcome.INCONCLUSIVE),
    ],
)
def test_two_conditions_make_one_outcome(
    success: Condition | None, failure: Condition | None, outcome: Outcome
) -> None:
    assert judge(1.0, success, failure).outcome is outcome


def test_a_mistake_in_the_second_condition_counts_though_the_first_decides() -> None:
    verdict = judge(5.0, parse("result > 1"), parse('result == "bad"'))
    assert verdict.outcome is Outcome.ERROR
    assert verdict.message == (
        'could not evaluate failureCondition "result == "bad"": '
        "invalid operation: == (mismatched types float64 and string)"
    )


@pytest.mark.parametrize("empty", [None, []])
def test_no_data_explains_a_failed_evaluation(empty: object) -> None:
    verdict = judge(empty, parse("result[0] >= 0.95"), None)
    assert verdict.outcome is Outcome.ERROR
    assert verdict.message == (
        'could not evaluate successCondition "result[0] >= 0.95": metric result is nil or empty: '
        "no data returned from the metric provider"
    )


def test_default_does_not_rescue_an_empty_vector_but_a_guard_does() -> None:
    assert judge([], parse("default(result[0], 0) < 1"), None).outcome is Outcome.ERROR
    assert judge([], parse("len(result) == 0 || result[0] < 1"), None).outcome is Outcome.SUCCESSFUL


def test_default_and_is_nil_ask_the_raw_result() -> None:
    assert judge(None, parse("default(result, 0) < 0.05"), None).outcome is Outcome.SUCCESSFUL
    assert judge(None, parse("default(result, 1) < 0.05"), None).outcome is Outcome.FAILED
    assert parse("default(1, 2) == 3").evaluate(3.0)
    assert parse("isNil(5)").evaluate(None)
    assert not parse("isNil(nil)").evaluate(5.0)


def test_nan_is_inconclusive_with_two_conditions_and_failed_with_one() -> None:
    success, failure = parse("result >= 0.9"), parse("result < 0.9")
    assert judge(math.nan, success, failure).outcome is Outcome.INCONCLUSIVE
    assert judge(math.nan, success, None).outcome is Outcome.FAILED
    assert judge(math.nan, parse("isNaN(result) || result >= 0.9"), None).outcome is (
        Outcome.SUCCESSFUL
    )


@pytest.mark.parametrize(("value", "number"), [("1", 1), ("-7", -7), (1.9, 1), (-1.9, -1), (3, 3)])
def test_as_int_cuts_the_fraction_off(value: object, number: int) -> None:
    assert as_int(value) == number


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("1.1", 'strconv.ParseInt: parsing "1.1": invalid syntax'),
        (" 1", 'strconv.ParseInt: parsing " 1": invalid syntax'),
        ("1_0", 'strconv.ParseInt: parsing "1_0": invalid syntax'),
        ("9" * 30, f'strconv.ParseInt: parsing "{"9" * 30}": value out of range'),
        (None, "asInt() not supported on <nil> <nil>"),
        (True, "asInt() not supported on bool"),
    ],
)
def test_as_int_refuses_what_is_no_whole_number(value: object, words: str) -> None:
    with pytest.raises(ConditionError) as caught:
        as_int(value)
    assert str(caught.value) == words


def test_as_float_reads_numbers_and_their_texts() -> None:
    assert (as_a_float("1.1"), as_a_float("1e3"), as_a_float(".5"), as_a_float(2)) == (
        1.1,
        1000,
        0.5,
        2,
    )
    assert math.isinf(as_a_float("+Inf"))
    assert math.isnan(as_a_float("nan"))


@pytest.mark.parametrize("value", ["NotANum", "", "1 ", "1_000", "1e999", "٣", [1.0]])
def test_as_float_refuses_what_is_no_number(value: object) -> None:
    with pytest.raises(ConditionError, match=r"ParseFloat|not supported"):
        as_a_float(value)


def test_only_nil_is_nil_and_an_empty_vector_is_empty() -> None:
    assert is_nil(None)
    assert not any(map(is_nil, ([], {}, 0, False, "")))
    assert is_nil_or_empty(None)
    assert is_nil_or_empty([])
    assert not any(map(is_nil_or_empty, ([0.0], {}, 0, "", False)))
    assert (default(None, 3), default(0.0, 3), default([], 3)) == (3, 0.0, [])
