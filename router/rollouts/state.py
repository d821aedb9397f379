"""What is recorded about a route beside its configuration: the store keeps it, nothing else does.

The configuration says which versions there are and which one should become stable; this says how
far it has come.  Values: frozen, checked when they are made, equal if they say the same.

Units: weights in basis points, times in seconds since 1970 UTC.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from router.errors import ConfigError
from router.rollouts.rollout import Rollout
from router.snapshot import FULL, Role

MAX_PAST: Final = 10
"""Former stable versions that are remembered (Argo's revisionHistoryLimit)."""

MAX_LEFT: Final = 10
"""Versions of which is remembered when they lost their traffic: more never drain at once."""


class Override(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Weights that a person has set; while they hold, the controller moves nothing.

    `holder` is the token's name; `expires_s` None: until somebody releases it.
    """

    weights: dict[str, int]
    holder: str
    reason: str
    since_s: float
    expires_s: float | None = None

    def __post_init__(self) -> None:
        check_weights(self.weights)

    def has_expired(self, now: float) -> bool:
        """Whether its time is up."""
        return self.expires_s is not None and self.expires_s <= now


class ShadowOverride(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A shadow that a person has set; it replaces what configuration and steps say.

    `percent_bp` 0: nothing is copied.  `noise_bp` None: as configured.
    """

    version: str
    percent_bp: int
    holder: str
    reason: str
    since_s: float
    noise_bp: int | None = None

    def __post_init__(self) -> None:
        for share in (self.percent_bp, self.noise_bp or 0):
            if not 0 <= share <= FULL:
                raise ConfigError(f"a shadow's share of {share} is not in 0..{FULL} basis points")


class RouteState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a route has come.

    `weights` are what the controller wants; an `override` replaces them for as long as it holds.
    `past` are former stable versions, the newest first: where a rollback goes.  `rejected` is a
    release that was rolled back: it is not started again by itself.  `warm` says of former stable
    versions until when they are kept ready for the traffic.  `rollout` is the newest one,
    also after its end.  `lineage` says of each version where it comes from, as it was declared
    when this state was made.  `shadow` is a person's wish, if there is one.  `left` says of
    versions without traffic when they lost it.
    """

    stable: str
    weights: dict[str, int]
    override: Override | None = None
    past: tuple[str, ...] = ()
    rejected: str | None = None
    rollout: Rollout | None = None
    lineage: dict[str, dict[str, Any]] = {}
    warm: dict[str, float] = {}
    shadow: ShadowOverride | None = None
    left: dict[str, float] = {}

    def __post_init__(self) -> None:
        check_weights(self.weights)
        if len(self.past) > MAX_PAST:
            raise ConfigError(f"{len(self.past)} former versions are more than {MAX_PAST}")
        if len(self.left) > MAX_LEFT:
            raise ConfigError(f"{len(self.left)} versions that were left are more than {MAX_LEFT}")

    def is_warm(self, version: str, now: float) -> bool:
        """Whether a former stable version is still kept ready."""
        return version in self.past and now < self.warm.get(version, now)

    @property
    def shares(self) -> Mapping[str, int]:
        """The weights in force; a version that is not named has none."""
        return self.weights if self.override is None else self.override.weights

    def share(self, version: str) -> int:
        """A version's weight in force."""
        return self.shares.get(version, 0)

    def role(self, version: str) -> Role:
        """What a version is at this moment, unless it is the route's shadow."""
        if version == self.stable:
            return Role.STABLE
        on_its_way = self.rollout is not None and self.rollout.in_flight
        is_target = on_its_way and self.rollout is not None and version == self.rollout.target
        return Role.CANARY if is_target or self.share(version) else Role.PREVIEW


def check_weights(weights: Mapping[str, int]) -> None:
    """Refuse weights that do not share out a whole route.

    Raises:
        ConfigError: naming the weights.
    """
    if sum(weights.values()) != FULL or min(weights.values()) < 0:
        raise ConfigError(f"weights {dict(weights)} do not share out {FULL} basis points")
