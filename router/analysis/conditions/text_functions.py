"""The functions on strings."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.run import Run
from router.analysis.conditions.signatures import Arguments, Function, takes
from router.analysis.conditions.static_types import ARRAY, BOOL, INT, STRING, Type, array_of
from router.analysis.conditions.values import go_type, is_array, to_int, to_text

_MAX_REPEATS: Final = 1_000_000


def _spent(run: Run, text: str) -> str:
    run.take(len(text))
    return text


def _mapped(change: Callable[[str], str], run: Run, arguments: Arguments) -> str:
    return _spent(run, change(to_text(arguments[0])))


def _trim(run: Run, arguments: Arguments) -> str:
    text, *rest = map(to_text, arguments)
    return _spent(run, text.strip(rest[0] if rest else None))


def _trim_prefix(run: Run, arguments: Arguments) -> str:
    text, *rest = map(to_text, arguments)
    return _spent(run, text.removeprefix(rest[0] if rest else " "))


def _trim_suffix(run: Run, arguments: Arguments) -> str:
    text, *rest = map(to_text, arguments)
    return _spent(run, text.removesuffix(rest[0] if rest else " "))


def _split(run: Run, arguments: Arguments) -> list[object]:
    text, separator = to_text(arguments[0]), to_text(arguments[1])
    limit = to_int(arguments[2]) if len(arguments) == 3 else -1
    run.take(len(text) + text.count(separator) + 1)
    return [*_pieces(text, separator, limit)]


def _split_after(run: Run, arguments: Arguments) -> list[object]:
    separator = to_text(arguments[1])
    pieces = [str(piece) for piece in _split(run, arguments)]
    return [*(piece + separator for piece in pieces[:-1]), *pieces[-1:]]


def _pieces(text: str, separator: str, limit: int) -> list[str]:
    if limit == 0:
        return []
    if separator:
        return text.split(separator, limit - 1 if limit > 0 else -1)
    if 0 < limit < len(text):  # without a separator every character is a piece
        return [*text[: limit - 1], text[limit - 1 :]]
    return [*text]


def _replace(run: Run, arguments: Arguments) -> str:
    text, old, new = map(to_text, arguments[:3])
    limit = to_int(arguments[3]) if len(arguments) == 4 else -1
    times = text.count(old) if limit < 0 else min(limit, text.count(old))
    run.take(len(text) + times * len(new))
    return text.replace(old, new, times)


def _repeat(run: Run, arguments: Arguments) -> str:
    text, times = to_text(arguments[0]), to_int(arguments[1])
    if times < 0:
        raise ConditionError(
            f"invalid argument for repeat (expected positive integer, got {times})"
        )
    if times > _MAX_REPEATS:
        raise ConditionError("memory budget exceeded")
    run.take(len(text) * times)
    return text * times


def _join(run: Run, arguments: Arguments) -> str:
    items, *rest = arguments
    if not is_array(items):
        raise ConditionError(f"invalid argument for join (type {go_type(items)})")
    glue = to_text(rest[0]) if rest else ""
    texts = [to_text(item) for item in items]
    run.take(sum(map(len, texts)) + len(glue) * len(texts))
    return glue.join(texts)


def _index_of(run: Run, arguments: Arguments) -> int:
    text, part = map(to_text, arguments)
    run.step_over(text)
    return _byte_place(text, text.find(part))


def _last_index_of(run: Run, arguments: Arguments) -> int:
    text, part = map(to_text, arguments)
    run.step_over(text)
    return _byte_place(text, text.rfind(part))


def _byte_place(text: str, place: int) -> int:
    """Count bytes before a place, as Go does; -1 stays."""
    return place if place < 0 else len(text[:place].encode())


def _has_prefix(_run: Run, arguments: Arguments) -> bool:
    text, part = map(to_text, arguments)
    return text.startswith(part)


def _has_suffix(_run: Run, arguments: Arguments) -> bool:
    text, part = map(to_text, arguments)
    return text.endswith(part)


def _to_base64(run: Run, arguments: Arguments) -> str:
    return _spent(run, b64encode(to_text(arguments[0]).encode()).decode())


def _from_base64(run: Run, arguments: Arguments) -> str:
    try:
        return _spent(run, b64decode(to_text(arguments[0]), validate=True).decode())
    except ValueError:
        raise ConditionError("fromBase64: illegal base64 data") from None


_TEXT: Final = (STRING,)
_TWO: Final = (STRING, STRING)
_TEXTS: Final[Type] = array_of(STRING)

TEXT_FUNCTIONS: Final[Mapping[str, Function]] = {
    "trim": Function(takes(_TEXT, _TWO, gives=STRING), _trim),
    "trimPrefix": Function(takes(_TWO, _TEXT, gives=STRING), _trim_prefix),
    "trimSuffix": Function(takes(_TWO, _TEXT, gives=STRING), _trim_suffix),
    "upper": Function(takes(_TEXT, gives=STRING), partial(_mapped, str.upper)),
    "lower": Function(takes(_TEXT, gives=STRING), partial(_mapped, str.lower)),
    "split": Function(takes(_TWO, (*_TWO, INT), gives=_TEXTS), _split),
    "splitAfter": Function(takes(_TWO, (*_TWO, INT), gives=_TEXTS), _split_after),
    "replace": Function(takes((*_TWO, STRING, INT), (*_TWO, STRING), gives=STRING), _replace),
    "repeat": Function(takes((STRING, INT), gives=STRING), _repeat),
    "join": Function(takes((ARRAY, STRING), (ARRAY,), gives=STRING), _join),
    "indexOf": Function(takes(_TWO, gives=INT), _index_of),
    "lastIndexOf": Function(takes(_TWO, gives=INT), _last_index_of),
    "hasPrefix": Function(takes(_TWO, gives=BOOL), _has_prefix),
    "hasSuffix": Function(takes(_TWO, gives=BOOL), _has_suffix),
    "toBase64": Function(takes(_TEXT, gives=STRING), _to_base64),
    "fromBase64": Function(takes(_TEXT, gives=STRING), _from_base64),
}
