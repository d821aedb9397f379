"""Every function that a condition can call gives what expr v1.17 gives."""

from __future__ import annotations

import pytest

from router.analysis.conditions import ConditionError, parse
from router.analysis.conditions.functions import FUNCTIONS
from router.analysis.conditions.predicate_functions import PREDICATE_APPLICATIONS

CALLS = [
    'len("héllo") == 5 and len([1]) == 1 and len({a: 1}) == 1',
    'type(1) == "int" and type(1.0) == "float" and type("") == "string" and type(true) == "bool"',
    'type(nil) == "nil" and type([]) == "array" and type({}) == "map"',
    'string(1.0) == "1" and string(1e21) == "1e+21" and string(0.00001) == "1e-05"',
    'string([1, nil, true, "a", {b: 1, a: 2}]) == "[1 <nil> true a map[a:2 b:1]]"',
    'string(1/0) == "+Inf" and string(0/0) == "NaN" and string(-2.5) == "-2.5"',
    'keys({a: 1}) == ["a"] and values({a: 1}) == [1]',
    'toPairs({a: 1}) == [["a", 1]] and fromPairs([["a", 1]]) == {a: 1}',
    'toJSON({b: 1.0, a: "x"}) == "{\\n  \\"a\\": \\"x\\",\\n  \\"b\\": 1\\n}"',
    "fromJSON('{\"a\": [1, true, null]}').a == [1.0, true, nil]",
    'int("12") == 12 and int(1.9) == 1 and int(-1.9) == -1',
    'float("1.5e1") == 15 and float(2) == 2 and float("-Inf") < 0',
    "abs(-2) == 2 and abs(-2.5) == 2.5",
    "ceil(1.2) == 2 and floor(-1.2) == -2",
    "round(2.5) == 3 and round(-2.5) == -3 and round(0.49999999999999994) == 0",
    "mean([1, 2]) == 1.5 and mean(1, [2, [3]]) == 2 and mean([]) == 0",
    "median([3, 1, 2]) == 2 and median(4, 1, 2, 3) == 2.5 and median([]) == 0",
    "min(3, [1, 2]) == 1 and max([3.5, 1], 2) == 3.5 and max([]) == nil",
    "bitand(6, 3) == 2 and bitor(6, 3) == 7 and bitxor(6, 3) == 5 and bitnand(6, 3) == 4",
    "bitnot(1) == -2 and bitshl(1, 4) == 16 and bitshr(-16, 2) == -4 and bitushr(-1, 63) == 1",
    'trim("  a ") == "a" and trim("xax", "x") == "a"',
    'trimPrefix("abc", "a") == "bc" and trimSuffix("abc", "c") == "ab"',
    'upper("aé") == "AÉ" and lower("AÉ") == "aé"',
    'split("a,b,c", ",") == ["a", "b", "c"] and split("a,b,c", ",", 2) == ["a", "b,c"]',
    'split("abc", "") == ["a", "b", "c"] and split("abc", "", 2) == ["a", "bc"]',
    'splitAfter("a,b", ",") == ["a,", "b"]',
    'replace("aaa", "a", "b") == "bbb" and replace("aaa", "a", "b", 2) == "bba"',
    'repeat("ab", 3) == "ababab" and join(["a", "b"], "-") == "a-b" and join(["a", "b"]) == "ab"',
    'indexOf("éa", "a") == 2 and indexOf("a", "z") == -1 and lastIndexOf("abca", "a") == 3',
    'hasPrefix("abc", "a") and hasSuffix("abc", "c")',
    'toBase64("a") == "YQ==" and fromBase64("YQ==") == "a"',
    "first([1, 2]) == 1 and last([1, 2]) == 2 and first([]) == nil",
    "get([1], 0) == 1 and get([1], 9) == nil and get({a: 1}, 'b') == nil",
    "take([1, 2, 3], 2) == [1, 2] and take([1], 5) == [1]",
    "reverse([1, 2]) == [2, 1] and uniq([1, 1.0, 2]) == [1, 2]",
    "concat([1], [2, 3]) == [1, 2, 3] and flatten([1, [2, [3]]]) == [1, 2, 3]",
    'sort([3, 1, 2]) == [1, 2, 3] and sort(["b", "a"], "desc") == ["b", "a"]',
    "sortBy([3, 1, 2], -#) == [3, 2, 1]",
    "groupBy([1, 2, 3], # > 1)[true] == [2, 3] and len(groupBy([], #)) == 0",
    "asInt('5') == 5 and asInt(1.9) == 1 and asFloat('1.5') == 1.5 and asFloat(1) == 1",
    "isNaN(0/0) and not isNaN(1) and isInf(1/0) and not isInf(1.5)",
    "isNil(result) and default(result, 3) == 3",
    "all([1], # > 0) and any([1], # > 0) and one([1], # > 0) and none([1], # < 0)",
    "count([1, 2], # > 1) == 1 and filter([1, 2], # > 1) == [2] and map([1], # + 1) == [2]",
    "find([1], # > 0) == 1 and findIndex([1], # > 0) == 0",
    "findLast([1], # > 0) == 1 and findLastIndex([1], # > 0) == 0",
    "sum([1, 2]) == 3 and sum([]) == 0 and reduce([1, 2], #acc * #) == 2",
]


@pytest.mark.parametrize("text", CALLS)
def test_a_function_gives_what_the_language_says(text: str) -> None:
    assert parse(text).evaluate(None)


@pytest.mark.parametrize("name", [*FUNCTIONS, *PREDICATE_APPLICATIONS])
def test_every_function_is_called_in_this_file(name: str) -> None:
    assert any(f"{name}(" in text for text in CALLS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('int("1.5") == 1', "invalid operation: int(1.5)"),
        ('float("a") == 1', "invalid operation: float(a)"),
        ('sort([1, "a"]) == []', "invalid operation: string < int"),
        ('sort([1], "up") == []', "invalid order up, expected asc or desc"),
        ('join([1], "-") == ""', "interface conversion: interface {} is int, not string"),
        ('repeat("a", -1) == ""', "expected positive integer, got -1"),
        ("take([1], -1) == []", "cannot take -1 elements"),
        ('fromJSON("{") == 1', "fromJSON: "),
        ("toJSON(0/0) == ''", "json: unsupported value"),
        ('fromBase64("*") == ""', "illegal base64"),
        ("bitshl(1, -1) == 1", "negative shift count -1"),
        ("fromPairs([1]) == {}", "invalid pair"),
        ("len(groupBy([[1]], #)) == 1", "cannot group by a value of type"),
    ],
)
def test_a_function_refuses_what_it_cannot_use(text: str, words: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text).evaluate(None)
    assert words in str(caught.value)
