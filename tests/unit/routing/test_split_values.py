"""Buckets are pinned: a release that moved them would move users between versions."""

from __future__ import annotations

from itertools import pairwise

import pytest

from router.errors import ConfigError
from router.routing.split import Rotation, Split, bucket, choose_by_key
from router.snapshot import FULL


@pytest.mark.parametrize(
    ("salt", "key", "expected"),
    [
        (b"chat", b"user-1", 3170),
        (b"chat", b"user-2", 4267),
        (b"embed", b"user-1", 6114),
        (b"", b"", 9876),
        (b"r" * 65, b"k", 5250),
    ],
)
def test_a_key_falls_into_the_same_bucket_in_every_release(
    salt: bytes, key: bytes, expected: int
) -> None:
    assert bucket(salt, key) == expected


def test_long_names_of_routes_are_told_apart() -> None:
    keys = [b"%d" % number for number in range(50)]
    one = [bucket(b"r" * 100 + b"1", key) for key in keys]
    other = [bucket(b"r" * 100 + b"2", key) for key in keys]
    assert one != other


@pytest.mark.parametrize(
    "weights", [(), (FULL - 1,), (FULL + 1,), (5_000, 5_001), (FULL, 0, 1), (-1, FULL + 1), (0, 0)]
)
def test_weights_that_do_not_share_out_everything_are_refused(weights: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError):
        Split(b"r", tuple((str(place), weight) for place, weight in enumerate(weights)))


@pytest.mark.parametrize("shares", [(("new", 0), ("old", FULL)), (("new", FULL), ("old", 0))])
def test_a_version_without_weight_gets_nothing(shares: tuple[tuple[str, int], ...]) -> None:
    split = Split(b"r", shares)
    full = {weight: version for version, weight in shares}[FULL]
    assert {choose_by_key(split, b"%d" % number) for number in range(500)} == {full}
    rotation = Rotation(split)
    assert {rotation.choose() for _ in range(500)} == {full}


def test_five_percent_of_forty_is_exactly_two() -> None:
    rotation = Rotation(Split(b"r", (("v2", 500), ("v1", 9_500))))
    turns = [rotation.choose() for _ in range(400)]
    for start in range(361):
        assert turns[start : start + 40].count("v2") == 2


def test_the_canary_is_spread_evenly() -> None:
    rotation = Rotation(Split(b"r", (("v2", 1_000), ("v1", 9_000))))
    turns = [rotation.choose() for _ in range(1_000)]
    places = [place for place, version in enumerate(turns) if version == "v2"]
    assert {later - earlier for earlier, later in pairwise(places)} == {10}


def test_two_rotations_of_one_split_do_not_disturb_each_other() -> None:
    split = Split(b"r", (("v2", 3_000), ("v1", 7_000)))
    alone = Rotation(split)
    expected = [alone.choose() for _ in range(20)]
    one, other = Rotation(split), Rotation(split)
    turns = [(one.choose(), other.choose()) for _ in range(20)]
    assert [turn[0] for turn in turns] == [turn[1] for turn in turns] == expected
