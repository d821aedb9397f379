"""One decision while it is made: the state as far as it has come, effects and notes in order.

Lives for one call of `advance`; everything else here is frozen.
"""

from typing import Any, Final

import msgspec

from router.rollouts.effects import Action, Decision, Effect, Note, Notify
from router.rollouts.events import Observation
from router.rollouts.phases import IN_FLIGHT, Happening, Phase, Reason, next_phase
from router.rollouts.rollout import Rollout, clip
from router.rollouts.spec import RouteSpec
from router.rollouts.state import RouteState
from router.snapshot import FULL


class Turn:
    """A decision in the making: what is read from it is always the newest."""

    __slots__ = ("_before", "_effects", "_notes", "now", "spec", "state")

    def __init__(self, spec: RouteSpec, state: RouteState, now: float) -> None:
        self.spec: Final = spec
        self.now: Final = now
        self.state = state
        self._before: Final = state
        self._effects: list[Effect] = []
        self._notes: list[Note] = []

    @property
    def rollout(self) -> Rollout:
        """The rollout that this decision is about."""
        assert self.state.rollout is not None, "only asked where one is in flight or has ended"
        return self.state.rollout

    @property
    def phase(self) -> Phase:
        """A route without a rollout is healthy."""
        return self.state.rollout.phase if self.state.rollout is not None else Phase.HEALTHY

    @property
    def in_flight(self) -> bool:
        """Whether a rollout has begun and not ended."""
        return self.phase in IN_FLIGHT

    @property
    def moves_traffic(self) -> bool:
        """Whether this decision changes the routing table."""
        return _table(self._before) != _table(self.state)

    def is_applied(self, observation: Observation) -> bool:
        """Whether the workers serve what is decided; what this decision changes they cannot."""
        return observation.applied and not self.moves_traffic

    def change(self, **fields: Any) -> None:
        """Change the route's state."""
        self.state = msgspec.structs.replace(self.state, **fields)

    def update(self, **fields: Any) -> None:
        """Change its rollout."""
        self.change(rollout=msgspec.structs.replace(self.rollout, **fields))

    def give(self, weight_bp: int) -> None:
        """Share the route out between the target and the stable version."""
        weights = {self.state.stable: FULL - weight_bp}
        if weight_bp:
            weights[self.rollout.target] = weight_bp
        self.change(weights={name: weight for name, weight in weights.items() if weight})

    def move(self, happening: Happening, reason: Reason | None = None, message: str = "") -> None:
        """Move to the phase that the table of transitions says."""
        phase = next_phase(self.phase, happening)
        self.update(phase=phase, reason=reason, message=clip(message))

    def next_id(self, word: str) -> str:
        """Make an id that no other rollout, step or attempt of this route ever has."""
        rollout = self.rollout
        self.update(serial=rollout.serial + 1)
        return f"{self.spec.route}-{rollout.number}-{word}-{rollout.serial + 1}"

    def emit(self, effect: Effect) -> None:
        """Ask the loop for something."""
        self._effects.append(effect)

    def note(self, action: Action, reason: str, **evidence: Any) -> None:
        """Say why."""
        self._notes.append(Note(action=action, reason=clip(reason), evidence=evidence))

    def decision(self) -> Decision:
        """What follows from the event."""
        if self._mood(self._before) != self._mood(self.state):
            rollout = self.rollout
            self.emit(Notify(phase=rollout.phase, reason=rollout.reason, text=rollout.message))
        return Decision(
            state=self.state,
            effects=tuple(self._effects),
            notes=tuple(self._notes),
            moves_traffic=self.moves_traffic,
        )

    @staticmethod
    def _mood(state: RouteState) -> object:
        rollout = state.rollout
        if rollout is None:
            return None
        return state.stable, rollout.number, rollout.attempt, rollout.phase, rollout.reason


def _table(state: RouteState) -> object:
    rollout = state.rollout
    steps = (rollout.header_routes, rollout.shadow) if rollout is not None else ((), None)
    return dict(state.shares), state.stable, steps
