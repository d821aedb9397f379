"""What conditions mean: operators, precedence, access, predicates (expr v1.17's language)."""

from __future__ import annotations

import math

import pytest

from router.analysis.conditions import ConditionError, parse

DOCUMENT = {
    "a": 1.0,
    "n": None,
    "text": "abc",
    "list": [1.0, 2.0, 3.0],
    "deep": {"x": {"y": 1.5}},
    "flag": True,
    "pods": [{"name": "v1-a", "ok": True}, {"name": "v2-b", "ok": False}],
    "in": 7.0,
}


def holds(text: str, result: object = None) -> bool:
    return parse(text).evaluate(result)


@pytest.mark.parametrize(
    "text",
    [
        "1 + 2 * 3 == 7",
        "(1 + 2) * 3 == 9",
        "7 / 2 == 3.5",
        "4 / 2 == 2",
        "7 % 4 == 3 and -7 % 4 == -3",
        "2 ** 3 ** 2 == 512",
        "-2 ^ 2 == -4",
        "2 ** -1 == 0.5",
        "1 - -1 == 2",
        "+1 == 1",
        "1 == 1.0",
        "0.1 + 0.2 != 0.3",
        "0x1F == 31 && 0b11 == 3 && 0o17 == 15 && 1_000 == 1000",
        ".5 + 1. == 1.5 && 1e3 == 1000 && 1.5e-1 == 0.15",
        "9223372036854775807 + 1 < 0",
        "1 / 0 > 1e308",
        "-1 / 0 < -1e308",
        "not (0 / 0 == 0 / 0)",
    ],
)
def test_numbers_are_calculated_as_go_does(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "true and not false",
        "true && !false",
        "false or true",
        "false || true",
        "true or false and false",
        "not true == false",
        "1 < 2 < 3",
        "not (3 < 2 < 9)",
        "1 < 2 == true",
        '"a" < "b" and "b" >= "b"',
        "true ? 1 == 1 : 1 == 2",
        "false ? false : true ? true : false",
        "true ?: false",
        "if 1 > 2 { false } else if 2 > 1 { true } else { false }",
        "(nil ?? 2) == 2",
        "(nil ?? nil ?? 1) == 1",
        "let x = 2; let y = x + 1; x * y == 6",
        "1 == 2; true",
        "(let x = 1; x) + 1 == 2",
        "true // the rest is a comment",
        "/* before */ true",
        "::len([1]) == 1",
    ],
)
def test_logic_choice_and_let_read_as_in_the_language(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        '"abc" contains "b" and "abc" not contains "x"',
        '"abc" startsWith "a" and "abc" endsWith "c" and "abc" not startsWith "c"',
        '"abc" matches "^a.c$" and "abc" not matches "^b"',
        "'it\\'s' == \"it's\"",
        '"\\u0041\\x42\\t" == `AB\t`',
        "`raw\\n` == 'raw\\\\n'",
        '"a" + "b" == "ab"',
        '"abcd"[1:3] == "bc" and "abcd"[:-1] == "abc" and "abcd"[-2:] == "cd"',
        '"a" in {a: 1} and "b" not in {a: 1}',
        "1 in [1.0, 2] and 3 not in 1..2",
        "not (1 in [])",
        "[1, 2] == [1.0, 2.0] and [1] != [1, 2]",
        "{a: 1} == {a: 1} and {a: 1} != {a: 1.0}",
        "[1, 2, 3][1:] == [2, 3] and [1, 2, 3][5:] == [] and [1, 2, 3][2:1] == []",
        "[1, 2, 3][-1] == 3",
        "1..3 == [1, 2, 3] and 3..1 == []",
        '{"a b": 1, c: 2, 3: 4, ("d" + "e"): 5}["a b"] == 1',
        "[1, 2,] == [1, 2]",
    ],
)
def test_texts_arrays_and_maps_read_as_in_the_language(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "result.a == 1",
        'result["a"] == 1',
        "result.n == nil and result.a != nil",
        "result.missing == nil",
        "result.deep.x.y > 1",
        "result.missing?.x.y == nil",
        'result.missing?.["x"] == nil',
        "result?.deep?.x.y == 1.5",
        "(result.missing ?? 5) == 5",
        "result.list[0] == 1 and result.list[-1] == 3 and result.list[1.9] == 2",
        "result.list[:2] == [1, 2]",
        "result.text[0] == 97",
        "result.in == 7",
        '"a" in result and "z" not in result',
        '$env.result.a == 1 and $env["result"].a == 1 and $env?.nobody == nil',
        "result.flag",
        "result.flag ? true : false",
        'not (result.missing contains "x") and not (result.missing matches "x")',
    ],
)
def test_access_looks_into_maps_and_arrays(text: str) -> None:
    assert holds(text, DOCUMENT)


@pytest.mark.parametrize(
    "text",
    [
        "all(result.list, {# > 0})",
        "all(result.list, # > 0)",
        "any(result.pods, .ok) and not all(result.pods, .ok)",
        'one(result.pods, {#.name startsWith "v2"})',
        "none(result.list, # > 3)",
        "count(result.pods, .ok) == 1",
        "len(filter(result.list, # > 1)) == 2",
        'map(result.pods, .name) == ["v1-a", "v2-b"]',
        "map(result.list, #index) == [0, 1, 2]",
        "find(result.list, # > 1) == 2 and findLast(result.list, # > 1) == 3",
        "find(result.list, # > 9) == nil and findIndex(result.list, # > 9) == nil",
        "findIndex(result.list, # > 1) == 1 and findLastIndex(result.list, # > 1) == 2",
        "sum(result.list) == 6 and sum(result.list, # * 2) == 12",
        "reduce(result.list, #acc + #) == 6 and reduce(result.list, #acc + #index, 10) == 13",
        "groupBy(1..4, # % 2)[1] == [1, 3]",
        'sortBy(result.pods, .name, "desc")[0].name == "v2-b"',
        "any([[1], [5]], any(#, # > 4))",
        "all([1, 2], {let twice = # * 2; twice > 1})",
        "result.list | filter(# > 1) | len() == 2",
        "all([], false) and not any([], true)",
        "count([true, false, true]) == 2",
        "all(result.list, # < result.in)",
    ],
)
def test_predicates_see_each_element(text: str) -> None:
    assert holds(text, DOCUMENT)


@pytest.mark.parametrize("operator", ["==", "<", ">", "<=", ">="])
def test_every_comparison_with_nan_is_false(operator: str) -> None:
    assert not holds(f"result {operator} 0.5", math.nan)
    assert not holds(f"result {operator} result", math.nan)


def test_infinity_passes_a_lower_limit() -> None:
    assert holds("result >= 0.95", math.inf)


def test_the_right_side_is_not_asked_when_the_left_decides() -> None:
    assert holds("len(result) == 0 || result[0] < 0.01", [])
    assert not holds("len(result) > 0 && result[0] >= 0.95", [])


def test_a_condition_can_be_given_other_variables() -> None:
    condition = parse("result < limit", names={"limit"})
    assert condition.evaluate(1.0, {"limit": 2.0})
    with pytest.raises(ConditionError, match="unknown name limit"):
        condition.evaluate(1.0)


def test_conditions_of_one_text_are_equal() -> None:
    assert parse("result > 1") == parse("result > 1") != parse("result > 2")
