"""What a tally counts, and how it judges a pair by what it has seen."""

from __future__ import annotations

import json
import random

import msgspec
import pytest

from router.comparison import (
    Answer,
    Comparison,
    Difference,
    Field,
    Outcome,
    Rules,
    Verdict,
    compare,
)
from router.evaluation.counts import Counts
from router.evaluation.reservoir import CAPACITY
from router.evaluation.tally import MAX_ERROR, MAX_ERRORS, MORE_ERRORS, Observed, Tally


def compared(**same: bool) -> Comparison:
    return Comparison(
        fields=tuple(
            Difference(field=Field(name), same=is_same, rule=f"{name}.exact")
            for name, is_same in same.items()
        )
    )


def failed(why: str) -> Comparison:
    return Comparison(error=why)


def answer(status: int) -> Answer:
    return Answer(outcome=Outcome.ANSWERED, status=status, content_type="text/plain", body=b"x")


SAME, OTHER = compared(text=True), compared(text=False)


def tally() -> Tally:
    return Tally(stable="v1", shadow="v2", since_s=1_000.0)


def never() -> float:
    raise AssertionError("no chance is needed")


def add(
    to: Tally, comparison: Comparison, twin: Comparison | None = None, *, times: int = 1
) -> list[Verdict]:
    seen = Observed(comparison=comparison, twin=twin)
    return [to.add(seen, never).verdict for _ in range(times)]


# -- counting ------------------------------------------------------------------------------------


def test_pairs_are_counted_by_what_differs_in_the_shadow_and_in_the_twin() -> None:
    counts = tally()
    add(counts, OTHER, OTHER, times=1)
    add(counts, OTHER, SAME, times=2)
    add(counts, SAME, OTHER, times=3)
    add(counts, SAME, SAME, times=4)
    add(counts, OTHER, times=5)
    add(counts, SAME, times=6)
    expected = Counts(
        both=1, shadow_only=2, twin_only=3, neither=4, alone_differing=5, alone_same=6
    )
    assert counts.any == counts.fields[Field.TEXT] == expected
    assert (expected.pairs, expected.twins, expected.differing) == (21, 10, 8)
    assert (counts.pairs, counts.compared, counts.twins_asked) == (21, 21, 10)


def test_any_field_is_enough_to_differ() -> None:
    counts = tally()
    add(counts, compared(text=True, tool_calls=False), compared(text=False, tool_calls=True))
    assert counts.any == Counts(both=1)
    assert counts.fields == {
        Field.TEXT: Counts(twin_only=1),
        Field.TOOL_CALLS: Counts(shadow_only=1),
    }


def test_a_field_that_only_the_shadow_has_differs_there_and_not_in_the_twin() -> None:
    counts = tally()
    add(counts, compared(text=True, tool_calls=False), compared(text=True))
    assert counts.fields[Field.TOOL_CALLS] == Counts(shadow_only=1)


def test_a_field_that_no_answer_has_is_not_counted() -> None:
    counts = tally()
    add(counts, SAME, SAME)
    assert list(counts.fields) == [Field.TEXT]


def test_another_status_says_nothing_of_the_text() -> None:
    counts = tally()
    add(counts, compared(status=False), compared(status=True, text=False))
    assert counts.fields == {Field.STATUS: Counts(shadow_only=1)}
    add(counts, compared(status=True, text=False), compared(status=False))
    assert counts.fields[Field.TEXT] == Counts(alone_differing=1)


def test_a_failed_twin_is_counted_and_tells_nothing() -> None:
    counts = tally()
    add(counts, OTHER, failed("other: timeout"))
    assert (counts.twins_asked, counts.twins_failed) == (1, 1)
    assert counts.any == Counts(alone_differing=1)


def test_verdicts_are_counted() -> None:
    counts = tally()
    add(counts, SAME, times=3)
    add(counts, OTHER, times=2)
    add(counts, OTHER, OTHER)
    add(counts, failed("other: timeout"))
    assert counts.verdicts == {
        Verdict.MATCH: 3,
        Verdict.MISMATCH: 2,
        Verdict.WITHIN_NOISE: 1,
        Verdict.ERROR: 1,
    }


def test_tokens_are_added_where_both_sides_tell_theirs() -> None:
    counts = tally()
    for tokens in ((10, 12), (None, 5), (7, None), (20, 18)):
        add(counts, Comparison(fields=SAME.fields, tokens=tokens))
    assert (counts.tokens.pairs, counts.tokens.primary, counts.tokens.shadow) == (2, 30, 30)


def test_times_are_kept_also_of_answers_that_were_not_compared() -> None:
    counts = tally()
    seen = Observed(
        comparison=failed("other: timeout"),
        latency_s=None, first_token_s=0.25, twin_latency_s=-0.5,
    )  # fmt: skip
    counts.add(seen, never)
    assert (counts.latency.values, counts.first_token.values) == ([], [0.25])
    assert counts.twin_latency.values == [-0.5]


def test_failures_are_counted_by_their_side() -> None:
    counts = tally()
    add(counts, failed("primary: timeout"), times=2)
    add(counts, failed("other: error (reset)"), times=3)
    assert counts.errors == {"primary: timeout": 2, "shadow: error (reset)": 3}
    assert (counts.primary_failed, counts.shadow_failed, counts.compared) == (2, 3, 0)


@pytest.mark.parametrize(
    ("primary", "shadow", "errors"),
    [(200, 503, {"shadow: status 503": 1}), (200, 429, {}), (503, 500, {}), (500, 200, {})],
)
def test_a_server_error_that_the_primary_did_not_have_is_a_failure(
    primary: int, shadow: int, errors: dict[str, int]
) -> None:
    found = compare(answer(primary), answer(shadow), Rules())
    counts = tally()
    add(counts, found)
    assert counts.errors == errors
    assert counts.shadow_failed == len(errors)
    assert counts.fields[Field.STATUS] == Counts(alone_differing=1)


