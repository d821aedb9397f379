"""Arguments in documents: filling by way of JSON is filling each text."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from router.analysis.arguments import fill, placeholder, resolve
from router.analysis.secret import Secret, redact

PROPERTY = settings(deadline=None, max_examples=100)
NAMES = st.sampled_from(["x", "canary-version", "a.b"])
PRINTABLE = st.text(max_size=20).filter(lambda text: text.isprintable())
CARRIED = st.text(
    st.one_of(st.sampled_from('\n\t\r\b\f"\\'), st.characters(exclude_categories=("C", "Z"))),
    max_size=20,
)
"""What Go's quoting and JSON write alike."""
KEYS = PRINTABLE.filter(lambda text: "{" not in text and "}" not in text)
PIECES = st.one_of(KEYS, NAMES.map(placeholder))
TEXTS = st.lists(PIECES, max_size=5).map("".join)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside, max_size=3),
    max_leaves=10,
)


def each_text_filled(document: Any, values: dict[str, str]) -> Any:
    if isinstance(document, str):
        return resolve(document, values)
    if isinstance(document, list):
        return [each_text_filled(item, values) for item in document]
    if isinstance(document, dict):
        return {key: each_text_filled(item, values) for key, item in document.items()}
    return document


@PROPERTY
@given(DOCUMENTS, CARRIED, CARRIED, CARRIED)
def test_filling_a_document_is_filling_each_of_its_texts(
    document: Any, first: str, second: str, third: str
) -> None:
    values = {"x": first, "canary-version": second, "a.b": third}
    assert fill(document, values) == each_text_filled(document, values)


@PROPERTY
@given(DOCUMENTS)
def test_places_filled_with_themselves_stay(document: Any) -> None:
    places = {name: placeholder(name) for name in ("x", "canary-version", "a.b")}
    assert fill(document, places) == document


@PROPERTY
@given(st.text(min_size=1, max_size=12).filter(lambda text: not set(text) & set("*")), st.text())
def test_no_secret_is_left_in_a_text(secret: str, text: str) -> None:
    left = redact(text + secret + text, {"s": Secret(secret)})
    assert secret not in left
