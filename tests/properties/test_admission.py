"""Places and queues against a model that keeps lists: bounds, order, and each place given once."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from router.dataplane.admission import Admission, Bounds


class Request:
    """Somebody who asks for a place, and what has become of it."""

    def __init__(self, number: int, rank: int) -> None:
        self.number = number
        self.rank = rank
        self.heard: list[str] = []
        self.when_admitted: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        return f"<{self.number} of class {self.rank}>"

    def on_admitted(self) -> None:
        self.heard.append("admitted")
        self.when_admitted()

    def on_displaced(self) -> None:
        self.heard.append("displaced")

    def on_table_changed(self) -> None:
        self.heard.append("taken out")


class Places(RuleBasedStateMachine):
    """What may happen to an admission, each beside the same in the model."""

    @initialize(places=st.integers(1, 3), queue=st.integers(0, 4), classes=st.integers(1, 3))
    def begin(self, places: int, queue: int, classes: int) -> None:
        self.bounds = Bounds(places, queue, 5.0, classes)
        self.admission = Admission(self.bounds)
        self.inside: list[Request] = []
        self.waiting: list[Request] = []
        self.gone: list[Request] = []
        self.count = 0
        self.now = 0.0

    def rank(self, request: Request) -> int:
        return min(request.rank, self.bounds.classes - 1)

    def model_admit(self) -> None:
        while self.waiting and len(self.inside) < self.bounds.max_in_flight:
            first = min(self.waiting, key=lambda each: (self.rank(each), self.waiting.index(each)))
            self.waiting.remove(first)
            self.inside.append(first)

    @rule(rank=st.integers(0, 2))
    def ask(self, rank: int) -> None:
        self.count += 1
        self.now += 0.1
        request = Request(self.count, rank)
        if self.admission.enter():
            assert not self.waiting
            assert len(self.inside) < self.bounds.max_in_flight
            self.inside.append(request)
            return
        assert self.waiting or len(self.inside) >= self.bounds.max_in_flight
        lower = [each for each in self.waiting if self.rank(each) > self.rank(request)]
        room = len(self.waiting) < self.bounds.max_queue
        assert self.admission.wait(request, rank, self.now) == (room or bool(lower))
        if not room:
            if not lower:
                return
            lowest = max(self.rank(each) for each in lower)
            newest = [each for each in lower if self.rank(each) == lowest][-1]
            assert newest.heard == ["displaced"]
            self.waiting.remove(newest)
            self.gone.append(newest)
        self.waiting.append(request)

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.gone.append(self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1))))
        self.admission.leave()
        self.model_admit()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        request = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        self.admission.give_up(request)
        self.admission.give_up(request)  # harmless
        self.gone.append(request)

    @rule(places=st.integers(1, 4), queue=st.integers(0, 4))
    def bound_anew(self, places: int, queue: int) -> None:
        self.bounds = Bounds(places, queue, 5.0, self.bounds.classes)
        self.admission.set_bounds(self.bounds)
        self.admission.admit()
        self.model_admit()

    @rule()
    def take_out(self) -> None:
        order = sorted(self.waiting, key=self.rank)
        assert self.admission.take_waiters() == order
        self.gone += self.waiting
        self.waiting = []

    @invariant()
    def counts_agree(self) -> None:
        assert self.admission.in_flight == len(self.inside)
        assert self.admission.queued == len(self.waiting)

    @invariant()
    def nobody_hears_twice(self) -> None:
        for request in (*self.inside, *self.gone):
            assert len(request.heard) <= 1
        assert all(request.heard == [] for request in self.waiting)


Places.TestCase.settings = settings(deadline=None, max_examples=200, stateful_step_count=40)
TestPlaces = Places.TestCase


def waiting(admission: Admission, *ranks: int) -> list[Request]:
    requests = [Request(number, rank) for number, rank in enumerate(ranks)]
    for request in requests:
        assert admission.wait(request, request.rank, 0.0)
    return requests


def full(queue: int, classes: int = 1) -> Admission:
    admission = Admission(Bounds(1, queue, 5.0, classes))
    assert admission.enter()
    return admission


def test_a_thousand_who_leave_at_once_do_not_stand_on_each_others_shoulders() -> None:
    """Each leaves while it is let in: one call for each on the stack would be too many."""
    admission = full(5_000)
    requests = waiting(admission, *[0] * 5_000)
    for request in requests:
        request.when_admitted = admission.leave
    admission.leave()
    assert (admission.in_flight, admission.queued) == (0, 0)
    assert all(request.heard == ["admitted"] for request in requests)


def test_who_waits_keeps_its_turn_when_the_classes_change() -> None:
    admission = full(4, classes=3)
    low, high, middle, other = waiting(admission, 2, 0, 1, 2)
    admission.set_bounds(Bounds(1, 4, 5.0, 2))
    assert admission.take_waiters() == [high, middle, low, other]


def test_what_a_displaced_one_gives_back_does_not_make_the_queue_longer_than_it_may_be() -> None:
    admission = full(1, classes=2)
    (low,) = waiting(admission, 1)
    late = Request(8, 1)
    taken: list[bool] = []
    low.on_displaced = lambda: taken.append(admission.wait(late, 1, 0.0))  # type: ignore[method-assign]
    assert admission.wait(Request(9, 0), 0, 0.0)
    assert taken == [False]
    assert admission.queued == 1
