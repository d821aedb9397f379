"""The functions that Argo Rollouts adds to the language (its utils/evaluate/evaluate.go).

`isNil` and `default` ignore their first argument: they ask the raw measured value.  So
`default(result[0], 0)` does not rescue an empty vector, because `result[0]` fails first.
"""

import json
import math
from collections.abc import Mapping
from typing import Final

from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.number_functions import NumberError, decimal_number, whole_number
from router.analysis.conditions.run import Run
from router.analysis.conditions.signatures import ANYTHING, Arguments, Function, takes
from router.analysis.conditions.static_types import BOOL, FLOAT, INT64, UNKNOWN
from router.analysis.conditions.values import as_float, go_type, is_array, is_number, truncated


def as_int(value: object) -> int:
    """Make a whole number: 1.9 is 1, "1" is 1.

    Raises:
        ConditionError: it is no number, and no text of a whole number ("1.1" is none).
    """
    if is_number(value):
        return truncated(value)
    if not isinstance(value, str):
        raise ConditionError(f"asInt() not supported on {_named(value)}")
    try:
        return whole_number(value)
    except NumberError as mistake:
        raise ConditionError(f"strconv.ParseInt: parsing {_quoted(value)}: {mistake}") from None


def as_a_float(value: object) -> float:
    """Make a double of a number or of a number's text.

    Raises:
        ConditionError: it is neither.
    """
    if is_number(value):
        return as_float(value)
    if not isinstance(value, str):
        raise ConditionError(f"asFloat() not supported on {_named(value)}")
    try:
        return decimal_number(value)
    except NumberError as mistake:
        raise ConditionError(f"strconv.ParseFloat: parsing {_quoted(value)}: {mistake}") from None


def is_nil(raw: object) -> bool:
    """Whether there is no measured value at all; an empty vector is one."""
    return raw is None


def is_nil_or_empty(raw: object) -> bool:
    """Whether a failed evaluation is explained by there being no data."""
    return raw is None or (is_array(raw) and not raw)


def default(raw: object, instead: object) -> object:
    """The measured value, or what is said instead where there is none."""
    return instead if is_nil(raw) else raw


def _named(value: object) -> str:
    return "<nil> <nil>" if value is None else go_type(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _double(name: str, value: object) -> float:
    if not is_number(value):
        raise ConditionError(
            f"cannot use {go_type(value)} as argument (type float64) to call {name}"
        )
    return as_float(value)


def _is_nan(_run: Run, arguments: Arguments) -> bool:
    return math.isnan(_double("isNaN", arguments[0]))


def _is_inf(_run: Run, arguments: Arguments) -> bool:
    return math.isinf(_double("isInf", arguments[0]))


ARGO_FUNCTIONS: Final[Mapping[str, Function]] = {
    "asInt": Function(takes((ANYTHING,), gives=INT64), lambda _run, given: as_int(given[0])),
    "asFloat": Function(takes((ANYTHING,), gives=FLOAT), lambda _run, given: as_a_float(given[0])),
    "isNaN": Function(takes((FLOAT,), gives=BOOL), _is_nan),
    "isInf": Function(takes((FLOAT,), gives=BOOL), _is_inf),
    "isNil": Function(takes((ANYTHING,), gives=BOOL), lambda run, _given: is_nil(run.result)),
    "default": Function(
        takes((ANYTHING, ANYTHING), gives=UNKNOWN), lambda run, given: default(run.result, given[1])
    ),
}
