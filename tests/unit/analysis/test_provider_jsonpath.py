"""Paths into JSON, as Kubernetes writes them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.analysis.providers.jsonpath import parse_json_path

DOCUMENT: dict[str, Any] = {
    "data": {"ok": True, "a.b": 5, "empty": []},
    "items": [
        {"name": "p50", "value": 0.1, "up": True},
        {"name": "p99", "value": 0.9, "up": False},
        {"name": "max", "value": 3.0},
    ],
}


def find(path: str) -> list[Any]:
    return list(parse_json_path(path).find(DOCUMENT))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("{$.data.ok}", [True]),
        ("{.data.ok}", [True]),
        ("$.data.ok", [True]),
        ("data.ok", [True]),
        ("{ $.data.ok }", [True]),
        ("{$['data'][\"ok\"]}", [True]),
        (r"{$.data.a\.b}", [5]),
        ("{$.data['a.b']}", [5]),
        ("{$.items[1].name}", ["p99"]),
        ("{$.items[-1].name}", ["max"]),
        ("{$.items[*].name}", ["p50", "p99", "max"]),
        ("{$.items.*.name}", ["p50", "p99", "max"]),
        ("{$.items[1:].name}", ["p99", "max"]),
        ("{$.items[:1].name}", ["p50"]),
        ('{$.items[?(@.name=="p99")].value}', [0.9]),
        ("{$.items[?(@.name == 'p99')].value}", [0.9]),
        ("{$.items[?(@.value >= 0.9)].name}", ["p99", "max"]),
        ("{$.items[?(@.value != 0.1)].name}", ["p99", "max"]),
        ("{$.items[?(@.up)].name}", ["p50", "p99"]),
        ("{$.items[?(@.up == false)].name}", ["p99"]),
        ("{$.items[?(@.name > 1)].name}", []),
        ("{$.items[3]}", []),
        ("{$.items[-4]}", []),
        ("{$.items.name}", []),
        ("{$.data.missing.more}", []),
        ("{$.data.empty[*]}", []),
        ("{$.data.ok[0]}", []),
    ],
)
def test_a_path_leads_to_its_values(path: str, expected: list[Any]) -> None:
    assert find(path) == expected


@pytest.mark.parametrize("path", ["{$}", "$", "{.}", "{}", "{$.}"])
def test_the_root_is_the_whole_document(path: str) -> None:
    assert find(path) == [DOCUMENT]


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("{$..name}", "recursion"),
        ("{.a}{.b}", "one {"),
        ("{.a} and more", "one {"),
        ("{.a", "one {"),
        ("{.items[0,1]}", "not a JSON path"),
        ("{.items[?(@.a == b)]}", "not a JSON path"),
        ("{.items['a}", "not a JSON path"),
        ("{.a b}", "not a JSON path"),
        ("." + "a" * 2_000, "at most"),
    ],
)
def test_what_is_not_supported_is_refused_with_a_word_about_it(path: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        parse_json_path(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(key=st.text(min_size=1, max_size=10), value=json_values)
def test_a_quoted_key_leads_to_any_key(key: str, value: Any) -> None:
    quoted = key.replace("\\", "\\\\").replace("'", "\\'")
    if "{" in key or "\n" in key:
        return  # braces and line breaks end a path in Kubernetes as well
    assert list(parse_json_path(f"{{$['{quoted}']}}").find({key: value})) == [value]


@given(text=st.text(max_size=40), document=json_values)
def test_any_text_is_a_path_or_is_refused(text: str, document: Any) -> None:
    try:
        path = parse_json_path(text)
    except ValueError:
        return
    list(path.find(document))
