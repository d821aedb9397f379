"""What holds for any two answers."""

from __future__ import annotations

import base64
import json
import struct
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from router.comparison import Answer, Comparison, Outcome, Rules, Verdict, compare, judge
from router.comparison.json_paths import leave_out
from router.comparison.result import MAX_EXCERPT
from router.comparison.text import WINDOW, ratios
from router.config.fields import _JSON_PATH

PROPERTY = settings(deadline=None, max_examples=200)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([0, 10**400, 2**64]))
NAMES = st.sampled_from(["a", "b", "a b", "id", "choices", "", "é"]) | TEXTS
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
ARGUMENTS = st.dictionaries(NAMES, JSON, max_size=2).map(json.dumps) | TEXTS
TOOL_CALLS = st.lists(
    st.builds(
        lambda name, arguments: {"id": "c", "function": {"name": name, "arguments": arguments}},
        st.sampled_from(["weather", "time"]),
        ARGUMENTS,
    ),
    max_size=2,
)
CHATS = st.lists(
    st.fixed_dictionaries(
        {
            "message": st.fixed_dictionaries(
                {"content": st.none() | TEXTS},
                optional={"reasoning": TEXTS, "refusal": TEXTS, "tool_calls": TOOL_CALLS},
            ),
            "finish_reason": st.sampled_from(["stop", "length", None]),
        }
    ),
    max_size=2,
).map(lambda choices: {"choices": choices})
VECTORS = st.lists(st.floats(width=32), min_size=2, max_size=4)
PACKED = VECTORS.map(lambda v: base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode())
EMBEDDINGS = st.lists(VECTORS | PACKED, min_size=1, max_size=3).map(
    lambda vectors: {"data": [{"index": i, "embedding": v} for i, v in enumerate(vectors)]}
)
TENSORS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from("ab"),
            "datatype": st.sampled_from(["FP32", "INT64", "BYTES"]),
            "shape": st.lists(st.integers(0, 3), max_size=2),
            "data": st.lists(NUMBERS | st.booleans() | TEXTS, max_size=4),
        }
    ),
    min_size=1,
    max_size=2,
).map(lambda outputs: {"outputs": outputs})
DOCUMENTS = st.one_of(JSON, CHATS, EMBEDDINGS, TENSORS)

EVENTS = DOCUMENTS | st.sampled_from(
    [
        {"choices": [{"index": 0, "delta": {"content": "a"}}]},
        {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "{"}}]}}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"completion_tokens": 2}},
        {"type": "message_start", "message": {"usage": {"output_tokens": 1}}},
        {"type": "content_block_delta", "index": 0, "delta": {"text": "a"}},
        {"type": "message_stop"},
        {"type": "response.completed", "response": {"output": [{"type": "message"}]}},
        {"type": ["odd"], "error": None},
        {"token": {}, "generated_text": "a", "details": {"finish_reason": 1}},
        {"text_output": "a"},
        {"text": "a", "meta_info": {"finish_reason": "stop"}},
    ]
)
STREAMS = st.tuples(st.lists(EVENTS, max_size=5), st.sampled_from(["\n", "\r\n", "\r"])).map(
    lambda told: (
        "".join(f"data: {json.dumps(event)}{told[1] * 2}" for event in told[0]).encode()
        + b"data: [DONE]\n\n"
    )
)
WHOLE = DOCUMENTS.map(lambda document: json.dumps(document).encode())
TYPES = st.sampled_from(
    ["application/json", "text/event-stream", "text/plain", "application/octet-stream", ""]
)
RULES = st.builds(
    Rules,
    text_ratio=st.floats(0, 1),
    numeric_tolerance=st.floats(0, 2),
    cosine=st.floats(-1, 1),
    ignore_paths=st.lists(st.from_regex(_JSON_PATH, fullmatch=True), max_size=2).map(tuple),
)


def answered(body: bytes, content_type: str, status: int = 200) -> Answer:
    return Answer(outcome=Outcome.ANSWERED, status=status, content_type=content_type, body=body)


ANSWERS = st.one_of(
    st.builds(answered, WHOLE, TYPES, st.sampled_from([200, 200, 201, 400, 500])),
    st.builds(answered, STREAMS, st.just("text/event-stream")),
    st.builds(answered, TEXTS.map(str.encode), TYPES),
)


def sameness(comparison: Comparison) -> tuple[object, ...]:
    return tuple((each.field, each.same) for each in comparison.fields), bool(comparison.error)


@PROPERTY
@given(ANSWERS, RULES)
def test_an_answer_is_the_same_as_itself(answer: Answer, rules: Rules) -> None:
    comparison = compare(answer, answer, rules)
    assert comparison.differing == ()
    verdict = judge(comparison, None, frozenset()).verdict
    assert verdict is (Verdict.ERROR if comparison.error else Verdict.MATCH)


@PROPERTY
@given(ANSWERS, ANSWERS, st.floats(0, 1), st.floats(-1, 1))
def test_what_differs_differs_both_ways(
    one: Answer, two: Answer, text_ratio: float, cosine: float
) -> None:
    # But for numbers: their tolerance is a share of the primary's, so it is none here.
    rules = Rules(text_ratio=text_ratio, cosine=cosine)
    assert sameness(compare(one, two, rules)) == sameness(compare(two, one, rules))


