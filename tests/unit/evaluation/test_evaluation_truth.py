"""What is found where the truth is known: a simulated primary, shadow and twin.

Each answer leaves the canonical one by chance, so that two answers of the stable version differ in
10 % of the pairs; the shadow leaves it in 3 % more of its answers.  The figures that
docs/evaluation-method.md tells were made by the same simulation.
"""

from __future__ import annotations

import random
from math import sqrt

import pytest

from router.comparison import Comparison, Difference, Field
from router.evaluation.noise import Conclusion
from router.evaluation.report import Report, report
from router.evaluation.tally import Observed, Tally

PAIRS = 4_000
SEEDS = range(100)
FEWER = range(40)
LEAVES = 1 - sqrt(0.9)
EXTRA = 0.03
BEYOND = EXTRA * sqrt(0.9)
"""By how much more the shadow differs: where the primary has left it, all others differ anyway."""

_SAME, _OTHER = (
    Comparison(fields=(Difference(field=Field.TEXT, same=same, rule="text.exact"),))
    for same in (True, False)
)
OBSERVED = {
    (shadow, twin): Observed(
        comparison=_OTHER if shadow else _SAME,
        twin=None if twin is None else _OTHER if twin else _SAME,
    )
    for shadow in (True, False)
    for twin in (True, False, None)
}


def simulate(seed: int, extra: float, noise: float = 1.0) -> Report:
    draw = random.Random(seed).random
    tally = Tally(stable="v1", shadow="v2", since_s=0.0)
    for _ in range(PAIRS):
        primary, shadow = draw() < LEAVES, draw() < LEAVES + extra
        twin = (draw() < LEAVES or primary) if draw() < noise else None
        tally.add(OBSERVED[primary or shadow, twin], draw)
    return report(tally)


@pytest.fixture(scope="module")
def changed() -> list[Report]:
    return [simulate(seed, EXTRA) for seed in SEEDS]


@pytest.fixture(scope="module")
def unchanged() -> list[Report]:
    return [simulate(seed, 0.0) for seed in SEEDS]


def how_many(reports: list[Report], conclusion: Conclusion) -> int:
    return sum(each.conclusion is conclusion for each in reports)


def test_a_shadow_that_changes_3_percent_more_is_found_within_4000_pairs(
    changed: list[Report],
) -> None:
    # Measured: 100 of 100.
    assert how_many(changed, Conclusion.DIFFERS) >= 98
    for each in changed:
        if each.conclusion is Conclusion.DIFFERS:
            assert each.any.beyond_noise is not None
            assert each.any.beyond_noise.low > 0


def test_a_shadow_that_is_the_stable_version_is_within_its_noise(unchanged: list[Report]) -> None:
    assert how_many(unchanged, Conclusion.WITHIN_NOISE) >= 95


def test_the_intervals_hold_the_true_difference(
    changed: list[Report], unchanged: list[Report]
) -> None:
    for truth, reports in ((BEYOND, changed), (0.0, unchanged)):
        found = [each.any.beyond_noise for each in reports]
        held = sum(each is not None and each.low <= truth <= each.high for each in found)
        assert held >= 90


def test_a_fifth_of_the_twins_finds_it_in_most_runs_and_rarely_accuses_the_innocent() -> None:
    found = [simulate(seed, EXTRA, noise=0.2).conclusion for seed in FEWER]
    assert found.count(Conclusion.DIFFERS) >= 22
    innocent = [simulate(seed, 0.0, noise=0.2).conclusion for seed in FEWER]
    assert innocent.count(Conclusion.DIFFERS) <= 4


def test_without_twins_nothing_is_concluded() -> None:
    assert simulate(1, EXTRA, noise=0.0).conclusion is Conclusion.NO_NOISE_FLOOR
