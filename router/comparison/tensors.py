"""Compare the tensors of a KServe v2 infer answer, in JSON or in Triton's binary form.

Both sides may be written differently: a tensor in JSON and the same one in bytes are the same.
"""

import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from router.comparison.distance import Distance, compare_rows, farthest
from router.comparison.excerpts import around, excerpt
from router.comparison.json_paths import IGNORED
from router.comparison.json_text import head_length, read_json
from router.comparison.messages import Json, count, objects
from router.comparison.result import Difference, Field

_FORMATS: Final = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
"""The formats of `struct`, little-endian; BF16 and BYTES have none."""

_ELEMENTS: Final = {bool, int, float, str}


class Tensor(msgspec.Struct, frozen=True):
    """One output; `data` are the bytes as they came, or the elements of JSON in a row."""

    datatype: str
    shape: tuple[int, ...]
    data: bytes | list[Any]


class Tensors(msgspec.Struct, frozen=True):
    """The outputs of an answer by their name."""

    by_name: Mapping[str, Tensor]


def read_binary_head(body: bytes) -> Json:
    """Read an answer whose tensors follow its JSON; each output gets its bytes as `data`.

    The length of the JSON is told in a header that is not at hand, so it is where the first
    JSON value ends.

    Raises:
        ValueError: it is no such answer, or the bytes are not those that it announces.
    """
    start = head_length(body)
    head = read_json(body[:start])
    if not is_tensors(head):
        raise ValueError("is no infer answer")
    for _, output in objects(head["outputs"]):
        size = _binary_size(output)
        if size is not None:
            output["data"] = body[start : start + size]
            start += size
    if start != len(body):
        raise ValueError("announces more or fewer bytes than there are")
    return head  # type: ignore[no-any-return]  # is_tensors: an object


def _binary_size(output: Json) -> int | None:
    parameters = output.get("parameters")
    return count(parameters.get("binary_data_size")) if isinstance(parameters, dict) else None


def is_tensors(document: Any) -> bool:
    """Whether a document is an infer answer."""
    outputs = document.get("outputs") if isinstance(document, dict) else None
    return (
        isinstance(outputs, list)
        and bool(outputs)
        and all(
            isinstance(output, dict) and output.keys() >= {"name", "datatype", "shape"}
            for output in outputs
        )
    )


def read_tensors(document: Any) -> Tensors:
    """Read the outputs; what is not there (it may be ignored) is empty.

    Raises:
        ValueError: an output has something else than numbers, booleans and texts in it.
    """
    tensors = {}
    for _, output in objects(document.get("outputs")):
        name, datatype, data = (output.get(name) for name in ("name", "datatype", "data"))
        tensors[name if isinstance(name, str) else ""] = Tensor(
            datatype if isinstance(datatype, str) else "",
            tuple(_elements(output.get("shape"))),
            data if isinstance(data, bytes) else _elements(data),
        )
    return Tensors(tensors)


def _elements(value: Any) -> list[Any]:
    elements = [one for one in _flat(value) if one is not IGNORED]
    if not {*map(type, elements)} <= _ELEMENTS:
        raise ValueError("a tensor has numbers, booleans or texts")
    return elements


def _flat(value: Any) -> Iterator[Any]:
    """The elements of lists in lists, row by row."""
    stack = [iter([] if value is None else [value])]
    while stack:
        for one in stack[-1]:
            if isinstance(one, list):
                stack.append(iter(one))
                break
            yield one
        else:
            stack.pop()


def compare_tensors(primary: Tensors, other: Tensors, tolerance: float) -> Difference:
    """Compare the tensors by name; the first two that differ decide."""
    mine, theirs = primary.by_name, other.by_name
    if mine.keys() != theirs.keys():
        return _unlike("names", "$.outputs", ", ".join(mine), ", ".join(theirs))
    largest: Distance | None = None
    for name, one in mine.items():
        unlike, apart = _compare(f"$.outputs['{name}']", one, theirs[name], tolerance)
        if unlike is not None:
            return unlike
        largest = farthest(largest, apart)
    rule = "tensors.exact" if largest is None else "tensors.tolerance"
    return Difference(field=Field.TENSORS, same=True, rule=rule, largest=largest)


def _compare(
    place: str, one: Tensor, two: Tensor, tolerance: float
) -> tuple[Difference | None, Distance | None]:
    """What is unlike in two tensors of one name, and how far their elements are apart."""
    if one.datatype != two.datatype:
        return _unlike("datatype", f"{place}.datatype", one.datatype, two.datatype), None
    if one.shape != two.shape:
        return _unlike("shape", f"{place}.shape", _shown(one.shape), _shown(two.shape)), None
    if isinstance(one.data, bytes) and one.data == two.data:
        return None, None
    try:
        mine, theirs = _row(one), _row(two)
    except ValueError as error:
        return _unlike("unreadable", f"{place}.data", str(error), ""), None
    if len(mine) != len(theirs):
        return _unlike("length", f"{place}.data", str(len(mine)), str(len(theirs))), None
    return _compare_elements(f"{place}.data", mine, theirs, tolerance)


def _compare_elements(
    place: str, mine: Sequence[Any], theirs: Sequence[Any], tolerance: float
) -> tuple[Difference | None, Distance | None]:
    if _has_texts(mine) or _has_texts(theirs):
        pairs = enumerate(zip(mine, theirs, strict=True))
        # What is not itself is NaN: odd among texts, and the same as another.
        unequal = (at for at, (x, y) in pairs if x != y and (x == x or y == y))
        largest, first = None, next(unequal, None)
    else:
        largest, first = compare_rows(mine, theirs, tolerance)
    if first is None:
        return None, largest
    unlike = _unlike("values", f"{place}[{first}]", _shown(mine[first]), _shown(theirs[first]))
    return msgspec.structs.replace(unlike, largest=largest), largest


def _has_texts(elements: Sequence[Any]) -> bool:
    return bytes in {*map(type, elements)}


def _row(tensor: Tensor) -> Sequence[Any]:
    """The elements one after the other; texts as their bytes."""
    data = tensor.data
    if not isinstance(data, bytes):
        return [
            one.encode("utf-8", "surrogatepass") if isinstance(one, str) else one for one in data
        ]
    if tensor.datatype == "BYTES":
        return list(_read_texts(data))
    if tensor.datatype == "BF16":
        return _read_bf16(data)
    form = _FORMATS.get(tensor.datatype)
    if form is None or len(data) % struct.calcsize(form):
        raise ValueError(f"{len(data)} bytes are no row of {excerpt(tensor.datatype)}")
    return struct.unpack(f"<{len(data) // struct.calcsize(form)}{form}", data)


def _read_texts(data: bytes) -> Iterator[bytes]:
    """Each text has its length before it, in four bytes."""
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if end > len(data):
            raise ValueError("the last text ends beyond the tensor's bytes")
        yield data[at + 4 : end]
        at = end


def _read_bf16(data: bytes) -> Sequence[float]:
    """The upper halves of 32-bit floats."""
    if len(data) % 2:
        raise ValueError(f"{len(data)} bytes are no row of BF16")
    halves = struct.unpack(f"<{len(data) // 2}H", data)
    return array("f", array("I", [half << 16 for half in halves]).tobytes())


def _shown(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return excerpt(text)


def _unlike(rule: str, place: str, one: str, two: str) -> Difference:
    primary, other = around(one, two)
    return Difference(
        field=Field.TENSORS,
        same=False,
        rule=f"tensors.{rule}",
        place=excerpt(place),
        primary=primary,
        other=other,
    )
