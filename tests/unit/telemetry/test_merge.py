"""Workers come, count, lose their link, die and are replaced; the sums stay right."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from router.telemetry import families
from router.telemetry.merge import Distribution, Incarnation, Merger
from router.telemetry.recorder import Series, WorkerRecorder

LABELS = ("chat", "v1", "stable", "200")
VERSION = ("chat", "v1")


def counter(value: float, labels: tuple[str, ...] = LABELS) -> Series:
    return Series(families.REQUESTS.name, labels, value)


def gauge(value: float) -> Series:
    return Series(families.IN_FLIGHT.name, VERSION, value)


def histogram(*buckets: int) -> Series:
    padding = len(families.DURATION.buckets) + 1 - len(buckets)
    return Series(families.DURATION.name, VERSION, float(sum(buckets)), [*buckets, *[0] * padding])


def requests(merger: Merger) -> float:
    value = merger.view().merged(families.REQUESTS).get(LABELS, 0.0)
    assert not isinstance(value, Distribution)
    return value


def observed(merger: Merger) -> int:
    value = merger.view().merged(families.DURATION).get(VERSION)
    return sum(value.buckets) if isinstance(value, Distribution) else 0


def joined(worker: str = "w0", pid: int = 1, *rows: Series) -> tuple[Merger, Incarnation]:
    merger, who = Merger(), Incarnation(worker, pid)
    merger.joined(who)
    merger.update(who, rows)
    return merger, who


def test_counters_and_histograms_of_all_workers_add_up() -> None:
    merger, _ = joined("w0", 1, counter(3), histogram(1, 2))
    other = Incarnation("w1", 2)
    merger.joined(other)
    merger.update(other, [counter(4), histogram(0, 5)])
    assert requests(merger) == 7
    merged = merger.view().merged(families.DURATION)[VERSION]
    assert isinstance(merged, Distribution)
    assert merged.buckets[:3] == (1, 7, 0)
    assert merged.sum == 8.0


def test_an_update_replaces_what_the_worker_said_before() -> None:
    merger, who = joined("w0", 1, counter(3))
    merger.update(who, [counter(5)])
    assert requests(merger) == 5


def test_a_dead_workers_counts_stay_when_its_successor_counts_from_zero() -> None:
    merger, who = joined("w0", 1, counter(3), histogram(2))
    merger.left(who)
    successor = Incarnation("w0", 2)
    merger.joined(successor)
    merger.update(successor, [counter(1), histogram(1)])
    assert requests(merger) == 4
    assert observed(merger) == 3


def test_a_worker_that_comes_back_after_a_lost_link_is_not_counted_twice() -> None:
    merger, who = joined("w0", 1, counter(3))
    merger.left(who)
    assert requests(merger) == 3
    merger.joined(who)
    merger.update(who, [counter(4)])
    assert requests(merger) == 4


def test_a_draining_worker_and_its_successor_are_both_counted() -> None:
    merger, old = joined("w0", 1, counter(3), gauge(2))
    new = Incarnation("w0", 2)
    merger.joined(new)
    merger.update(new, [counter(1), gauge(1)])
    merger.update(old, [counter(5)])
    assert requests(merger) == 6
    assert merger.view().merged(families.IN_FLIGHT) == {VERSION: 3}
    merger.left(old)
    assert requests(merger) == 6
    assert merger.view().merged(families.IN_FLIGHT) == {VERSION: 1}


def test_gauges_of_a_worker_that_is_away_vanish() -> None:
    merger, who = joined("w0", 1, gauge(7))
    assert merger.view().merged(families.IN_FLIGHT) == {VERSION: 7}
    merger.left(who)
    assert merger.view().merged(families.IN_FLIGHT) == {}


def test_a_gauge_may_fall() -> None:
    merger, who = joined("w0", 1, gauge(7))
    merger.update(who, [gauge(0)])
    assert merger.view().merged(families.IN_FLIGHT) == {VERSION: 0}


def test_nothing_of_a_removed_version_remains_or_comes_back() -> None:
    merger, who = joined("w0", 1, counter(3), histogram(1), gauge(1))
    merger.joined(Incarnation("w0", 2))
    merger.left(who)  # folded into the base
    merger.keep({("chat", "v2")})
    merger.update(Incarnation("w0", 2), [counter(9)])  # was under way
    view = merger.view()
    for family in families.ALL:
        assert view.merged(family) == {}


def test_a_removed_routes_queue_vanishes_with_it() -> None:
    merger, _ = joined("w0", 1, Series(families.QUEUE_FULL.name, ("chat", "full"), 2))
    merger.keep({("chat", "v1")})
    assert merger.view().merged(families.QUEUE_FULL) == {("chat", "full"): 2}
    merger.keep({("other", "v1")})
    assert merger.view().merged(families.QUEUE_FULL) == {}


def test_series_that_belong_to_no_route_are_always_kept() -> None:
    merger, _ = joined("w0", 1, Series(families.UNROUTED.name, ("route_not_found",), 2))
    merger.keep(set())
    assert merger.view().merged(families.UNROUTED) == {("route_not_found",): 2}


def test_what_never_counted_takes_no_memory() -> None:
    recorder = WorkerRecorder("w0")
    recorder.version("chat", "v1")
    merger, _ = joined("w0", 1, *recorder.series())
    assert all(merger.view().merged(family) == {} for family in families.ALL)


def test_a_view_does_not_change_with_later_updates() -> None:
    merger, who = joined("w0", 1, counter(3))
    view = merger.view()
    merger.update(who, [counter(5)])
    assert view.merged(families.REQUESTS) == {LABELS: 3}


@given(values=st.lists(st.integers(0, 100), min_size=1))
def test_a_merged_counter_never_falls_even_when_a_worker_counts_backwards(
    values: list[int],
) -> None:
    merger, who = joined()
    before = 0.0
    for value in values:
        merger.update(who, [counter(value)])
        assert requests(merger) >= before
        before = requests(merger)


class WorkersThatComeAndGo(RuleBasedStateMachine):
    """Compare the merger with a plain sum over everything that ever happened."""

    def __init__(self) -> None:
        super().__init__()
        self.merger = Merger()
        self.processes: dict[str, Incarnation] = {}
        self.connected: set[str] = set()
        self.counts: dict[Incarnation, int] = {}
        self.told: dict[Incarnation, int] = {}
        self.last = 0.0
        self.pids = 0

    slots = st.sampled_from(["w0", "w1", "w2"])

    @rule(slot=slots)
    def start_or_reconnect(self, slot: str) -> None:
        if slot not in self.processes:
            self.pids += 1
            self.processes[slot] = Incarnation(slot, self.pids)
            self.counts[self.processes[slot]] = 0
        if slot not in self.connected:
            self.merger.joined(self.processes[slot])
            self.connected.add(slot)
            self.tell(slot)

    @rule(slot=slots, number=st.integers(1, 5))
    def answer_requests(self, slot: str, number: int) -> None:
        if slot in self.processes:
            self.counts[self.processes[slot]] += number

    @rule(slot=slots)
    def tell(self, slot: str) -> None:
        if slot in self.connected:
            who = self.processes[slot]
            self.told[who] = self.counts[who]
            self.merger.update(who, [counter(self.told[who]), histogram(self.told[who])])
            self.merger.update(who, [gauge(1)])

    @rule(slot=slots)
    def lose_the_link(self, slot: str) -> None:
        if slot in self.connected:
            self.connected.discard(slot)
            self.merger.left(self.processes[slot])

    @rule(slot=slots)
    def die(self, slot: str) -> None:
        self.lose_the_link(slot)
        self.processes.pop(slot, None)

    @invariant()
    def the_sum_is_what_all_processes_ever_told(self) -> None:
        assert requests(self.merger) == observed(self.merger) == sum(self.told.values())

    @invariant()
    def the_sum_never_falls(self) -> None:
        assert requests(self.merger) >= self.last
        self.last = requests(self.merger)

    @invariant()
    def gauges_are_those_of_connected_workers(self) -> None:
        merged = self.merger.view().merged(families.IN_FLIGHT)
        assert merged.get(VERSION, 0) == len(self.connected)


TestWorkersThatComeAndGo = WorkersThatComeAndGo.TestCase


# -- looking at a few versions -----------------------------------------------------------------


def _requests(*versions: str, count: float = 1.0) -> list[Series]:
    return [
        Series(families.REQUESTS.name, ("chat", version, "stable", code), count)
        for version in versions
        for code in ("200", "500")
    ]


def test_a_look_at_some_versions_tells_of_them_what_the_whole_view_does() -> None:
    merger = Merger()
    merger.keep({("chat", "v1"), ("chat", "v2")})
    for worker, pid in (("w0", 1), ("w1", 2), ("w0", 3)):  # the last one folds the first
        merger.joined(Incarnation(worker, pid))
        merger.update(Incarnation(worker, pid), _requests("v1", "v2", count=pid))
        if pid == 1:
            merger.left(Incarnation(worker, pid))
    whole = merger.view().merged(families.REQUESTS)
    looked = merger.look({("chat", "v2")}).merged(families.REQUESTS)
    assert looked == {labels: value for labels, value in whole.items() if labels[1] == "v2"}
    assert looked["chat", "v2", "stable", "200"] == 6


def test_a_version_that_was_away_is_looked_at_again() -> None:
    merger, who = Merger(), Incarnation("w0", 1)
    merger.joined(who)
    merger.keep({("chat", "v1")})
    merger.update(who, _requests("v1", count=5))
    merger.keep({("chat", "v2")})
    assert merger.look({("chat", "v1")}).merged(families.REQUESTS) == {}
    merger.keep({("chat", "v1")})
    merger.update(who, _requests("v1", count=2))
    assert (
        merger.look({("chat", "v1")}).merged(families.REQUESTS)["chat", "v1", "stable", "200"] == 2
    )


def test_the_rows_of_one_process_are_added_up() -> None:
    merger = Merger()
    for worker, number in (("w0", 3), ("w1", 40)):
        merger.joined(Incarnation(worker, 1))
        rows = [Series(families.IN_FLIGHT.name, ("chat", v), number) for v in ("v1", "v2")]
        merger.update(Incarnation(worker, 1), rows)
    assert merger.total(Incarnation("w1", 1), families.IN_FLIGHT) == 80
    assert merger.total(Incarnation("w7", 1), families.IN_FLIGHT) == 0
