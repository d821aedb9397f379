"""Tensors of KServe v2 in JSON and in bytes, and embeddings."""

from __future__ import annotations

import base64
import json
import struct
from math import inf, nan
from typing import Any

import pytest

from router.comparison import Answer, Difference, Field, Outcome, Rules, compare
from router.comparison.embeddings import cosine


def compared(one: bytes, two: bytes, **rules: Any) -> Difference:
    left, right = (
        Answer(outcome=Outcome.ANSWERED, status=200, content_type="application/json", body=body)
        for body in (one, two)
    )
    comparison = compare(left, right, Rules(**rules))
    assert comparison.error == ""
    [_, difference] = comparison.fields
    return difference


def in_json(*outputs: tuple[str, str, list[int], Any], **more: Any) -> bytes:
    keys = ("name", "datatype", "shape", "data")
    written = [dict(zip(keys, output, strict=True)) for output in outputs]
    return json.dumps({"model_name": "m", "id": "é", "outputs": written, **more}).encode()


def in_bytes(*outputs: tuple[str, str, list[int], bytes]) -> bytes:
    written = [
        {
            "name": name,
            "datatype": datatype,
            "shape": shape,
            "parameters": {"binary_data_size": len(data)},
        }
        for name, datatype, shape, data in outputs
    ]
    head = json.dumps({"id": "é}{", "outputs": written}, ensure_ascii=False).encode()
    return head + b"".join(data for _, _, _, data in outputs)


@pytest.mark.parametrize(
    ("datatype", "form", "values"),
    [
        ("BOOL", "?", [True, False]),
        ("UINT8", "B", [0, 255]),
        ("UINT16", "H", [0, 65_535]),
        ("UINT32", "I", [0, 2**32 - 1]),
        ("UINT64", "Q", [0, 2**64 - 1]),
        ("INT8", "b", [-128, 127]),
        ("INT16", "h", [-32_768, 32_767]),
        ("INT32", "i", [-(2**31), 2**31 - 1]),
        ("INT64", "q", [-(2**63), 2**63 - 1]),
        ("FP16", "e", [-1.5, 65_504.0]),
        ("FP32", "f", [-1.5, 2.0**100]),
        ("FP64", "d", [-0.1, 1e300]),
    ],
)
def test_a_tensor_in_json_and_in_bytes_is_the_same(
    datatype: str, form: str, values: list[Any]
) -> None:
    packed = struct.pack(f"<2{form}", *values)
    one = in_json(("o", datatype, [2], values))
    two = in_bytes(("o", datatype, [2], packed))
    assert compared(one, two) == Difference(field=Field.TENSORS, same=True, rule="tensors.exact")
    reverse = in_bytes(("o", datatype, [2], struct.pack(f"<2{form}", *reversed(values))))
    assert compared(two, reverse).place == "$.outputs['o'].data[0]"


def test_bfloat16_is_the_upper_half_of_a_float() -> None:
    packed = b"".join(struct.pack("<f", value)[2:] for value in (1.0, -2.5, inf))
    one = in_json(("o", "BF16", [3], [1.0, -2.5, inf]))
    assert compared(one, in_bytes(("o", "BF16", [3], packed))).rule == "tensors.exact"


def test_texts_in_bytes_have_their_length_before_them() -> None:
    packed = b"\x02\0\0\0ab" + b"\0\0\0\0" + b"\x02\0\0\0\xc3\xa9"
    one = in_json(("o", "BYTES", [3], ["ab", "", "é"]))
    assert compared(one, in_bytes(("o", "BYTES", [3], packed))).rule == "tensors.exact"
    other = compared(one, in_json(("o", "BYTES", [3], ["ab", "x", "é"])))
    assert (other.rule, other.place) == ("tensors.values", "$.outputs['o'].data[1]")
    assert (other.primary, other.other) == ("", "x")


def test_a_nan_among_texts_is_the_same_as_itself() -> None:
    odd = in_json(("o", "BYTES", [2], [nan, "a"]))
    assert compared(odd, odd).rule == "tensors.exact"


def test_rows_in_rows_are_the_same_as_one_row() -> None:
    one = in_json(("o", "FP32", [2, 2], [[1, 2], [3, 4]]))
    two = in_json(("o", "FP32", [2, 2], [1.0, 2.0, 3.0, 4.0]))
    assert compared(one, two).rule == "tensors.exact"


def test_numbers_may_differ_within_the_tolerance() -> None:
    one = in_json(("a", "FP32", [2], [100.0, nan]), ("b", "FP32", [1], [10.0]))
    two = in_json(("a", "FP32", [2], [101.0, nan]), ("b", "FP32", [1], [10.05]))
    within = compared(one, two, numeric_tolerance=0.01)
    assert (within.same, within.rule, within.largest) == (True, "tensors.tolerance", (1.0, 0.01))
    beyond = compared(one, two, numeric_tolerance=0.001)
    assert (beyond.same, beyond.rule, beyond.largest) == (False, "tensors.values", (1.0, 0.01))


