"""What a worker counts: plain numbers, bound once per route and version, no locks, no look-ups.

prometheus_client's own children cost about 1.5 µs a histogram observation (a lock and a linear
scan of the buckets); these cost a tenth of it.  `series()` turns them into what travels up the
link; control merges and exports them with prometheus_client.

One event loop owns a recorder; nothing here is safe to use from two threads.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from router.errors import FailureReason
from router.telemetry import families
from router.telemetry.families import Family

Labels = tuple[str, ...]


class Series(msgspec.Struct, frozen=True, array_like=True):
    """One series as it travels: a number, or a histogram's bucket counts with their sum."""

    family: str
    labels: Labels
    value: float = 0.0
    buckets: list[int] | None = None


class Histogram:
    """Bucket counts (not cumulative, the last one is +Inf) and their sum.

    `observe` only appends; `fold` sorts what has come and counts it into the buckets, a batch at
    a time.  In a worker, where every request runs through cold code, that costs 0.1 µs an
    observation where counting at once costs 1 µs.  The worker's tick folds ten times a second,
    which bounds what is pending.
    """

    __slots__ = ("_pending", "bounds", "counts", "observe", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds: Final = bounds
        self.counts: Final = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self._pending: Final[list[float]] = []
        self.observe: Final[Callable[[float], None]] = self._pending.append

    def fold(self) -> None:
        """Count what is pending; a value on a bound belongs to that bucket (`le`)."""
        pending = self._pending
        if not pending:
            return
        pending.sort()
        self.sum += sum(pending)
        below = 0
        for index, bound in enumerate(self.bounds):
            upto = bisect_right(pending, bound, below)
            self.counts[index] += upto - below
            below = upto
        self.counts[-1] += len(pending) - below
        pending.clear()

    def series(self, family: Family, labels: Labels) -> Series:
        """The wire form of this moment."""
        self.fold()
        return Series(family.name, labels, self.sum, self.counts.copy())


class RoleCounts:
    """Answers and failures of a version while it has one role."""

    __slots__ = ("errors", "requests")

    def __init__(self) -> None:
        self.requests: Final[dict[int, int]] = defaultdict(int)
        self.errors: Final[dict[FailureReason, int]] = defaultdict(int)


class VersionRecorder:
    """Everything counted for one version of one route."""

    __slots__ = (
        "changed",
        "completion_tokens",
        "duration",
        "fallbacks",
        "finish_reasons",
        "first_byte",
        "first_token",
        "in_flight",
        "inter_chunk",
        "prompt_tokens",
        "retries",
        "roles",
        "route",
        "version",
    )

    def __init__(self, route: str, version: str) -> None:
        self.route: Final = route
        self.version: Final = version
        self.roles: Final[dict[str, RoleCounts]] = {}
        self.duration: Final = Histogram(families.DURATION.buckets)
        self.first_byte: Final = Histogram(families.FIRST_BYTE.buckets)
        self.first_token: Final = Histogram(families.FIRST_TOKEN.buckets)
        self.inter_chunk: Final = Histogram(families.INTER_CHUNK.buckets)
        self.finish_reasons: Final[dict[str, int]] = {}
        self.retries: Final[dict[str, int]] = {}
        self.fallbacks: Final[dict[str, int]] = {}
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.in_flight = 0
        self.changed = True

    def fold(self) -> None:
        """Count what is pending in the histograms."""
        self.duration.fold()
        self.first_byte.fold()
        self.first_token.fold()
        self.inter_chunk.fold()

    def role(self, role: str) -> RoleCounts:
        """The counts of one role; a version that is promoted goes on in another's."""
        return self.roles.setdefault(role, RoleCounts())

    def series(self) -> Iterator[Series]:
        """All series of this recorder, in their wire form."""
        version = (self.route, self.version)
        for role, counts in self.roles.items():
            for status, number in counts.requests.items():
                yield Series(families.REQUESTS.name, (*version, role, str(status)), number)
            for failure, number in counts.errors.items():
                yield Series(families.ERRORS.name, (*version, role, failure.value), number)
        for family, histogram in (
            (families.DURATION, self.duration),
            (families.FIRST_BYTE, self.first_byte),
            (families.FIRST_TOKEN, self.first_token),
            (families.INTER_CHUNK, self.inter_chunk),
        ):
            series = histogram.series(family, version)
            if any(histogram.counts):
                yield series
        # As floats: others report these numbers, and their sum may pass what an integer of the
        # link can hold.
        yield Series(families.TOKENS.name, (*version, "prompt"), float(self.prompt_tokens))
        yield Series(families.TOKENS.name, (*version, "completion"), float(self.completion_tokens))
        for family, reasons in (
            (families.FINISH_REASONS, self.finish_reasons),
            (families.RETRIES, self.retries),
            (families.FALLBACKS, self.fallbacks),
        ):
            for reason, number in reasons.items():
                yield Series(family.name, (*version, reason), number)
        yield Series(families.IN_FLIGHT.name, version, self.in_flight)


class ShadowRecorder:
    """What is counted of the copies that one version of one route was sent."""

    __slots__ = ("changed", "in_flight", "outcomes", "route", "sampled", "version")

    def __init__(self, route: str, version: str) -> None:
        self.route: Final = route
        self.version: Final = version
        self.sampled = 0
        self.in_flight = 0
        self.outcomes: Final[dict[str, int]] = dict.fromkeys(("answered", "error", "timeout"), 0)
        self.changed = True

    def count(self, outcome: str) -> None:
        """A copy has ended."""
        count(self.outcomes, outcome)
        self.changed = True

    def series(self) -> Iterator[Series]:
        """All series of this recorder, in their wire form."""
        version = (self.route, self.version)
        yield Series(families.SHADOW_SAMPLED.name, version, self.sampled)
        yield Series(families.SHADOW_IN_FLIGHT.name, version, self.in_flight)
        for outcome, number in self.outcomes.items():
            yield Series(families.SHADOW_REQUESTS.name, (*version, outcome), number)


def count(counts: dict[str, int], key: str) -> None:
    """Add one to `counts[key]`."""
    counts[key] = counts.get(key, 0) + 1


class WorkerRecorder:
    """Everything that one worker counts: its versions' recorders and its own numbers."""

    def __init__(self, worker: str) -> None:
        self.worker: Final = worker
        self.overhead_request: Final = Histogram(families.OVERHEAD.buckets)
        self.overhead_response: Final = Histogram(families.OVERHEAD.buckets)
        self.loop_delay: Final = Histogram(families.LOOP_DELAY.buckets)
        self.unrouted: Final[dict[str, int]] = {}
        self.refusals: Final[dict[tuple[str, str], int]] = {}
        self.queue_refusals: Final[dict[tuple[str, str], int]] = {}
        self.circuit_refusals: Final[dict[tuple[str, str, str], int]] = {}
        self.shed: Final[dict[tuple[str, str], int]] = {}
        self.pairs_dropped: Final[dict[tuple[str, str], int]] = {}
        self.ejections: Final[dict[tuple[str, str, str], int]] = {}
        self.tls_reloads: Final[dict[str, int]] = {}
        self.tls_handshakes: Final[dict[str, int]] = {}
        self.log_dropped = 0
        self._versions: dict[tuple[str, str], VersionRecorder] = {}
        self._shadows: dict[tuple[str, str], ShadowRecorder] = {}
        self._live: set[tuple[str, str]] | None = None

    def version(self, route: str, version: str) -> VersionRecorder:
        """The recorder of one version, made when it is first asked for."""
        key = (route, version)
        recorder = self._versions.get(key)
        if recorder is None:
            recorder = self._versions[key] = VersionRecorder(route, version)
        return recorder

    def count_ejection(self, route: str, version: str, endpoint: str) -> None:
        """An endpoint is left alone for a while."""
        key = (route, version, endpoint)
        self.ejections[key] = self.ejections.get(key, 0) + 1

    def shadow(self, route: str, version: str) -> ShadowRecorder:
        """The recorder of the copies that one version is sent."""
        key = (route, version)
        recorder = self._shadows.get(key)
        if recorder is None:
            recorder = self._shadows[key] = ShadowRecorder(route, version)
        return recorder

    def fold(self) -> None:
        """Count what is pending in every histogram; called by the worker's tick."""
        for recorder in self._versions.values():
            if recorder.changed:
                recorder.fold()
        self.overhead_request.fold()
        self.overhead_response.fold()

    def forget(self, live: set[tuple[str, str]]) -> None:
        """Drop recorders of versions that are gone; requests that still run keep theirs."""
        self._live = live
        self._drop_departed()

    def _drop_departed(self) -> None:
        live = self._live
        if live is not None:
            self._versions = {
                key: recorder
                for key, recorder in self._versions.items()
                if key in live or recorder.in_flight
            }
            for gone in [key for key in self.ejections if key[:2] not in live]:
                del self.ejections[gone]
            for gone in [key for key in self.circuit_refusals if key[:2] not in live]:
                del self.circuit_refusals[gone]
            if self.shed:
                routes = {route for route, _ in live}
                for route, class_ in [key for key in self.shed if key[0] not in routes]:
                    del self.shed[route, class_]
            self._shadows = {
                key: recorder
                for key, recorder in self._shadows.items()
                if key in live or recorder.in_flight
            }

    def series(self, *, everything: bool = False) -> list[Series]:
        """What changed since the last call (all of it with `everything`), as absolute values."""
        self._drop_departed()
        rows: list[Series] = []
        for recorder in self._versions.values():
            if recorder.changed or everything:
                recorder.changed = recorder.in_flight > 0
                rows.extend(recorder.series())
        for shadow in self._shadows.values():
            if shadow.changed or everything:
                shadow.changed = shadow.in_flight > 0
                rows.extend(shadow.series())
        rows.append(self.overhead_request.series(families.OVERHEAD, ("request",)))
        rows.append(self.overhead_response.series(families.OVERHEAD, ("response",)))
        rows.append(self.loop_delay.series(families.LOOP_DELAY, (self.worker,)))
        rows.append(Series(families.LOG_DROPPED.name, (self.worker,), self.log_dropped))
        for family, results in (
            (families.TLS_RELOADS, self.tls_reloads),
            (families.TLS_HANDSHAKES, self.tls_handshakes),
        ):
            for result, number in results.items():
                rows.append(Series(family.name, (result,), number))
        for code, number in self.unrouted.items():
            rows.append(Series(families.UNROUTED.name, (code,), number))
        for key, number in self.refusals.items():
            rows.append(Series(families.REFUSALS.name, key, number))
        for key, number in self.queue_refusals.items():
            rows.append(Series(families.QUEUE_FULL.name, key, number))
        for version, number in self.circuit_refusals.items():
            rows.append(Series(families.CIRCUIT_REFUSALS.name, version, number))
        for key, number in self.shed.items():
            rows.append(Series(families.SHED.name, key, number))
        for endpoint, number in self.ejections.items():
            rows.append(Series(families.ENDPOINT_EJECTIONS.name, endpoint, number))
        for key, number in self.pairs_dropped.items():
            rows.append(Series(families.SHADOW_PAIRS_DROPPED.name, key, number))
        return rows
