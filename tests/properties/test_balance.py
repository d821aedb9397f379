"""Which endpoint a balancer chooses, against a look at all of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.routing.balance import make_balancer, peak_ewma
from router.snapshot import Balance

PROPERTY = settings(deadline=None, max_examples=100)
EACH = pytest.mark.parametrize("balance", list(Balance))
MANY = pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 50, 500])


@dataclass(eq=False)
class Server:
    """An endpoint as a balancer sees it."""

    name: int
    in_flight: int = 0
    latency_s: float = 0.1


def servers(count: int) -> list[Server]:
    return [Server(number) for number in range(count)]


def never() -> float:
    raise AssertionError("this choice is not one of chance")


def drawn(*values: float) -> Callable[[], float]:
    return iter(values).__next__


# -- all three -----------------------------------------------------------------------------------


@EACH
def test_of_no_endpoint_none_is_chosen(balance: Balance) -> None:
    nobody: list[Server] = []
    assert make_balancer(balance, nobody).choose(random.random) is None


@EACH
@MANY
def test_of_none_but_excluded_endpoints_none_is_chosen(balance: Balance, count: int) -> None:
    pool = servers(count)
    balancer = make_balancer(balance, pool)
    assert balancer.choose(random.random, besides=pool) is None
    assert balancer.choose(random.random, besides=set(pool)) is None
    assert balancer.choose(random.random) in pool


@EACH
@MANY
def test_the_last_endpoint_that_is_not_excluded_is_chosen(balance: Balance, count: int) -> None:
    pool = servers(count)
    balancer = make_balancer(balance, pool)
    for server in (pool[0], pool[-1], pool[count // 2]):
        server.in_flight = 1
        balancer.began(server)
        others = {other for other in pool if other is not server}
        assert balancer.choose(random.random, besides=others) is server
        server.in_flight = 0
        balancer.ended(server)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["begin", "begin", "begin", "end", "fail"]), st.integers(0, 10_000)),
    max_size=120,
)


@PROPERTY
@given(
    st.sampled_from(list(Balance)),
    st.sampled_from([1, 2, 3, 7, 8, 9, 10, 30]),
    OPERATIONS,
    st.randoms(use_true_random=False),
)
def test_an_excluded_endpoint_is_never_chosen_and_the_least_is_the_least(
    balance: Balance, count: int, operations: list[tuple[str, int]], chance: random.Random
) -> None:
    pool = servers(count)
    balancer = make_balancer(balance, pool)
    running: list[Server] = []
    for operation, number in operations:
        if operation == "end":
            if running:
                server = running.pop(number % len(running))
                server.in_flight -= 1
                balancer.ended(server)
            continue
        failed = chance.sample(pool, number % (count + 1)) if operation == "fail" else []
        chosen = balancer.choose(chance.random, besides=failed)
        left = [server for server in pool if server not in failed]
        if not left:
            assert chosen is None
            continue
        assert chosen in left
        if balance is Balance.LEAST_REQUEST:
            assert chosen.in_flight == min(server.in_flight for server in left)
        chosen.in_flight += 1
        balancer.began(chosen)
        running.append(chosen)


@EACH
def test_an_end_at_an_endpoint_that_is_no_longer_usable_changes_nothing(balance: Balance) -> None:
    pool = servers(10)
    balancer = make_balancer(balance, pool)
    gone = Server(99, in_flight=1)
    balancer.began(gone)
    gone.in_flight = 0
    balancer.ended(gone)
    assert {balancer.choose(random.random) for _ in range(50)} <= {*pool}


# -- least request -------------------------------------------------------------------------------


@MANY
def test_requests_that_run_before_the_balancer_is_made_count(count: int) -> None:
    pool = servers(count)
    for server in pool:
        server.in_flight = 3 + server.name
    pool.reverse()
    chosen = make_balancer(Balance.LEAST_REQUEST, pool).choose(never)
    assert chosen is not None
    assert chosen.name == 0


@MANY
def test_requests_that_nobody_has_told_of_count_as_well(count: int) -> None:
    """Of another table: a balancer is told of those of its own only."""
    pool = servers(count)
    balancer = make_balancer(Balance.LEAST_REQUEST, pool)
    for turn in range(3 * count):
        pool[turn * 7 % count].in_flight += turn % 4
        chosen = balancer.choose(never)
        assert chosen is not None
        assert chosen.in_flight == min(server.in_flight for server in pool)
        chosen.in_flight += 1
        if turn % 2:
            balancer.began(chosen)


@MANY
def test_endpoints_that_are_equally_idle_take_turns(count: int) -> None:
    pool = servers(count)
    balancer = make_balancer(Balance.LEAST_REQUEST, pool)
    for _ in range(3):
        turns: Counter[Any] = Counter()
        for _ in range(8 * count):  # a turn among many is eight requests
            server = balancer.choose(never)
            assert server is not None
            server.in_flight += 1
            balancer.began(server)
            server.in_flight -= 1
            balancer.ended(server)
            turns[server] += 1
        assert turns == dict.fromkeys(pool, 8)


@MANY
def test_requests_that_never_end_are_spread_evenly(count: int) -> None:
    pool = servers(count)
    balancer = make_balancer(Balance.LEAST_REQUEST, pool)
    for _ in range(3 * count):
        server = balancer.choose(never)
        assert server is not None
        server.in_flight += 1
        balancer.began(server)
    assert {server.in_flight for server in pool} == {3}


# -- round robin ---------------------------------------------------------------------------------


@MANY
def test_round_robin_gives_each_endpoint_every_turn_once(count: int) -> None:
    pool = servers(count)
    balancer = make_balancer(Balance.ROUND_ROBIN, pool)
    first = [balancer.choose(never) for _ in range(count)]
    assert Counter(first) == Counter(pool)
    assert [balancer.choose(never) for _ in range(count)] == first


@PROPERTY
@given(st.integers(1, 20), st.integers(1, 200))
def test_round_robin_never_favours_anyone_by_more_than_one(count: int, turns: int) -> None:
    pool = servers(count)
    balancer = make_balancer(Balance.ROUND_ROBIN, pool)
    chosen = Counter(balancer.choose(never) for _ in range(turns))
    counts = [chosen[server] for server in pool]
    assert max(counts) - min(counts) <= 1


# -- power of two choices ------------------------------------------------------------------------

UNIT = st.floats(0, 1, exclude_max=True)


@PROPERTY
@given(st.integers(2, 600), UNIT, UNIT, st.integers())
def test_p2c_chooses_the_better_of_two_that_chance_draws(
    count: int, one: float, other: float, seed: int
) -> None:
    chance = random.Random(seed)
    pool = servers(count)
    for server in pool:
        server.in_flight = chance.randrange(5)
        server.latency_s = chance.uniform(0.01, 1)

    def cost(server: Server) -> float:
        return server.latency_s * (server.in_flight + 1)

    chosen = make_balancer(Balance.P2C, pool).choose(drawn(one, other))
    assert chosen in pool
    # It was compared with another one: the worst of all never wins.
    assert cost(chosen) <= sorted(map(cost, pool))[-2]
    again = make_balancer(Balance.P2C, pool).choose(drawn(one, other))
    assert again is chosen


def test_of_two_p2c_always_chooses_the_better() -> None:
    pool = servers(2)
    pool[0].in_flight = 5
    balancer = make_balancer(Balance.P2C, pool)
    edges = [0.0, 0.25, 0.5, 0.75, 1 - 2**-53]
    assert {balancer.choose(drawn(a, b)) for a in edges for b in edges} == {pool[1]}
    pool[1].latency_s = 10.0
    assert {balancer.choose(drawn(a, b)) for a in edges for b in edges} == {pool[0]}


def test_p2c_reaches_every_endpoint_about_as_often_when_all_are_alike() -> None:
    pool = servers(500)
    balancer = make_balancer(Balance.P2C, pool)
    chance = random.Random(7)
    counts = Counter(balancer.choose(chance.random) for _ in range(50_000))
    assert set(counts) == {*pool}
    assert max(counts.values()) < 200


def test_p2c_gives_a_slow_endpoint_less() -> None:
    pool = servers(10)
    pool[3].latency_s = 5.0
    balancer = make_balancer(Balance.P2C, pool)
    chance = random.Random(7)
    assert pool[3] not in {balancer.choose(chance.random) for _ in range(2_000)}


# -- the latency average -------------------------------------------------------------------------

SECONDS = st.floats(0, 100)


@PROPERTY
@given(SECONDS, SECONDS, SECONDS)
def test_the_latency_average_rises_at_once_and_falls_slowly(
    previous: float, sample: float, elapsed: float
) -> None:
    moved = peak_ewma(previous, sample, elapsed)
    if sample >= previous:
        assert moved == sample
    else:
        assert sample - 1e-9 <= moved <= previous + 1e-9


@PROPERTY
@given(SECONDS, SECONDS)
def test_the_latency_average_does_not_fall_in_no_time_and_forgets_in_the_end(
    previous: float, sample: float
) -> None:
    assert peak_ewma(previous, sample, 0.0) == max(previous, sample)
    assert peak_ewma(previous, sample, 1e9) == sample
