"""Nothing that a client puts into a body makes it cost more than its length; work is counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from router.routing import body as bodies
from router.routing.body import BodyError, BodyFields, find_form_field, rename_model

PUBLIC = b'{"model":"pub"}'


class CountedForm(bytes):
    """A body that knows how many of its bytes were searched."""

    searched = 0

    def find(self, *args: Any) -> int:
        start, end = args[1], args[2] if len(args) > 2 else len(self)
        found = super().find(*args)
        self.searched += (end if found < 0 else found) - start
        return found


class CountedPattern:
    """A pattern that knows how much it found."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self.found = 0

    def finditer(self, text: bytes) -> Iterator[re.Match[bytes]]:
        for match in self._pattern.finditer(text):
            self.found += 1
            yield match


class CountedReader:
    """A reader of bodies that knows how often it was asked."""

    def __init__(self) -> None:
        self.read = bodies._read_model
        self.calls = 0

    def __call__(self, body: bytes) -> BodyFields:
        self.calls += 1
        return self.read(body)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> CountedReader:
    reader = CountedReader()
    monkeypatch.setattr(bodies, "_read_model", reader)
    return reader


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> CountedPattern:
    tokens = CountedPattern(bodies._TOKEN)
    monkeypatch.setattr(bodies, "_TOKEN", tokens)
    return tokens


# -- forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        b"--b" + b"\r\n--b" * 5_000 + b"\r\n\r\n\r\n--b--",
        b"--b" + b"\r\n--b" * 5_000,
        b"--b" + b"\r\n--b\r\n\r\nx" * 5_000 + b"\r\n--b--",
        b"--b" + b'\r\n--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx' * 500 + b"\r\n--b",
        b"--b\r\n\r\n" + b"x" * 50_000 + b"\r\n--b--",
    ],
    ids=["no head ends but the last", "no head ends", "empty heads", "other fields", "one file"],
)
def test_a_form_is_searched_about_twice_however_many_parts_it_has(form: bytes) -> None:
    counted = CountedForm(form)
    assert find_form_field(counted, b"b", b"model") is None
    assert counted.searched <= 3 * len(form)


def test_parts_without_a_head_do_not_hide_the_field_behind_them() -> None:
    form = (
        b'--b\r\n--b\r\nx\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--'
    )
    span = find_form_field(form, b"b", b"model")
    assert span is not None
    assert form[slice(*span)] == b"m"


# -- renaming ------------------------------------------------------------------------------------


@pytest.mark.parametrize("nested", [0, 1, 2, 60, 5_000, 50_000])
def test_a_whole_body_is_read_at_most_four_times_to_rename_its_model(
    reader: CountedReader, nested: int
) -> None:
    before = b'{"messages":[' + b",".join([PUBLIC] * nested) + b'],"model":'
    try:
        renamed = rename_model(before + b'"pub"}', "up")
    except BodyError:
        assert nested == 50_000  # no inference request; it is refused, not guessed
    else:
        assert renamed == before + b'"up"}'
    assert reader.calls <= 4


@pytest.mark.parametrize("nested", [0, 1, 60, 5_000])
def test_the_beginning_of_a_body_is_read_once_to_rename_its_model(
    tokens: CountedPattern, nested: int
) -> None:
    before = b'{"messages":[' + b",".join([PUBLIC] * nested) + b'],"model":'
    assert rename_model(before + b'"pub","a":"', "up", complete=False) == before + b'"up","a":"'
    assert tokens.found <= 4 * nested + 5


@pytest.mark.parametrize(
    "before",
    [
        b'{"model":"0","a":{"model":"1"},"model":',
        b'{"x\\"model":"2","model":"0","model":',
        b'{"model":"up","a":[{"model":"up"}],"model":',
        b'{"model":5,"model":',
    ],
)
@pytest.mark.parametrize("after", [b"}", b',"a":{"model":"1"}}', b',"a":"{\\"model\\":\\"2\\"}"}'])
@pytest.mark.parametrize("old", [b'"pub"', b'"0"', b'"1"', b'"2"', b'"\\u0030"'])
def test_of_many_places_only_the_one_that_readers_see_changes(
    before: bytes, after: bytes, old: bytes
) -> None:
    assert rename_model(before + old + after, "up") == before + b'"up"' + after


@pytest.mark.parametrize("old", [b'"pub"', b'"0"', b'"1"'])
def test_a_model_under_an_escaped_key_is_refused_whatever_it_is_called(old: bytes) -> None:
    body = b'{"model":"a","b":{"model":"c"},"mod\\u0065l":' + old + b"}"
    with pytest.raises(BodyError):
        rename_model(body, "up")
