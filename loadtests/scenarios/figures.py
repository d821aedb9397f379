"""What a run of Locust tells at its end.  Pure."""

from __future__ import annotations

import msgspec

from loadtests.scenarios.tally import Told


class Kind(msgspec.Struct, frozen=True):
    """One kind of request, or of what is measured beside requests; its values in `unit`.

    Locust keeps percentiles to two digits above 100 ms.
    """

    type: str
    name: str
    count: int
    failed: int
    p50: float
    p95: float
    p99: float
    least: float
    most: float

    @property
    def unit(self) -> str:
        """Of its values; what is no time says it in its type."""
        return self.type.partition(" ")[2] or "ms"

    @property
    def is_request(self) -> bool:
        """Whether a client asked for it, and not the admin client or a stop watch."""
        return self.type in ("POST", "SSE")


class Failure(msgspec.Struct, frozen=True):
    """One way in which requests failed."""

    name: str
    error: str
    count: int


class Figures(msgspec.Struct, frozen=True):
    """All of it."""

    seconds: float
    kinds: list[Kind]
    failures: list[Failure]
    told: Told

    def kind(self, name: str) -> Kind | None:
        """The kind of this name; None where nobody was of it."""
        return next((kind for kind in self.kinds if kind.name == name), None)

    @property
    def requests(self) -> int:
        """How many ended, streams among them."""
        return sum(kind.count for kind in self.kinds if kind.is_request)

    @property
    def asked(self) -> int:
        """How many ended, streams not among them."""
        return sum(kind.count for kind in self.kinds if kind.type == "POST")

    @property
    def failed(self) -> int:
        """How many of the requests failed."""
        return sum(kind.failed for kind in self.kinds if kind.is_request)

    @property
    def streams(self) -> int:
        """How many streams ended."""
        return sum(kind.count for kind in self.kinds if kind.type == "SSE")
