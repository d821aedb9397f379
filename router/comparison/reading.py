"""Decide what kind of answer a body is, and read it as that kind.

A stream is what its content type says; everything else is what its body is, because servers
label carelessly.  What cannot be read as a kind is read as the next one that is less: a document,
a text, bytes.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from router.comparison.answer import Answer
from router.comparison.embeddings import Embeddings, is_embeddings, read_embeddings
from router.comparison.json_paths import leave_out
from router.comparison.json_text import read_json
from router.comparison.messages import Message, reader_of
from router.comparison.streams import fold
from router.comparison.tensors import Tensors, is_tensors, read_binary_head, read_tensors

# What servers make anew for each answer, or of their own: the same names in OpenAI's APIs,
# KServe's and the engines' own.  At the top level only, where they are no content.
ALWAYS_IGNORED: Final = (
    "id",
    "created",
    "created_at",
    "model",
    "model_name",
    "model_version",
    "request_id",
    "service_tier",
    "system_fingerprint",
    "timings",
    "usage",
)


class Document(msgspec.Struct, frozen=True):
    """JSON that is none of the other kinds."""

    value: Any


class Text(msgspec.Struct, frozen=True):
    """Plain text."""

    text: str


class Raw(msgspec.Struct, frozen=True):
    """Bytes that mean nothing to us; there may be none."""

    body: bytes


class Broken(msgspec.Struct, frozen=True):
    """An answer that began and did not come to its end, and why."""

    problem: str


Content = Message | Tensors | Embeddings | Document | Text | Raw | Broken


class Reading(msgspec.Struct, frozen=True):
    """What a body is; `document` is the same as plain JSON, where it is JSON at all.

    Two answers of two kinds can only be compared as what both of them are.
    """

    content: Content
    document: Document | None = None


def read(answer: Answer, ignored: tuple[str, ...]) -> Reading:
    """Read an answer's body without the ignored parts."""
    media_type = answer.content_type.partition(";")[0].strip().lower()
    if media_type == "text/event-stream" and answer.status < 400:
        folded = fold(answer.body)
        if folded.problem:
            return Reading(Broken(folded.problem))
        return _read_document(folded.document, ignored)
    try:
        document = _read_json(answer.body)
    except ValueError:
        return Reading(_read_other(answer.body, media_type))
    if isinstance(document, dict | list) or media_type.endswith("json"):
        return _read_document(document, ignored)
    return Reading(_read_other(answer.body, media_type))


def _read_json(body: bytes) -> Any:
    try:
        return read_json(body)
    except ValueError:
        return read_binary_head(body)


def _read_document(whole: Any, ignored: tuple[str, ...]) -> Reading:
    # The kind is told first: what is left when parts are gone may look like another.
    read_content = _reader_of(whole)
    left = leave_out(whole, ignored)
    document = Document(_without_own(left))
    if read_content is None or not isinstance(left, dict | list):
        return Reading(document, document)
    try:
        return Reading(read_content(left), document)
    except ValueError:
        return Reading(document, document)  # not what it looked like


def _reader_of(document: Any) -> Callable[[Any], Content] | None:
    if is_tensors(document):
        return read_tensors
    if is_embeddings(document):
        return read_embeddings
    return reader_of(document)


def _without_own(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    return {name: value for name, value in document.items() if name not in ALWAYS_IGNORED}


def _read_other(body: bytes, media_type: str) -> Text | Raw:
    if not media_type.startswith("text/") or not body:
        return Raw(body)
    try:
        return Text(body.decode())
    except UnicodeDecodeError:
        return Raw(body)
