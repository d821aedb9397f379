"""Only the bytes of the top-level model change, in any JSON that clients may write."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.errors import ErrorCode
from router.routing.body import BodyError, model_of_prefix, rename_model

PROPERTY = settings(deadline=None, max_examples=70)

SCRAPS = [b'"model"', b":", b'"m"', b",", b"{", b"}", b"[", b"]", b'"', b"\\", b" ", b"1", b"\n"]
SPACES = st.sampled_from(["", "", "", " ", "\n", "\t", "\r\n  "])
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["model", '"model": "x"', '{"model":"m"}', "\\", '\\"', "a\\", "m", "old/m:1"]),
)
OTHER_KEYS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.sampled_from(["models", "Model", 'x"model', "mode", "\\model", "messages", ""]),
).filter(lambda key: key != "model")


@st.composite
def literals(draw: st.DrawFn, texts: st.SearchStrategy[str] = TEXTS) -> str:
    """A JSON string, with any of the ways to escape."""
    text = draw(texts)
    plain = json.dumps(text, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 3)) == 0:
        units = text.encode("utf-16-be")
        pairs = (units[at : at + 2].hex() for at in range(0, len(units), 2))
        return '"' + "".join(f"\\u{pair}" for pair in pairs) + '"'
    return plain.replace("/", "\\/") if draw(st.booleans()) else plain


@st.composite
def objects(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    """An object whose keys may well be `model`."""
    keys = st.one_of(st.just('"model"'), literals(OTHER_KEYS))
    members = draw(st.dictionaries(keys, values, max_size=3))
    return "{" + ",".join(member(draw, key, value) for key, value in members.items()) + "}"


def member(draw: st.DrawFn, key: str, value: str) -> str:
    return draw(SPACES) + key + draw(SPACES) + ":" + draw(SPACES) + value + draw(SPACES)


VALUES = st.recursive(
    st.one_of(
        literals(), st.sampled_from(["null", "true", "0", "-1.5e3", "[]", "{}", "1234567890123"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        objects(inner),
    ),
    max_leaves=8,
)


@dataclass(frozen=True)
class Document:
    """A body: what stands before its model's value, that value, what stands behind it."""

    before: bytes
    literal: bytes
    after: bytes

    @property
    def body(self) -> bytes:
        return self.before + self.literal + self.after

    @property
    def model(self) -> str:
        value: str = json.loads(self.literal)
        return value


@st.composite
def documents(draw: st.DrawFn) -> Document:
    others = [
        member(draw, draw(literals(OTHER_KEYS)), draw(VALUES))
        for _ in range(draw(st.integers(0, 4)))
    ]
    place = draw(st.integers(0, len(others)))
    literal = draw(literals())
    before = draw(SPACES) + "{" + "".join(other + "," for other in others[:place])
    before += draw(SPACES) + '"model"' + draw(SPACES) + ":" + draw(SPACES)
    after = draw(SPACES) + "".join("," + other for other in others[place:]) + "}" + draw(SPACES)
    return Document(before.encode(), literal.encode(), after.encode())


@PROPERTY
@given(documents(), TEXTS)
def test_a_model_is_renamed_and_no_other_byte_changes(document: Document, new: str) -> None:
    renamed = rename_model(document.body, new)
    assert renamed.startswith(document.before)
    assert renamed.endswith(document.after)
    value = renamed[len(document.before) : len(renamed) - len(document.after)]
    assert json.loads(value) == new
    expected = json.loads(document.body)
    expected["model"] = new
    assert json.loads(renamed) == expected


@PROPERTY
@given(documents())
def test_a_model_that_has_the_name_already_is_left_alone_in_meaning(document: Document) -> None:
    renamed = rename_model(document.body, document.model)
    assert renamed.startswith(document.before)
    assert renamed.endswith(document.after)


@PROPERTY
@given(documents(), TEXTS)
def test_renaming_there_and_back_again_changes_nothing_but_escapes(
    document: Document, new: str
) -> None:
    once = rename_model(document.body, new)
    back = rename_model(once, document.model)
    assert back.startswith(document.before)
    assert back.endswith(document.after)
    assert json.loads(back) == json.loads(document.body)


@PROPERTY
@given(documents(), st.integers(0, 10_000))
def test_the_model_is_found_in_a_beginning_as_soon_as_it_stands_there(
    document: Document, cut: int
) -> None:
    body = document.body
    at = cut % (len(body) + 1)
    whole = at >= len(document.before) + len(document.literal)
    assert model_of_prefix(body[:at]) == (document.model if whole else None)


@PROPERTY
@given(documents(), TEXTS, st.integers(0, 10_000))
def test_a_model_is_renamed_in_a_beginning_too(document: Document, new: str, cut: int) -> None:
    body = document.body
    prefix = body[: cut % (len(body) + 1)]
    renamed = rename_model(prefix, new, complete=False)
    if len(prefix) < len(document.before) + len(document.literal):
        assert renamed == prefix
    else:
        tail = prefix[len(document.before) + len(document.literal) :]
        assert renamed.startswith(document.before)
        assert renamed.endswith(tail)
        assert json.loads(renamed[len(document.before) : len(renamed) - len(tail)]) == new


