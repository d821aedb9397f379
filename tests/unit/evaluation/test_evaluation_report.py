"""What a report says of counts that are known."""

from __future__ import annotations

import json
import random

import msgspec
import pytest

from router.comparison import Field, Verdict
from router.evaluation.counts import Counts
from router.evaluation.noise import Conclusion
from router.evaluation.report import Report, report
from router.evaluation.reservoir import Reservoir
from router.evaluation.tally import Tally, Tokens


def counts(both: int = 0, shadow: int = 0, twin: int = 0, neither: int = 0) -> Counts:
    return Counts(both=both, shadow_only=shadow, twin_only=twin, neither=neither)


def tally(overall: Counts, fields: dict[Field, Counts] | None = None) -> Tally:
    return Tally(
        stable="v1",
        shadow="v2",
        since_s=1_000.0,
        pairs=overall.pairs,
        compared=overall.pairs,
        twins_asked=overall.twins,
        any=overall,
        fields={Field.TEXT: overall} if fields is None else fields,
    )


def times(around: float, count: int = 200) -> Reservoir:
    chance = random.Random(1)
    return Reservoir(values=[chance.gauss(around, 0.01) for _ in range(count)], seen=5 * count)


# -- shares and conclusions ----------------------------------------------------------------------


def test_all_pairs_tell_the_share_and_those_with_a_twin_what_is_beyond_noise() -> None:
    seen = Counts(
        both=60, shadow_only=140, twin_only=40, neither=760, alone_differing=400, alone_same=600
    )
    found = report(tally(seen)).any
    assert found.shadow is not None
    assert (found.shadow.value, found.shadow.samples) == (0.3, 2000)
    assert found.twin is not None
    assert (found.twin.value, found.twin.samples) == (0.1, 1000)
    assert found.beyond_noise is not None
    assert (found.beyond_noise.value, found.beyond_noise.samples) == (pytest.approx(0.1), 1000)


@pytest.mark.parametrize(
    ("seen", "conclusion"),
    [
        (counts(60, 140, 40, 760), Conclusion.DIFFERS),
        (counts(60, 55, 50, 835), Conclusion.WITHIN_NOISE),
        (counts(60, 40, 140, 760), Conclusion.WITHIN_NOISE),
        (counts(0, 0, 0, 1000), Conclusion.WITHIN_NOISE),
        (counts(2, 4, 4, 50), Conclusion.NOT_ENOUGH),
        (counts(0, 3, 0, 40), Conclusion.NOT_ENOUGH),
        (counts(0, 20, 0, 0), Conclusion.DIFFERS),
        (Counts(alone_differing=5, alone_same=900), Conclusion.NO_NOISE_FLOOR),
        (Counts(alone_same=900), Conclusion.WITHIN_NOISE),
        (Counts(alone_same=20), Conclusion.NOT_ENOUGH),
        (Counts(), Conclusion.NOT_ENOUGH),
    ],
)
def test_the_conclusion_follows_from_the_counts(seen: Counts, conclusion: Conclusion) -> None:
    found = report(tally(seen))
    assert found.conclusion is found.any.conclusion is conclusion


def test_twins_that_all_failed_are_no_noise_floor_but_not_enough() -> None:
    seen = tally(Counts(alone_differing=300, alone_same=300))
    seen.twins_asked = seen.twins_failed = 50
    assert report(seen).conclusion is Conclusion.NOT_ENOUGH


def test_more_noise_needs_more_twins() -> None:
    quiet, loud = report(tally(counts(0, 1, 1, 500))), report(tally(counts(0, 150, 150, 200)))
    assert quiet.any.twins_needed < 100 < loud.any.twins_needed


def test_more_twins_find_a_smaller_difference() -> None:
    few, many = report(tally(counts(5, 5, 5, 85))), report(tally(counts(500, 500, 500, 8500)))
    assert few.smallest_detectable is not None
    assert many.smallest_detectable is not None
    # A hundred times the pairs, about a tenth of the difference.
    assert 8 < few.smallest_detectable / many.smallest_detectable < 16
    assert report(tally(Counts(alone_same=5))).smallest_detectable is None


# -- several fields ------------------------------------------------------------------------------