@PROPERTY
@given(
    st.binary(max_size=200)
    | STREAMS
    | st.builds(bytes.__add__, WHOLE, st.binary(max_size=8))
    | st.builds(lambda body, cut: body[:cut], WHOLE | STREAMS, st.integers(0, 60)),
    ANSWERS,
    TYPES,
    RULES,
)
def test_any_bytes_are_compared_and_the_result_can_be_stored(
    body: bytes, other: Answer, content_type: str, rules: Rules
) -> None:
    answer = answered(body, content_type)
    for comparison in (compare(answer, other, rules), compare(other, answer, rules)):
        assert comparison.differing or comparison.error or comparison.fields
        for each in comparison.fields:
            for shown in (each.place, each.primary, each.other):
                assert len(shown.encode().decode()) <= MAX_EXCERPT
            json.dumps([each.score, each.largest], allow_nan=False)


@PROPERTY
@given(
    st.lists(TEXTS, min_size=1, max_size=4),
    st.lists(TEXTS, max_size=4),
    st.lists(st.integers(0, 40), max_size=6),
    st.lists(st.integers(0, 40), max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_how_a_stream_is_cut_into_chunks_leaves_no_trace(
    said: list[str], called: list[str], cuts: list[int], other_cuts: list[int], end: str
) -> None:
    text, arguments = "".join(said), "".join(called)
    one = answered(chunked(text, arguments, cuts, "\n"), "text/event-stream")
    two = answered(chunked(text, arguments, other_cuts, end), "text/event-stream")
    message: dict[str, Any] = {"content": text}
    message["tool_calls"] = [{"function": {"name": "f", "arguments": arguments}}]
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    for other in (two, answered(json.dumps(whole).encode(), "application/json")):
        comparison = compare(one, other, Rules())
        assert comparison.error == ""
        assert {each.rule.partition(".")[2] for each in comparison.fields} == {"exact"}


def chunked(text: str, arguments: str, cuts: list[int], end: str) -> bytes:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in pieces(text, cuts)]
    function: dict[str, Any] = {"name": "f", "arguments": ""}
    deltas.append({"tool_calls": [{"index": 0, "id": "c", "function": function}]})
    deltas += [
        {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        for piece in pieces(arguments, cuts)
    ]
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return "".join(f"data: {json.dumps(event)}{end * 2}" for event in events).encode()


def pieces(text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[at:to] for at, to in pairwise(places)]


@PROPERTY
@given(DOCUMENTS, JSON, st.data())
def test_what_is_ignored_makes_no_difference(
    document: Any, other: Any, data: st.DataObject
) -> None:
    places = list(places_in(document))
    if not places:
        return
    path, change = data.draw(st.sampled_from(places))
    before = json.dumps(document).encode()
    change(other)
    after = json.dumps(document).encode()
    one, two = answered(before, "application/json"), answered(after, "application/json")
    assert compare(one, two, Rules(ignore_paths=(path,))).differing == ()


def places_in(value: Any, path: str = "$") -> Any:
    """Every place that a path can name, with what puts another value there."""
    if isinstance(value, dict):
        inner = [(f"{path}['{key}']", key) for key in value if "'" not in key]
    elif isinstance(value, list):
        inner = [(f"{path}[{index}]", index) for index in range(len(value))]
    else:
        return
    for place, key in inner:
        yield place, lambda other, key=key: value.__setitem__(key, other)
        yield from places_in(value[key], place)


@PROPERTY
@given(st.from_regex(_JSON_PATH, fullmatch=True), JSON)
def test_every_path_of_the_configuration_is_a_path_here(path: str, document: Any) -> None:
    leave_out(document, [path])


@PROPERTY
@given(DOCUMENTS, DOCUMENTS, st.floats(0, 2), st.floats(0, 2))
def test_a_larger_tolerance_makes_no_new_difference(
    one: Any, two: Any, tolerance: float, more: float
) -> None:
    left, right = (answered(json.dumps(each).encode(), "application/json") for each in (one, two))
    strict = compare(left, right, Rules(numeric_tolerance=tolerance))
    lenient = compare(left, right, Rules(numeric_tolerance=tolerance + more))
    assert {*lenient.differing} <= {*strict.differing}


@PROPERTY
@given(st.lists(NUMBERS, min_size=1, max_size=5), st.data())
def test_numbers_that_are_nudged_are_the_same_within_the_nudge(
    numbers: list[float], data: st.DataObject
) -> None:
    nudges = data.draw(st.lists(st.floats(-0.5, 0.5), min_size=len(numbers), max_size=len(numbers)))
    finite = [number for number in numbers if abs(number) < 1e300]
    nudged = [n * (1 + nudge) for n, nudge in zip(finite, nudges, strict=False)]
    one, two = (
        answered(json.dumps(each).encode(), "application/json") for each in (finite, nudged)
    )
    assert compare(one, two, Rules(numeric_tolerance=0.5 + 1e-9)).differing == ()


@PROPERTY
@given(st.text("ab", min_size=1, max_size=30), st.text("ab", min_size=1, max_size=30))
def test_a_short_ratio_is_that_of_the_longest_common_subsequence(one: str, two: str) -> None:
    if one == two:
        return
    row = [0] * (len(two) + 1)
    for left in one:
        last = 0
        for at, right in enumerate(two, 1):
            last, row[at] = row[at], last + 1 if left == right else max(row[at], row[at - 1])
    assert ratios([(one, two)]) == [2 * row[-1] / (len(one) + len(two))]


@PROPERTY
@given(st.text("ab", min_size=1, max_size=30), st.text("abc", min_size=1, max_size=30))
def test_the_windows_of_a_long_text_never_make_it_more_alike(one: str, two: str) -> None:
    if one == two:
        return
    [exact] = ratios([(one, two)])
    filler = ("x" * (2 * WINDOW), "y" * (2 * WINDOW))
    [windowed, _] = ratios([(one, two), filler])  # they share one bound
    assert windowed <= exact
