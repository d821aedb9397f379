import math
import random

from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples

from loadtests.scenarios.shares import Share, shares
from loadtests.scenarios.tally import Weights

SPLITS = ({"v1": 100, "v2": 0}, {"v1": 50, "v2": 50}, {"v1": 90, "v2": 10}, {"v1": 0, "v2": 100})


def weights(generation: int, v2: float, route: str = "chat") -> Weights:
    return Weights(route, generation, {"v1": 100 - v2, "v2": v2})


def of(version: str, found: tuple[Share, ...]) -> Share:
    return next(share for share in found if share.version == version)


@given(steps=lists(tuples(sampled_from(SPLITS), integers(1, 50)), min_size=1, max_size=20))
def test_answers_in_proportion_to_the_weights_are_within_the_bound(
    steps: list[tuple[dict[str, float], int]],
) -> None:
    known = [Weights("chat", number, dict(split)) for number, (split, _) in enumerate(steps)]
    answers = [
        ("chat", number, version, int(percent / 10) * count)
        for number, (split, count) in enumerate(steps)
        for version, percent in split.items()
    ]
    found = shares(answers, known)
    assert found.unknown == 0
    assert [share.sigmas for share in found.versions] == [0, 0]
    assert [share.unweighted for share in found.versions] == [0, 0]


@given(others=integers(1, 10**7), v2=sampled_from([0, 100]))
def test_one_answer_by_a_version_without_weight_is_found_among_any_number(
    others: int, v2: int
) -> None:
    good, bad = ("v2", "v1") if v2 else ("v1", "v2")
    answers = [("chat", 7, good, others), ("chat", 7, bad, 1)]
    share = of(bad, shares(answers, [weights(7, v2)]).versions)
    assert share.unweighted == 1
    assert share.sigmas == math.inf


@given(seed=integers(0, 10_000))
def test_independent_draws_keep_to_five_sigmas(seed: int) -> None:
    draw = random.Random(seed)
    known = [weights(generation, draw.choice([5, 25, 50, 95])) for generation in range(10)]
    answers = [
        ("chat", each.generation, draw.choices(["v1", "v2"], list(each.shares.values()))[0], 1)
        for each in known * 100
    ]
    assert all(share.sigmas < 5 for share in shares(answers, known).versions)


def test_a_version_that_gets_twice_its_share_is_far_out_of_the_bound() -> None:
    answers = [("chat", 1, "v1", 800), ("chat", 1, "v2", 200)]
    assert of("v2", shares(answers, [weights(1, 10)]).versions).sigmas > 10


def test_weights_are_in_force_until_the_next_change_of_their_own_route() -> None:
    known = [weights(1, 0), weights(3, 100), weights(1, 0, "embeddings")]
    answers = [("chat", 2, "v1", 5), ("chat", 4, "v2", 5), ("embeddings", 4, "v1", 5)]
    found = shares(answers, known)
    assert [(each.route, each.version, each.found) for each in found.versions] == [
        ("chat", "v1", 5),
        ("chat", "v2", 5),
        ("embeddings", "v1", 5),
        ("embeddings", "v2", 0),
    ]
    assert not any(share.sigmas or share.unweighted for share in found.versions)


def test_answers_from_before_the_first_known_weights_are_counted_and_not_judged() -> None:
    answers = [("chat", 4, "v2", 3), ("chat", 5, "v1", 1), ("other", 5, "v1", 2)]
    found = shares(answers, [weights(5, 0)])
    assert found.unknown == 5
    assert {share.answers for share in found.versions} == {1}


def test_a_version_that_is_missing_from_the_weights_had_none() -> None:
    share = of("v9", shares([("chat", 1, "v9", 1)], [weights(1, 50)]).versions)
    assert share.unweighted == 1
