"""What an endpoint that has come back gets, while its share grows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.routing.balance import (
    FewestOfFew,
    LeastRequest,
    PeakEwma,
    RoundRobin,
    Single,
    make_balancer,
)
from router.routing.slow_start import LEAST, Ramp, SlowStart, make_slow_start, share_at
from router.snapshot import Balance

PROPERTY = settings(deadline=None, max_examples=100)
EACH = pytest.mark.parametrize("balance", list(Balance))
WINDOW_S = 30.0


@dataclass(eq=False)
class Server:
    """An endpoint as a balancer sees it."""

    name: int
    in_flight: int = 0
    latency_s: float = 0.1
    ramp: Ramp | None = None


def warming(name: int, elapsed_s: float, window_s: float = WINDOW_S) -> Server:
    ramp = Ramp(0.0, window_s)
    ramp.move(elapsed_s)
    return Server(name, ramp=ramp)


def spread(
    balance: Balance, pool: Sequence[Server], requests: int, seed: int = 7, at_once: int = 1
) -> Counter[int]:
    """Who gets requests of which so many run at once."""
    chance = random.Random(seed)
    balancer = make_slow_start(balance, pool)
    running: list[Server] = []
    counts: Counter[int] = Counter()
    for _ in range(requests):
        if len(running) >= at_once:
            ending = running.pop(chance.randrange(len(running)))
            ending.in_flight -= 1
            balancer.ended(ending)
        server = balancer.choose(chance.random)
        assert server is not None
        server.in_flight += 1
        balancer.began(server)
        running.append(server)
        counts[server.name] += 1
    for server in running:
        server.in_flight -= 1
    return counts


# -- the share -----------------------------------------------------------------------------------

SECONDS = st.floats(0, 1000)


@PROPERTY
@given(SECONDS, SECONDS, st.floats(0.001, 1000))
def test_a_share_only_grows_and_is_all_of_it_when_the_time_is_over(
    one: float, other: float, window_s: float
) -> None:
    before, after = share_at(min(one, other), window_s), share_at(max(one, other), window_s)
    assert LEAST <= before <= after <= 1.0
    assert share_at(window_s, window_s) == 1.0


# -- who gets what -------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("at_once", [1, 40])
def test_what_a_warming_endpoint_gets_grows_with_its_time(balance: Balance, at_once: int) -> None:
    got = []
    for elapsed_s in (0.0, 6.0, 12.0, 18.0, 24.0, 29.9):
        pool = [warming(0, elapsed_s), *(Server(number) for number in range(1, 5))]
        got.append(spread(balance, pool, 5_000, at_once=at_once)[0])
    assert got == sorted(got)
    assert 50 <= got[0] <= 100  # a tenth of its fifth, less where it is busy
    assert got[0] < got[1] < got[3] < got[5]


@PROPERTY
@given(
    st.sampled_from(list(Balance)),
    st.integers(1, 6),
    st.lists(st.floats(0, 29.9), min_size=1, max_size=4),
    st.sampled_from([1, 3, 20]),
    st.integers(),
)
def test_no_endpoint_is_starved_and_no_warming_one_gets_more_than_its_share(
    balance: Balance, warm: int, ages: list[float], at_once: int, seed: int
) -> None:
    cold = [warming(number, age) for number, age in enumerate(ages)]
    pool = cold + [Server(number) for number in range(len(cold), len(cold) + warm)]
    requests = 400 * len(pool)
    counts = spread(balance, pool, requests, seed, at_once)
    for server in cold:
        assert server.ramp is not None
        assert counts[server.name] <= requests * server.ramp.share / len(pool) + 1
    assert all(counts[server.name] >= 10 for server in pool)


@EACH
def test_an_idle_version_gives_a_warming_endpoint_its_share(balance: Balance) -> None:
    pool = [warming(0, 15.0), Server(1), Server(2), Server(3)]
    assert 495 <= spread(balance, pool, 4_000)[0] <= 500


@EACH
def test_after_the_window_the_shares_are_equal(balance: Balance) -> None:
    pool = [Server(number) for number in range(4)]
    ramp = Ramp(0.0, WINDOW_S)
    pool[0].ramp = ramp
    spread(balance, pool, 100)
    assert ramp.move(WINDOW_S)
    pool[0].ramp = None
    counts = spread(balance, pool, 4_000, at_once=40)
    assert max(counts.values()) - min(counts.values()) <= 120


@EACH
@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_a_version_of_which_everything_is_warming_serves_with_equal_shares(
    balance: Balance, count: int
) -> None:
    pool = [warming(number, 3.0) for number in range(count)]
    counts = spread(balance, pool, 100 * count)
    assert sum(counts.values()) == 100 * count
    assert min(counts.values()) >= 50


@EACH
def test_of_those_that_are_warming_the_one_that_came_back_first_gets_most(
    balance: Balance,
) -> None:
    pool = [warming(0, 3.0), warming(1, 6.0), warming(2, 24.0)]
    counts = spread(balance, pool, 3_000)
    assert counts[0] < counts[1] < counts[2]


@EACH
def test_a_busy_warming_endpoint_lets_its_turns_pass(balance: Balance) -> None:
    pool = [warming(0, 15.0), Server(1), Server(2)]
    pool[0].in_flight = 50
    counts = spread(balance, pool, 300)
    assert counts[0] in ((49, 50) if balance is Balance.ROUND_ROBIN else (0,))


# -- what it leaves alone ------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("count", [0, 1, 2, 8, 9, 50])
def test_without_a_warming_endpoint_it_is_the_balancer_that_it_always_was(
    balance: Balance, count: int
) -> None:
    pool = [Server(number) for number in range(count)]
    balancer: Any = make_slow_start(balance, pool)
    assert type(balancer) is type(make_balancer(balance, pool))
    assert isinstance(balancer, Single | FewestOfFew | LeastRequest | PeakEwma | RoundRobin)


@EACH
@pytest.mark.parametrize("count", [2, 3, 30])
def test_one_that_has_failed_the_request_already_is_never_chosen(
    balance: Balance, count: int
) -> None:
    pool = [warming(0, 1.0), warming(1, 20.0), *(Server(number) for number in range(2, count))]
    balancer = make_slow_start(balance, pool)
    for _ in range(100):
        for number in range(count):
            tried = [server for server in pool if server.name != number]
            chosen = balancer.choose(random.random, besides=tried)
            assert chosen is pool[number]
    assert balancer.choose(random.random, besides=pool) is None


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "begin", "begin", "end", "cool", "tick"]), st.integers(0, 99)
    ),
    max_size=150,
)


@PROPERTY
@given(st.sampled_from(list(Balance)), st.integers(1, 30), OPERATIONS)
def test_endpoints_that_cool_and_warm_while_requests_run_confuse_no_balancer(
    balance: Balance, count: int, operations: list[tuple[str, int]]
) -> None:
    chance = random.Random(1)
    pool = [Server(number) for number in range(count)]
    balancer: Any = make_slow_start(balance, pool)
    running: list[Server] = []
    for now, (operation, number) in enumerate(operations):
        server = pool[number % count]
        if operation == "end" and running:
            ended = running.pop(number % len(running))
            ended.in_flight -= 1
            balancer.ended(ended)
        elif operation == "cool":
            server.ramp = Ramp(float(now), WINDOW_S)
            balancer = make_slow_start(balance, pool)
        elif operation == "tick":
            for each in pool:
                if each.ramp is not None and each.ramp.move(float(now)):
                    each.ramp = None
            balancer = make_slow_start(balance, pool)
        elif operation == "begin":
            chosen = balancer.choose(chance.random)
            assert chosen in pool
            chosen.in_flight += 1
            balancer.began(chosen)
            running.append(chosen)
    assert sum(each.in_flight for each in pool) == len(running)


def test_credit_outlives_the_balancer() -> None:
    # A neighbour's health that flaps makes a new balancer each time.
    pool = [warming(0, 0.0), Server(1)]
    counts: Counter[int] = Counter()
    for _ in range(200):
        balancer = make_slow_start(Balance.LEAST_REQUEST, pool)
        assert isinstance(balancer, SlowStart)
        chosen = balancer.choose(random.random)
        assert chosen is not None
        counts[chosen.name] += 1
    assert 9 <= counts[0] <= 10
