"""The endpoints of one worker that get less than their share for a while (`routing.slow_start`).

Who comes back from an ejection or from failed probes, and who joins a version that had endpoints
before, begins here if the route has a `slowStart`; the worker's tick moves the shares.  A request
looks at no clock for this, and pays nothing in versions of which nothing is warming.

Bounded by the endpoints of the table: one that leaves it is dropped by the next tick.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from router.routing.slow_start import Ramp

if TYPE_CHECKING:
    from router.dataplane.upstream.endpoint import EndpointState


class Warming:
    """See the module; `now` is the worker's clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now: Final = now
        self._endpoints: Final[set[EndpointState]] = set()

    def __len__(self) -> int:
        return len(self._endpoints)

    def begin(self, endpoint: "EndpointState", window_s: float) -> None:
        """Let it begin with the least share; its version chooses anew who is usable."""
        endpoint.ramp = Ramp(self._now(), window_s)
        self._endpoints.add(endpoint)

    def end(self, endpoint: "EndpointState") -> None:
        """It is not used at all now, or warm."""
        endpoint.ramp = None
        self._endpoints.discard(endpoint)

    def tick(self, now: float) -> None:
        """Move every share to what it is now."""
        for endpoint in tuple(self._endpoints):
            version, ramp = endpoint.version, endpoint.ramp
            if version is None or ramp is None:
                self.end(endpoint)
            elif ramp.move(now):
                self.end(endpoint)
                version.rebalance()
