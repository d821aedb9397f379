"""Compare two answers to one request, and judge what a difference means.

Pure, and total: whatever a model server sends, `compare` returns.

Guarantees (each is a property in tests/properties/test_comparison.py):
  * an answer compared with itself has no difference;
  * how a stream is cut into chunks leaves no trace;
  * what is ignored makes no difference, wherever it stands;
  * a larger tolerance makes no new difference.

Time grows with the size of the answers and never with its square.  Two answers of 8 MiB take up to
6 s of one core where they are made to hurt (CPython 3.11): not a matter for an event loop.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final, assert_never

from router.comparison.answer import Answer, Outcome
from router.comparison.embeddings import Embeddings, compare_embeddings
from router.comparison.excerpts import around_bytes, common_start, excerpt
from router.comparison.json_structure import compare_json
from router.comparison.messages import Message
from router.comparison.reading import Broken, Content, Document, Raw, Reading, Text, read
from router.comparison.result import Comparison, Difference, Field, Judgement, Verdict
from router.comparison.rules import Rules
from router.comparison.tensors import Tensors, compare_tensors
from router.comparison.text import compare_texts
from router.comparison.tool_calls import compare_tool_calls

_WEAKNESS: Final = {
    "exact": 0,
    "json": 1,
    "normalised": 2,
    "tolerance": 3,
    "cosine": 4,
    "ratio": 5,
}
"""How weak the rules are by which a field is the same."""


def compare(primary: Answer, other: Answer, rules: Rules) -> Comparison:
    """Compare every part that clients read.

    A status of another class (200 against 500) is the one difference: the bodies then speak of
    different things.

    Raises:
        ValueError: `rules.ignore_paths` has something that is no path.
    """
    problem = _no_answer("primary", primary) or _no_answer("other", other)
    if problem:
        return Comparison(error=problem)
    status = _compare_status(primary.status, other.status)
    if primary.status // 100 != other.status // 100:
        return Comparison(fields=(status,))
    one, two = read(primary, rules.ignore_paths), read(other, rules.ignore_paths)
    for side, reading in (("primary", one), ("other", two)):
        if isinstance(reading.content, Broken):
            return Comparison(error=f"{side}: {reading.content.problem}")
    return Comparison(
        fields=(status, *_compare_bodies(one, two, rules)), tokens=(_tokens(one), _tokens(two))
    )


def judge(comparison: Comparison, twin: Comparison | None, noisy: AbstractSet[Field]) -> Judgement:
    """Judge a difference by how the stable version differs from itself.

    `twin` compares the same primary with the stable version's second answer, where there is one.
    `noisy` are the fields in which the stable version differs from itself as often as the shadow.
    """
    if comparison.error:
        return Judgement(Verdict.ERROR, "error")
    differing = [each for each in comparison.fields if not each.same]
    if not differing:
        return Judgement(Verdict.MATCH, _weakest_rule(comparison))
    in_twin = frozenset(() if twin is None or twin.error else twin.differing)
    for each in differing:
        if each.field not in in_twin and each.field not in noisy:
            return Judgement(Verdict.MISMATCH, each.rule)
    by_twin = all(each.field in in_twin for each in differing)
    return Judgement(Verdict.WITHIN_NOISE, "noise.twin" if by_twin else "noise.floor")


def _weakest_rule(comparison: Comparison) -> str:
    """The weakest that was needed; of several the last, because the first is only the status."""
    rules = [each.rule for each in reversed(comparison.fields)]
    return max(rules, key=_weakness, default="")


def _weakness(rule: str) -> int:
    return _WEAKNESS.get(rule.rpartition(".")[2], 0)


def _no_answer(side: str, answer: Answer) -> str:
    if answer.outcome is Outcome.ANSWERED:
        return ""
    return f"{side}: {answer.outcome}" + (f" ({answer.reason})" if answer.reason else "")


def _compare_status(primary: int, other: int) -> Difference:
    same = primary == other
    return Difference(
        field=Field.STATUS,
        same=same,
        rule="status.exact" if same else "status.value",
        primary="" if same else str(primary),
        other="" if same else str(other),
    )


def _compare_bodies(one: Reading, two: Reading, rules: Rules) -> tuple[Difference, ...]:
    match one.content, two.content:
        case Message() as mine, Message() as theirs:
            return tuple(_compare_messages(mine, theirs, rules))
        case Tensors() as mine, Tensors() as theirs:
            return (compare_tensors(mine, theirs, rules.numeric_tolerance),)
        case Embeddings() as mine, Embeddings() as theirs:
            return (compare_embeddings(mine, theirs, rules.cosine),)
        case Text() as mine, Text() as theirs:
            return (compare_texts({"": mine.text}, {"": theirs.text}, rules.text_ratio),)
        case Raw() as mine, Raw() as theirs:
            return _compare_raw(mine.body, theirs.body)
    if one.document is None or two.document is None:
        return (_unlike_body("kind", "", _kind(one.content), _kind(two.content)),)
    primary, other = one.document.value, two.document.value
    return (compare_json({"$": primary}, {"$": other}, rules.numeric_tolerance),)


def _compare_messages(one: Message, two: Message, rules: Rules) -> Iterator[Difference]:
    if one.finish_reasons or two.finish_reasons:
        yield _compare_finish_reasons(one.finish_reasons, two.finish_reasons)
    if one.texts or two.texts:
        yield compare_texts(one.texts, two.texts, rules.text_ratio)
    if one.tool_calls or two.tool_calls:
        yield compare_tool_calls(one.tool_calls, two.tool_calls, rules.numeric_tolerance)
    if one.others or two.others:
        yield compare_json(one.others, two.others, rules.numeric_tolerance)


def _compare_finish_reasons(one: dict[str, str], two: dict[str, str]) -> Difference:
    for place in [*one, *(place for place in two if place not in one)]:
        primary, other = one.get(place, ""), two.get(place, "")
        if primary != other:
            return Difference(
                field=Field.FINISH_REASON,
                same=False,
                rule="finish_reason.value",
                place=place,
                primary=excerpt(primary),
                other=excerpt(other),
            )
    return Difference(field=Field.FINISH_REASON, same=True, rule="finish_reason.exact")


def _compare_raw(one: bytes, two: bytes) -> tuple[Difference, ...]:
    if one == two:
        exact = Difference(field=Field.BODY, same=True, rule="body.exact")
        return (exact,) if one else ()
    place = f"byte {common_start(one, two)}"
    return (_unlike_body("bytes", place, *around_bytes(one, two)),)


def _unlike_body(rule: str, place: str, primary: str, other: str) -> Difference:
    return Difference(
        field=Field.BODY,
        same=False,
        rule=f"body.{rule}",
        place=place,
        primary=primary,
        other=other,
    )


def _kind(content: Content) -> str:
    match content:
        case Message():
            return "a message"
        case Tensors():
            return "tensors"
        case Embeddings():
            return "embeddings"
        case Document():
            return "JSON"
        case Text():
            return "text"
        case Raw():
            return "bytes" if content.body else "nothing"
        case Broken():
            return "a broken stream"
        case _:
            assert_never(content)


def _tokens(reading: Reading) -> int | None:
    return reading.content.tokens if isinstance(reading.content, Message) else None
