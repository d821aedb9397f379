"""What people may change about a route: state in, decision out.  Pure.

A decision refuses with a `RefusedError`; then nothing has happened.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from router.audit.entry import Actor
from router.config.models import Route
from router.config.shadow import shadow_of
from router.errors import RouterError
from router.rollouts import events, health
from router.rollouts.effects import Decision, Effect
from router.rollouts.machine import advance
from router.rollouts.phases import IllegalEventError
from router.rollouts.spec import RouteSpec
from router.rollouts.state import Override, RouteState, ShadowOverride
from router.snapshot import FULL, Shadow

ADMIN: Final = "admin"


class Action(StrEnum):
    """Words of the audit trail, beside those of `router.rollouts.effects.Action`."""

    CONFIG_LOADED = "config.loaded"
    CONFIG_REFUSED = "config.refused"
    WEIGHTS_SET = "weights.set"
    WEIGHTS_RELEASED = "weights.released"
    SHADOW_SET = "shadow.set"
    SHADOW_CLEARED = "shadow.cleared"
    ROLLED_BACK = "rolledBack"
    LOGIN_FAILED = "login.failed"


class ShadowSource(StrEnum):
    """Who wants a route's shadow; the first of them that says anything is heard."""

    PERSON = "person"
    ROLLOUT = "rollout"
    CONFIGURATION = "configuration"


class RefusedError(RouterError):
    """A change that cannot be made; nothing was changed."""


class InvalidChangeError(RefusedError):
    """What was asked for makes no sense; `field` says which part of it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field: Final = field


class UnknownRouteError(RefusedError):
    """No route has this name."""


class ConflictError(RefusedError):
    """It makes sense, but not in the route's present state."""


class NotReadyError(ConflictError):
    """A version is not healthy enough for all traffic; `endpoints` are those that fail."""

    def __init__(self, message: str, endpoints: tuple[events.EndpointSeen, ...]) -> None:
        super().__init__(message)
        self.endpoints: Final = endpoints


_state_encoder: Final = msgspec.msgpack.Encoder(order="deterministic")


class Seen(NamedTuple):
    """What a caller has seen of a route: its generation, and its whole state (a `state_tag`).

    Not everything is in a generation: a rollout that goes on to its next step need not move a
    weight.  `state` is None where only what is served counts.
    """

    generation: int
    state: str | None = None


def state_tag(state: RouteState, spec: RouteSpec) -> str:
    """Twelve hexadecimal digits that are others once the state or what is configured has changed.

    Both decide what a command does; steps, for one, are in no generation.
    """
    return blake2b(_state_encoder.encode((state, spec)), digest_size=6).hexdigest()


class StaleGenerationError(RefusedError):
    """The route has changed since the generation that the caller has seen."""


class KeyReusedError(RefusedError):
    """An idempotency key came again with another request."""


class ForbiddenError(RefusedError):
    """It belongs to somebody else."""


@dataclass(frozen=True, slots=True)
class Word:
    """What an audit entry says of a decision."""

    action: str
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """What follows: the state to record, why, and what the outside has to do."""

    state: RouteState
    words: tuple[Word, ...]
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Configured:
    """A route as the configuration has it; `order` is its place there."""

    order: int
    route: Route
    spec: RouteSpec


@dataclass(frozen=True, slots=True)
class Holding:
    """Who wants to set weights, why, and for how long (None: until released)."""

    actor: Actor
    reason: str
    for_s: float | None = None


@dataclass(frozen=True, slots=True)
class Copying:
    """Which version should get copies, of which share of the requests (basis points).

    `noise_bp`: the share of the copied ones that stable answers again; None: as configured.
    """

    version: str
    percent_bp: int
    noise_bp: int | None = None


def set_weights(
    route: Route, state: RouteState, weights: Mapping[str, int], holding: Holding, now: float
) -> Decided:
    """Let a person's weights (basis points) replace the controller's.

    Raises:
        InvalidChangeError: the weights are not for this route, or do not share it out.
        ConflictError: somebody else holds the route.
    """
    _check_weights(route, state, weights)
    held = state.override
    if held is not None and not _may_release(held, holding.actor) and not held.has_expired(now):
        raise ConflictError(
            f"{held.holder} holds the weights ({held.reason!r}); only {held.holder} or an admin "
            "may replace them, a rollback anybody who may set weights"
        )
    override = Override(
        weights={name: weights.get(name, 0) for name in route.versions if weights.get(name)},
        holder=holding.actor.name,
        reason=holding.reason,
        since_s=now,
        expires_s=None if holding.for_s is None else now + holding.for_s,
    )
    after = msgspec.structs.replace(state, override=override)
    return Decided(after, (Word(Action.WEIGHTS_SET, holding.reason),))


