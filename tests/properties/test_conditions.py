"""Whatever is written as a condition and whatever is measured: a verdict or a `ConditionError`."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from router.analysis.conditions import ConditionError, Outcome, evaluate_time, judge, parse
from router.analysis.conditions.functions import FUNCTIONS
from router.analysis.conditions.grammar import PREDICATE_FUNCTIONS
from router.analysis.conditions.regex import found_in
from router.analysis.conditions.run import Run

PROPERTY = settings(deadline=None, max_examples=200)
NUMBERS = st.floats() | st.integers(-(2**70), 2**70)
RESULTS = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=8,
)
VARIABLES = ["result", "result[0]", "result.a", "result?.b.c", "#", "#index", ".a", "$env", "x"]
LITERALS = ["nil", "true", "1", "0", "2.5", '"a"', '"1"', "[]", "[1,2.5]", "{a:1}", "1..3", "0/0"]
ATOMS = st.sampled_from([*VARIABLES, *LITERALS])
CALCULATING = ["+", "-", "*", "/", "%", "**", "^", "==", "!=", "<", ">", "<=", ">="]
CHOOSING = ["and", "or", "&&", "||", "??", "..", "in", "not in", "contains", "matches"]
OPERATORS = st.sampled_from([*CALCULATING, *CHOOSING])


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, OPERATORS, inner).map(" ".join),
        inner.map("({})".format),
        st.tuples(st.sampled_from(["not ", "-", "!"]), inner).map("".join),
        st.builds("{}({})".format, st.sampled_from(sorted(FUNCTIONS)), inner),
        st.builds("{}({}, {})".format, st.sampled_from(sorted(FUNCTIONS)), inner, inner),
        st.builds(
            "{}({}, {{{}}})".format, st.sampled_from(sorted(PREDICATE_FUNCTIONS)), inner, inner
        ),
        st.builds("{} ? {} : {}".format, inner, inner, inner),
        st.builds("{}[{}:{}]".format, inner, inner, inner),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("let x = {}; {}".format, inner, inner),
        st.builds("{} | {}()".format, inner, st.sampled_from(sorted(FUNCTIONS))),
    )


def outcome_of(act: Callable[[], object]) -> object:
    """What it gives, or the words of its `ConditionError`; nothing else may be raised."""
    try:
        return act()
    except ConditionError as mistake:
        return str(mistake)


EXPRESSIONS = st.recursive(ATOMS, combined, max_leaves=8)


@PROPERTY
@given(EXPRESSIONS, RESULTS)
def test_any_condition_gives_a_truth_value_or_a_condition_error(text: str, result: object) -> None:
    value = outcome_of(lambda: parse(text).evaluate(result))
    assert value in (True, False) or value
    assert outcome_of(lambda: parse(text).evaluate(result)) == value


@PROPERTY
@given(st.text(max_size=60) | st.text("()[]{}#.?:|&=!<>'\"`\\/* 1aexlet;,", max_size=60))
def test_garbage_is_refused_and_never_a_crash(text: str) -> None:
    assert outcome_of(lambda: parse(text).text) == text or outcome_of(lambda: parse(text))
    assert outcome_of(lambda: evaluate_time(text, 1.0))


@PROPERTY
@given(RESULTS, st.sampled_from(["result > 1", "result.a < 1", "isNil(result)", "result[0] == 1"]))
def test_every_result_gets_one_of_the_four_outcomes(result: object, text: str) -> None:
    verdict = judge(result, parse(text), parse("false"))
    assert verdict.outcome in set(Outcome) - {Outcome.NO_DATA}
    assert bool(verdict.message) == (verdict.outcome is Outcome.ERROR)


@PROPERTY
@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_two_limits_leave_no_value_undecided(value: float, limit: float) -> None:
    below = parse("result < limit", {"limit"}).evaluate(value, {"limit": limit})
    above = parse("result >= limit", {"limit"}).evaluate(value, {"limit": limit})
    assert below is not above


# What Python's re and RE2 read alike, so that each can check the other.
PIECES = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", "^", r"\b", "(?:)"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds("(?:{}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}"])),
    ),
    max_leaves=6,
)


@PROPERTY
@given(PIECES, st.text("ab1 \n", max_size=8))
def test_a_pattern_finds_what_a_backtracking_engine_finds(pattern: str, text: str) -> None:
    assert found_in(text, pattern, Run(None)) == bool(re.search(pattern, text, re.ASCII))


@PROPERTY
@given(PIECES, st.text("ab", min_size=20, max_size=40))
def test_a_small_pattern_over_a_long_text_stays_within_the_budget(pattern: str, text: str) -> None:
    found = found_in(text * 50, pattern, Run(None))
    assert found == bool(re.search(pattern, text * 50, re.ASCII))
