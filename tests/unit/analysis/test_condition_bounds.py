"""No condition, whoever wrote it, takes more than a little time, memory or stack."""

from __future__ import annotations

import json

import pytest

from router.analysis.conditions import ConditionError, parse
from router.analysis.conditions.grammar import MAX_DEPTH, MAX_LENGTH, MAX_NESTING


def doublings(start: str, times: int, last: str) -> str:
    """`let a1 = a0 + a0; …`, or whatever grows by itself."""
    lets = "".join(f"let a{n + 1} = {last.format(f'a{n}')}; " for n in range(times))
    return f"let a0 = {start}; {lets}"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 2_000 + "true" + ")" * 2_000,
        "[" * 2_000,
        "not " * 1_000 + "true",
        "-" * 2_000 + "1 > 0",
        "2 " + "** 2 " * 800 + "> 1",
        "true " + "and true " * 400,
        "result" + ".a" * 1_900 + " == 1",
        "result" + "[0]" * 1_300 + " == 1",
        "all([1], " * 300 + "true" + ")" * 300,
        "let a = 1; " * 300 + "true",
        "if true { true } else " * 150 + "{ true }",
        "1" + " < 2" * 1_000,
        "true ? " * 500 + "true",
        "[] | len()" + " | string()" * 300 + " == ''",
    ],
)
def test_what_nests_too_deep_is_refused(text: str) -> None:
    assert len(text) <= MAX_LENGTH
    with pytest.raises(ConditionError, match=r"nests (too deep|deeper)|unexpected|redeclare"):
        parse(text)


def test_what_nests_as_deep_as_is_allowed_is_evaluated() -> None:
    brackets = MAX_NESTING // 2 - 2
    assert parse("(" * brackets + "true" + ")" * brackets).evaluate(None)
    assert parse("true" + " and true" * (MAX_DEPTH - 2)).evaluate(None)
    assert parse("let a = 1; " + "any([1], " * 20 + "# == a" + ")" * 20).evaluate(None)


def test_a_condition_has_a_length() -> None:
    with pytest.raises(ConditionError, match="4097 characters; 4096 are allowed"):
        parse(" " * 4_093 + "true")


@pytest.mark.parametrize(
    "text",
    [
        "all(1..999, {all(1..999, {all(1..999, {true})})})",
        "len(1..100000000000) > 0",
        'len(repeat("a", 100000000)) > 0',
        doublings("'a'", 30, "{0} + {0}") + "len(a30) > 0",
        doublings("[1]", 30, "concat({0}, {0})") + "len(a30) > 0",
        doublings("[1]", 30, "[{0}, {0}]") + "len(flatten(a30)) > 0",
        doublings("[1]", 30, "[{0}, {0}]") + "len(string(a30)) > 0",
        doublings("[1]", 30, "[{0}, {0}]") + "len(toJSON(a30)) > 0",
        doublings("[1]", 30, "[{0}, {0}]") + "mean(a30) > 0",
        doublings("[1]", 30, "[{0}, {0}]") + "max(a30) > 0",
        doublings("[1]", 30, "[{0}, {0}]") + "a30 == concat(a30)",
        doublings("{k: 1}", 30, "{{x: {0}, y: {0}}}") + "a30 == fromPairs(toPairs(a30))",
        "len(uniq(1..5000)) > 0",
        'len(replace(repeat("a", 1000), "a", repeat("b", 100000))) > 0',
        'len(join(map(1..1000, repeat("a", 10000)))) > 0',
        'let s = repeat("ab", 200000); all(1..50000, s contains "ba" and s == s + "")',
        'let m = {s: repeat("é", 300000)}; all(1..60000, m.s[0] > 0)',
    ],
)
def test_what_costs_too_much_is_stopped(text: str) -> None:
    with pytest.raises(ConditionError, match=r"(step|memory) budget exceeded"):
        parse(text).evaluate(None)


def test_ten_thousand_samples_can_be_judged() -> None:
    samples = [float(number) for number in range(10_000)]
    assert parse("all(result, # >= 0 and # < 10000) and mean(result) == 4999.5").evaluate(samples)


def test_a_value_of_thousands_of_brackets_is_an_error() -> None:
    value = json.loads("[" * 900 + "]" * 900)
    for _ in range(1_000):
        value = [value]
    with pytest.raises(ConditionError, match="nests too deep"):
        parse("len(flatten(result)) == 0").evaluate(value)


def test_a_pattern_cannot_take_exponential_time() -> None:
    assert not parse('result matches "^(a+)+$"').evaluate("a" * 5_000 + "b")
    with pytest.raises(ConditionError, match="step budget exceeded"):
        parse('result matches "^(a|b)*a(a|b){200}c$"').evaluate("ab" * 50_000)


@pytest.mark.parametrize(
    "pattern",
    ["((((a{99}){99}){99}){99})", "((((){999}){999}){999})", "a" * 1_001, "(" * 200, r"\\pL{1000}"],
)
def test_a_pattern_has_a_size(pattern: str) -> None:
    with pytest.raises(ConditionError, match="error parsing regexp"):
        parse(f'result matches "{pattern}"')
