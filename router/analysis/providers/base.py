"""The port to whatever measures: one question, one value.

A provider asks once and answers; when to ask, how often, and what an answer means is decided
elsewhere (`router.analysis`).
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from router.errors import RouterError


class ProviderError(RouterError):
    """No value: unreachable, refused, not understood.  The text is recorded: never a secret."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured: a route's canary (or preview) beside its stable version.

    `started_s` is when the analysis run began; both times are seconds since 1970 UTC.
    """

    route: str
    canary: str
    stable: str
    started_s: float
    now_s: float


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value, as conditions see it under the name `result`.

    `value` is a number, a string, a boolean, None, or lists and mappings of them.  `no_data`
    says that there was nothing to measure (an empty vector, 0/0, a missing JSON path, fewer
    requests than wanted); `value` is then what Argo Rollouts would have seen (`[]`, NaN, None).
    `samples` is the number of requests behind the value, where it is known.
    """

    value: Any
    no_data: bool = False
    samples: int | None = None


class Provider(Protocol):
    """One kind of provider, like `prometheus`."""

    async def measure(self, settings: Mapping[str, Any], subject: Subject) -> Reading:
        """Ask once; `settings` is the metric's `provider.<kind>` mapping, arguments filled in.

        Ends within the provider's own time-out and is safe to cancel.

        Raises:
            ProviderError: there is no value to judge.
        """
        ...
