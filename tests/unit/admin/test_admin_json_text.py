"""JSON as it is read: digits kept, nothing that two readers could understand differently."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.admin.json_text import MAX_DIGITS, read_json, write_json

SCALARS = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text()
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(DOCUMENTS)
def test_what_is_written_is_read_back(document: Any) -> None:
    assert read_json(write_json(document)) == document


@given(DOCUMENTS, st.booleans())
def test_every_json_document_is_read(document: Any, ascii_only: bool) -> None:
    assert read_json(json.dumps(document, ensure_ascii=ascii_only).encode()) == document


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused_with_a_reason(text: bytes) -> None:
    refused = ""
    try:
        read_json(text)
    except ValueError as error:
        refused = str(error)
    assert not refused or refused.startswith("it ")  # ours, not the library's


@given(st.decimals(allow_nan=False, allow_infinity=False, places=5))
def test_a_fraction_keeps_its_digits(number: Decimal) -> None:
    assert read_json(f"{number:f}".encode()) == number


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_json_does_not_have_is_read_so_that_its_field_can_be_named(text: bytes) -> None:
    assert not read_json(text).is_finite()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", r"it is not JSON: Expecting value \(line 1, column 1\)"),
        (b'{"a": 1,\n "b" 2}', r"\(line 2, column 6\)"),
        (b"\xff", r"it is not UTF-8 \(byte 0\)"),
        (b"\xef\xbb\xbf{}", "it is not JSON"),
        (b'{"a": {"b": 1, "b": 2}}', "it names the member 'b' twice"),
        (b'["\\ud800"]', "it holds half a surrogate pair"),
        (b'{"\\udc00": 1}', "it holds half a surrogate pair"),
        (b"[" * 1_000_000, "it is nested too deeply"),
        (b"1e99999999999999999999", "it holds a number with too large an exponent"),
        (b"1" * (MAX_DIGITS + 1), "it holds a whole number of more than 1000 digits"),
        (b"-" + b"1" * MAX_DIGITS, "it holds a whole number of more than 1000 digits"),
    ],
)
def test_what_is_no_json_is_refused_and_says_where(text: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_json(text)


def test_a_refusal_shows_nothing_of_the_document() -> None:
    for text in (b'{"password": "hunter2", }', b'["hunter2\xff"]', b'["hunter2", "\\ud800"]'):
        with pytest.raises(ValueError) as refused:
            read_json(text)
        assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400"])
def test_a_number_that_json_cannot_say_is_not_written(number: str) -> None:
    with pytest.raises(ValueError, match="not finite, or too large"):
        write_json({"a": [Decimal(number)]})


def test_what_is_too_deep_is_not_written() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        write_json(deep)
