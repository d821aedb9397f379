"""The timing model. Times are sums of powers of two, so that equality is exact."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, integers, lists, tuples

from router.mock_engine.batch import Batch, Sequence, Timing, TooLong


def timing(**changes: Any) -> Timing:
    usual = {
        "prefill_tokens_per_s": 8.0,
        "step_s": 1.0,
        "step_per_running_s": 0.25,
        "max_running": 4,
        "kv_tokens": 100,
        "scale": 1.0,
    }
    return Timing(**{**usual, **changes})


def submitted(batch: Batch, *sequences: Sequence, now: float = 0.0) -> tuple[Sequence, ...]:
    for sequence in sequences:
        batch.submit(sequence, now)
    return sequences


def produced(*sequences: Sequence) -> list[int]:
    return [sequence.produced for sequence in sequences]


def test_the_first_token_comes_after_the_prompt_and_one_step() -> None:
    batch = Batch(timing())
    (sequence,) = submitted(batch, Sequence(prompt_tokens=4, output_tokens=3))
    assert batch.next_step_at == 0.5 + 1.0 + 0.25
    assert batch.advance(1.74) == []
    assert batch.advance(1.75) == [sequence]
    assert sequence.produced == 1


def test_after_the_first_token_each_takes_one_step() -> None:
    batch = Batch(timing())
    (sequence,) = submitted(batch, Sequence(prompt_tokens=4, output_tokens=3))
    batch.advance(1.75)
    assert batch.next_step_at == 1.75 + 1.25
    batch.advance(3.0)
    batch.advance(4.25)
    assert sequence.finished
    assert batch.next_step_at is None


def test_a_step_takes_longer_for_each_running_sequence() -> None:
    assert timing().step_duration_s(running=1, prompt_tokens=0) == 1.25
    assert timing().step_duration_s(running=4, prompt_tokens=0) == 2.0


def test_the_scale_multiplies_every_time() -> None:
    assert timing(scale=0.5).step_duration_s(running=4, prompt_tokens=16) == 2.0


def test_a_sequence_joins_when_the_step_in_progress_ends() -> None:
    batch = Batch(timing())
    submitted(batch, Sequence(0, 5))
    (late,) = submitted(batch, Sequence(0, 5), now=0.5)
    assert batch.statistics().waiting == 1
    batch.advance(1.25)
    assert (batch.statistics().running, late.produced) == (2, 0)
    batch.advance(1.25 + 1.5)
    assert late.produced == 1


def test_a_full_batch_lets_the_others_wait_in_their_order() -> None:
    batch = Batch(timing(max_running=1))
    first, second, third = submitted(batch, *(Sequence(0, 1) for _ in range(3)))
    assert batch.advance(1.25) == [first]
    assert batch.advance(2.5) == [second]
    assert batch.advance(3.75) == [third]


def test_a_sequence_that_lacks_kv_waits_and_holds_up_those_behind_it() -> None:
    batch = Batch(timing(kv_tokens=10))
    first, large, small = submitted(batch, Sequence(4, 1), Sequence(6, 1), Sequence(1, 1))
    assert batch.statistics().kv_reserved == 5
    assert batch.statistics().waiting == 2
    assert batch.advance(1.75) == [first]
    assert set(batch.advance(100.0)) == {large, small}


def test_a_sequence_larger_than_all_of_the_kv_is_refused_and_not_queued() -> None:
    batch = Batch(timing(kv_tokens=10))
    with pytest.raises(TooLong):
        batch.submit(Sequence(10, 1), 0.0)
    assert batch.statistics().waiting == 0
    assert batch.next_step_at is None


def test_kv_is_reserved_for_the_whole_life_and_given_back_at_its_end() -> None:
    batch = Batch(timing())
    submitted(batch, Sequence(20, 5))
    assert batch.statistics().kv_usage == 0.25
    batch.advance(100.0)
    assert batch.statistics().kv_usage == 0.0


def test_releasing_a_running_sequence_lets_the_next_one_in_at_the_end_of_the_step() -> None:
    batch = Batch(timing(max_running=1))
    first, second = submitted(batch, Sequence(0, 9), Sequence(0, 1))
    batch.release(first, 0.5)
    assert batch.statistics().running == 0
    assert batch.advance(1.25) == []
    assert batch.statistics().running == 1
    assert batch.advance(2.5) == [second]


def test_releasing_a_waiting_sequence_takes_it_out_of_the_queue() -> None:
    batch = Batch(timing(max_running=1))
    _, second, third = submitted(batch, *(Sequence(0, 1) for _ in range(3)))
    batch.release(second, 0.0)
    batch.advance(100.0)
    assert produced(second, third) == [0, 1]


def test_releasing_twice_gives_back_once() -> None:
    batch = Batch(timing())
    first, _ = submitted(batch, Sequence(9, 1), Sequence(9, 1))
    batch.release(first, 0.0)
    batch.release(first, 0.0)
    batch.advance(1.25)
    assert batch.statistics().kv_reserved in (0, 10)
    batch.advance(100.0)
    assert batch.statistics().kv_reserved == 0


def test_a_stalled_sequence_keeps_its_slot_and_produces_nothing() -> None:
    batch = Batch(timing(max_running=1))
    stalled, behind = submitted(batch, Sequence(0, 5, stall_after=2), Sequence(0, 1))
    batch.advance(1000.0)
    assert produced(stalled, behind) == [2, 0]
    assert batch.next_step_at is None
    batch.release(stalled, 1000.0)
    assert batch.advance(1001.25) == [behind]


def test_a_resumed_sequence_produces_the_rest() -> None:
    batch = Batch(timing())
    (sequence,) = submitted(batch, Sequence(0, 3, stall_after=2))
    batch.advance(10.0)
    batch.resume(sequence, 10.0)
    assert batch.advance(11.25) == [sequence]
    assert sequence.finished


def test_a_sequence_that_stalls_after_its_last_token_leaves_when_resumed() -> None:
    batch = Batch(timing())
    (sequence,) = submitted(batch, Sequence(0, 2, stall_after=7))
    batch.advance(10.0)
    assert (sequence.produced, batch.statistics().running) == (2, 1)
    batch.resume(sequence, 10.0)
    assert batch.statistics().running == 0


def test_with_scale_zero_everything_is_there_at_once() -> None:
    batch = Batch(timing(scale=0.0, max_running=2))
    sequences = submitted(batch, Sequence(8, 50), Sequence(8, 3, stall_after=1), Sequence(9, 80))
    assert set(batch.advance(0.0)) == set(sequences)
    assert produced(*sequences) == [50, 1, 80]


def test_the_totals_count_every_prompt_and_every_token() -> None:
    batch = Batch(timing())
    submitted(batch, Sequence(8, 5), Sequence(4, 2))
    batch.advance(100.0)
    assert batch.statistics().prompt_tokens == 12
    assert batch.statistics().generated_tokens == 7


sizes = tuples(integers(0, 12), integers(1, 12))


@given(lists(sizes, max_size=12), lists(integers(0, 400), max_size=20))
def test_looking_more_often_changes_nothing(
    requests: list[tuple[int, int]], looks: list[int]
) -> None:
    often, once = Batch(timing(kv_tokens=30)), Batch(timing(kv_tokens=30))
    seen_often = submitted(often, *(Sequence(*size) for size in requests))
    seen_once = submitted(once, *(Sequence(*size) for size in requests))
    for look in sorted(looks):
        often.advance(look / 8)
    often.advance(50.0)
    once.advance(50.0)
    assert produced(*seen_often) == produced(*seen_once)
    assert often.next_step_at == once.next_step_at


@given(lists(tuples(sizes, integers(0, 30), booleans()), max_size=40), integers(0, 1))
def test_slots_and_kv_are_never_exceeded_and_all_come_back(
    events: list[tuple[tuple[int, int], int, bool]], scale: int
) -> None:
    batch = Batch(timing(kv_tokens=30, max_running=3, scale=float(scale)))
    alive: list[Sequence] = []
    now = 0.0
    for size, later, leaves in events:
        now += later / 8
        batch.advance(now)
        alive += submitted(batch, Sequence(*size), now=now)
        if leaves:
            batch.release(alive.pop(0), now)
        batch.advance(now)
        statistics = batch.statistics()
        assert statistics.running <= 3
        assert 0 <= statistics.kv_reserved <= 30
    for sequence in alive:
        batch.release(sequence, now)
    assert (batch.statistics().running, batch.statistics().waiting) == (0, 0)
    assert batch.statistics().kv_reserved == 0


@pytest.mark.parametrize(
    "wrong",
    [{"prefill_tokens_per_s": 0}, {"step_s": -1}, {"scale": -1}, {"max_running": 0}],
)
def test_a_timing_that_makes_no_sense_does_not_exist(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        timing(**wrong)
