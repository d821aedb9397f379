"""Compare embeddings by their cosine: their direction is what clients use."""

import binascii
import struct
from collections.abc import Mapping
from math import isfinite, sqrt
from operator import mul
from typing import Any, Final

import msgspec

from router.comparison.excerpts import excerpt
from router.comparison.messages import count, objects
from router.comparison.result import Difference, Field

Vector = tuple[float, ...]

_SHOWN: Final = 8
"""Components of a vector that are shown."""


class Embeddings(msgspec.Struct, frozen=True):
    """The vectors of an answer by their index."""

    vectors: Mapping[int, Vector]


def is_embeddings(document: Any) -> bool:
    """Whether a document is OpenAI's list of embeddings."""
    rows = document.get("data") if isinstance(document, dict) else None
    return (
        isinstance(rows, list)
        and bool(rows)
        and all(isinstance(row, dict) and "embedding" in row for row in rows)
    )


def read_embeddings(document: Any) -> Embeddings:
    """Read each `embedding`, a list of numbers or 32-bit floats in base64.

    Raises:
        ValueError: one is neither.
    """
    vectors = {}
    for place, row in objects(document.get("data")):
        if "embedding" in row:
            index = count(row.get("index"))
            vectors[place if index is None else index] = _vector(row["embedding"])
    return Embeddings(vectors)


def _vector(embedding: Any) -> Vector:
    if isinstance(embedding, str):
        return _packed_vector(embedding)
    if not isinstance(embedding, list) or not {*map(type, embedding)} <= {int, float}:
        raise ValueError("an embedding is a list of numbers or a text in base64")
    try:
        return tuple(map(float, embedding))
    except OverflowError:
        raise ValueError("an embedding's number is beyond a float") from None


def _packed_vector(text: str) -> Vector:
    packed = binascii.a2b_base64(text, strict_mode=True)
    if len(packed) % 4:
        raise ValueError("an embedding in base64 is a row of 32-bit floats")
    return struct.unpack(f"<{len(packed) // 4}f", packed)


def compare_embeddings(primary: Embeddings, other: Embeddings, least_cosine: float) -> Difference:
    """Compare the vectors one by one; the least alike two decide."""
    mine, theirs = primary.vectors, other.vectors
    if mine.keys() != theirs.keys():
        return _unlike("count", "$.data", str(len(mine)), str(len(theirs)))
    worst, score = None, 1.0
    for index, one in mine.items():
        two, place = theirs[index], f"$.data[{index}].embedding"
        if len(one) != len(two):
            return _unlike("dimension", place, str(len(one)), str(len(two)))
        if _is_same(one, two):
            continue
        alike = cosine(one, two)
        if worst is None or alike < score:
            worst, score = index, alike
    if worst is None:
        return Difference(field=Field.EMBEDDINGS, same=True, rule="embeddings.exact", score=score)
    return Difference(
        field=Field.EMBEDDINGS,
        same=score >= least_cosine,
        rule="embeddings.cosine",
        score=score,
        place=f"$.data[{worst}].embedding",
        primary=_shown(mine[worst]),
        other=_shown(theirs[worst]),
    )


def _is_same(one: Vector, two: Vector) -> bool:
    return one == two or all(x == y or (x != x and y != y) for x, y in zip(one, two, strict=True))


def cosine(one: Vector, two: Vector) -> float:
    """-1 to 1; 0 where one has no direction: it is zero, or not finite."""
    scales = (max(map(abs, one), default=0.0), max(map(abs, two), default=0.0))
    if not all(isfinite(scale) and scale for scale in scales):
        return 0.0
    # Scaled first, so that no square is too large or too small for a float.
    one, two = (
        tuple(v / scale for v in vector) for vector, scale in zip((one, two), scales, strict=True)
    )
    product = sum(map(mul, one, two)) / sqrt(sum(map(mul, one, one)) * sum(map(mul, two, two)))
    return max(-1.0, min(1.0, product)) if isfinite(product) else 0.0


def _shown(vector: Vector) -> str:
    return excerpt(str(list(vector[:_SHOWN])))


def _unlike(rule: str, place: str, one: str, two: str) -> Difference:
    return Difference(
        field=Field.EMBEDDINGS,
        same=False,
        rule=f"embeddings.{rule}",
        place=place,
        primary=one,
        other=two,
    )