def test_a_field_is_less_easily_found_to_differ_among_many() -> None:
    close = counts(0, 25, 11, 964)  # mid-p 0.021
    quiet = counts(0, 5, 5, 990)
    alone = report(tally(close, {Field.TEXT: close}))
    others = {field: quiet for field in Field if field is not Field.TEXT}
    among = report(tally(close, {Field.TEXT: close, **others}))
    assert alone.fields[Field.TEXT].conclusion is Conclusion.DIFFERS
    assert among.fields[Field.TEXT].conclusion is Conclusion.WITHIN_NOISE
    assert among.fields[Field.TEXT].p_value == pytest.approx(
        8 * (alone.fields[Field.TEXT].p_value or 0.0)
    )
    assert among.conclusion is Conclusion.DIFFERS


def test_a_field_that_differs_is_told_also_where_the_noise_of_others_hides_it() -> None:
    loud, tools = counts(1000, 0, 0, 0), counts(0, 60, 5, 935)
    found = report(tally(loud, {Field.TEXT: loud, Field.TOOL_CALLS: tools}))
    assert found.conclusion is Conclusion.WITHIN_NOISE
    assert found.fields[Field.TOOL_CALLS].conclusion is Conclusion.DIFFERS
    assert any("tool_calls 5.5 %" in sentence for sentence in found.summary)


# -- errors, times, tokens -----------------------------------------------------------------------


def test_the_error_ratio_is_of_what_the_primary_answered() -> None:
    seen = tally(counts(0, 0, 0, 90))
    seen.primary_failed, seen.shadow_failed, seen.pairs = 50, 10, 150
    seen.errors = {"primary: timeout": 50, "shadow: timeout": 10}
    found = report(seen)
    assert found.error_ratio is not None
    assert (found.error_ratio.value, found.error_ratio.samples) == (0.1, 100)
    assert found.error_ratio.low < 0.1 < found.error_ratio.high
    assert found.errors == seen.errors


def test_without_an_answer_of_the_primary_there_is_no_error_ratio() -> None:
    assert report(tally(Counts())).error_ratio is None


def test_a_shift_in_time_is_told_beside_the_twins() -> None:
    seen = tally(counts(0, 0, 0, 100))
    seen.latency, seen.twin_latency, seen.first_token = times(0.05), times(0.0), times(-0.02)
    found = report(seen)
    shadow, twin, first = found.latency.shadow, found.latency.twin, found.first_token.shadow
    assert shadow is not None
    assert shadow.median.low < 0.05 < shadow.median.high
    assert (shadow.median.p_value or 0.0) < 1e-6
    assert shadow.seen == 1000
    assert shadow.median.samples == 200
    assert shadow.p50 < shadow.p95 == pytest.approx(0.05 + 1.645 * 0.01, abs=0.005)
    assert twin is not None
    assert twin.median.low < 0 < twin.median.high
    assert first is not None
    assert first.median.high < 0


def test_a_handful_of_times_tells_no_shift() -> None:
    seen = tally(counts(0, 0, 0, 100))
    seen.latency = times(0.05, count=7)
    assert report(seen).latency.shadow is None


def test_tokens_are_told_as_a_ratio() -> None:
    seen = tally(counts(0, 0, 0, 100))
    assert report(seen).tokens.ratio is None
    seen.tokens = Tokens(pairs=10, primary=1000, shadow=900)
    assert report(seen).tokens.ratio == 0.9


# -- the whole -----------------------------------------------------------------------------------


def test_a_report_survives_as_json() -> None:
    seen = tally(counts(60, 140, 40, 760))
    seen.latency, seen.verdicts = times(0.05), {Verdict.MATCH: 800, Verdict.MISMATCH: 200}
    found = report(seen)
    document = json.loads(json.dumps(msgspec.to_builtins(found)))
    assert msgspec.convert(document, Report) == found
    assert document["fields"]["text"]["conclusion"] == "differs"


def test_making_a_report_changes_nothing() -> None:
    seen = tally(counts(60, 140, 40, 760))
    seen.latency = Reservoir(values=[3.0, 1.0, 2.0] * 10, seen=30)
    before = msgspec.json.encode(seen)
    assert report(seen) == report(seen)
    assert msgspec.json.encode(seen) == before
