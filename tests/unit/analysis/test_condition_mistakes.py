"""Conditions that Argo refuses to compile or cannot run are errors here too, with its words."""

from __future__ import annotations

import pytest

from router.analysis.conditions import ConditionError, parse


def mistake(text: str, result: object) -> str:
    with pytest.raises(ConditionError) as caught:
        parse(text).evaluate(result)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("result >", "unexpected token EOF"),
        ("result = 1", 'unexpected token Operator("=")'),
        ("result > 1)", 'unexpected token Bracket(")")'),
        ("nobody == true", "unknown name nobody"),
        ("exec(result)", "unknown name exec"),
        ("1", "expected bool, but got int"),
        ("nil", "expected bool, but got <nil>"),
        ("len(result)", "expected bool, but got int"),
        ('asFloat(result) == "1.1"', "invalid operation: == (mismatched types float64 and string)"),
        ("true == 1", "invalid operation: == (mismatched types bool and int)"),
        ("7 % 2.0 == 1", "invalid operation: % (mismatched types int and float64)"),
        ("not 1", "invalid operation: not (mismatched type int)"),
        ('-"a" == 1', "invalid operation: - (mismatched type string)"),
        ("1 in {a: 1}", "cannot use int as type string in map key"),
        ('"a" in [1]', "cannot use string as type int in array"),
        ('"abc" in "abc"', "invalid operation: in (mismatched types string and string)"),
        ("1 ? true : false", "non-bool expression (type int) used as condition"),
        (
            "true and 1 ?? 2 > 1",
            "Operator (>) and coalesce expressions (??) cannot be mixed. "
            "Wrap either by parentheses.",
        ),
        ("all([1], #)", "predicate should return boolean (got int)"),
        ("all(1, # > 0)", "builtin all takes only array (got int)"),
        ("all([1])", "expected at least 2 arguments"),
        ("any([1], #nobody > 1)", "unknown pointer #nobody"),
        ("# > 1", 'unexpected token Operator("#")'),
        ("len(1, 2) > 1", "invalid number of arguments (expected 1, got 2)"),
        ("upper(1) == 'A'", "cannot use int as argument (type string) to call upper "),
        ("upper() == 'A'", "not enough arguments to call upper"),
        ("abs('a') > 1", "invalid argument for abs (type string)"),
        ("let result = 1; true", "cannot redeclare result"),
        ("let len = 1; true", "cannot redeclare len"),
        ("$env.nobody == 1", "unknown name nobody"),
        ('"open', "literal not terminated"),
        ('"\\q" == "q"', "invalid char escape"),
        ("1a > 1", 'bad number syntax: "1a"'),
        ("result ~ 1", "unrecognized character: U+007E"),
        ('"a" matches "["', "error parsing regexp: missing ]: ["),
        ("99999999999999999999 > 1", "integer literal 99999999999999999999 is too large"),
    ],
)
def test_what_is_wrong_for_every_value_is_refused_when_it_is_read(text: str, words: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text)
    assert str(caught.value) == words


def test_a_mistake_in_the_text_knows_its_column() -> None:
    with pytest.raises(ConditionError) as caught:
        parse("result > nobody")
    assert caught.value.column == 10


@pytest.mark.parametrize("text", ["now() > result", "date('2026-01-01') < now()", "timezone('x')"])
def test_a_condition_cannot_ask_the_time(text: str) -> None:
    with pytest.raises(ConditionError, match=r"\(\) is not allowed in a condition"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["result.__class__()", "result.Name() == 'hi'", "result.a.keys()", "result.upper() == 'A'"],
)
def test_a_value_has_no_methods(text: str) -> None:
    with pytest.raises(ConditionError, match="values have no methods here"):
        parse(text)


def test_a_dot_never_reads_an_attribute() -> None:
    assert parse("result.__class__ == nil").evaluate({"a": 1})
    assert mistake("result.__class__ == nil", "abc") == "type string has no field __class__"
    assert mistake("result.x.__class__ == nil", {"x": 1.0}) == "cannot fetch __class__ from float64"


@pytest.mark.parametrize(
    ("text", "result", "words"),
    [
        ('result == "5"', 5.0, "invalid operation: == (mismatched types float64 and string)"),
        ("result == 1", True, "invalid operation: == (mismatched types bool and int)"),
        ("result < 0.05", None, "invalid operation: < (mismatched types unknown and float64)"),
        ("result[0] > 1", 5.0, "type float64[int] is undefined"),
        (
            "result.a > 1",
            [1.0],
            "array elements can only be selected using an integer (got string)",
        ),
        ("result.a > 1", None, "type nil has no field a"),
        (
            "result[0] > 1",
            {"a": 1},
            "cannot use int to get an element from map[string]interface {}",
        ),
        ("result[0] > 1", [], "index out of range: 0 (array length is 0)"),
        ("result[-3] > 1", [1.0, 2.0], "index out of range: -1 (array length is 2)"),
        ("result % 2 == 0", 4.0, "invalid operation: % (mismatched types float64 and int)"),
        ('result[0] == "a"', [1.0], "invalid operation: == (mismatched types float64 and string)"),
        ("result.a < 5", {"a": "x"}, "invalid operation: string < int"),
        ("result.a < 5", {"a": None}, "invalid operation: <nil> < int"),
        ("result.a > result.b", {"a": True, "b": 1}, "invalid operation: bool > int"),
        ("result.a + 1 > 1", {"a": "x"}, "invalid operation: string + int"),
        ("result.a % 2 == 1", {"a": 5.0}, "invalid operation: float64 % int"),
        ("result.a % 0 == 1", {"a": 5}, "integer divide by zero"),
        ("result.a.b == 1", {}, "cannot fetch b from <nil>"),
        ("not result.a", {"a": 1.0}, "interface conversion: interface {} is float64, not bool"),
        ("result.a and true", {}, "interface conversion: interface {} is nil, not bool"),
        ("result.a", {"a": 1.0}, "expected bool, but got float64"),
        ("result.a", {}, "expected bool, but got <nil>"),
        ("true and result.a", {"a": "x"}, "expected bool, but got string"),
        ("1 in result.a", {"a": "x"}, 'operator "in" not defined on string'),
        (
            "upper(result.a) == 'A'",
            {"a": 1},
            "interface conversion: interface {} is int, not string",
        ),
        ("len(result.a) == 1", {"a": 1}, "invalid argument for len (type int)"),
        ("sum(result) > 1", ["a", 1], "invalid operation: string + int"),
        ("reduce(result, #acc + #) > 1", [], "reduce of empty array with no initial value"),
    ],
)
def test_what_is_wrong_for_this_value_is_an_error_and_not_false(
    text: str, result: object, words: str
) -> None:
    assert mistake(text, result) == words


def test_a_value_of_another_world_cannot_be_judged() -> None:
    assert mistake("result == 1", object()) == "a result of type object cannot be judged"
    assert mistake("result.a == 1", {"a": b"1"}) == "a value of type bytes cannot be judged"


def test_an_error_never_shows_the_measured_value() -> None:
    assert "hunter2" not in mistake("result.token > 1", {"token": "hunter2"})
