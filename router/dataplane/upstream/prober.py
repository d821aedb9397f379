"""Active health probes: one loop for each origin, path and setting, whatever the number of routes.

A probe takes a connection of its own, so it tests that the server accepts new ones too, and it
never waits behind requests.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from router.dataplane.upstream.connection import Connection
from router.dataplane.upstream.endpoint import EndpointState, Origin
from router.http1.response import ResponseHead
from router.pattern import Pattern, bytes_pattern
from router.snapshot import Health

Draw = Callable[[], float]

MAX_BODY_BYTES: Final = 64 * 1024
"""So much of a probe's answer is looked through."""


class _WantedBody:
    """What a passing answer holds."""

    def __init__(self, pattern: str) -> None:
        self._pattern: Final[Pattern] = bytes_pattern(pattern)
        self.missing: Final = f"its body has nothing like {pattern!r}"

    def is_in(self, body: bytes) -> bool:
        """Whether the pattern is found, `$` being before a last line end too."""
        return self._pattern.found_in(body) or (
            body.endswith(b"\n") and self._pattern.found_in(body[:-1])
        )


class _Probe:
    """One request of a prober; its outcome is an HTTP status or a reason."""

    def __init__(
        self,
        outcome: "asyncio.Future[int | str]",
        request: bytes,
        wanted: "_WantedBody | None" = None,
    ) -> None:
        self._outcome = outcome
        self._request = request
        self._wanted = wanted
        self._status = 0
        self._body = b""
        self.connection: Connection | None = None

    def _tell(self, outcome: int | str) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    def on_connected(self, connection: Connection) -> None:
        self.connection = connection
        connection.send(self, b"GET", self._request, True)

    def on_connect_failed(self, reason: str, *, timeout: bool) -> None:
        self._tell(reason)

    def on_response(
        self, head: ResponseHead, length: int | None, body: bytes, framed: bytes | None, ended: bool
    ) -> None:
        self._status = head.status
        if self._wanted is None:
            self._tell(head.status)
        else:
            self.on_response_body(body, framed, ended)

    def on_response_body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        if self._wanted is None or self._outcome.done():
            return
        self._body += body[: MAX_BODY_BYTES - len(self._body)]
        # Once, and not with every piece: a server that sends byte by byte would have the same
        # bytes looked through tens of thousands of times, and `$` would mean the end of a piece.
        if ended or len(self._body) >= MAX_BODY_BYTES:
            passed = self._wanted.is_in(self._body)
            self._tell(self._status if passed else f"{self._status}, but {self._wanted.missing}")

    def on_upstream_lost(self, broken: str | None) -> None:
        self._tell(f"broken HTTP: {broken}" if broken else "connection closed")

    def on_upstream_full(self) -> None:
        """A probe is a few bytes."""

    def on_upstream_drained(self) -> None:
        """A probe is a few bytes."""


class Prober:
    """Probes one origin and tells the endpoints that asked for it.

    The first probe is made at once, the others at the interval ± 10 %, so that many workers do
    not probe in step.  Thresholds count probes in a row; the very first outcome counts at once.
    """

    def __init__(
        self, origin: Origin, base_path: bytes, authority: bytes, health: Health, draw: Draw
    ) -> None:
        self.endpoints: Final[set[EndpointState]] = set()
        self._origin = origin
        self._health = health
        self._draw = draw
        self._wanted = _WantedBody(health.body) if health.body is not None else None
        self._request = b"GET %b%b HTTP/1.1\r\nhost: %b\r\nuser-agent: inference-router\r\n\r\n" % (
            base_path,
            health.path.encode(),
            authority,
        )
        self._healthy: bool | None = None
        self._streak = 0
        self._reason = ""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def add(self, endpoint: EndpointState) -> None:
        """Tell this endpoint too, beginning with what is known."""
        self.endpoints.add(endpoint)
        if self._healthy is not None:
            endpoint.probe_told(self._healthy, self._reason)

    def close(self) -> None:
        """Probe no more."""
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            outcome = await self._probe()
            self._assess(outcome)
            await asyncio.sleep(self._health.interval_s * (0.9 + 0.2 * self._draw()))

    async def _probe(self) -> int | str:
        outcome: asyncio.Future[int | str] = asyncio.get_running_loop().create_future()
        probe = _Probe(outcome, self._request, self._wanted)
        pending = self._origin.pool.connect(probe, self._health.timeout_s)
        try:
            async with asyncio.timeout(self._health.timeout_s):
                return await outcome
        except TimeoutError:
            return f"no answer in {self._health.timeout_s:g} s"
        finally:
            pending.abandon()
            if probe.connection is not None and probe.connection.user is probe:
                probe.connection.discard()  # else: it went to the pool, and may carry a request

    def _assess(self, outcome: int | str) -> None:
        passed = outcome in self._health.statuses
        reason = "" if passed else f"GET {self._health.path}: {outcome}"
        if passed:
            self._origin.connect_succeeded()
        if passed == self._healthy:
            self._streak = 0
            return
        self._streak += 1
        needed = self._health.healthy_after if passed else self._health.unhealthy_after
        if self._healthy is None or self._streak >= needed:
            self._healthy = passed
            self._streak = 0
            self._reason = reason
            for endpoint in tuple(self.endpoints):
                endpoint.probe_told(passed, reason)