@pytest.mark.parametrize(
    ("one", "two", "rule"),
    [
        (("o", "FP32", [1], [1]), ("p", "FP32", [1], [1]), "tensors.names"),
        (("o", "FP32", [1], [1]), ("o", "FP16", [1], [1]), "tensors.datatype"),
        (("o", "FP32", [1, 2], [1, 2]), ("o", "FP32", [2, 1], [1, 2]), "tensors.shape"),
        (("o", "FP32", [2], [1, 2]), ("o", "FP32", [2], [1]), "tensors.length"),
        (("o", "FP32", [1], [1]), ("o", "FP32", [1], [2]), "tensors.values"),
        (("o", "FP32", [1], [1]), ("o", "FP32", [1], ["1"]), "tensors.values"),
    ],
)
def test_another_tensor_is_a_difference(one: Any, two: Any, rule: str) -> None:
    difference = compared(in_json(one), in_json(two))
    assert (difference.same, difference.rule) == (False, rule)


def test_outputs_are_compared_by_name_in_any_order() -> None:
    a, b = ("a", "INT8", [1], [1]), ("b", "INT8", [1], [2])
    assert compared(in_json(a, b), in_json(b, a)).same


def test_an_ignored_tensor_makes_no_difference_in_json_and_in_bytes() -> None:
    paths = ("$.outputs[1].data",)
    one = in_bytes(("a", "INT8", [1], b"\x01"), ("b", "INT8", [1], b"\x02"))
    two = in_bytes(("a", "INT8", [1], b"\x01"), ("b", "INT8", [1], b"\x03"))
    assert not compared(one, two).same
    assert compared(one, two, ignore_paths=paths).same
    assert compared(one, in_json(("a", "INT8", [1], [1])), ignore_paths=("$.outputs[1]",)).same


@pytest.mark.parametrize("datatype", ["FP32", "BF16", "BYTES", "COMPLEX"])
def test_bytes_that_are_no_tensor_are_equal_or_unreadable(datatype: str) -> None:
    one = in_bytes(("o", datatype, [1], b"\x09\0\0"))
    two = in_bytes(("o", datatype, [1], b"\x08\0\0"))
    assert compared(one, one).rule == "tensors.exact"
    assert compared(one, two).rule == "tensors.unreadable"


def test_bytes_that_are_not_as_announced_are_only_bytes() -> None:
    one = in_bytes(("o", "INT8", [2], b"\x01\x02"))
    assert compared(one + b"\0", one + b"\1").field is Field.BODY
    assert compared(one[:-1], one[:-1]).rule == "body.exact"


def test_outputs_of_something_else_are_compared_as_json() -> None:
    one = in_json(("o", "FP32", [1], [{"a": 1}]))
    two = in_json(("o", "FP32", [1], [{"a": 2}]))
    assert compared(one, two).place == "$.outputs[0].data[0].a"


# -- embeddings --------------------------------------------------------------------------------


def embeddings(*vectors: Any) -> bytes:
    data = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return json.dumps({"object": "list", "data": data, "model": "m"}).encode()


def packed(*values: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def test_an_embedding_in_base64_is_the_same_as_in_numbers() -> None:
    difference = compared(embeddings([0.5, -1.0]), embeddings(packed(0.5, -1.0)))
    assert (difference.field, difference.rule, difference.score) == (
        Field.EMBEDDINGS,
        "embeddings.exact",
        1.0,
    )


def test_the_least_alike_embedding_decides() -> None:
    one, two = embeddings([1, 0], [1, 0]), embeddings([1, 0.01], [4, 3])
    difference = compared(one, two, cosine=0.81)
    assert (difference.same, difference.rule) == (False, "embeddings.cosine")
    assert (difference.score, difference.place) == (0.8, "$.data[1].embedding")
    assert compared(one, two, cosine=0.8).same


@pytest.mark.parametrize(
    ("one", "two", "rule"),
    [
        ([[1, 2]], [[1, 2], [3, 4]], "embeddings.count"),
        ([[1, 2]], [[1, 2, 3]], "embeddings.dimension"),
        ([[1, 0]], [[0, 1]], "embeddings.cosine"),
        ([[1, 0]], [[0, 0]], "embeddings.cosine"),
        ([[1, 0]], [[nan, 0]], "embeddings.cosine"),
    ],
)
def test_other_embeddings_are_a_difference(one: Any, two: Any, rule: str) -> None:
    difference = compared(embeddings(*one), embeddings(*two))
    assert (difference.same, difference.rule) == (False, rule)


@pytest.mark.parametrize("vector", [[0, 0], [nan, 1], [inf, 1], [], packed(nan, 1)])
def test_an_embedding_without_a_direction_is_the_same_as_itself(vector: Any) -> None:
    assert compared(embeddings(vector), embeddings(vector)).rule == "embeddings.exact"


@pytest.mark.parametrize("odd", [packed(1)[:-3], "é", [[1]], [True], None, [10**400], "AAA="])
def test_an_embedding_that_is_none_is_compared_as_json(odd: Any) -> None:
    difference = compared(embeddings(odd), embeddings(odd))
    assert difference.rule == "json.exact"


def test_the_cosine_is_finite_whatever_the_numbers() -> None:
    assert cosine((1e308, 1e308), (1e308, 1e308)) == pytest.approx(1.0)
    assert cosine((5e-324, 0.0), (1.0, 0.0)) == pytest.approx(1.0)
    assert cosine((1.0, 0.0), (-1.0, 0.0)) == -1.0
    assert cosine((1e308, 1e-308), (1e-308, 1e308)) == pytest.approx(0.0)
