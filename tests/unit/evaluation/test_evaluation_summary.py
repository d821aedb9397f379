"""The sentences that a person reads."""

from __future__ import annotations

import pytest

from router.comparison import Field
from router.evaluation.counts import Counts
from router.evaluation.report import report
from router.evaluation.reservoir import Reservoir
from router.evaluation.tally import Tally, Tokens


def tally(seen: Counts) -> Tally:
    return Tally(
        stable="v1",
        shadow="v2",
        since_s=0.0,
        pairs=seen.pairs,
        compared=seen.pairs,
        twins_asked=seen.twins,
        any=seen,
        fields={Field.TEXT: seen} if seen.pairs else {},
    )


def test_a_difference_beyond_noise_is_told() -> None:
    seen = Counts(both=224, shadow_only=300, twin_only=184, neither=3292)
    assert report(tally(seen)).summary == (
        "v2 differs from v1 in 13.1 % (12.1 to 14.2 %) of 4000 pairs.",
        "v1 differs from itself in 10.2 % (9.3 to 11.2 %) of 4000 pairs that it answered twice.",
        "So 2.9 % (1.8 to 4.0 %) of the answers differ beyond noise.",
        "Differing beyond noise: text 2.9 % (1.8 to 4.0 %).",
        "v2 failed in 0.0 % (0.0 to 0.10 %) of 4000 requests that v1 answered.",
    )


def test_noise_is_told_with_what_would_have_been_found() -> None:
    seen = Counts(both=10, shadow_only=20, twin_only=20, neither=450)
    assert report(tally(seen)).summary[2] == (
        "No difference beyond noise shows: 0.0 % (-2.6 to 2.6 %);"
        " 4.4 % would most likely have been found."
    )


def test_how_many_twins_are_needed_is_told() -> None:
    seen = Counts(both=1, shadow_only=2, twin_only=2, neither=35)
    assert report(tally(seen)).summary[2] == (
        "That is not enough to tell a difference from noise:"
        " 40 pairs have a second answer, 155 are needed."
    )


def test_a_missing_noise_floor_is_told_with_its_remedy() -> None:
    found = report(tally(Counts(alone_differing=50, alone_same=450))).summary
    assert found[1].endswith("set shadow.noise.percent.")
    assert found[2] == "How much of the difference is noise cannot be told."


def test_twins_without_an_answer_are_told() -> None:
    seen = tally(Counts(alone_differing=50, alone_same=450))
    seen.twins_asked = seen.twins_failed = 7
    assert report(seen).summary[1] == "None of 7 second answers of v1 can be compared."


def test_times_and_tokens_are_told() -> None:
    seen = tally(Counts(neither=100))
    seen.latency = Reservoir(values=[0.05] * 20, seen=20)
    seen.twin_latency = Reservoir(values=[-0.001] * 20, seen=20)
    seen.first_token = Reservoir(values=[-1.5] * 20, seen=20)
    seen.tokens = Tokens(pairs=10, primary=1000, shadow=1032)
    assert report(seen).summary[-3:] == (
        "v2 answers 50.0 ms later (50.0 ms to 50.0 ms) than v1 (p95 of the differences: 50.0 ms);"
        " a second answer of v1 comes 1.0 ms earlier (1.0 ms to 1.0 ms).",
        "v2 begins to answer 1.50 s earlier (1.50 s to 1.50 s) than v1"
        " (p95 of the differences: -1.50 s).",
        "v2 writes 3.2 % more completion tokens (1032 against 1000).",
    )


@pytest.mark.parametrize(
    "seen",
    [
        Counts(),
        Counts(alone_same=500),
        Counts(alone_differing=500),
        Counts(both=1),
        Counts(both=100, shadow_only=300, neither=100),
        Counts(both=10, shadow_only=20, twin_only=20, neither=450),
    ],
)
def test_there_are_three_to_eight_sentences(seen: Counts) -> None:
    bare, full = tally(seen), tally(seen)
    full.latency = full.twin_latency = full.first_token = Reservoir(values=[0.1] * 50, seen=50)
    full.tokens = Tokens(pairs=1, primary=10, shadow=5)
    for each in (bare, full):
        summary = report(each).summary
        assert 3 <= len(summary) <= 8
        assert all(sentence.endswith(".") for sentence in summary)
