"""Who is compared with whom, and since when.  Pure.

What was seen of one subject says nothing about the next: a repaired model that is tried again, or
a shadow that somebody sets anew, is not judged by the answers of the one before.
"""

import msgspec

from router.config.models import Route
from router.config.shadow import shadow_of
from router.link.messages import Pair
from router.rollouts.state import RouteState


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A shadow beside its stable version.

    `attempt` is the rollout's number and attempt if the shadow is its target.  `begun_s`: when
    that attempt began, or a person set the shadow (0: the configuration alone says it).
    """

    stable: str
    shadow: str
    attempt: tuple[int, int] | None = None
    begun_s: float = 0.0

    def has(self, pair: Pair) -> bool:
        """Whether a pair is of this subject; a late one is of an earlier."""
        return (
            pair.primary.version == self.stable
            and pair.shadow.version == self.shadow
            and pair.time_s >= self.begun_s
        )


def subject_of(route: Route, state: RouteState) -> Subject | None:
    """What is compared at this moment, or None."""
    shadow = shadow_of(route, state)
    if shadow is None:
        return None
    attempt = _attempt(state, shadow.version)
    begun_s = state.rollout.attempt_s if state.rollout is not None and attempt else 0.0
    if state.shadow is not None:
        begun_s = max(begun_s, state.shadow.since_s)
    return Subject(stable=state.stable, shadow=shadow.version, attempt=attempt, begun_s=begun_s)


def still_tells(subject: Subject, route: Route, state: RouteState) -> bool:
    """Whether what was seen of a subject may be told as what is known of its shadow.

    Also after the copies have ended (the shadow got its first weight, or was taken away), as long
    as nobody tries that version anew.
    """
    present = subject_of(route, state)
    if present is not None:
        return subject == present
    return subject.attempt == _attempt(state, subject.shadow)


def _attempt(state: RouteState, version: str) -> tuple[int, int] | None:
    rollout = state.rollout
    if rollout is None or rollout.target != version:
        return None
    return rollout.number, rollout.attempt