def release_weights(state: RouteState, actor: Actor, reason: str) -> Decided:
    """Give the route back to the controller.

    Raises:
        ConflictError: nobody holds it.
        ForbiddenError: somebody else holds it.
    """
    if state.override is None:
        raise ConflictError("nobody holds the weights: they are the controller's already")
    if not _may_release(state.override, actor):
        raise ForbiddenError(
            f"{state.override.holder} holds the weights; only {state.override.holder} or an admin "
            "may release them"
        )
    after = msgspec.structs.replace(state, override=None)
    return Decided(after, (Word(Action.WEIGHTS_RELEASED, reason),))


def set_shadow(
    route: Route, state: RouteState, wanted: Copying, holding: Holding, now: float
) -> Decided:
    """Let a person's shadow replace what configuration and rollout say; 0 percent: no copies.

    Unlike weights nobody has to be asked: a shadow's copies reach no user.

    Raises:
        InvalidChangeError: it is no shadow for this route.
    """
    _check_copying(route, state, wanted)
    shadow = ShadowOverride(
        version=wanted.version,
        percent_bp=wanted.percent_bp,
        noise_bp=wanted.noise_bp,
        holder=holding.actor.name,
        reason=holding.reason,
        since_s=now,
    )
    after = msgspec.structs.replace(state, shadow=shadow)
    return Decided(after, (Word(Action.SHADOW_SET, holding.reason),))


def clear_shadow(state: RouteState, reason: str) -> Decided:
    """Let configuration and rollout say again what is copied.

    Raises:
        ConflictError: nobody has set a shadow.
    """
    if state.shadow is None:
        raise ConflictError(
            "nobody has set a shadow: configuration and rollout say already what is copied; "
            "set one with 0 percent to copy nothing"
        )
    after = msgspec.structs.replace(state, shadow=None)
    return Decided(after, (Word(Action.SHADOW_CLEARED, reason),))


def command(spec: RouteSpec, state: RouteState, event: events.Event, now: float) -> Decided:
    """What a person says to a rollout.

    Raises:
        NotReadyError: it would give all traffic to a version that is not healthy enough.
        ConflictError: it cannot be done in this phase; the text says what can.
    """
    try:
        return decided(advance(spec, state, event, now))
    except health.NotReadyError as error:
        raise NotReadyError(str(error), error.failing) from None
    except IllegalEventError as error:
        raise ConflictError(str(error)) from None


def roll_back(
    spec: RouteSpec,
    state: RouteState,
    reason: str,
    now: float,
    seen: events.Observation | None = None,
    *,
    force: bool = False,
) -> Decided:
    """All traffic to the last stable version, whoever holds the route.

    Where something was `seen`, the version before the stable one must be healthy by it, unless
    `force`.

    That is the stable version while another one has traffic, else the one before it.  The release
    that is left is not started again by itself.

    Raises:
        NotReadyError: the version before the stable one is not healthy enough.
        ConflictError: there is nowhere to go back to.
    """
    free = msgspec.structs.replace(state, override=None)
    in_flight = free.rollout is not None and free.rollout.in_flight
    if in_flight or state.share(state.stable) == FULL:
        event = events.Rollback(reason=reason, observation=seen, force=force)
        return command(spec, free, event, now)
    rejected = spec.release if spec.release != free.stable else free.rejected
    after = msgspec.structs.replace(free, weights={free.stable: FULL}, rejected=rejected)
    return Decided(after, (Word(Action.ROLLED_BACK, reason),))


def decided(decision: Decision) -> Decided:
    """A decision of the rollout machine in the words of the trail."""
    words = tuple(Word(note.action, note.reason, note.evidence) for note in decision.notes)
    return Decided(decision.state, words, decision.effects)


