"""What a difference means, given how much the stable version differs from itself."""

from __future__ import annotations

import pytest

from router.comparison import Comparison, Difference, Field, Judgement, Verdict, judge


def same(field: Field, rule: str) -> Difference:
    return Difference(field=field, same=True, rule=rule)


def unlike(field: Field, rule: str) -> Difference:
    return Difference(field=field, same=False, rule=rule)


STATUS = same(Field.STATUS, "status.exact")
TEXT = unlike(Field.TEXT, "text.ratio")
CALLS = unlike(Field.TOOL_CALLS, "tool_calls.name")
DIFFERENT = Comparison(fields=(STATUS, TEXT, CALLS))
ERROR = Comparison(error="other: timeout")


def test_nothing_to_compare_is_an_error() -> None:
    assert judge(ERROR, None, frozenset()) == Judgement(Verdict.ERROR, "error")


@pytest.mark.parametrize(
    ("rules", "weakest"),
    [
        (["text.exact"], "text.exact"),
        (["finish_reason.exact", "text.normalised"], "text.normalised"),
        (["text.ratio", "tool_calls.exact"], "text.ratio"),
        (["text.ratio", "json.tolerance"], "text.ratio"),
        (["text.exact", "tool_calls.json"], "tool_calls.json"),
        (["embeddings.cosine"], "embeddings.cosine"),
    ],
)
def test_a_match_has_the_weakest_rule_that_was_needed(rules: list[str], weakest: str) -> None:
    fields = tuple(same(Field(rule.partition(".")[0]), rule) for rule in rules)
    judgement = judge(Comparison(fields=(STATUS, *fields)), None, frozenset())
    assert judgement == Judgement(Verdict.MATCH, weakest)


@pytest.mark.parametrize(
    ("twin", "noisy", "expected"),
    [
        (None, [], Judgement(Verdict.MISMATCH, "text.ratio")),
        (ERROR, [], Judgement(Verdict.MISMATCH, "text.ratio")),
        (Comparison(fields=(STATUS,)), [], Judgement(Verdict.MISMATCH, "text.ratio")),
        (DIFFERENT, [], Judgement(Verdict.WITHIN_NOISE, "noise.twin")),
        (Comparison(fields=(TEXT,)), [], Judgement(Verdict.MISMATCH, "tool_calls.name")),
        (None, [Field.TEXT], Judgement(Verdict.MISMATCH, "tool_calls.name")),
        (None, [Field.TEXT, Field.TOOL_CALLS], Judgement(Verdict.WITHIN_NOISE, "noise.floor")),
        (
            Comparison(fields=(TEXT,)),
            [Field.TOOL_CALLS],
            Judgement(Verdict.WITHIN_NOISE, "noise.floor"),
        ),
        (None, [Field.JSON], Judgement(Verdict.MISMATCH, "text.ratio")),
    ],
)
def test_a_difference_that_stable_has_with_itself_is_noise(
    twin: Comparison | None, noisy: list[Field], expected: Judgement
) -> None:
    assert judge(DIFFERENT, twin, frozenset(noisy)) == expected


def test_a_twin_that_differs_does_not_turn_a_match_into_noise() -> None:
    match = Comparison(fields=(STATUS, same(Field.TEXT, "text.exact")))
    assert judge(match, DIFFERENT, frozenset(Field)) == Judgement(Verdict.MATCH, "text.exact")
