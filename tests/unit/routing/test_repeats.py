"""What may be sent again, and how often."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.routing.budget import FLOOR_PER_S, RetryBudget
from router.routing.replay import may_repeat


def repeats(method: bytes, path: bytes, *, has_key: bool = False) -> bool:
    return may_repeat(None, method, path, has_key=has_key)


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"])
def test_an_idempotent_method_may_be_repeated_anywhere(method: bytes) -> None:
    assert repeats(method, b"/anything")


@pytest.mark.parametrize("method", [b"POST", b"PATCH", b"LOCK", b"get", b"MOVE"])
def test_any_other_method_may_not(method: bytes) -> None:
    assert not repeats(method, b"/anything")


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/chat/completions",
        b"/chat/completions",
        b"/v1/completions",
        b"/v1/embeddings",
        b"/v1/messages",
        b"/v1/rerank",
        b"/v1/audio/transcriptions",
        b"/generate",
        b"/generate_stream",
        b"/invocations",
        b"/v1/models/bert:predict",
        b"/v2/models/bert/infer",
        b"/v2/models/bert/versions/1/infer",
        b"/v2/models/bert/generate_stream",
    ],
)
def test_asking_for_an_inference_may_be_repeated(path: bytes) -> None:
    assert repeats(b"POST", path)
    assert not repeats(b"PATCH", path)


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/responses",
        b"/v1/responses/r1/cancel",
        b"/v1/files",
        b"/v1/batches",
        b"/v1/conversations",
        b"/v1/fine_tuning/jobs",
        b"/v1/chat/completions/x",
        b"/v1/chat/completionsx",
        b"/x/v1/chat/completions",
        b"/v1/messages/batches",
        b"/v2/models/bert/load",
        b"/v2/repository/models/bert/load",
        b"/v2/models/a/b/infer",
        b"/v1/models/a/b:predict",
        b"/",
    ],
)
def test_a_post_that_may_create_something_may_not_be_repeated(path: bytes) -> None:
    assert not repeats(b"POST", path)


def test_an_idempotency_key_allows_any_repetition() -> None:
    assert repeats(b"POST", b"/v1/responses", has_key=True)
    assert repeats(b"PATCH", b"/x", has_key=True)


@pytest.mark.parametrize("has_key", [True, False])
def test_the_methods_of_the_route_decide_alone(has_key: bool) -> None:
    for methods, method, allowed in (
        (("POST",), b"POST", True),
        (("POST",), b"GET", False),
        ((), b"GET", False),
        (("GET", "PATCH"), b"PATCH", True),
    ):
        assert may_repeat(methods, method, b"/v1/responses", has_key=has_key) is allowed


# -- the budget --------------------------------------------------------------------------------


def granted(budget: RetryBudget, now: float, requests: int, wanted: int) -> int:
    return sum(budget.withdraw(now, requests) for _ in range(wanted))


def test_a_few_retries_a_second_are_allowed_without_any_traffic() -> None:
    budget = RetryBudget(20, 100.0)
    granted(budget, 100.0, 0, 1_000)
    for second in range(1, 20):
        assert granted(budget, 100.0 + second, 0, 1_000) == FLOOR_PER_S


def test_a_share_of_the_requests_may_be_retried() -> None:
    budget = RetryBudget(20, 0.0)
    granted(budget, 0.0, 0, 1_000)
    assert granted(budget, 0.0, 500, 1_000) == pytest.approx(100, abs=1)


def test_a_budget_of_nothing_leaves_the_floor() -> None:
    budget = RetryBudget(0, 0.0)
    granted(budget, 0.0, 0, 1_000)
    assert granted(budget, 0.0, 10_000, 1_000) == 0
    assert granted(budget, 1.0, 20_000, 1_000) == FLOOR_PER_S


def test_an_idle_night_does_not_save_up_a_storm_of_retries() -> None:
    budget = RetryBudget(20, 0.0)
    assert granted(budget, 12 * 3600.0, 1_000_000, 100_000) < 1_000


def test_requests_before_the_budget_began_pay_nothing_in() -> None:
    budget = RetryBudget(20, 0.0, requests=1_000_000)
    assert granted(budget, 0.0, 1_000_000, 1_000) == FLOOR_PER_S


STEPS = st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50), st.integers(0, 30)), max_size=30)


@settings(deadline=None, max_examples=150)
@given(st.floats(0, 100), STEPS)
def test_retries_never_exceed_the_floor_and_the_share_together(
    percent: float, steps: list[tuple[float, int, int]]
) -> None:
    budget = RetryBudget(percent, 50.0)
    now, requests, retries = 50.0, 0, 0
    for elapsed, made, wanted in steps:
        now += elapsed
        requests += made
        retries += granted(budget, now, requests, wanted)
        most = FLOOR_PER_S + FLOOR_PER_S * (now - 50.0) + percent / 100 * requests
        assert retries <= most + 1e-6
