"""Bodies that are made to hurt: compared like any other, without an error.

Each of them once took a reader of JSON, of streams or of texts to its limit: a test that does
not come back is a bound that is gone.
"""

from __future__ import annotations

import json

import pytest

from router.comparison import Answer, Outcome, Rules, compare
from router.comparison.result import MAX_EXCERPT

JSON, SSE = "application/json", "text/event-stream"
DEEP = 200_000
CHUNK = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'


def answered(body: bytes, content_type: str = JSON) -> Answer:
    return Answer(outcome=Outcome.ANSWERED, status=200, content_type=content_type, body=body)


def chat(text: str) -> bytes:
    message = {"content": text}
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()


@pytest.mark.parametrize(
    ("body", "content_type", "rule"),
    [
        pytest.param(b"[" * DEEP, JSON, "body.exact", id="deep list"),
        pytest.param(b"[" * DEEP + b"]" * DEEP, JSON, "body.exact", id="deep whole list"),
        pytest.param(b'{"a":' * DEEP, JSON, "body.exact", id="deep object"),
        pytest.param(b"[" * 900 + b"]" * 900, JSON, "json.exact", id="deep as allowed"),
        pytest.param(b"[" + b"9" * 4_000 + b"]", JSON, "json.exact", id="huge number"),
        pytest.param(b"[" + b"9" * 9_000 + b"]", JSON, "body.exact", id="number beyond Python"),
        pytest.param(b"[1e999, NaN, -Infinity]", JSON, "json.exact", id="no finite numbers"),
        pytest.param(b'{"a": 1, "a": {"a": 2}}', JSON, "json.exact", id="one name twice"),
        pytest.param(b'["\\ud800", "\xff"]', JSON, "body.exact", id="no UTF-8"),
        pytest.param(b'["\\ud800"]', JSON, "json.exact", id="half a pair"),
        pytest.param(b"[" + b"1," * 100_000 + b"2]", JSON, "json.exact", id="long row"),
        pytest.param(b"[" + b"[]," * 100_000 + b"[]]", JSON, "json.exact", id="many lists"),
        pytest.param(CHUNK * 20_000 + b"data: [DONE]\n\n", SSE, "text.exact", id="many chunks"),
        pytest.param(b"\r\n" * 10**6 + b"data: [DONE]\n\n", SSE, "json.exact", id="empty lines"),
        pytest.param(b"data\n" * 10**5 + b"\n", SSE, "json.exact", id="one event of many lines"),
        pytest.param(b"data: " + b"[" * DEEP + b"\n\n", SSE, "json.exact", id="deep event"),
        pytest.param(b"\xff\xfe\0" * 1_000, "text/plain", "body.exact", id="bytes as text"),
    ],
)
def test_a_hostile_body_is_the_same_as_itself(body: bytes, content_type: str, rule: str) -> None:
    comparison = compare(answered(body, content_type), answered(body, content_type), Rules())
    assert (comparison.error, comparison.differing) == ("", ())
    assert comparison.fields[-1].rule == rule


@pytest.mark.parametrize(
    ("one", "two", "rule"),
    [
        (b"[" * 900 + b"1" + b"]" * 900, b"[" * 900 + b"2" + b"]" * 900, "json.value"),
        (b"[[" + b"[" * 900 + b"]" * 902, b"[1]", "json.type"),
        (b'["\\ud800"]', b'["\\udfff"]', "json.value"),
        (b'{"a": 1, "a": 2}', b'{"a": 1}', "json.value"),
        (b"[" + b"9" * 4_000 + b"]", b"[" + b"9" * 3_999 + b"8]", "json.value"),
        (b"[" + b"9" * 4_000 + b"]", b'["' + b"x" * 4_000 + b'"]', "json.type"),
        (b'{"' + b"k" * 10**5 + b'": 1}', b'{"' + b"k" * 10**5 + b'": 2}', "json.value"),
    ],
    ids=["deep", "deep excerpt", "halves", "one name twice", "digits", "kinds", "long name"],
)
def test_a_difference_in_a_hostile_body_is_found_and_can_be_shown(
    one: bytes, two: bytes, rule: str
) -> None:
    difference = compare(answered(one), answered(two), Rules()).fields[1]
    assert difference.rule == rule
    for shown in (difference.place, difference.primary, difference.other):
        assert len(shown) <= MAX_EXCERPT
        shown.encode()  # can be stored


def test_unrelated_texts_of_megabytes_are_compared_in_windows() -> None:
    # Whole, these would take 6 * 10^12 comparisons of characters.
    one, two = chat("the quick fox " * 180_000), chat("jumps over it " * 180_000)
    difference = compare(answered(one), answered(two), Rules(text_ratio=0.9)).fields[2]
    assert (difference.rule, difference.same) == ("text.ratio", False)


def test_thousands_of_long_choices_share_one_bound() -> None:
    def body(text: str) -> bytes:
        choices = [{"index": i, "text": text} for i in range(1_000)]
        return json.dumps({"choices": choices}).encode()

    one, two = body("abcdefgh" * 500), body("ijklmnop" * 500)
    assert compare(answered(one), answered(two), Rules()).fields[1].score == 0.0
