"""Leave an endpoint alone for a while that answers its probes and fails its requests.

Passive, beside the prober: what requests meet is evidence that a health path cannot give (a GPU
that has fallen off the bus still answers `/health`).  The rule is a breaker's, for each endpoint;
time out of use grows with each time in a row.  Never more than a share of a version's endpoints:
when most of them fail, the fault is not theirs, and leaving them out would only move the load.

Guarantees (tests/conformance/test_wire_outliers.py):
  * a version's only endpoint is never ejected;
  * nothing of this costs a successful request more than one addition.
"""

import logging
from collections.abc import Collection
from typing import Final

from router.clock import NEVER
from router.dataplane.upstream.endpoint import EndpointState

log: Final = logging.getLogger(__name__)


_GOOD_FOR: Final = 10
"""After so many times `eject_s` without an ejection the next one is a first one again."""


class Outliers:
    """The ejected endpoints of one worker; `due` is when the next one comes back.

    Bounded by the endpoints of the table: one that leaves it is forgotten when its time is over.
    """

    def __init__(self) -> None:
        self.due = NEVER
        self._out: dict[EndpointState, float] = {}

    def failed(self, endpoint: EndpointState, now: float) -> None:
        """A request has failed there, and its end is counted: perhaps it was one too many."""
        version = endpoint.version
        limits = version.outlier if version is not None else None
        if version is None or limits is None:
            return
        reason = endpoint.failed(limits.failures, now)
        if not reason:
            return
        if not _may_eject(version.endpoints, limits.max_ejected_percent):
            endpoint.forget_failures()
            return
        if now > endpoint.readmitted_at + _GOOD_FOR * limits.eject_s:
            endpoint.ejections = 0
        seconds = min(limits.max_eject_s, limits.eject_s * 2**endpoint.ejections)
        endpoint.leave_out(f"{reason}; left alone for {seconds:g} s", now + seconds)
        log.warning("%s/%s: %s: %s", version.route, version.spec.name, endpoint.label, reason)
        self._out[endpoint] = now + seconds
        self._set_due()

    def readmit(self, now: float) -> None:
        """Use those again whose time is over."""
        for endpoint in [each for each, due in self._out.items() if due <= now]:
            del self._out[endpoint]
            endpoint.take_back(now)
        self._set_due()

    def _set_due(self) -> None:
        self.due = min(self._out.values(), default=NEVER)


def _may_eject(endpoints: Collection[EndpointState], max_percent: float) -> bool:
    out = sum(endpoint.outlying for endpoint in endpoints)
    return (out + 1) * 100 <= max_percent * len(endpoints)
