"""The model of a multipart form, before or behind the file."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.routing.body import find_form_field, form_boundary

Part = tuple[bytes, bytes]  # the Content-Disposition's parameters, the value


def form(*parts: Part, boundary: bytes = b"b0", preamble: bytes = b"") -> bytes:
    body = preamble
    for disposition, value in parts:
        body += b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (
            boundary,
            disposition,
            value,
        )
    return body + b"--" + boundary + b"--\r\n"


def value(body: bytes, name: bytes = b"model", boundary: bytes = b"b0") -> bytes | None:
    span = find_form_field(body, boundary, name)
    return None if span is None else body[span[0] : span[1]]


MODEL: Part = (b'name="model"', b"whisper-1")
FILE: Part = (b'name="file"; filename="a.wav"', b'RIFF\r\n\r\n\x00--b\r\nname="model"\r\n\r\nx')


@pytest.mark.parametrize(
    "parts", [(MODEL,), (MODEL, FILE), (FILE, MODEL), (FILE, MODEL, FILE), (FILE, FILE, MODEL)]
)
def test_a_field_is_found_before_and_behind_a_file(parts: tuple[Part, ...]) -> None:
    assert value(form(*parts)) == b"whisper-1"
    assert value(form(*parts, preamble=b"to be ignored\r\n")) == b"whisper-1"


def test_a_field_that_is_not_there_is_not_found() -> None:
    assert value(form(FILE)) is None
    assert value(form()) is None
    assert value(b"") is None
    assert value(b"model=whisper-1") is None


@pytest.mark.parametrize(
    "disposition",
    [
        b'name="model"',
        b"name=model",
        b'NAME="model"',
        b' \tname="model"',
        b'x=y; name="model"',
        b'name="model"; x="y"',
    ],
)
def test_a_name_may_be_written_in_many_ways(disposition: bytes) -> None:
    assert value(form((disposition, b"m"))) == b"m"


@pytest.mark.parametrize(
    "disposition",
    [b'name="models"', b'name="Model"', b'name="a model"', b'name=""', b'filename="model"',
     b'xname="model"', b'name="file"; filename="model"', b'name="file"; filename="name=model"'],
)  # fmt: skip
def test_another_name_is_not_the_field(disposition: bytes) -> None:
    assert value(form((disposition, b"x"), MODEL)) == b"whisper-1"


def test_a_file_whose_name_looks_like_a_parameter_is_not_the_field() -> None:
    odd = b'name="file"; filename="a; name=model"', b"x"
    assert value(form(odd, MODEL)) == b"whisper-1"


def test_an_empty_field_is_found_empty() -> None:
    assert value(form((b'name="model"', b""))) == b""


def test_the_first_of_two_fields_is_found() -> None:
    assert value(form((b'name="model"', b"a"), (b'name="model"', b"b"))) == b"a"


def test_other_fields_of_a_part_are_passed_over() -> None:
    body = (
        b'--b0\r\nContent-Type: text/plain\r\ncontent-disposition:form-data;name="model"'
        b"\r\nX-A: 1\r\n\r\nm\r\n--b0--\r\n"
    )
    assert value(body) == b"m"


def test_a_part_without_a_disposition_is_passed_over() -> None:
    body = b"--b0\r\n\r\nx\r\n--b0\r\nContent-Type: a\r\n\r\ny\r\n" + form(MODEL)
    assert value(body) == b"whisper-1"


def test_a_field_that_is_cut_off_is_not_found() -> None:
    body = form(FILE, MODEL)
    whole = body.index(b"whisper-1") + len(b"whisper-1\r\n--b0")
    for cut in range(whole):
        assert value(body[:cut]) is None
    for cut in range(whole, len(body)):
        assert value(body[:cut]) == b"whisper-1"


def test_what_stands_in_a_file_is_no_part() -> None:
    inner = form(MODEL, boundary=b"inner")
    assert value(form((b'name="file"', inner))) is None


NAMES = st.sampled_from([b"model", b"file", b"prompt", b"language"])
VALUES = st.binary(max_size=60).filter(lambda value: b"--b0" not in value)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_the_very_bytes_of_a_field_are_found_in_any_form(parts: list[Part]) -> None:
    body = form(*[(b'name="%b"' % name, content) for name, content in parts])
    wanted = [content for name, content in parts if name == b"model"]
    assert value(body) == (wanted[0] if wanted else None)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200), st.sampled_from([b"b0", b"", b"-", b"\r\n"]))
def test_no_body_is_too_strange_to_search(body: bytes, boundary: bytes) -> None:
    find_form_field(b"--b0\r\n" + body, boundary, b"model")


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'multipart/form-data; boundary="a b;c"', b"a b;c"),
        (b"Multipart/Form-Data;BOUNDARY=abc", b"abc"),
        (b"multipart/form-data; charset=utf-8; boundary=abc; x=y", b"abc"),
        (b"multipart/form-data; boundary=----WebKitFormBoundaryAb0", b"----WebKitFormBoundaryAb0"),
        (b"multipart/form-data", None),
        (b"multipart/form-data; boundary=", None),
        (b"multipart/mixed; boundary=abc", None),
        (b"multipart/form-database; boundary=abc", None),
        (b"application/json", None),
        (b"application/json; x=multipart/form-data; boundary=abc", None),
        (b"", None),
    ],
)
def test_only_a_multipart_form_has_a_boundary(content_type: bytes, boundary: bytes | None) -> None:
    assert form_boundary(content_type) == boundary
