"""Questions to somebody outside."""

from __future__ import annotations

import pytest

from router.rollouts import events
from router.rollouts.effects import AskGate
from router.rollouts.phases import IllegalEventError, Phase, Reason
from router.rollouts.spec import GateKind
from router.snapshot import FULL
from tests.rollouts.story import FOREVER, Story, canary, weight

ALL = tuple(GateKind)


def test_every_gate_is_asked_once_in_its_place() -> None:
    story = Story(canary(weight(5), weight(50), weight(20), gates=ALL)).settle(after=60)
    assert story.asked == [AskGate(id="chat-1-confirmRollout-1", kind=GateKind.CONFIRM_ROLLOUT)]
    assert story.shares == {"v1": FULL}
    story.answer(open=True)
    assert story.asked[-1].kind is GateKind.CONFIRM_TRAFFIC_INCREASE
    assert story.shares == {"v1": FULL}
    story.answer(open=True)
    assert story.shares["v2"] == 500
    story.answer(open=True)
    assert story.shares["v2"] == 2_000, "a lower weight needs nobody's consent"
    assert story.state.stable == "v1"
    story.answer(open=True)
    assert story.state.stable == "v2"
    assert [gate.kind for gate in story.asked] == [
        GateKind.CONFIRM_ROLLOUT,
        GateKind.CONFIRM_TRAFFIC_INCREASE,
        GateKind.CONFIRM_TRAFFIC_INCREASE,
        GateKind.CONFIRM_PROMOTION,
    ]
    assert len({gate.id for gate in story.asked}) == 4


def test_a_closed_gate_pauses_until_it_opens() -> None:
    story = Story(canary(weight(5), FOREVER, gates=ALL[:1])).settle()
    story.answer(open=False, message="not on a Friday")
    assert story.mood == (Phase.PAUSED, Reason.GATE_CLOSED)
    assert "not on a Friday" in story.rollout.message
    assert story.settle(after=86_400).mood == (Phase.PAUSED, Reason.GATE_CLOSED)
    assert story.answer(open=True).shares["v2"] == 500


def test_promote_goes_through_a_gate_but_not_past_the_step_behind_it() -> None:
    story = Story(canary(weight(5), FOREVER, gates=ALL[1:2])).settle().answer(open=False)
    story.say(events.Promote(reason="boss says so"))
    assert story.shares["v2"] == 500
    assert story.mood == (Phase.PAUSED, Reason.CANARY_PAUSE)


def test_resume_does_not_open_a_gate() -> None:
    story = Story(canary(weight(5), gates=ALL)).settle().answer(open=False)
    with pytest.raises(IllegalEventError, match="promote goes through it"):
        story.say(events.Resume())


def test_promote_full_asks_nobody() -> None:
    story = Story(canary(weight(5), gates=ALL)).settle().answer(open=False)
    story.say(events.PromoteFull())
    assert story.state.stable == "v2"
    assert len(story.asked) == 1


def test_a_gate_that_leaves_the_configuration_holds_nothing() -> None:
    story = Story(canary(weight(5), FOREVER, gates=ALL)).settle().answer(open=False)
    assert story.edit(gates=()).settle().shares["v2"] == 500


def test_a_retry_asks_again() -> None:
    story = Story(canary(weight(5), FOREVER, gates=ALL[:1])).settle().answer(open=True)
    story.say(events.Abort()).say(events.Retry())
    assert [gate.id for gate in story.asked] == [
        "chat-1-confirmRollout-1",
        "chat-1-confirmRollout-2",
    ]
    assert story.shares == {"v1": FULL}


def test_waiting_for_an_answer_is_not_being_late() -> None:
    story = Story(canary(weight(5), gates=ALL, progress_deadline_abort=True)).settle()
    assert story.next_at is None
    assert story.settle(after=86_400).mood == (Phase.PROGRESSING, None)
    story.answer(open=True)
    assert story.mood == (Phase.PROGRESSING, None)
