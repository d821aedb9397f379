"""Which requests are copied to a shadow."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from router.routing.mirror import Sampler, asks_to_store, is_stateful
from router.routing.split import bucket
from router.snapshot import FULL, Shadow

KEYS = st.binary(min_size=1, max_size=64)
SHARES = st.integers(0, FULL)


def sampler(share: int, route: str = "chat") -> Sampler:
    return Sampler(route, Shadow(version="v2", percent_bp=share))


def never() -> float:
    raise AssertionError("a key decides without a draw")


@given(key=KEYS, share=SHARES)
def test_a_conversation_is_copied_always_or_never(key: bytes, share: int) -> None:
    assert sampler(share).chooses(key, never) == sampler(share).chooses(key, never)


@given(key=KEYS, low=SHARES, high=SHARES)
def test_a_growing_share_takes_no_conversation_away(key: bytes, low: int, high: int) -> None:
    low, high = sorted((low, high))
    if sampler(low).chooses(key, never):
        assert sampler(high).chooses(key, never)


def test_who_is_copied_tells_nothing_about_who_has_the_canary() -> None:
    keys = [b"user-%d" % number for number in range(20_000)]
    canary = {key for key in keys if bucket(b"chat", key) < 1_000}
    copied = {key for key in keys if sampler(1_000).chooses(key, never)}
    # 2 000 each; 200 in both, give or take 6 standard deviations of a binomial
    assert abs(len(canary & copied) - 200) < 6 * 14
    assert abs(len(copied) - 2_000) < 6 * 43


def test_a_share_of_the_requests_without_a_key_is_drawn() -> None:
    draw = random.Random(1).random
    copied = sum(sampler(250).chooses(None, draw) for _ in range(40_000))
    assert abs(copied - 1_000) < 6 * 32


@given(draw=st.floats(0, 1, exclude_max=True))
def test_nothing_is_copied_of_0_and_everything_of_100_percent(draw: float) -> None:
    assert not sampler(0).chooses(None, lambda: draw)
    assert sampler(FULL).chooses(None, lambda: draw)


@given(body=st.binary(max_size=200))
def test_any_body_can_be_asked_whether_it_is_to_be_stored(body: bytes) -> None:
    assert not asks_to_store(b"/v1/embeddings", body)
    asks_to_store(b"/v1/chat/completions", b'"store"' + body)


def test_inference_is_not_stateful() -> None:
    for path in (
        b"/v1/chat/completions",
        b"/v1/embeddings",
        b"/v2/models/bert/infer",
        b"/v1/models/bert:predict",
        b"/predict",
        b"/generate_stream",
        b"/v1/filesystem",
    ):
        assert not is_stateful(b"POST", path)
    assert is_stateful(b"POST", b"/v1/responses/r1/cancel")
    assert is_stateful(b"POST", b"/v2/repository/models/bert/load")
    assert is_stateful(b"PUT", b"/anything")
