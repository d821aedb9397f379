"""The places that a configured path leads to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.comparison.json_paths import parse
from router.config.models.shadow import Redact
from router.controller.shadow.paths import MARKER, hide

DOCUMENT = {
    "user": "ann",
    "messages": [
        {"role": "user", "content": "secret one"},
        {"role": "tool", "content": {"deep": [{"content": "two"}]}},
    ],
    "a b": {"x.y": 1},
}


def hidden(*paths: str, document: Any = DOCUMENT) -> Any:
    return hide(json.loads(json.dumps(document)), [parse(path) for path in paths])


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("$.user", {**DOCUMENT, "user": MARKER}),
        ("$['user']", {**DOCUMENT, "user": MARKER}),
        ("$['a b']['x.y']", {**DOCUMENT, "a b": {"x.y": MARKER}}),
        ("$['a b'].*", {**DOCUMENT, "a b": {"x.y": MARKER}}),
        ("$", MARKER),
        ("$[*]", dict.fromkeys(DOCUMENT, MARKER)),
        ("$.nobody", DOCUMENT),
        ("$.user.name", DOCUMENT),
        ("$.messages[7]", DOCUMENT),
        ("$.messages[1]", {**DOCUMENT, "messages": [DOCUMENT["messages"][0], MARKER]}),
    ],
)
def test_a_path_hides_what_it_leads_to_and_nothing_else(path: str, left: Any) -> None:
    assert hidden(path) == left


def test_a_wildcard_leads_through_every_element() -> None:
    contents = [message["content"] for message in hidden("$.messages[*].content")["messages"]]
    assert contents == [MARKER, MARKER]


def test_two_dots_lead_to_a_name_at_any_depth() -> None:
    assert "two" not in json.dumps(hidden("$..content"))
    assert hidden("$.messages[1].content..content")["messages"][1]["content"] == {
        "deep": [{"content": MARKER}]
    }


def test_paths_that_overlap_hide_all_that_they_lead_to() -> None:
    assert hidden("$.messages", "$.messages[*].content", "$.user") == {
        "user": MARKER,
        "messages": MARKER,
        "a b": {"x.y": 1},
    }


def test_many_ways_to_one_place_are_one() -> None:
    document: Any = {"a": 1}
    for _ in range(60):
        document = {"a": document}
    assert hidden("$" + "..a" * 30, document=document)["a"] != MARKER


@pytest.mark.parametrize("path", ["", "user", "$.", "$user", "$[", "$[-1]", "$.a b", "$.a["])
def test_what_is_no_path_is_refused_here_and_in_the_configuration(path: str) -> None:
    with pytest.raises(ValueError):
        parse(path)
    with pytest.raises(ValueError):
        Redact(paths=(path,))


_PIECES = st.sampled_from(
    [".a", ".b-c", "._d", "..e", ".*", "[0]", "[123456789]", "[*]", "['']", "['x y']", "['.a']"]
)


@given(st.lists(_PIECES, max_size=6).map(lambda pieces: "$" + "".join(pieces)))
def test_every_path_that_the_configuration_takes_is_understood(path: str) -> None:
    assert Redact(paths=(path,)).paths == (path,)
    assert len(parse(path)) <= 6
