"""The release that the configuration asks for, against what is stable and what is under way.

A release that is overtaken by another gives its traffic back in one decision, and only when the
workers serve that does the next one begin: at no time has a version traffic that nobody watches.
"""

from router.rollouts import ending
from router.rollouts.effects import Action
from router.rollouts.events import Observation
from router.rollouts.phases import Happening, Phase, Reason
from router.rollouts.turn import Turn


def follow_release(turn: Turn, observation: Observation) -> None:
    """Begin what the configuration asks for, and end what it no longer does."""
    release = turn.spec.release
    if turn.in_flight and turn.rollout.target == turn.state.stable:
        ending.withdraw(turn)  # a person has made it stable in the meantime
    if release is None:
        return
    if release == turn.state.stable:
        _rest(turn)
    elif turn.in_flight:
        _adopt(turn, release, observation)
    elif _may_begin(turn, release, observation):
        ending.begin(turn, release, Happening.NEW_RELEASE, f"release {release}")


def is_overtaken(turn: Turn) -> bool:
    """Whether the configuration asks for another version than when the rollout began.

    A configuration without a release asks for nothing, and one without a strategy leaves it to
    people.
    """
    asked = turn.spec.release
    if turn.spec.strategy is None:
        return False
    return asked is not None and asked not in (turn.rollout.release, turn.rollout.target)


def _may_begin(turn: Turn, release: str, observation: Observation) -> bool:
    if release == turn.state.rejected or turn.spec.strategy is None:
        return False
    # An aborted canary may still be served by a worker that has not heard of it.
    return turn.phase is Phase.HEALTHY or turn.is_applied(observation)


def _rest(turn: Turn) -> None:
    """The release is stable: nothing is to be done, and nothing is refused any more."""
    if turn.state.rejected is not None:
        turn.change(rejected=None)
    if turn.phase is not Phase.HEALTHY and turn.rollout.release != turn.state.stable:
        ending.withdraw(turn)


def _adopt(turn: Turn, release: str, observation: Observation) -> None:
    if release == turn.rollout.target and release != turn.rollout.release:
        turn.update(release=release)  # a person was first, now the configuration agrees
    if is_overtaken(turn) and turn.rollout.reason is not Reason.SUPERSEDED:
        _give_back(turn, release)
    elif is_overtaken(turn) and turn.is_applied(observation):
        ending.begin(turn, release, Happening.NEW_RELEASE, f"release {release}")


def _give_back(turn: Turn, release: str) -> None:
    why = f"release {release} comes instead: {turn.rollout.target} gives its traffic back first"
    ending.rewind(turn, Happening.NEW_RELEASE, why, reason=Reason.SUPERSEDED)
    turn.note(Action.SUPERSEDED, why)