def told(state: RouteState | None, shadow: Shadow | None = None) -> dict[str, Any] | None:
    """A state as people read it, in percent; what audit entries carry as before and after.

    `shadow` is the one in force: the configuration has its part in that.
    """
    if state is None:
        return None
    document: dict[str, Any] = {"stable": state.stable, "weights": percent(state.shares)}
    if state.override is not None:
        document["wanted"] = percent(state.weights)
        document["override"] = told_override(state.override)
    if state.rollout is not None:
        rollout = state.rollout
        document["rollout"] = {
            "number": rollout.number,
            "target": rollout.target,
            "phase": rollout.phase,
            "reason": rollout.reason,
            "step": rollout.step,
        }
        if rollout.stage is not None:
            document["rollout"]["stage"] = rollout.stage
    if shadow is not None:
        document["shadow"] = told_shadow(shadow, state)
    if state.shadow is not None:
        document["shadowOverride"] = told_shadow_override(state.shadow)
    if state.past:
        document["past"] = list(state.past)
    if state.rejected is not None:
        document["rejected"] = state.rejected
    if lineage := {name: state.lineage[name] for name in state.lineage if state.share(name)}:
        document["lineage"] = lineage
    return document


def told_override(override: Override) -> dict[str, Any]:
    """An override as people read it; times in seconds since 1970 UTC."""
    return {
        "weights": percent(override.weights),
        "holder": override.holder,
        "reason": override.reason,
        "since": override.since_s,
        "expires": override.expires_s,
    }


def told_shadow(shadow: Shadow, state: RouteState) -> dict[str, Any]:
    """The shadow in force as people read it."""
    return {
        "version": shadow.version,
        "percent": shadow.percent_bp / 100,
        "by": shadow_source(state).value,
    }


def told_shadow_override(shadow: ShadowOverride) -> dict[str, Any]:
    """A person's shadow as people read it; `noisePercent` None: as configured."""
    return {
        "version": shadow.version,
        "percent": shadow.percent_bp / 100,
        "noisePercent": None if shadow.noise_bp is None else shadow.noise_bp / 100,
        "holder": shadow.holder,
        "reason": shadow.reason,
        "since": shadow.since_s,
    }


def shadow_source(state: RouteState) -> ShadowSource:
    """Who is heard about the shadow (see `router.config.shadow`)."""
    if state.shadow is not None:
        return ShadowSource.PERSON
    rollout = state.rollout
    by_step = rollout is not None and rollout.in_flight and rollout.shadow is not None
    return ShadowSource.ROLLOUT if by_step else ShadowSource.CONFIGURATION


def percent(weights: Mapping[str, int]) -> dict[str, float]:
    """Basis points as percent."""
    return {name: weight / 100 for name, weight in weights.items()}


def _check_weights(route: Route, state: RouteState, weights: Mapping[str, int]) -> None:
    shadow = route.shadow.version if route.shadow is not None else None
    set_by_hand = shadow_of(route, state) if state.shadow is not None else None
    for name, weight in weights.items():
        if name not in route.versions:
            known = ", ".join(route.versions)
            raise InvalidChangeError(f"weights.{name}", f"unknown version; the route has {known}")
        if weight < 0:
            raise InvalidChangeError(f"weights.{name}", "is less than 0")
        if weight and name == shadow:
            raise InvalidChangeError(f"weights.{name}", "is the route's shadow: it has no users")
        if weight and set_by_hand is not None and name == set_by_hand.version:
            raise InvalidChangeError(
                f"weights.{name}", "is the route's shadow, set by hand: clear the shadow first"
            )
    if (total := sum(weights.values())) != FULL:
        raise InvalidChangeError("weights", f"sum to {total / 100:g} percent, not 100")


def _check_copying(route: Route, state: RouteState, wanted: Copying) -> None:
    name = wanted.version
    if name not in route.versions:
        known = ", ".join(route.versions)
        raise InvalidChangeError("version", f"unknown version; the route has {known}")
    if name == state.stable:
        raise InvalidChangeError("version", "is the stable version: its requests are copied")
    if share := state.share(name):
        raise InvalidChangeError(
            "version",
            f"a shadow has no users: move the {share / 100:g} % of {name} away first",
        )
    for field_, share_bp in (("percent", wanted.percent_bp), ("noisePercent", wanted.noise_bp)):
        if share_bp is not None and not 0 <= share_bp <= FULL:
            raise InvalidChangeError(field_, f"{share_bp / 100:g} is not between 0 and 100")


def _may_release(override: Override, actor: Actor) -> bool:
    return actor.name == override.holder or actor.role == ADMIN
