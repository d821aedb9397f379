"""The next decision about a route, from its configuration, its state and what has happened.

Pure and level-triggered: `advance` may be called at any time and as often as one likes with what
is seen at that moment; what it has decided stands in the state that it returns, and nowhere else.
So a control that is killed and started again goes on with the same step, timers and runs.

Guarantees (each is a property in tests/properties/test_rollout_machine.py):
  * the weights always share out a whole route;
  * after an abort or a rollback the stable version has all traffic, unless a person holds the
    weights; header routes and shadow of the rollout are gone with it;
  * no run or gate is begun twice, wherever control is restarted; one inline and one background
    run are open at most;
  * a rollout that has ended changes only by a new release, start, retry, promote-full, rollback,
    or when its release is set back;
  * while a person holds the weights, the controller changes neither shares nor stable version;
  * from its beginning to its switch a blue-green target has no weight, and all of it from then
    on; if the analysis after the switch fails, the stable version has all of it again;
  * no blue-green rollout and no person who does not force it switches to a version that lacks
    healthy endpoints;
  * no warm-up is begun twice;
  * a command that is refused changes nothing.
"""

from router.rollouts import ending
from router.rollouts.blue_green import pass_stages, settle_preview
from router.rollouts.commands import obey
from router.rollouts.dangers import guard, is_edited
from router.rollouts.effects import Action, Decision
from router.rollouts.events import Event, Observation, Tick
from router.rollouts.phases import Happening, Phase, Reason
from router.rollouts.release import follow_release, is_overtaken
from router.rollouts.spec import RouteSpec
from router.rollouts.state import RouteState
from router.rollouts.turn import Turn
from router.rollouts.walk import settle_share, walk


def advance(spec: RouteSpec, state: RouteState, event: Event, now: float) -> Decision:
    """Decide; `now` in seconds since 1970 UTC.

    Raises:
        IllegalEventError: a command cannot be obeyed now.
    """
    turn = Turn(spec, state, now)
    _expire_override(turn)
    if isinstance(event, Tick):
        _look(turn, event.observation)
    else:
        obey(turn, event)
    return turn.decision()


def _expire_override(turn: Turn) -> None:
    override = turn.state.override
    if override is not None and override.has_expired(turn.now):
        turn.change(override=None)
        why = f"the weights that {override.holder} held are the controller's again"
        turn.note(Action.OVERRIDE_EXPIRED, why, holder=override.holder, weights=override.weights)


def _look(turn: Turn, observation: Observation) -> None:
    if turn.state.override is not None:
        _hold(turn, observation)
        return
    follow_release(turn, observation)
    if turn.in_flight and not is_overtaken(turn):
        guard(turn, observation)
        if turn.in_flight:
            _go_on(turn, observation)


def _hold(turn: Turn, observation: Observation) -> None:
    """Stand still; timers and runs go on, and a danger ends the rollout behind the override."""
    override = turn.state.override
    assert override is not None, "only called under an override"
    if turn.in_flight:
        guard(turn, observation)
    if turn.phase is Phase.PROGRESSING:
        text = f"{override.holder} holds the weights: {override.reason}"
        turn.move(Happening.HELD, Reason.OVERRIDE, text)
        turn.note(Action.PAUSED, text)


def _go_on(turn: Turn, observation: Observation) -> None:
    if turn.rollout.reason is Reason.OVERRIDE:
        turn.move(Happening.PAUSE_ENDED)
        turn.update(progress_s=turn.now)
        turn.note(Action.RESUMED, "nobody holds the weights any more")
    if is_edited(turn):
        _begin_again(turn)
    walks = turn.phase is Phase.PROGRESSING or turn.rollout.reason in _WALKED
    if turn.rollout.stage is not None:
        settle_preview(turn)
        if walks:
            pass_stages(turn, observation)
        return
    settle_share(turn, observation)
    if walks:
        walk(turn, observation)


_WALKED = frozenset({Reason.CANARY_PAUSE, Reason.BLUE_GREEN_PAUSE, Reason.GATE_CLOSED})
"""Pauses that may end by themselves."""


def _begin_again(turn: Turn) -> None:
    """Go to the first of the edited steps; a pause by hand outlives that."""
    by_hand = turn.rollout.reason is Reason.MANUAL
    message = turn.rollout.message
    why = "the steps were edited: it begins again with the first"
    ending.rewind(turn, Happening.STEPS_EDITED, why)
    turn.note(Action.REWOUND, why)
    if by_hand:
        turn.move(Happening.PAUSED_BY_HAND, Reason.MANUAL, message)
