"""The functions on maps, on any value, and to and from JSON."""

import json
from collections.abc import Mapping
from typing import Final

from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.run import Run
from router.analysis.conditions.signatures import ANYTHING, Arguments, Function, takes, takes_one
from router.analysis.conditions.static_types import ARRAY, INT, MAP, STRING, UNKNOWN, Kind
from router.analysis.conditions.values import go_type, is_array, printed, to_text, wrapped


def _len(_run: Run, arguments: Arguments) -> int:
    value = arguments[0]
    if is_array(value) or isinstance(value, str | Mapping):
        return len(value)
    raise ConditionError(f"invalid argument for len (type {go_type(value)})")


_NAMES: Final = {
    "<nil>": "nil",
    "float64": "float",
    "[]interface {}": "array",
    "map[string]interface {}": "map",
}


def _type(_run: Run, arguments: Arguments) -> str:
    name = go_type(arguments[0])
    return _NAMES.get(name, name)


def _string(run: Run, arguments: Arguments) -> str:
    return printed(run, arguments[0])


def _mapping(refusal: str, value: object) -> Mapping[object, object]:
    if not isinstance(value, Mapping):
        raise ConditionError(refusal.format(type=go_type(value)))
    return value


def _keys(run: Run, arguments: Arguments) -> list[object]:
    mapping = _mapping("cannot get keys from {type}", arguments[0])
    run.take(len(mapping))
    return [*mapping]


def _values(run: Run, arguments: Arguments) -> list[object]:
    mapping = _mapping("cannot get values from {type}", arguments[0])
    run.take(len(mapping))
    return [*mapping.values()]


def _to_pairs(run: Run, arguments: Arguments) -> list[object]:
    mapping = _mapping("cannot transform {type} to pairs", arguments[0])
    run.take(3 * len(mapping))
    return [[key, value] for key, value in mapping.items()]


def _from_pairs(run: Run, arguments: Arguments) -> dict[str, object]:
    pairs = arguments[0]
    if not is_array(pairs):
        raise ConditionError(f"cannot transform {go_type(pairs)} from pairs")
    run.take(len(pairs))
    made: dict[str, object] = {}
    for pair in pairs:
        run.step()
        if not is_array(pair) or len(pair) != 2:
            raise ConditionError("invalid pair: a pair is an array of a key and a value")
        made[to_text(pair[0])] = pair[1]
    return made


def _to_json(run: Run, arguments: Arguments) -> str:
    try:
        text = json.dumps(
            _jsonable(run, arguments[0]),
            indent=2,
            sort_keys=True,
            ensure_ascii=False,
            allow_nan=False,
        )
    except ValueError:
        raise ConditionError("json: unsupported value: NaN or Inf") from None
    run.take(len(text))
    return text


_WHOLE_FLOATS_BELOW: Final = 1e21


def _jsonable(run: Run, value: object) -> object:
    """Write 1.0 as 1, as Go does; the cost is paid before the text is made."""
    run.step()
    match value:
        case bool() | None:
            return value
        case str():
            run.take(len(value))
            return value
        case float() if value.is_integer() and abs(value) < _WHOLE_FLOATS_BELOW:
            return int(value)
        case int():
            return wrapped(value)
        case list() | tuple():
            return [_jsonable(run, item) for item in value]
        case Mapping():
            return {str(key): _jsonable(run, item) for key, item in value.items()}
    return value


def _from_json(run: Run, arguments: Arguments) -> object:
    text = to_text(arguments[0])
    run.take(len(text))
    run.step(len(text))
    try:
        # Go reads every number of JSON as a double.
        value: object = json.loads(text, parse_int=float, parse_constant=_refuse_constant)
    except ValueError as mistake:
        raise ConditionError(f"fromJSON: {mistake}") from None
    return value


def _refuse_constant(word: str) -> object:
    raise ValueError(f"invalid character in {word}")


_LENGTHY: Final = (Kind.ARRAY, Kind.MAP, Kind.STRING)

VALUE_FUNCTIONS: Final[Mapping[str, Function]] = {
    "len": Function(
        takes_one(*_LENGTHY, gives=INT, refusal="invalid argument for len (type {type})"), _len
    ),
    "type": Function(takes((ANYTHING,), gives=STRING), _type),
    "string": Function(takes((ANYTHING,), gives=STRING), _string),
    "keys": Function(
        takes_one(Kind.MAP, gives=ARRAY, refusal="cannot get keys from {type}"), _keys
    ),
    "values": Function(
        takes_one(Kind.MAP, gives=ARRAY, refusal="cannot get values from {type}"), _values
    ),
    "toPairs": Function(
        takes_one(Kind.MAP, gives=ARRAY, refusal="cannot transform {type} to pairs"), _to_pairs
    ),
    "fromPairs": Function(
        takes_one(Kind.ARRAY, gives=MAP, refusal="cannot transform {type} from pairs"), _from_pairs
    ),
    "toJSON": Function(takes((ANYTHING,), gives=STRING), _to_json),
    "fromJSON": Function(takes((STRING,), gives=UNKNOWN), _from_json),
}