def test_a_shadow_that_answers_nothing_is_a_failure_of_the_shadow() -> None:
    silent = Answer(outcome=Outcome.TIMEOUT)
    counts = tally()
    add(counts, compare(answer(200), silent, Rules()))
    add(counts, compare(silent, answer(200), Rules()))
    assert (counts.shadow_failed, counts.primary_failed) == (1, 1)


# -- bounds and persistence ----------------------------------------------------------------------


def test_errors_are_bounded_in_number_and_in_length() -> None:
    counts = tally()
    for number in range(3 * MAX_ERRORS):
        add(counts, failed(f"other: {number} {'x' * 1000}"))
    assert len(counts.errors) == MAX_ERRORS + 1
    assert counts.errors[MORE_ERRORS] == 2 * MAX_ERRORS
    assert max(map(len, counts.errors)) <= MAX_ERROR
    assert sum(counts.errors.values()) == counts.pairs


def mixed(seed: int, pairs: int) -> list[Observed]:
    chance = random.Random(seed)

    def part() -> Comparison:
        if chance.random() < 0.02:
            return failed("other: timeout")
        found = compared(**{field: chance.random() > 0.2 for field in Field})
        return Comparison(fields=found.fields, tokens=(chance.randrange(99), chance.randrange(99)))

    return [
        Observed(
            comparison=part(),
            twin=part() if chance.random() < 0.5 else None,
            latency_s=chance.gauss(0.1, 0.2),
            first_token_s=chance.gauss(0, 0.1),
            twin_latency_s=chance.gauss(0, 0.2),
        )
        for _ in range(pairs)
    ]


def test_read_back_from_json_it_goes_on_as_if_nothing_had_happened() -> None:
    seen, halfway = mixed(1, 3000), 1500
    unbroken, before = tally(), tally()
    one, two = random.Random(2), random.Random(2)
    expected = [unbroken.add(each, one.random) for each in seen]
    found = [before.add(each, two.random) for each in seen[:halfway]]
    after = msgspec.convert(json.loads(json.dumps(msgspec.to_builtins(before))), Tally)
    assert after == before
    found += [after.add(each, two.random) for each in seen[halfway:]]
    assert found == expected
    assert after == unbroken


def test_it_is_bounded_however_many_pairs_it_has_counted() -> None:
    counts, chance = tally(), random.Random(3)
    for each in mixed(4, 4 * CAPACITY):
        counts.add(each, chance.random)
    assert len(msgspec.json.encode(counts)) < 48 * 1024


# -- judging -------------------------------------------------------------------------------------


def noisy_tally() -> Tally:
    """Shadow and twin differ equally often: each alone in 50 of 500 pairs."""
    counts = tally()
    add(counts, SAME, SAME, times=400)
    for _ in range(50):
        add(counts, OTHER, SAME)
        add(counts, SAME, OTHER)
    return counts


def test_a_field_that_differs_as_often_between_the_twins_is_noise() -> None:
    counts = noisy_tally()
    assert counts.noisy == {Field.TEXT}
    judgement = counts.add(Observed(comparison=OTHER), never)
    assert (judgement.verdict, judgement.rule) == (Verdict.WITHIN_NOISE, "noise.floor")


def test_a_field_that_differs_more_often_than_between_the_twins_is_no_noise() -> None:
    counts = tally()
    add(counts, SAME, SAME, times=200)
    add(counts, SAME, OTHER, times=20)
    add(counts, OTHER, SAME, times=100)
    assert counts.noisy == frozenset()
    assert add(counts, OTHER) == [Verdict.MISMATCH]


def test_a_rare_difference_is_no_noise_where_the_stable_version_never_differs() -> None:
    counts = tally()
    add(counts, SAME, SAME, times=500)
    add(counts, OTHER, SAME, times=2)
    add(counts, SAME, SAME, times=500)
    assert add(counts, OTHER) == [Verdict.MISMATCH]


def test_few_twins_excuse_nothing() -> None:
    counts = tally()
    add(counts, SAME, OTHER, times=20)
    add(counts, SAME, SAME, times=20)
    assert add(counts, OTHER, times=5) == [Verdict.MISMATCH] * 5


def test_one_noisy_field_does_not_excuse_another() -> None:
    counts = noisy_tally()
    both = compared(text=False, tool_calls=False)
    assert add(counts, both) == [Verdict.MISMATCH]


def test_a_pair_is_not_judged_by_itself() -> None:
    counts = noisy_tally()
    counts.noisy, counts.next_look = frozenset(), counts.any.twins + 1
    assert add(counts, OTHER, SAME) == [Verdict.MISMATCH]
    assert counts.noisy == {Field.TEXT}


def test_looks_are_as_many_as_the_logarithm_of_the_pairs() -> None:
    counts, looks = tally(), set()
    for _ in range(20_000):
        add(counts, SAME, SAME)
        looks.add(counts.next_look)
    assert 20 < len(looks) < 30


def test_what_was_noise_may_turn_out_to_be_a_difference() -> None:
    counts = noisy_tally()
    add(counts, OTHER, SAME, times=200)
    assert counts.noisy == frozenset()
    assert add(counts, OTHER) == [Verdict.MISMATCH]


def test_an_unknown_field_in_what_was_stored_is_refused() -> None:
    document = msgspec.to_builtins(noisy_tally())
    document["fields"]["mood"] = document["fields"].pop("text")
    with pytest.raises(msgspec.ValidationError, match="mood"):
        msgspec.convert(document, Tally)