@PROPERTY
@given(objects(VALUES), TEXTS)
def test_a_body_without_a_top_level_model_is_left_alone(inner: str, new: str) -> None:
    body = ('{"a": ' + inner + ', "b": [{"model": "x"}]}').encode()
    assert rename_model(body, new) == body
    assert model_of_prefix(body) is None


@PROPERTY
@given(st.binary(max_size=200), TEXTS)
def test_no_body_is_too_strange_to_rename_or_refuse(body: bytes, new: str) -> None:
    for text in (body, b'{"model":"m",' + body, b'{"a":"' + body + b'","model":"m"}'):
        for complete in (True, False):
            try:
                rename_model(text, new, complete=complete)
            except BodyError:
                continue
        model_of_prefix(text)


@PROPERTY
@given(st.lists(st.sampled_from(SCRAPS), max_size=30))
def test_scraps_of_json_are_searched_without_harm(scraps: list[bytes]) -> None:
    text = b"".join(scraps)
    model = model_of_prefix(text)
    try:
        whole = json.loads(text)
    except ValueError:
        return
    if model is not None:
        assert isinstance(whole, dict)
        assert "model" in whole


# -- cases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"model"',
        b'[{"model":"m"}]',
        b'{"model":"m"',
        b'{"model":"m"}}',
        b'{"model":"m",}',
        b"{'model':'m'}",
        b'{"model":"m","a":NaN}',
        b'\xef\xbb\xbf{"model":"m"}',
        '{"model":"m"}'.encode("utf-16"),
        b'{"model":"m","a":' + b"[" * 100_000,
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BodyError) as error:
        rename_model(body, "new")
    assert error.value.code is ErrorCode.INVALID_JSON


@pytest.mark.parametrize(
    "body", [b'{"model":5}', b'{"model":["m"]}', b'{"model":{"model":"m"}}', b'{"model":true}']
)
def test_a_model_that_is_no_text_is_refused(body: bytes) -> None:
    with pytest.raises(BodyError):
        rename_model(body, "new")


@pytest.mark.parametrize(
    "body", [b'{"model":null}', b"{}", b'{"Model":"m"}', b'{"a":{"model":"m"}}']
)
def test_where_no_model_is_given_nothing_is_renamed(body: bytes) -> None:
    assert rename_model(body, "new") == body


def test_a_key_that_hides_behind_an_escape_is_refused_or_renamed_whole() -> None:
    body = b'{"mod\\u0065l":"m","a":{"model":"m"}}'
    try:
        renamed = rename_model(body, "new")
    except BodyError:
        return
    assert json.loads(renamed) == {"model": "new", "a": {"model": "m"}}


def test_of_two_models_the_one_that_counts_is_renamed() -> None:
    # Every JSON reader that model servers use lets the last one win.
    body = b'{"model":"a","model":"a"}'
    assert json.loads(rename_model(body, "new")) == {"model": "new"}
    assert rename_model(b'{"model":"a","model":"b"}', "new") == b'{"model":"a","model":"new"}'


def test_a_nested_model_of_the_same_name_is_not_touched() -> None:
    body = rb'{"x":{"model":"\u0061"},"model":"a"}'
    assert rename_model(body, "a") in (body, rb'{"x":{"model":"\u0061"},"model":"a"}')
    assert rename_model(body, "b") == rb'{"x":{"model":"\u0061"},"model":"b"}'


@pytest.mark.parametrize("new", ['"', "\\", "é/ü", "\n", "a" * 10_000, ""])
def test_any_name_is_written_as_json(new: str) -> None:
    assert json.loads(rename_model(b'{"model":"m","a":1}', new)) == {"model": new, "a": 1}


def test_too_many_places_that_look_like_the_model_are_refused_not_guessed() -> None:
    body = b'{"tools":[' + b",".join([b'{"model":"m"}'] * 5_000) + b'],"model":"m"}'
    try:
        renamed = rename_model(body, "new")
    except BodyError:
        return
    assert renamed == body[:-4] + b'"new"}'


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' + b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"a":[' + b"{}," * 100_000,
        b'{"a":"' + b"x" * 1_000_000,
        b'{"a":"' + b"\\" * 999_999,
        b'{"a":"' + b'\\"model\\":\\"m\\",' * 50_000,
        b'{"a":[' + b'"x",' * 200_000,
        b'{"a":[' + b'"model",' * 100_000,
        b'"' * 100_001,
        b'{"model"' * 50_000,
        b'{"model":' + b" " * 500_000,
        b"{" + b'"model" ' * 50_000,
    ],
)
def test_an_adversarial_beginning_is_searched_to_its_end(body: bytes) -> None:
    assert model_of_prefix(body) is None


def test_a_model_behind_a_long_prompt_is_found() -> None:
    prompt = b'"' + b"word \\n" * 50_000 + b'"'
    images = b"[" + b",".join([b'"x"'] * 100_000) + b"]"
    body = b'{"prompt":' + prompt + b',"images":' + images + b',"model":"m","a":'
    assert model_of_prefix(body) == "m"
