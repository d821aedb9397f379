"""What can happen to a route: the loop has looked, or a person has said something.

Every command carries the reason that its person gave.
"""

from collections.abc import Mapping

import msgspec

from router.analysis.phases import OnDeadline
from router.analysis.phases import Phase as RunPhase
from router.rollouts.spec import Value


class RunOutcome(Value, frozen=True):
    """What a run says of itself; `message` names what decided.

    `on_deadline` is given by a run whose deadline has passed without a verdict: what its step
    wants then.  It counts more than `phase`.
    """

    phase: RunPhase
    message: str = ""
    on_deadline: OnDeadline | None = None


class Trip(Value, frozen=True):
    """A version's breaker has tripped in some worker: when, and on what."""

    since_s: float
    message: str = ""


class GateAnswer(Value, frozen=True):
    """The newest answer to a gate's question."""

    open: bool
    message: str = ""


class WarmupOutcome(Value, frozen=True):
    """What a warm-up has come to; `message` names the endpoint that failed, and why."""

    ok: bool
    message: str = ""


class EndpointSeen(Value, frozen=True):
    """One endpoint of a version; `reason` says why it is not healthy."""

    url: str
    healthy: bool
    reason: str = ""


class Observation(Value, frozen=True):
    """What the loop sees, of one moment.

    `applied`: every live worker serves the newest generation that the route's state has led to.
    `runs`, `gates` and `warmups` are by id; what is missing has not answered.  `tripped`,
    `healthy` and `endpoints` are by version; `healthy` counts endpoints that could take a request,
    `endpoints` lists them all and is what counts where it is given.  Of a version that is missing
    in both nothing is known.
    """

    applied: bool
    runs: Mapping[str, RunOutcome] = {}
    tripped: Mapping[str, Trip] = {}
    healthy: Mapping[str, int] = {}
    gates: Mapping[str, GateAnswer] = {}
    warmups: Mapping[str, WarmupOutcome] = {}
    endpoints: Mapping[str, tuple[EndpointSeen, ...]] = {}

    def count_healthy(self, version: str) -> int | None:
        """How many endpoints of a version are healthy; None: nothing is known of them."""
        seen = self.endpoints.get(version)
        if seen is None:
            return self.healthy.get(version)
        return sum(endpoint.healthy for endpoint in seen)

    def is_dead(self, version: str) -> bool:
        """Whether a version is known to have no healthy endpoint."""
        return self.count_healthy(version) == 0


class Tick(msgspec.Struct, frozen=True):
    """The loop has looked; it may do so as often as it likes."""

    observation: Observation


class Command(Value, frozen=True):
    """What a person says, and why."""

    reason: str = ""


class Start(Command, frozen=True):
    """Begin a rollout to a version; None: to the release."""

    to: str | None = None


class Pause(Command, frozen=True):
    """Stand still until resumed; shares stay, timers of pause steps and runs go on."""


class Resume(Command, frozen=True):
    """Go on: ends a pause, and measures again after an inconclusive analysis."""


class Promote(Command, frozen=True):
    """Go on to the next step, whatever this one waits for."""


class PromoteFull(Command, frozen=True):
    """Skip all steps, pauses, gates and analyses."""


class Abort(Command, frozen=True):
    """Give all traffic back to the stable version."""


class Retry(Command, frozen=True):
    """Try an aborted or rolled back release again, from the first step."""


class Rollback(Command, frozen=True, kw_only=True):
    """Back to the last version that was good: abort, or at rest the former stable version.

    With an `observation` that version has to be healthy, unless `force`; without one nobody asks.
    """

    observation: Observation | None = None
    force: bool = False


class Switch(Command, frozen=True, kw_only=True):
    """All traffic to a version that is healthy by this `observation`, at once.

    `force`: whether it is healthy or not, and whoever holds the weights.
    """

    to: str
    observation: Observation
    force: bool = False


Event = Tick | Start | Pause | Resume | Promote | PromoteFull | Abort | Retry | Rollback | Switch
