"""How a split shares requests out: by key the same version for ever, in rotation exactly."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from router.routing.split import Rotation, Split, bucket, choose_by_key
from router.snapshot import FULL

PROPERTY = settings(deadline=None, max_examples=100)
KEYS = st.binary(max_size=40)
SALTS = st.binary(max_size=90)
WEIGHT = st.integers(0, FULL)


@st.composite
def splits(draw: st.DrawFn, salt: st.SearchStrategy[bytes] = SALTS) -> Split[str]:
    step = draw(st.sampled_from([1, 1, 50, 100, 500, 1_000]))
    cuts = draw(st.lists(st.integers(0, FULL // step), max_size=4))
    places = [0, *sorted(cut * step for cut in cuts), FULL]
    weights = [later - earlier for earlier, later in pairwise(places)]
    return Split(draw(salt), tuple((f"v{number}", w) for number, w in enumerate(weights)))


def two(weight: int, salt: bytes = b"r") -> Split[str]:
    return Split(salt, (("new", weight), ("old", FULL - weight)))


@PROPERTY
@given(splits(), KEYS)
def test_one_key_and_one_split_always_give_the_same_version(split: Split[str], key: bytes) -> None:
    version = choose_by_key(split, key)
    assert version == choose_by_key(Split(split.salt, split.shares), key)
    assert dict(split.shares)[version] > 0


@PROPERTY
@given(SALTS, KEYS)
def test_a_bucket_is_one_of_a_whole(salt: bytes, key: bytes) -> None:
    assert 0 <= bucket(salt, key) < FULL


@PROPERTY
@given(SALTS, KEYS, WEIGHT, WEIGHT)
def test_raising_the_canary_takes_no_key_away_from_it(
    salt: bytes, key: bytes, one: int, other: int
) -> None:
    low, high = sorted((one, other))
    if choose_by_key(two(low, salt), key) == "new":
        assert choose_by_key(two(high, salt), key) == "new"


@PROPERTY
@given(splits(), KEYS, st.data())
def test_raising_the_newest_of_many_takes_no_key_away_from_it(
    split: Split[str], key: bytes, data: st.DataObject
) -> None:
    (newest, weight), *others = split.shares
    raised = data.draw(st.integers(weight, FULL))
    left = FULL - raised
    shares = [(newest, raised)]
    for name, _ in others[:-1]:
        share = data.draw(st.integers(0, left))
        left -= share
        shares.append((name, share))
    if others:
        shares.append((others[-1][0], left))
    else:
        shares = [(newest, FULL)]
    if choose_by_key(split, key) == newest:
        assert choose_by_key(Split(split.salt, tuple(shares)), key) == newest


@PROPERTY
@given(SALTS, KEYS, WEIGHT)
def test_a_key_belongs_to_the_canary_if_its_bucket_is_below_the_weight(
    salt: bytes, key: bytes, weight: int
) -> None:
    chosen = choose_by_key(two(weight, salt), key)
    assert chosen == ("new" if bucket(salt, key) < weight else "old")


def test_keys_are_shared_near_the_weights() -> None:
    split = Split(b"chat", (("a", 500), ("b", 2_500), ("c", 7_000)))
    counts = Counter(choose_by_key(split, b"user-%d" % number) for number in range(20_000))
    for version, weight in split.shares:
        assert abs(counts[version] / 20_000 - weight / FULL) < 0.01


def test_the_keys_of_one_route_say_nothing_of_another() -> None:
    early = [key for key in (b"user-%d" % n for n in range(40_000)) if bucket(b"a", key) < 500]
    both = sum(bucket(b"b", key) < 500 for key in early)
    assert abs(both / len(early) - 0.05) < 0.02


@PROPERTY
@given(st.integers(0, 400))
def test_five_percent_of_any_forty_consecutive_requests_is_exactly_two(start: int) -> None:
    rotation = Rotation(two(500))
    for _ in range(start):
        rotation.choose()
    assert Counter(rotation.choose() for _ in range(40)) == {"new": 2, "old": 38}


@settings(deadline=None, max_examples=25)
@given(splits(st.just(b"r")), st.integers(0, 3_000))
def test_any_ten_thousand_consecutive_requests_are_shared_exactly(
    split: Split[str], start: int
) -> None:
    rotation = Rotation(split)
    for _ in range(start):
        rotation.choose()
    counts = Counter(rotation.choose() for _ in range(FULL))
    assert counts == {name: weight for name, weight in split.shares if weight}


@settings(deadline=None, max_examples=60)
@given(splits(st.just(b"r")), st.integers(1, 2_000))
def test_at_no_time_is_a_version_far_from_its_share(split: Split[str], count: int) -> None:
    rotation = Rotation(split)
    counts = Counter(rotation.choose() for _ in range(count))
    for name, weight in split.shares:
        assert abs(counts[name] - count * weight / FULL) < len(split.shares)
