"""A person's switch: all traffic to one version, at once, whatever the strategy is doing.

It ends what is under way and holds the controller: the release that it goes against is not
started again by itself.
"""

from router.rollouts import ending, events
from router.rollouts.effects import Action, Notify
from router.rollouts.health import check_health, lack_of
from router.rollouts.phases import Happening, IllegalEventError, Phase, Reason
from router.rollouts.turn import Turn
from router.snapshot import FULL


def switch(turn: Turn, command: events.Switch) -> None:
    """Make a version stable with all traffic.

    Raises:
        NotReadyError: it has too few healthy endpoints, and nobody forces it.
        IllegalEventError: it makes no sense now, or somebody holds the weights.
    """
    check_switch(turn, command)
    lack = lack_of(command.observation, command.to, turn.spec.min_healthy_endpoints)
    former, holder = turn.state.stable, turn.state.override
    text = f"switched from {former} to {command.to}: {command.reason}"
    _end_rollout(turn, text)
    turn.change(override=None)
    ending.make_stable(turn, command.to)
    turn.change(rejected=ending.refused(turn, turn.spec.release))
    turn.note(
        Action.SWITCHED_BY_HAND,
        text,
        former=former,
        stable=command.to,
        forced=command.force,
        lacks=lack,
        released=holder.holder if holder is not None else None,
    )


def check_switch(turn: Turn, command: events.Switch) -> None:
    """Refuse what makes no sense or harms; force overrules holders and health."""
    to, state = command.to, turn.state
    if to not in turn.spec.versions:
        raise _refusal(turn, f"no version {to}; the route has {', '.join(turn.spec.versions)}")
    if to == state.stable and state.share(to) == FULL and not turn.in_flight:
        raise _refusal(turn, f"{to} is stable already")
    if command.force:
        return
    if state.override is not None:
        holder = state.override.holder
        raise _refusal(turn, f"{holder} holds the weights; release the override first, or force it")
    least = turn.spec.min_healthy_endpoints
    check_health(turn.phase, Happening.SWITCHED, command.observation, to, least)


def _refusal(turn: Turn, why: str) -> IllegalEventError:
    return IllegalEventError(turn.phase, Happening.SWITCHED, why)


def _end_rollout(turn: Turn, text: str) -> None:
    if turn.in_flight:
        ending.end(turn, Happening.SWITCHED, Reason.SWITCHED, text)
    elif turn.state.rollout is not None:
        turn.move(Happening.SWITCHED, Reason.SWITCHED, text)
    else:
        turn.emit(Notify(phase=Phase.HEALTHY, reason=Reason.SWITCHED, text=text))
